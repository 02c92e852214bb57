"""Uploads and downloads: who may, once, for how long; and what lies on the disk."""

from __future__ import annotations

import base64
import datetime as dt
from pathlib import Path
from uuid import UUID

import pytest
from permit_office import PDF, Office
from town import CITY_URL

from gov_services.crypto.columns import Sealed
from gov_services.permits.files import FilesUnavailable, LocalDocumentFiles
from gov_services.permits.links import UPLOAD_LIFETIME
from gov_services.permits.media import LARGEST_DOCUMENT_BYTES


async def content_link(office: Office, application_id: str, *, by_officer: bool = False) -> str:
    """A link to the first document."""
    actor = office.officer if by_officer else None
    read = await office.read(application_id, "documents { content { url } }", actor=actor)
    return str(read["documents"][0]["content"]["url"])


async def ask_link(office: Office, application_id: str, kind: str = "premises-proof") -> object:
    """Ask for a link; what is to be put right."""
    document = (
        "mutation Link($input: RequestUploadInput!) { requestUpload(input: $input) "
        "{ upload { url } userErrors { code field } } }"
    )
    values = {"input": {"applicationId": application_id, "kind": kind}}
    answer = await office.town.ask("permits", document, values, purpose="licence-application", actor=office.applicant)
    return answer["data"]["requestUpload"]["userErrors"]


def files(office: Office) -> list[Path]:
    """Everything that lies on the disk."""
    return [path for path in (office.town.settings.runtime_directory / "documents").rglob("*") if path.is_file()]


async def test_a_file_comes_back_as_it_was_and_lies_sealed_on_the_disk(office: Office) -> None:
    application_id = await office.draft()
    stored = await office.http.put(await office.link(application_id), content=PDF)
    assert stored.status_code == 201
    assert stored.json()["mediaType"] == "application/pdf"

    got = await office.http.get(await content_link(office, application_id))

    assert (got.status_code, got.content, got.headers["content-type"]) == (200, PDF, "application/pdf")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"].startswith("attachment;")
    (file,) = files(office)
    assert file.name == UUID(stored.json()["documentId"]).hex
    for form in (PDF, base64.b64encode(PDF), PDF.hex().encode()):
        assert form[:20] not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_link_takes_one_file_and_none_after_the_submission(office: Office) -> None:
    application_id = await office.draft()
    first, second = await office.link(application_id), await office.link(application_id)
    assert (await office.http.put(first, content=PDF)).status_code == 201

    again = await office.http.put(first, content=b"%PDF-other")
    submitted = await office.step("submitApplication", {"applicationId": application_id})
    late = await office.http.put(second, content=b"%PDF-other")

    assert submitted["userErrors"] == []
    assert (again.status_code, again.json()["code"]) == (403, "LINK_REFUSED")
    assert (late.status_code, late.json()["code"]) == (422, "DOCUMENTS_NOT_TAKEN")
    assert (await office.http.get(await content_link(office, application_id))).content == PDF


