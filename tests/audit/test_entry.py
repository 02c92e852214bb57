"""An entry has one text, and the text one entry."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gov_services.audit.entry import Entry, EntryKind, EntryMalformed, commitment

pytestmark = pytest.mark.untraced

MakeEntry = Callable[..., Entry]

WRITABLE = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30)
TAGS = st.none() | st.binary(min_size=16, max_size=16)
ENTRIES = st.builds(
    Entry,
    id=st.uuids(),
    at=st.datetimes(timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=8))])).filter(
        lambda at: dt.datetime(2, 1, 1, tzinfo=dt.UTC) < at < dt.datetime(9998, 1, 1, tzinfo=dt.UTC)
    ),
    room=WRITABLE,
    kind=st.sampled_from(EntryKind),
    action=WRITABLE,
    actor=WRITABLE,
    actor_tag=TAGS,
    client=WRITABLE,
    roles=st.lists(WRITABLE, max_size=3).map(tuple),
    office=st.none() | WRITABLE,
    purpose=WRITABLE,
    entrance=WRITABLE,
    subject_tag=TAGS,
    object=st.none() | WRITABLE,
    coordinates=st.lists(st.tuples(WRITABLE, WRITABLE), max_size=3).map(tuple),
    case=st.none() | st.uuids(),
    reason=st.none() | WRITABLE,
    consent=st.none() | st.uuids(),
    outcome=st.just("allowed"),
    request=WRITABLE,
    count=st.integers(1, 10**6),
)


@given(ENTRIES)
def test_an_entry_is_read_back_from_its_text(entry: Entry) -> None:
    assert Entry.parse(entry.canonical()) == entry


@given(ENTRIES, st.data())
def test_no_other_text_is_that_entry(entry: Entry, data: st.DataObject) -> None:
    body = entry.canonical()
    place = data.draw(st.integers(0, len(body) - 1))
    other = body[:place] + bytes([body[place] ^ (1 << data.draw(st.integers(0, 7)))]) + body[place + 1 :]
    with contextlib.suppress(EntryMalformed):
        assert Entry.parse(other) != entry


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: json.dumps(text).encode()))
def test_whatever_is_no_entry_is_refused(body: bytes) -> None:
    with pytest.raises(EntryMalformed):
        Entry.parse(body)


def test_the_text_is_the_one_that_is_documented(make_entry: MakeEntry) -> None:
    entry = make_entry(id=UUID(int=1), reason=None, coordinates=(("Citizen.name", "MASKED"),), document=None)
    assert entry.canonical().decode() == (
        '{"action":"disclosure","actor":"staff:00000000-0000-7000-8000-000000000001","actor_tag":null,'
        '"at":"2026-03-02T09:30:15.123456Z","basis":"STATUTORY","case":"00000000-0000-7000-8000-00000000000c",'
        '"client":"counter","code":null,"consent":null,"coordinates":[["Citizen.name","MASKED"]],"count":1,'
        '"document":null,"entrance":"document:ReviewApplication","id":"00000000-0000-0000-0000-000000000001",'
        '"kind":"read","object":"application:00000000-0000-7000-8000-00000000000a","office":null,"outcome":"allowed",'
        '"parent":null,"policy":"' + "ab" * 32 + '","purpose":"permit.review","reason":null,'
        '"recipient":"staff:00000000-0000-7000-8000-000000000001","request":"request-1","roles":["officer"],'
        '"room":"permits","subject_tag":"' + "a1" * 16 + '","v":"gov-audit/1"}'
    )


def test_the_leaf_commits_to_version_salt_and_text(make_entry: MakeEntry) -> None:
    entry, salt = make_entry(), bytes(range(32))
    committed = hashlib.sha256(b"\x01" + salt + entry.canonical()).digest()
    assert commitment(entry.canonical(), salt) == committed
    assert entry.leaf(salt) == hashlib.sha256(b"\x00" + committed).digest()
    with pytest.raises(EntryMalformed):
        commitment(entry.canonical(), salt[:31])


@pytest.mark.parametrize(
    "changes",
    [
        {"at": dt.datetime(2026, 3, 2)},
        {"outcome": "perhaps"},
        {"outcome": "refused"},
        {"count": 0},
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(make_entry: MakeEntry, changes: dict[str, object]) -> None:
    with pytest.raises(EntryMalformed):
        replace(make_entry(), **changes)


def test_a_text_of_another_version_is_refused(make_entry: MakeEntry) -> None:
    with pytest.raises(EntryMalformed, match="version"):
        Entry.parse(make_entry().canonical().replace(b"gov-audit/1", b"gov-audit/2"))


def test_an_escaped_backslash_is_not_taken_for_nul(make_entry: MakeEntry) -> None:
    entry = make_entry(reason="\\u0000")
    assert Entry.parse(entry.canonical()) == entry
