"""The routes of permits: uploads, downloads, and what anyone may use to check a licence. It decides no access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from litestar import Request, Response, get, put
from litestar.params import FromPath, QueryParameter

from gov_services.crypto.tokens import TokenRefused, jwks
from gov_services.kit.clock import Clock
from gov_services.kit.context import Entrance, EntranceKind
from gov_services.kit.errors import NotFound, Refusal, ServiceError, Unavailable
from gov_services.kit.locales import negotiate_locale
from gov_services.permits import credential, links, store
from gov_services.permits.media import LARGEST_DOCUMENT_BYTES, DocumentTooLarge
from gov_services.permits.ports import PermitsPorts
from gov_services.permits.service import documents
from gov_services.subgraph.context import RoomServices
from gov_services.subgraph.entrances import Route, entrance_context
from gov_services.subgraph.unit_of_work import commit, log_refusal

UPLOAD_PURPOSE = "licence-document-upload"
DOWNLOAD_PURPOSE = "licence-document-reading"
_PRIVATE = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
}
_PUBLIC = {"cache-control": f"public, max-age={credential.STATUS_LIST_TTL_S}", "x-content-type-options": "nosniff"}
_CHECKED: Mapping[str, Mapping[str, str]] = {
    "valid": {"zh-CN": "执照有效。", "en": "The licence is valid."},
    "surrendered": {"zh-CN": "执照已注销,不再有效。", "en": "The licence was given back and holds no more."},
    "unknown": {"zh-CN": "登记簿中没有此执照。", "en": "The register has no such licence."},
    "not-ours": {
        "zh-CN": "这不是本平台签发的凭证,或凭证已过期。",
        "en": "This is no credential of ours, or one that has expired.",
    },
}
"""Status of the register, or that there is none → what a person is told."""
# The limit is ours to state in words; the server's own only keeps a flood out.
_BODY_LIMIT_BYTES = LARGEST_DOCUMENT_BYTES + 1


def routes(services: RoomServices[PermitsPorts], clock: Clock) -> Sequence[Route]:
    """Every route of the room."""
    return (
        Route(f"{documents.UPLOAD_PATH}/{{token}}", UPLOAD_PURPOSE, _upload(services, clock)),
        Route(f"{documents.DOWNLOAD_PATH}/{{token}}", DOWNLOAD_PURPOSE, _download(services, clock)),
        Route(credential.VERIFY_PATH, "", _verify(services, clock)),
        Route(credential.STATUS_PATH, "", _status(services, clock)),
        Route(credential.KEYS_PATH, "", _keys(services)),
    )


def _upload(services: RoomServices[PermitsPorts], clock: Clock) -> Any:
    @put(f"{documents.UPLOAD_PATH}/{{token:str}}", request_max_body_size=None, status_code=201)
    async def upload(token: FromPath[str], request: Request[Any, Any, Any]) -> Response[Any]:
        """Take one file, under a link that requestUpload gave."""
        now, locale = clock.now(), _locale(request)
        entrance = Entrance(EntranceKind.ROUTE, f"{documents.UPLOAD_PATH}/{{token}}", UPLOAD_PURPOSE)
        context = entrance_context(services, entrance, now=now, locale=locale)
        try:
            link = documents.link_in(services.ports, token, type=links.UPLOAD_TYPE, now=now)
            content = await _body(request)
            document = await documents.linked_document(context, link)
            context = entrance_context(
                services, entrance, now=now, actor=link.actor(document.citizen_id), locale=locale
            )
            outcome = await commit(context, documents.store_upload, document=document, content=content)
        except ServiceError as error:
            return await _refused(context, error, locale)
        if outcome.result is None:
            return _problem(outcome.errors[0], locale, 422)
        stored = outcome.result
        return Response(
            {"documentId": str(stored.document_id), "mediaType": stored.media_type, "sizeBytes": stored.size_bytes},
            status_code=201,
            headers=_PRIVATE,
        )

    return upload


def _download(services: RoomServices[PermitsPorts], clock: Clock) -> Any:
    @get(f"{documents.DOWNLOAD_PATH}/{{token:str}}")
    async def download(token: FromPath[str], request: Request[Any, Any, Any]) -> Response[Any]:
        """Give one file out; whether the asker still may have it is decided now."""
        now, locale = clock.now(), _locale(request)
        entrance = Entrance(EntranceKind.ROUTE, f"{documents.DOWNLOAD_PATH}/{{token}}", DOWNLOAD_PURPOSE)
        context = entrance_context(services, entrance, now=now, locale=locale)
        try:
            link = documents.link_in(services.ports, token, type=links.DOWNLOAD_TYPE, now=now)
            document = await documents.linked_document(context, link)
            actor = link.actor(document.citizen_id)
            requested = {documents.CONTENT}
            context = entrance_context(services, entrance, now=now, actor=actor, locale=locale, requested=requested)
            file = await documents.read_document(context, document=document)
        except ServiceError as error:
            return await _refused(context, error, locale)
        finally:
            context.disclosures.close()
        headers = {**_PRIVATE, "content-disposition": f'attachment; filename="{document.document_id}"'}
        return Response(file.content, media_type=file.media_type, headers=headers)

    return download


def _verify(services: RoomServices[PermitsPorts], clock: Clock) -> Any:
    @get(credential.VERIFY_PATH)
    async def verify(
        request: Request[Any, Any, Any], presented: Annotated[str, QueryParameter(name="credential")] = ""
    ) -> Response[dict[str, Any]]:
        """Whether a credential is ours and its licence holds. It tells nothing that is not printed on the licence."""
        locale = _locale(request)
        try:
            number = credential.number_in(
                presented, keys=services.ports.licence_keys, issuer=services.ports.issuer, now=clock.now()
            )
        except TokenRefused:
            return _checked({"status": "not-ours"}, locale)
        try:
            async with services.discloser.database.reading() as session:
                entry = await store.registered(session, number=number)
        except Unavailable as away:
            return _problem(away, locale, 503)
        return _checked({"status": entry.status if entry else "unknown", "number": number}, locale)

    return verify


def _status(services: RoomServices[PermitsPorts], clock: Clock) -> Any:
    @get(credential.STATUS_PATH)
    async def status(request: Request[Any, Any, Any]) -> Response[Any]:
        """The status list, signed (IETF Token Status List)."""
        try:
            async with services.discloser.database.reading() as session:
                size, ended = await store.register_state(session)
        except Unavailable as away:
            return _problem(away, _locale(request), 503)
        ports = services.ports
        token = credential.status_list(ports.licence_key, ended, size=size, issuer=ports.issuer, now=clock.now())
        return Response(token, media_type=f"application/{credential.STATUS_LIST_TYPE}", headers=_PUBLIC)

    return status


def _keys(services: RoomServices[PermitsPorts]) -> Any:
    @get(credential.KEYS_PATH, sync_to_thread=False)
    def keys() -> Response[dict[str, Any]]:
        """The keys that credentials and the status list are signed with (RFC 7517)."""
        return Response(jwks(services.ports.licence_keys), headers=_PUBLIC)

    return keys


def _checked(found: Mapping[str, str], locale: str) -> Response[dict[str, Any]]:
    """What came of checking a credential: for a program by `status`, for a person by `message`."""
    status = found["status"]
    answer = {"valid": status == "valid", **found, "message": _CHECKED[status][locale]}
    return Response(answer, headers={**_PRIVATE, "content-language": locale})


async def _body(request: Request[Any, Any, Any]) -> bytes:
    """The body, read no further than the limit. Raises DocumentTooLarge."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) >= _BODY_LIMIT_BYTES:
            raise DocumentTooLarge(most_mb=LARGEST_DOCUMENT_BYTES // (1024 * 1024))
    return bytes(content)


async def _refused(context: Any, error: ServiceError, locale: str) -> Response[Any]:
    """A refusal, logged and told. One that cannot be logged is told as that."""
    if not error.logged and not isinstance(error, Unavailable):
        try:
            await log_refusal(context, error)
        except Unavailable as unlogged:
            error = unlogged
    if isinstance(error, Unavailable):
        return _problem(error, locale, 503)
    if isinstance(error, NotFound):
        return _problem(error, locale, 404)
    return _problem(error, locale, 403 if isinstance(error, Refusal) else 422)


def _problem(error: ServiceError, locale: str, status: int) -> Response[Any]:
    """RFC 9457, with the code that GraphQL errors carry."""
    return Response(
        {"title": error.message(locale), "status": status, "code": error.code},
        status_code=status,
        media_type="application/problem+json",
        headers={**_PRIVATE, "content-language": locale},
    )


def _locale(request: Request[Any, Any, Any]) -> str:
    return negotiate_locale(request.headers.get("accept-language", ""))
