"""The manifest: an id is its body's hash, a version is known, and what is no manifest is refused."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gov_services.kit.manifest import FORMAT, Manifest, ManifestRefused
from gov_services.kit.manifest_statement import Office, Signature, Statement
from gov_services.kit.settings import PROJECT_ROOT

BODY = "query Me { me { name } }\n"
OPERATION = {
    "id": hashlib.sha256(BODY.encode()).hexdigest(),
    "name": "Me",
    "type": "query",
    "body": BODY,
    "clients": ["citizen-app"],
    "purpose": "own-account",
    "signIn": "required",
    "reads": ["Citizen.name"],
    "collects": [],
    "personalVariables": False,
    "fetches": {"identity": ["0" * 64]},
}
WHOLE = {"format": FORMAT, "version": 1, "manifestVersion": 3, "supergraph": "5" * 64, "operations": [OPERATION]}


def encoded(**changes: Any) -> bytes:
    """The manifest with changes."""
    return json.dumps({**WHOLE, **changes}).encode()


def without(name: str) -> dict[str, Any]:
    """The operation without one of its items."""
    return {key: value for key, value in OPERATION.items() if key != name}


def test_a_manifest_is_read_whole() -> None:
    manifest = Manifest.parse(encoded())

    (document,) = manifest.documents.values()
    assert manifest.named("citizen-app", "Me") is document
    assert (document.id, document.purpose, document.reads) == (OPERATION["id"], "own-account", {"Citizen.name"})
    assert document.fetches == {"identity": {"0" * 64}}
    assert manifest.hash == hashlib.sha256(encoded()).hexdigest()
    for client, name in (("counter", "Me"), ("citizen-app", "You"), ("", "Me")):
        with pytest.raises(KeyError):
            manifest.named(client, name)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"7", b"null", b"\xff", b"{}"),
        encoded(format="other"),
        encoded(version=2),
        encoded(manifestVersion="x"),
        encoded(manifestVersion=None),
        encoded(operations=None),
        encoded(operations=[7]),
        *(encoded(operations=[without(name)]) for name in OPERATION),
        encoded(operations=[{**OPERATION, "body": BODY + " "}]),
        encoded(operations=[{**OPERATION, "id": OPERATION["id"].upper()}]),  # type: ignore[attr-defined]
        encoded(operations=[{**OPERATION, "clients": None}]),
        b"[" * 100_000,
        b'{"format":' * 100_000,
        encoded(manifestVersion=0),
        encoded(manifestVersion=True),
        encoded(manifestVersion=1.5),
        encoded(manifestVersion="3"),
        encoded(supergraph=None),
        encoded(operations={}),
        encoded(operations=[OPERATION, {**OPERATION, "name": "Mine", "purpose": "sign-in"}]),
    ],
    ids=lambda content: content[:20],
)
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(ManifestRefused):
        Manifest.parse(content)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("fetches", value) for value in ([], None, {"identity": "0" * 64}, {"identity": [7]}, {"identity": {}})),
        *((name, value) for name in ("clients", "reads", "collects") for value in ("citizen-app", {}, [7], [[]])),
        *((name, value) for name in ("id", "name", "type", "body", "purpose", "signIn") for value in (7, None, [], {})),
        *(("type", value) for value in ("QUERY", "fragment")),
        *(("signIn", value) for value in ("Required", "optional", "")),
        *(("personalVariables", value) for value in ("false", 0, None)),
        ("body", "\ud800"),
    ],
)
def test_an_operation_of_another_shape_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ManifestRefused, match=name):
        Manifest.parse(encoded(operations=[{**OPERATION, name: value}]))


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_whatever_json_stands_in_its_place_is_refused(value: object) -> None:
    with pytest.raises(ManifestRefused):
        Manifest.parse(json.dumps(value).encode())


def test_any_change_of_the_bytes_is_another_manifest_to_sign() -> None:
    committed = (PROJECT_ROOT / "graphql" / "trusted-documents.json").read_bytes()
    assert Manifest.parse(committed).hash != Manifest.parse(committed + b"\n").hash


def test_nothing_is_served_by_what_nobody_signed_or_signed_until_now() -> None:
    manifest = Manifest.parse(encoded())
    end = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
    signed = dataclasses.replace(manifest, until=end)

    signed.require_in_force(end - dt.timedelta(microseconds=1))
    with pytest.raises(ManifestRefused, match="the signatures of manifest version 3 ended 2026-05-01 00:00 UTC"):
        signed.require_in_force(end)
    with pytest.raises(ManifestRefused, match="manifest version 3 is not signed"):
        manifest.require_in_force(end)


moments = st.datetimes(min_value=dt.datetime(2000, 1, 1), max_value=dt.datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=dt.UTC)
)
signatures = st.builds(Signature, st.from_regex(r"[0-9]{4}-[0-9a-f]{8}", fullmatch=True), st.binary(max_size=64))
statements = st.builds(
    Statement,
    version=st.integers(1, 2**53),
    hash=st.binary(min_size=32, max_size=32).map(bytes.hex),
    until=moments,
    signatures=st.dictionaries(st.sampled_from(Office), signatures),
)


@given(statements)
def test_a_statement_is_read_as_it_was_written(statement: Statement) -> None:
    assert Statement.parse(statement.encode()) == statement


@given(statements, statements)
def test_two_offices_or_two_statements_never_sign_the_same(one: Statement, other: Statement) -> None:
    said = {(item.version, item.hash, item.until, office) for item in (one, other) for office in Office}
    assert len({item.signed_text(office) for item in (one, other) for office in Office}) == len(said)


GOOD = Statement(version=3, hash="5" * 64, until=dt.datetime(2027, 1, 1, tzinfo=dt.UTC), signatures={}).encode()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "0001-ab 00",
            GOOD.replace("gov-manifest/2", "gov-manifest/1"),
            GOOD + "more 1\n",
            GOOD + "author 1 zz\n",
        ),
        *(GOOD.replace("version 3", "version three"), GOOD.replace("2027-01-01T", "tomorrow "), GOOD + "version 3\n"),
        *(GOOD.replace("version 3\n", ""), GOOD.replace("00:00:00Z", "00:00:00+08:00"), GOOD + "author \nauthor \n"),
    ],
)
def test_signatures_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ManifestRefused):
        Statement.parse(text)
