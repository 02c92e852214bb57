"""The consent ledger: a chain that shows what was changed in it, and a life in which nothing old comes back."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gov_services.cli.documents import seed_bundle
from gov_services.consent import ledger, store
from gov_services.consent.ledger import GENESIS, LedgerBroken, NoticeChanged, revision_hash, verify_chain
from gov_services.consent.lifecycle import TRANSITIONS, ConsentEvent, ConsentState, IllegalConsentChange, advance
from gov_services.consent.models import RevisionRow
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.errors import LOCALES

BUNDLE = seed_bundle()
PURPOSE = BUNDLE.purposes["health-code"]
WIDE = tuple(name for name, form in PURPOSE.grants.items() if form.value in ("PLAIN", "DERIVED"))
NARROW = WIDE[:1]
STANDING_FOR_NOTHING = set(ConsentState) - {ConsentState.GIVEN, ConsentState.RENEWED}


class Ledger:
    """One citizen's consent, changed as privacy changes it."""

    def __init__(self, database: Database, clock: FrozenClock) -> None:
        self.database = database
        self.clock = clock
        self.citizen_id = uuid4()

    async def append(self, event: ConsentEvent, scope: Sequence[str] = (), **changes: Any) -> RevisionRow:
        """One revision, in a transaction of its own."""
        self.clock.advance(dt.timedelta(seconds=1))
        given: dict[str, Any] = {
            "bundle": BUNDLE,
            "purpose": PURPOSE,
            "citizen_id": self.citizen_id,
            "recipient": "citizen-app",
            "event": event,
            "scope": scope,
            "notice_hash": PURPOSE.notice_hash,
            "made_by": "citizen",
            "now": self.clock.now(),
            **changes,
        }
        async with self.database.writing() as session:
            return await ledger.append(session, **given)

    async def chain(self) -> list[RevisionRow]:
        """All revisions, oldest first."""
        async with self.database.reading() as session:
            key = {"citizen_id": self.citizen_id, "purpose": PURPOSE.code, "recipient": "citizen-app"}
            return list(await store.revisions_of(session, **key))

    async def standing(self) -> list[tuple[int, str, list[str], bytes]]:
        """(number, state, scope, head) of what stands."""
        async with self.database.reading() as session:
            rows = await session.execute(text("SELECT number, state, scope, head FROM consent.standing"))
            return [(row.number, row.state, row.scope, bytes(row.head)) for row in rows]


@pytest.fixture
def consent(database: Database, clock: FrozenClock) -> Ledger:
    """A citizen who has not been asked."""
    return Ledger(database, clock)


async def test_revisions_form_a_chain_and_what_stands_is_the_last_of_them(consent: Ledger) -> None:
    await consent.append(ConsentEvent.REQUEST)
    until = consent.clock.now() + dt.timedelta(days=30)
    await consent.append(ConsentEvent.GIVE, (*WIDE, *WIDE), expires_at=until)
    await consent.append(ConsentEvent.WITHDRAW)

    chain = await consent.chain()

    verify_chain(chain)
    assert [(row.number, row.state, row.scope) for row in chain] == [
        (1, "requested", []),
        (2, "given", sorted(WIDE)),
        (3, "withdrawn", []),
    ]
    assert chain[0].previous == GENESIS
    assert [row.previous for row in chain[1:]] == [row.hash for row in chain[:2]]
    assert {row.consent_id for row in chain} == {chain[0].revision_id}
    assert [row.expires_at for row in chain] == [None, until, None]
    assert await consent.standing() == [(3, "withdrawn", [], chain[-1].hash)]


async def test_a_withdrawn_consent_that_is_given_anew_covers_what_is_given_anew_and_no_more(consent: Ledger) -> None:
    assert len(WIDE) > len(NARROW)
    await consent.append(ConsentEvent.GIVE, WIDE)
    await consent.append(ConsentEvent.WITHDRAW)
    await consent.append(ConsentEvent.GIVE, NARROW)

    ((number, state, scope, _),) = await consent.standing()
    assert (number, state, scope) == (3, "renewed", list(NARROW))


async def test_a_notice_that_was_not_the_one_shown_gives_nothing(consent: Ledger) -> None:
    with pytest.raises(NoticeChanged) as refused:
        await consent.append(ConsentEvent.GIVE, WIDE, notice_hash=b"another")
    assert refused.value.field == "input.noticeHash"
    assert {refused.value.message(locale) for locale in LOCALES} == set(NoticeChanged.messages.values())
    assert (await consent.chain(), await consent.standing()) == ([], [])


async def test_what_the_life_of_a_consent_does_not_have_changes_nothing(consent: Ledger) -> None:
    for event in set(ConsentEvent) - {ConsentEvent.GIVE, ConsentEvent.REQUEST}:
        with pytest.raises(IllegalConsentChange):
            await consent.append(event)
    assert (await consent.chain(), await consent.standing()) == ([], [])


