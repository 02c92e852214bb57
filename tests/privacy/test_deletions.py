"""When a consent has ended, who read says that it deleted, for the citizen to see; who says nothing is found."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest
from bank_consents import ask_adult, give
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town

from gov_services.kit.actor import Actor
from gov_services.kit.clock import local_day
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id
from gov_services.privacy.service.deletions import UNDELETED

pytestmark = pytest.mark.untraced

ATTEST = """mutation($input: AttestDeletionInput!) { answer: attestDeletion(input: $input) {
  attestedAt userErrors { code field } } }"""
WITHDRAW = """mutation($input: WithdrawConsentInput!) { withdrawConsent(input: $input) { userErrors { code } } }"""
PAUSE = """mutation($input: ConsentInput!) { pauseConsent(input: $input) { userErrors { code } } }"""
ERASE = """mutation($input: RequestErasureInput!) { requestErasure(input: $input) { destroyed } }"""
CONSENTS = """{ consents { edges { node { id deletion {
  wasRead dueAt overdue attestedAt deletedOn method } } } } }"""
KEEP = dt.timedelta(days=30)


async def consent(town: Town, actor: Actor, *, read: bool = True) -> str:
    """A consent that the bank read under, or not; its id."""
    given = await give(town, actor)
    reference: str = given["consent"]["id"]
    if read:
        assert await ask_adult(town, reference) is True
        await town.entries()
        await town.integrate()
        await town.rooms["privacy"].run_job("tell-of-disclosures")
    return reference


async def withdraw(town: Town, actor: Actor, reference: str) -> None:
    values = {"input": {"consentId": reference}}
    await town.ask("privacy", WITHDRAW, values, purpose="consent-management", actor=actor)


async def attest(town: Town, reference: str, *, day: dt.date | None = None, party: str = "riverside-bank") -> Any:
    values = {
        "reference": reference,
        "deletedOn": (day or local_day(town.clock.now())).isoformat(),
        "method": "KEY_DESTROYED",
    }
    answer = await town.ask(
        "privacy", ATTEST, {"input": values}, purpose="deletion-attestation", actor=town.party(party)
    )
    if "errors" in answer:
        return answer["errors"][0]["extensions"]["code"]
    errors = answer["data"]["answer"]["userErrors"]
    return errors[0]["code"] if errors else answer["data"]["answer"]["attestedAt"]


async def shown(town: Town, actor: Actor) -> Any:
    answer = await town.ask("privacy", CONSENTS, purpose="consent-management", actor=actor)
    (edge,) = answer["data"]["consents"]["edges"]
    return edge["node"]["deletion"]


async def found(town: Town) -> list[dict[str, Any]]:
    await town.rooms["privacy"].run_job(UNDELETED)
    return await town.rows("SELECT actor, purpose, about FROM privacy.finding WHERE kind = 'not-deleted'")


async def test_a_party_attests_once_and_the_citizen_sees_it_and_is_told(town: Town) -> None:
    actor = await town.register()
    reference = await consent(town, actor)
    assert await attest(town, reference) == "CONSENT_STANDS"
    assert await shown(town, actor) is None
    await withdraw(town, actor, reference)
    due = town.clock.now() + KEEP
    owed = await shown(town, actor)
    assert (owed["wasRead"], owed["overdue"], owed["attestedAt"]) == (True, False, None)
    assert dt.datetime.fromisoformat(owed["dueAt"]) == due
    town.clock.advance(dt.timedelta(days=2))

    attested = await attest(town, reference)

    told = await shown(town, actor)
    assert (told["attestedAt"], told["deletedOn"]) == (attested, local_day(town.clock.now()).isoformat())
    assert (told["method"], told["overdue"]) == ("KEY_DESTROYED", False)
    assert await attest(town, reference) == "ATTESTED_ALREADY"
    await town.settle()
    assert await town.value("SELECT count(*) FROM identity.message WHERE code = 'deletion.attested'") == 1
    (entry,) = [entry for entry in await town.entries() if entry.action == "deletion.attested"]
    assert (entry.actor, entry.object) == ("client:riverside-bank", f"consent:{reference}")
    assert entry.subject_tag is not None
    town.clock.advance(KEEP)
    assert await found(town) == []


async def test_of_attestations_at_once_one_is_made(town: Town) -> None:
    actor = await town.register()
    reference = await consent(town, actor)
    await withdraw(town, actor, reference)

    answers = await asyncio.gather(*(attest(town, reference) for _ in range(4)))

    assert sorted(answers)[1:] == ["ATTESTED_ALREADY"] * 3
    assert await town.value("SELECT count(*) FROM privacy.deletion") == 1


async def test_no_party_learns_of_or_attests_for_another_and_no_citizen_attests(town: Town) -> None:
    actor = await town.register()
    reference = await consent(town, actor)
    await withdraw(town, actor, reference)
    before = await town.value("SELECT count(*) FROM privacy.deletion")

    unknown = [await attest(town, str(new_id(town.clock.now()))), await attest(town, "no id")]
    values = {"input": {"reference": reference, "deletedOn": "2026-03-01", "method": "ERASED"}}
    by_other = [
        (await town.ask("privacy", ATTEST, values, purpose="deletion-attestation", actor=who))["errors"][0]
        for who in (actor, town.party("night-market"))
    ]

    assert unknown == ["NOT_FOUND", "NOT_FOUND"]
    assert {error["extensions"]["code"] for error in by_other} <= {"FORBIDDEN", "PURPOSE_REFUSED", "NOT_FOUND"}
    assert await town.value("SELECT count(*) FROM privacy.deletion") == before == 0


async def test_the_day_is_not_before_the_last_reading_and_has_come(town: Town) -> None:
    actor = await town.register()
    reference = await consent(town, actor)
    await withdraw(town, actor, reference)
    today = local_day(town.clock.now())

    for day in (today - dt.timedelta(days=1), today + dt.timedelta(days=1)):
        assert await attest(town, reference, day=day) == "DELETION_DAY"
    assert await attest(town, reference, day=today) not in ("DELETION_DAY", None)


async def test_who_read_and_does_not_say_that_it_deleted_is_found_once_its_term_is_over(town: Town) -> None:
    actor = await town.register()
    reference = await consent(town, actor)
    await withdraw(town, actor, reference)
    town.clock.advance(KEEP - dt.timedelta(seconds=1))
    assert await found(town) == []
    town.clock.advance(dt.timedelta(seconds=1))

    for _ in range(2):
        (finding,) = await found(town)

    assert finding["actor"] == "client:riverside-bank"
    assert (finding["purpose"], finding["about"]) == ("adult-check", f"deletion:{reference}:1")
    assert (await shown(town, town.citizen(actor.id)))["overdue"] is True  # type: ignore[arg-type]
    assert await attest(town, reference) not in ("CONSENT_STANDS", "ATTESTED_ALREADY")
    assert len(await found(town)) == 1


@pytest.mark.parametrize("end", ["expired", "erased"])
async def test_however_it_ended_the_duty_is_the_same(town: Town, end: str) -> None:
    actor = await town.register()
    reference = await consent(town, actor)
    if end == "erased":
        await town.ask("privacy", ERASE, {"input": {"confirm": True}}, purpose="erasure", actor=actor)
    else:
        town.clock.advance(dt.timedelta(days=366))
        await town.rooms["privacy"].run_job("end-consents")
    await town.settle()
    town.clock.advance(KEEP)

    assert [row["about"] for row in await found(town)] == [f"deletion:{reference}:1"]
    assert await attest(town, reference) != "CONSENT_STANDS"


async def test_what_was_never_read_under_or_is_paused_or_given_again_owes_nothing(town: Town) -> None:
    actor = await town.register()
    reference = await consent(town, actor, read=False)
    await withdraw(town, actor, reference)
    town.clock.advance(2 * KEEP)
    assert await found(town) == []
    assert (await shown(town, town.citizen(actor.id)))["wasRead"] is False  # type: ignore[arg-type]

    again = town.citizen(actor.id)  # type: ignore[arg-type]
    assert await consent(town, again) == reference
    await town.ask("privacy", PAUSE, {"input": {"consentId": reference}}, purpose="consent-management", actor=again)
    town.clock.advance(2 * KEEP)
    assert await found(town) == []
    assert await attest(town, reference) == "CONSENT_STANDS"


async def test_given_again_and_ended_again_it_is_attested_again(town: Town) -> None:
    actor = await town.register()
    reference = await consent(town, actor)
    await withdraw(town, actor, reference)
    await attest(town, reference)
    assert await consent(town, actor) == reference
    await withdraw(town, actor, reference)
    assert (await shown(town, actor))["attestedAt"] is None

    assert await attest(town, reference) != "ATTESTED_ALREADY"

    assert await town.value("SELECT count(*) FROM privacy.deletion") == 2


async def test_an_attestation_is_not_changed_or_removed(town: Town, database: Database) -> None:
    actor = await town.register()
    reference = await consent(town, actor)
    await withdraw(town, actor, reference)
    await attest(town, reference)
    for statement in ("UPDATE privacy.deletion SET method = 'erased'", "DELETE FROM privacy.deletion"):
        with pytest.raises(DBAPIError):
            async with database.writing() as session:
                await session.execute(text(statement))
