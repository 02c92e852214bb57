"""Documents of an application: asking for a link, taking a file in, giving one out. Contents are sealed files."""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from gov_services.crypto.tokens import TokenRefused
from gov_services.kit.errors import NotFound, Unauthenticated, UserError
from gov_services.kit.ids import new_id
from gov_services.permits import links, store
from gov_services.permits.catalogue import service_from_row
from gov_services.permits.lifecycle import AWAITING_CORRECTION, State
from gov_services.permits.links import Link, read_link, sign_link
from gov_services.permits.media import media_type_of
from gov_services.permits.models import DOCUMENT_CONTENT, ApplicationRow, DocumentContent, DocumentRow
from gov_services.permits.ports import PermitsPorts
from gov_services.permits.service.moving import FIELD, Context, own_application
from gov_services.permits.service.reviewing import Correctable
from gov_services.subgraph.context import ReadContext

CONTENT = "ApplicationDocument.content"
MOST_DOCUMENTS = 20
"""Documents of one application: those that are there, and those that a link is out for."""
UPLOAD_PATH = "/uploads"
DOWNLOAD_PATH = "/downloads"


class DocumentKindUnknown(UserError):
    """The service asks for no such document."""

    code = "DOCUMENT_KIND"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "此事项不需要该类材料。",
        "en": "This service asks for no such document.",
    }


class DocumentsNotTaken(UserError):
    """The application is neither being written nor asked for documents: what was handed in stays as it is."""

    code = "DOCUMENTS_NOT_TAKEN"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "申请当前不接收材料:仅可在提交前或按要求补正材料时上传。",
        "en": "No documents are taken now: only before submission, or when documents are to be corrected.",
    }


class TooManyDocuments(UserError):
    """More documents than an application can need."""

    code = "TOO_MANY_DOCUMENTS"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "每个申请最多上传 {most} 份材料。",
        "en": "An application takes at most {most} documents.",
    }


class LinkRefused(Unauthenticated):
    """The link is malformed, expired, used up, or never was one."""

    code = "LINK_REFUSED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "链接无效或已过期,请重新获取。",
        "en": "The link is not valid, or not any more. Ask for another.",
    }


@dataclass(frozen=True, slots=True)
class Address:
    """Where to send a file, or to fetch one, and until when."""

    document_id: str
    url: str
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True)
class File:
    """A document's content, in clear."""

    media_type: str
    content: bytes


async def request_upload(ctx: Context, *, application_id: str, kind: str) -> Address:
    """A link for one file. Raises NotFound, DocumentsNotTaken, DocumentKindUnknown, TooManyDocuments."""
    row = await own_application(ctx, application_id)
    await _require_taking(ctx, row)
    service = service_from_row(await store.service(ctx.session, code=row.service_code))
    if kind not in {item.kind for item in service.documents}:
        raise DocumentKindUnknown(field="input.kind")
    count = await store.count_documents(
        ctx.session,
        citizen_id=row.citizen_id,
        application_id=row.application_id,
        asked_after=ctx.now - links.UPLOAD_LIFETIME,
    )
    if count >= MOST_DOCUMENTS:
        raise TooManyDocuments(field=FIELD, most=MOST_DOCUMENTS)
    document = DocumentRow(
        citizen_id=row.citizen_id,
        document_id=new_id(ctx.now),
        application_id=row.application_id,
        kind=kind,
        requested_at=ctx.now,
    )
    ctx.session.add(document)
    await ctx.session.flush()
    await ctx.record("document.requested", subject=row.citizen_id, object_ref=f"document:{document.document_id}")
    return _address(ctx, document, links.UPLOAD_TYPE, UPLOAD_PATH, links.UPLOAD_LIFETIME)


async def store_upload(ctx: Context, *, document: DocumentRow, content: bytes) -> DocumentRow:
    """Take the file in, once.

    Raises DocumentTooLarge, DocumentTypeRefused, LinkRefused, DocumentsNotTaken, FilesUnavailable.
    """
    media_type = media_type_of(content)
    application = await store.application_for_update(
        ctx.session, citizen_id=document.citizen_id, application_id=document.application_id
    )
    row = await store.document_for_update(ctx.session, citizen_id=document.citizen_id, document_id=document.document_id)
    if row.stored_at is not None:
        raise LinkRefused
    assert application is not None  # a foreign key says so
    # The link may be older than what the application waits for now.
    await _require_taking(ctx, application)
    sealer = await ctx.sealer(row.citizen_id)
    value = base64.b64encode(content).decode()
    sealed = sealer.seal(DOCUMENT_CONTENT, row_id=row.document_id, value=value)
    await ctx.ports.files.store(row.document_id, sealed)
    row.media_type, row.size_bytes, row.stored_at = media_type, len(content), ctx.now
    await ctx.record(
        "document.stored",
        subject=row.citizen_id,
        object_ref=f"document:{row.document_id}",
        collected=[CONTENT],
    )
    return row


def download_address(ctx: ReadContext[PermitsPorts], document: DocumentRow) -> Address:
    """A link to a document for whoever is asking; following it is decided and logged anew."""
    return _address(ctx, document, links.DOWNLOAD_TYPE, DOWNLOAD_PATH, links.DOWNLOAD_LIFETIME)


async def read_document(ctx: ReadContext[PermitsPorts], *, document: DocumentRow) -> File:
    """The content, for one who may have it. Raises NotFound, a Refusal, FilesUnavailable."""
    disclosure = await ctx.disclosure(
        document.citizen_id, case_id=document.application_id, object_ref=f"document:{document.document_id}"
    )
    row = DocumentContent(
        citizen_id=document.citizen_id,
        document_id=document.document_id,
        content=await ctx.ports.files.load(document.document_id),
    )
    value = await disclosure.open(CONTENT, row, "content")
    if value is None or document.media_type is None:
        raise NotFound
    return File(document.media_type, base64.b64decode(value))


def link_in(ports: PermitsPorts, token: str, *, type: str, now: dt.datetime) -> Link:
    """What a link says. Raises LinkRefused."""
    try:
        return read_link(ports.upload_keys, token, type=type, issuer=ports.issuer, now=now)
    except TokenRefused:
        raise LinkRefused from None


async def linked_document(ctx: ReadContext[PermitsPorts], link: Link) -> DocumentRow:
    """The document that a link names. Raises LinkRefused."""
    async with ctx.reading() as session:
        row = await store.document(session, document_id=link.document_id)
    if row is None:
        raise LinkRefused
    return row


async def _require_taking(ctx: Context, application: ApplicationRow) -> None:
    """Documents are taken while the application is written, and while they are what is to be put right."""
    if application.state == State.DRAFT:
        return
    correction = await store.open_correction(
        ctx.session, citizen_id=application.citizen_id, application_id=application.application_id
    )
    if application.state not in AWAITING_CORRECTION or correction is None or correction.field != Correctable.DOCUMENTS:
        raise DocumentsNotTaken(field=FIELD)


def _address(
    ctx: ReadContext[PermitsPorts], document: DocumentRow, type: str, path: str, lifetime: dt.timedelta
) -> Address:
    expires_at = ctx.now + lifetime
    token = sign_link(
        ctx.ports.upload_key,
        type=type,
        document_id=document.document_id,
        actor=ctx.actor,
        issuer=ctx.ports.issuer,
        now=ctx.now,
        expires=expires_at,
    )
    return Address(str(document.document_id), f"{ctx.ports.issuer}{path}/{token}", expires_at)