async def test_one_of_two_who_change_a_consent_at_once_goes_after_the_other(consent: Ledger) -> None:
    await consent.append(ConsentEvent.GIVE, WIDE)

    results = await asyncio.gather(
        consent.append(ConsentEvent.WITHDRAW), consent.append(ConsentEvent.WITHDRAW), return_exceptions=True
    )

    assert sorted(type(result).__name__ for result in results) == ["IllegalConsentChange", "RevisionRow"]
    verify_chain(await consent.chain())
    assert len(await consent.chain()) == 2


async def test_of_two_first_revisions_at_once_one_is_refused(consent: Ledger) -> None:
    results = await asyncio.gather(
        consent.append(ConsentEvent.GIVE, WIDE), consent.append(ConsentEvent.GIVE, NARROW), return_exceptions=True
    )

    kept = [result for result in results if isinstance(result, RevisionRow)]
    assert len(kept) >= 1
    chain = await consent.chain()
    verify_chain(chain)
    assert len(chain) == len(kept)


TAMPERED = (
    ("UPDATE consent.revision SET scope[1] = 'Citizen.name' WHERE number = 2", "revision 2 does not follow"),
    ("UPDATE consent.revision SET state = 'given' WHERE number = 3", "revision 3 does not follow"),
    ("UPDATE consent.revision SET made_at = made_at - interval '1 day' WHERE number = 1", "revision 1 does not"),
    ("UPDATE consent.revision SET notice_hash = 'x' WHERE number = 2", "revision 2 does not follow"),
    ("UPDATE consent.revision SET made_by = 'x' WHERE number = 2", "revision 2 does not follow"),
    ("UPDATE consent.revision SET expires_at = now() WHERE number = 2", "revision 2 does not follow"),
    ("UPDATE consent.revision SET consent_id = gen_random_uuid() WHERE number = 2", "revision 2 does not follow"),
    ("DELETE FROM consent.revision WHERE number = 2", "revision 2 is missing"),
    ("DELETE FROM consent.revision WHERE number = 1", "revision 1 is missing"),
)


async def test_history_is_not_changed_and_where_it_was_is_found(consent: Ledger, administrator: Database) -> None:
    for event in (ConsentEvent.REQUEST, ConsentEvent.GIVE, ConsentEvent.WITHDRAW):
        await consent.append(event, WIDE if event is ConsentEvent.GIVE else ())
    key = {"citizen_id": consent.citizen_id, "purpose": PURPOSE.code, "recipient": "citizen-app"}
    for statement, found in TAMPERED:
        with pytest.raises(DBAPIError, match="append-only"):
            async with consent.database.writing() as session:
                await session.execute(text(statement))
        async with administrator.writing() as session:
            await session.execute(text("SET LOCAL session_replication_role = replica"))
            await session.execute(text(statement))
            with pytest.raises(LedgerBroken, match=found):
                verify_chain(await store.revisions_of(session, **key))
            await session.rollback()
        verify_chain(await consent.chain())


async def test_every_word_of_a_revision_is_in_its_hash(consent: Ledger) -> None:
    row = await consent.append(ConsentEvent.GIVE, WIDE)
    own = revision_hash(row)
    assert row.hash == own
    unhashed = {"hash"}
    for column in RevisionRow.__table__.columns:
        if column.name in unhashed:
            continue
        before = getattr(row, column.name)
        setattr(row, column.name, ANOTHER.get(column.name) if before is None else changed(before))
        assert revision_hash(row) != own, column.name
        setattr(row, column.name, before)
    assert revision_hash(row) == own


ANOTHER = {
    **{"expires_at": dt.datetime(2027, 1, 1, tzinfo=dt.UTC), "uses": 1, "times": 1, "per": "day"},
    **{"guardian_id": UUID(int=1), "guardian_relation_id": UUID(int=2)},
}
"""In the place of nothing."""


def changed(value: Any) -> Any:
    """Another value of the kind."""
    match value:
        case UUID():
            return uuid4()
        case list():
            return [*value, "x"]
        case bytes():
            return value + b"x"
        case dt.datetime():
            return value + dt.timedelta(microseconds=1)
        case int():
            return value + 1
        case _:
            return f"{value}x"


def test_only_giving_makes_a_consent_that_stands_and_only_what_stood_goes_on() -> None:
    for (before, event), state in TRANSITIONS.items():
        gives = event is ConsentEvent.GIVE or (before, event) == (ConsentState.PAUSED, ConsentEvent.RESUME)
        assert (state in STANDING_FOR_NOTHING) == (not gives)
        assert state is not ConsentState.PAUSED or before in (ConsentState.GIVEN, ConsentState.RENEWED)
    assert {state for (_, event), state in TRANSITIONS.items() if event is ConsentEvent.WITHDRAW} == {
        ConsentState.WITHDRAWN
    }


def test_whatever_can_be_given_can_be_withdrawn_as_easily_and_nothing_else_is_in_the_table() -> None:
    for state in (ConsentState.GIVEN, ConsentState.RENEWED):
        assert advance(state, ConsentEvent.WITHDRAW) is ConsentState.WITHDRAWN
    for state, event in itertools.product((None, *ConsentState), ConsentEvent):
        if (state, event) in TRANSITIONS:
            assert advance(state, event) is TRANSITIONS[state, event]
        else:
            with pytest.raises(IllegalConsentChange):
                advance(state, event)
