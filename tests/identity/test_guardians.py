"""Guardians of under-14s: noted at a counter from a document, ended there, or by the birthday; never by themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from family import CHILD, LINK, NUMBERS, OF_AGE, PARENT, codes_in_box, end, family, link, parent_and_child
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town, sample_number

from gov_services.identity.service.childhoods import ends_at
from gov_services.kit.database import Database

pytestmark = pytest.mark.untraced

VERIFY = "mutation($i: VerifyIdentityInput!) { verifyIdentity(input: $i) { userErrors { code } } }"


async def links(town: Town) -> int:
    """How many relations of guardians there are, ended or not."""
    found: int = await town.value("SELECT count(*) FROM consent.relation WHERE relation = 'guardian'")
    return found


async def test_a_link_holds_the_officer_the_document_and_an_end_and_both_are_told(town: Town) -> None:
    parent, child = await parent_and_child(town)
    officer = town.staff("registrar")
    assert await link(town, by=officer) == {"linked": True, "userErrors": []}
    (row,) = await town.rows("SELECT * FROM identity.guardianship")
    assert (row["citizen_id"], row["guardian_id"], row["made_by"]) == (child.id, parent.id, officer.id)
    assert row["document"] == "household-register"
    (tie,) = await town.rows("SELECT * FROM consent.relation WHERE relation = 'guardian'")
    assert (tie["citizen_id"], tie["actor_id"], tie["until"]) == (child.id, parent.id, OF_AGE)
    assert tie["relation_id"] == row["guardianship_id"]
    entries = [entry for entry in await town.entries() if entry.action == "guardian.linked"]
    assert [(entry.actor, entry.reason, entry.object) for entry in entries] == [
        (officer.ref, "户口簿已核验", f"guardianship:{row['guardianship_id']}:household-register")
    ] * 2
    assert entries[0].coordinates == (("LinkGuardianInput.documentNumber", "COLLECT"),)
    for citizen in (parent, child):
        assert "guardian.linked" in await codes_in_box(town, citizen)


async def test_the_documents_number_lies_nowhere_and_is_known_again(town: Town) -> None:
    await family(town)
    tables = await town.rows(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    rows = str([await town.rows(f"SELECT t::text AS line FROM {table['name']} AS t") for table in tables])
    assert "X000000001" not in rows
    assert b"X000000001".hex() not in rows
    await end(town)
    await link(town, documentNumber=" X000000001 ")
    await end(town)
    await link(town, documentNumber="X000000002")
    counted = "SELECT count(*) AS times FROM identity.guardianship GROUP BY document_digest ORDER BY times"
    assert [row["times"] for row in await town.rows(counted)] == [1, 2]


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"guardianNationalId": CHILD, "childNationalId": PARENT}, "NOT_UNDER_FOURTEEN", "input.childNationalId"),
        ({"guardianNationalId": CHILD}, "GUARDIAN_NOT_ADULT", "input.guardianNationalId"),
        ({"guardianNationalId": "1234"}, "RESIDENT_NUMBER_INVALID", "input.guardianNationalId"),
        ({"childNationalId": "1234"}, "RESIDENT_NUMBER_INVALID", "input.childNationalId"),
        ({"documentNumber": " "}, "NOT_FILLED_IN", "input.documentNumber"),
    ],
)
async def test_what_is_no_guardian_of_a_child_is_not_noted_and_the_refusal_is_logged(
    town: Town, changes: dict[str, str], code: str, field: str
) -> None:
    await parent_and_child(town)
    assert await link(town, **changes) == {"linked": False, "userErrors": [{"code": code, "field": field}]}
    assert await links(town) == 0
    assert code in {entry.code for entry in await town.entries()}


async def test_only_a_registrar_with_a_reason_notes_a_guardian(town: Town) -> None:
    parent, _ = await parent_and_child(town)
    assert await link(town, reason=None) == "REASON_REQUIRED"
    assert await link(town, by=town.staff("permit-officer")) == "FORBIDDEN"
    told = {"i": {**NUMBERS, "document": "BIRTH_CERTIFICATE", "documentNumber": "X1"}}
    for purpose in ("guardian-linking", "guardian-consents", "own-account"):
        answer = await town.ask("identity", LINK, told, purpose=purpose, actor=parent, reason="x")
        assert answer["errors"][0]["extensions"]["code"] in ("FORBIDDEN", "DISCLOSURE_REFUSED")
    assert await link(town, childNationalId=sample_number(born="20150101", sequence=500)) == "NOT_FOUND"
    assert await links(town) == 0


async def test_one_guardian_is_noted_once_and_ended_once(town: Town) -> None:
    await family(town)
    assert (await link(town))["userErrors"] == [{"code": "LINKED_ALREADY", "field": None}]
    assert await end(town) == {"ended": True, "userErrors": []}
    assert (await end(town))["userErrors"] == [{"code": "NOT_LINKED", "field": None}]
    (row,) = await town.rows("SELECT ended_by, ended_at FROM identity.guardianship")
    assert row["ended_by"] is not None
    assert row["ended_at"] == town.clock.now()
    assert await town.value("SELECT until FROM consent.relation WHERE relation = 'guardian'") == town.clock.now()


async def test_on_the_birthday_a_guardian_can_still_be_noted_and_after_it_no_more(town: Town) -> None:
    await parent_and_child(town)
    town.clock.advance(OF_AGE - dt.timedelta(seconds=1) - town.clock.now())
    assert (await link(town))["linked"] is True
    await end(town)
    town.clock.advance(dt.timedelta(seconds=1))
    assert (await link(town))["userErrors"] == [{"code": "NOT_UNDER_FOURTEEN", "field": "input.childNationalId"}]


@pytest.mark.parametrize(
    ("born", "until"),
    [
        (dt.date(2012, 3, 5), dt.datetime(2026, 3, 5, 16, tzinfo=dt.UTC)),
        (dt.date(2012, 12, 31), dt.datetime(2026, 12, 31, 16, tzinfo=dt.UTC)),
        (dt.date(2012, 2, 29), dt.datetime(2026, 2, 28, 16, tzinfo=dt.UTC)),
    ],
)
def test_a_childhood_ends_when_the_birthday_is_over_where_the_city_is(born: dt.date, until: dt.datetime) -> None:
    assert ends_at(born) == until


async def test_who_is_under_fourteen_is_stated_at_registration_or_verification_and_of_nobody_else(town: Town) -> None:
    _, child = await parent_and_child(town)
    stated = "SELECT citizen_id, until FROM consent.childhood"
    assert await town.rows(stated) == [{"citizen_id": child.id, "until": OF_AGE}]
    async with town.database.writing() as session:
        await session.execute(text("DELETE FROM consent.childhood"))  # as of whoever registered before
    told = {"i": {"name": "测试乙", "nationalId": CHILD}}
    await town.ask("identity", VERIFY, told, purpose="identity-verification", actor=child)
    assert await town.rows(stated) == [{"citizen_id": child.id, "until": OF_AGE}]


@pytest.mark.parametrize(
    ("room", "statement"),
    [
        ("identity", "UPDATE consent.relation SET until = until + interval '1 year' WHERE relation = 'guardian'"),
        ("identity", "UPDATE consent.relation SET until = NULL WHERE relation = 'guardian'"),
        ("identity", "UPDATE consent.childhood SET until = until - interval '1 day'"),
        ("identity", "DELETE FROM identity.guardianship"),
        ("privacy", "INSERT INTO consent.childhood SELECT gen_random_uuid(), now()"),
        ("privacy", "SELECT 1 FROM identity.guardianship"),
        (
            "privacy",
            "INSERT INTO consent.relation (citizen_id, relation_id, actor_id, relation, since, until) "
            "SELECT citizen_id, gen_random_uuid(), actor_id, relation, since, until FROM consent.relation",
        ),
        ("permits", "INSERT INTO consent.childhood SELECT gen_random_uuid(), now()"),
    ],
)
async def test_the_database_lets_no_room_lengthen_invent_or_remove(
    town: Town, room_database: Callable[[str], Database], room: str, statement: str
) -> None:
    await family(town)
    with pytest.raises(DBAPIError):
        async with room_database(room).writing() as session:
            await session.execute(text(statement))


async def test_wards_are_those_under_fourteen_who_are_ones_own(town: Town) -> None:
    parent, child = await family(town)

    async def wards(actor: Any) -> list[str]:
        answer = await town.ask("identity", "{ wards { id } }", purpose="guardian-consents", actor=actor)
        return [ward["id"] for ward in answer["data"]["wards"]]

    assert await wards(parent) == [str(child.id)]
    assert await wards(child) == []
    town.clock.advance(OF_AGE - town.clock.now())
    assert await wards(parent) == []