async def test_documents_are_taken_in_a_correction_only_where_they_are_what_was_asked_for(office: Office) -> None:
    application_id = await office.draft()
    assert (await office.http.put(await office.link(application_id), content=PDF)).status_code == 201
    kept = await office.link(application_id)
    await office.step("submitApplication", {"applicationId": application_id})
    # Asked for the scope first, and for documents afterwards.
    await office.officer_step("requestCorrection", application_id, field="SCOPE")

    refused = await office.http.put(kept, content=PDF)
    in_english = await office.http.put(kept, content=PDF, headers={"accept-language": "en"})
    asked = await ask_link(office, application_id)

    assert (refused.status_code, refused.json()["code"]) == (422, "DOCUMENTS_NOT_TAKEN")
    assert "补正" in refused.json()["title"]
    assert in_english.json()["title"].startswith("No documents are taken now")
    assert asked == [{"code": "DOCUMENTS_NOT_TAKEN", "field": "input.applicationId"}]
    assert await office.town.value("SELECT count(*) FROM permits.document WHERE stored_at IS NOT NULL") == 1
    assert len(files(office)) == 1
    codes = [entry.code for entry in await office.town.entries() if entry.outcome == "refused"]
    assert codes == ["DOCUMENTS_NOT_TAKEN"] * 3

    await office.step("correctApplication", {"applicationId": application_id, "scope": "预包装食品零售"})
    await office.officer_step("requestCorrection", application_id, field="DOCUMENTS")
    assert (await office.http.put(kept, content=PDF)).status_code == 201
    assert await ask_link(office, application_id) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "DOCUMENT_TOO_LARGE"),
        (b"%PDF-" + bytes(LARGEST_DOCUMENT_BYTES), "DOCUMENT_TOO_LARGE"),
        (b"#!/bin/sh", "DOCUMENT_TYPE"),
    ],
)
async def test_what_is_no_document_is_refused_and_the_link_stays_good(
    office: Office, content: bytes, code: str
) -> None:
    url = await office.link(await office.draft())

    refused = await office.http.put(url, content=content, headers={"accept-language": "en"})

    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert await office.town.value("SELECT count(*) FROM permits.document WHERE stored_at IS NOT NULL") == 0
    assert (await office.http.put(url, content=PDF)).status_code == 201


async def test_an_expired_forged_or_misused_link_is_refused_and_logged(office: Office) -> None:
    application_id = await office.draft()
    upload = await office.link(application_id)
    assert (await office.http.put(await office.link(application_id), content=PDF)).status_code == 201
    download = await content_link(office, application_id)
    office.town.clock.advance(dt.timedelta(minutes=16))
    await office.town.integrate()

    for answer in (
        await office.http.put(upload, content=PDF),
        await office.http.get(download),
        await office.http.get(f"{CITY_URL}/downloads/" + upload.rpartition("/")[2]),
        await office.http.put(f"{CITY_URL}/uploads/nothing", content=PDF),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "LINK_REFUSED")
        assert answer.headers["content-type"] == "application/problem+json"
    refused = [entry.code for entry in await office.town.entries() if entry.outcome == "refused"]
    assert "LINK_REFUSED" in refused


async def test_a_link_is_decided_anew_when_it_is_followed(office: Office) -> None:
    application_id = await office.submitted()
    url = await content_link(office, application_id, by_officer=True)
    assert (await office.http.get(url)).content == PDF

    await office.officer_step("rejectApplication", application_id, rejection="UNTRUE")
    after = await office.http.get(url)

    assert (after.status_code, after.json()["code"]) == (404, "NOT_FOUND")
    opened = [
        entry.purpose
        for entry in await office.town.entries()
        if entry.kind == "use" and ("ApplicationDocument.content", "OPENED") in entry.coordinates
    ]
    assert opened.count("licence-document-reading") == 1


async def test_an_unknown_kind_and_too_many_uploads_are_refused(office: Office) -> None:
    application_id = await office.draft()
    too_many = [{"code": "TOO_MANY_DOCUMENTS", "field": "input.applicationId"}]

    assert await ask_link(office, application_id, "passport") == [{"code": "DOCUMENT_KIND", "field": "input.kind"}]
    assert (await office.http.put(await office.link(application_id), content=PDF)).status_code == 201
    for _ in range(19):
        assert await ask_link(office, application_id) == []
    assert await ask_link(office, application_id) == too_many
    assert await office.town.value("SELECT count(*) FROM permits.document") == 20

    # A link that was not used within its time is nothing; a document is one for ever.
    office.town.clock.advance(UPLOAD_LIFETIME)
    await office.town.integrate()
    for _ in range(19):
        assert await ask_link(office, application_id) == []
    assert await ask_link(office, application_id) == too_many


async def test_a_disk_that_fails_is_told_as_away(tmp_path: Path) -> None:
    blocked = tmp_path / "documents"
    blocked.write_text("a file where the directory should be")
    files = LocalDocumentFiles(blocked)

    with pytest.raises(FilesUnavailable):
        await files.store(UUID(int=1), Sealed(b"box"))
    with pytest.raises(FilesUnavailable):
        await files.load(UUID(int=1))
