"""What a consent covers, in which form, until when: what stands, what its ledger says, and not a moment longer."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from adult_checks import ask_adult, change_consent
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town

from gov_services.audit.entry import Entry
from gov_services.audit.log import Logged
from gov_services.consent.lifecycle import ConsentEvent
from gov_services.consent.policy import Consent
from gov_services.consent.purposes import Form
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id

RoomDatabase = Callable[[str], Database]
NOW = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)


async def test_a_withdrawal_committed_while_the_entry_is_written_stops_the_read(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = await town.register()
    await change_consent(town, actor, ConsentEvent.GIVE)
    assert await ask_adult(town, actor.id) is True
    log = town.rooms["identity"].services.discloser.audit
    append = log.append

    async def slow(entries: Sequence[Entry]) -> tuple[Logged, ...]:
        await change_consent(town, actor, ConsentEvent.WITHDRAW)
        return await append(entries)

    monkeypatch.setattr(log, "append", slow)
    uses = [entry for entry in await town.entries() if entry.kind.value == "use"]
    assert await ask_adult(town, actor.id) == "CONSENT_REQUIRED"
    monkeypatch.undo()
    assert await ask_adult(town, actor.id) == "CONSENT_REQUIRED"
    await asyncio.sleep(0.05)
    assert [entry for entry in await town.entries() if entry.kind.value == "use"] == uses


async def test_a_standing_consent_that_its_ledger_does_not_have_opens_nothing(
    town: Town, room_database: RoomDatabase
) -> None:
    actor = await town.register()
    await change_consent(town, actor, ConsentEvent.GIVE)
    await change_consent(town, actor, ConsentEvent.WITHDRAW)
    async with room_database("privacy").writing() as session:
        await session.execute(
            text("UPDATE consent.standing SET state = 'given', scope = '{Citizen.isAdult}', forms = '{DERIVED}'")
        )
    assert await ask_adult(town, actor.id) == "CONSENT_REQUIRED"


async def test_a_standing_consent_without_any_revision_opens_nothing(town: Town, room_database: RoomDatabase) -> None:
    actor = await town.register()
    async with room_database("privacy").writing() as session:
        await session.execute(
            text(
                "INSERT INTO consent.standing VALUES (:citizen, 'adult-check', 'riverside-bank', 1, :id, :id, 'given', "
                "'{Citizen.isAdult}', '{DERIVED}', :hash, NULL, :hash)"
            ),
            {"citizen": actor.id, "id": new_id(town.clock.now()), "hash": hashlib.sha256(b"x").digest()},
        )
    assert await ask_adult(town, actor.id) == "CONSENT_REQUIRED"
    assert [entry for entry in await town.entries() if entry.kind.value == "use"] == []


def a_consent(**more: Any) -> Consent:
    values = {
        "revision_id": new_id(NOW),
        "state": "given",
        "scope": {"Citizen.name": Form.MASKED, "Citizen.phone": Form.PLAIN, "Citizen.isAdult": Form.DERIVED},
        "notice_hash": b"",
        "expires_at": None,
    }
    return Consent(**{**values, **more})


@pytest.mark.parametrize(
    ("coordinate", "granted", "given"),
    [
        ("Citizen.name", Form.PLAIN, Form.MASKED),
        ("Citizen.name", Form.MASKED, Form.MASKED),
        ("Citizen.phone", Form.MASKED, Form.MASKED),
        ("Citizen.phone", Form.PLAIN, Form.PLAIN),
        ("Citizen.isAdult", Form.DERIVED, Form.DERIVED),
        ("Citizen.isAdult", Form.PLAIN, None),
        ("Citizen.phone", Form.DERIVED, None),
        ("Citizen.address", Form.PLAIN, None),
    ],
)
def test_a_consent_gives_the_lesser_of_what_is_granted_and_what_was_consented_to(
    coordinate: str, granted: Form, given: Form | None
) -> None:
    assert a_consent().narrow(coordinate, granted) is given
    assert a_consent().stands(NOW)
    assert not a_consent(state="withdrawn").stands(NOW)
    assert not a_consent(expires_at=NOW).stands(NOW)


async def test_the_ledger_keeps_the_form_that_was_consented_to(town: Town) -> None:
    actor = await town.register()
    await change_consent(town, actor, ConsentEvent.GIVE)
    assert await town.rows("SELECT scope, forms FROM consent.revision") == [
        {"scope": ["Citizen.isAdult"], "forms": ["DERIVED"]}
    ]
    assert await town.rows("SELECT scope, forms FROM consent.standing") == [
        {"scope": ["Citizen.isAdult"], "forms": ["DERIVED"]}
    ]


RELATE = (
    "INSERT INTO consent.relation (citizen_id, relation_id, actor_id, relation, case_id, since) "
    "VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), :kind, gen_random_uuid(), now())"
)


@pytest.mark.parametrize(("room", "own"), [("permits", "officer"), ("identity", "delegate")])
async def test_a_room_states_relations_of_its_own_kind_only(
    room_database: RoomDatabase, database: Database, room: str, own: str
) -> None:
    for kind in ("delegate", "officer", "break-glass", "handler"):
        if kind != own:
            with pytest.raises(DBAPIError, match=r"row-level security|ck_relation_glass_mends"):
                async with room_database(room).writing() as session:
                    await session.execute(text(RELATE), {"kind": kind})
    async with room_database(room).writing() as session:
        await session.execute(text(RELATE), {"kind": own})
    async with database.reading() as session:
        assert (await session.execute(text("SELECT array_agg(relation) FROM consent.relation"))).scalar_one() == [own]


async def test_a_relation_ends_once(room_database: RoomDatabase, database: Database) -> None:
    async with room_database("permits").writing() as session:
        await session.execute(text(RELATE), {"kind": "officer"})
        await session.execute(text("UPDATE consent.relation SET until = now()"))
    for until in ("NULL", "now() + interval '1 day'"):
        with pytest.raises(DBAPIError, match="a relation ends once"):
            async with room_database("permits").writing() as session:
                await session.execute(text(f"UPDATE consent.relation SET until = {until}"))
    async with database.reading() as session:
        count = text("SELECT count(*) FROM consent.relation WHERE until <= now()")
        assert (await session.execute(count)).scalar_one() == 1
