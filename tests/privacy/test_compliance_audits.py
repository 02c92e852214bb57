"""Compliance audits: people counted from what is kept, the next one due by law, an overdue one found (PIPL 54)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town, sample_number

from gov_services.privacy import audits as rules
from gov_services.privacy.audits import MANY_PEOPLE, due

pytestmark = pytest.mark.untraced

ASK = "{ complianceAudits { persons everyYears dueOn overdue done { doneOn auditor reportHash } } }"
NOTE = """mutation($i: NoteComplianceAuditInput!) { a: noteComplianceAudit(input: $i) {
  audits { dueOn overdue } userErrors { code field } } }"""
ERASE = "mutation($i: RequestErasureInput!) { requestErasure(input: $i) { destroyed } }"
HASH = "ab" * 32
DAY = dt.date(2026, 3, 2)


async def audits(town: Town) -> Any:
    officer = town.staff("compliance-officer", client="compliance")
    return (await town.ask("privacy", ASK, purpose="log-review", actor=officer))["data"]["complianceAudits"]


async def note(town: Town, **changes: Any) -> Any:
    officer = town.staff("compliance-officer", client="compliance")
    told = {"i": {"doneOn": "2026-03-01", "auditor": "示例审计所", "reportHash": HASH, **changes}}
    answer = await town.ask("privacy", NOTE, told, purpose="log-review", actor=officer)
    assert "errors" not in answer, answer
    return answer["data"]["a"]


@pytest.mark.parametrize(("persons", "years"), [(1, 3), (MANY_PEOPLE, 3), (MANY_PEOPLE + 1, 2)])
def test_above_ten_million_people_a_law_says_how_often(persons: int, years: int) -> None:
    found = due(persons=persons, since=DAY, last_on=None)
    assert (found.every_years, found.due_on) == (years, DAY.replace(year=2026 + years))


def test_the_next_is_due_from_the_last_one_or_from_the_first_person_and_never_where_there_is_nobody() -> None:
    assert due(persons=1, since=DAY, last_on=dt.date(2027, 5, 1)).due_on == dt.date(2030, 5, 1)
    assert due(persons=1, since=dt.date(2028, 2, 29), last_on=None).due_on == dt.date(2031, 2, 28)
    nobody = due(persons=0, since=None, last_on=None)
    assert (nobody.due_on, nobody.is_overdue(dt.date(2099, 1, 1))) == (None, False)
    counted = due(persons=1, since=DAY, last_on=None)
    assert not counted.is_overdue(dt.date(2029, 3, 2))
    assert counted.is_overdue(dt.date(2029, 3, 3))


async def test_people_are_counted_whose_data_is_kept_in_any_form(town: Town) -> None:
    assert (await audits(town))["persons"] == 0
    actor = await town.register()
    await town.register(phone="13900000002", number=sample_number(sequence=200))
    assert (await audits(town))["persons"] == 2
    await town.ask("privacy", ERASE, {"i": {"confirm": True}}, purpose="erasure", actor=actor)
    assert (await audits(town))["persons"] == 2  # what a law has kept of theirs is processed still
    town.clock.advance(dt.timedelta(days=366 * 31))
    assert (await audits(town))["persons"] == 1


async def test_the_law_of_many_people_follows_the_rows(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MANY_PEOPLE", 1000)  # ten million rows take too long to write
    await town.register()
    for more, years in ((999, 3), (1, 2)):
        async with town.database.writing() as session:
            await session.execute(
                text(
                    "INSERT INTO privacy.subject "
                    "SELECT gen_random_uuid(), decode(repeat('00', 16), 'hex'), :now FROM generate_series(1, :more)"
                ),
                {"now": town.clock.now(), "more": more},
            )
        assert (await audits(town))["everyYears"] == years
    assert (await audits(town))["persons"] == 1001


async def test_an_audit_that_was_done_moves_the_day_on_and_stands_for_good(town: Town) -> None:
    await town.register()
    assert (await audits(town))["dueOn"] == "2029-03-02"
    assert await note(town) == {"audits": {"dueOn": "2029-03-01", "overdue": False}, "userErrors": []}
    assert (await audits(town))["done"] == [{"doneOn": "2026-03-01", "auditor": "示例审计所", "reportHash": HASH}]
    (noted,) = [entry for entry in await town.entries() if entry.action == "compliance-audit.noted"]
    assert noted.object == f"report:{HASH}"
    for statement in ("UPDATE privacy.compliance_audit SET auditor = 'x'", "DELETE FROM privacy.compliance_audit"):
        with pytest.raises(DBAPIError):
            async with town.database.writing() as session:
                await session.execute(text(statement))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"doneOn": "2026-03-03"}, "input.doneOn"),
        ({"auditor": " "}, "input.auditor"),
        ({"reportHash": "ab"}, "input.reportHash"),
        ({"reportHash": "no hash"}, "input.reportHash"),
    ],
)
async def test_an_audit_is_noted_with_all_its_parts(town: Town, changes: dict[str, str], field: str) -> None:
    assert await note(town, **changes) == {
        "audits": None,
        "userErrors": [{"code": "AUDIT_NOT_COMPLETE", "field": field}],
    }
    assert await town.rows("SELECT 1 FROM privacy.compliance_audit") == []


@pytest.mark.parametrize("letter", ["\x00", "\ud800"], ids=["NUL", "half-a-pair"])
async def test_what_no_text_column_holds_can_be_put_right(town: Town, letter: str) -> None:
    told = await note(town, auditor=f"示例{letter}审计所")
    assert told == {"audits": None, "userErrors": [{"code": "TEXT_NOT_STORABLE", "field": None}]}
    await town.integrate()
    assert [entry.code for entry in await town.entries() if entry.outcome == "refused"] == ["TEXT_NOT_STORABLE"]


async def test_nobody_but_a_compliance_officer_asks_or_notes(town: Town) -> None:
    for actor in (town.staff("rights-officer"), await town.register()):
        answer = await town.ask("privacy", ASK, purpose="log-review", actor=actor)
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_an_overdue_audit_is_found_once_until_the_next_is_overdue(town: Town) -> None:
    await town.register()
    privacy = town.rooms["privacy"]
    due_at = dt.datetime(2029, 3, 2, 15, 59, 59, tzinfo=dt.UTC)  # a second before midnight in the city
    town.clock.advance(due_at - town.clock.now())
    assert await privacy.run_job("compliance-audit-due") == 0
    town.clock.advance(dt.timedelta(seconds=1))
    assert await privacy.run_job("compliance-audit-due") == 1
    assert await privacy.run_job("compliance-audit-due") == 0
    assert await town.rows("SELECT kind, about FROM privacy.finding") == [
        {"kind": "overdue", "about": "compliance-audit:2029-03-02"}
    ]
    assert (await audits(town))["overdue"] is True
    await note(town, doneOn="2029-03-03")
    assert (await audits(town))["overdue"] is False
    assert await privacy.run_job("compliance-audit-due") == 0
