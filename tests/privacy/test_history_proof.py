"""A citizen's history comes with a proof that nothing which may be told was left out; asking for it is logged."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from city_law import put_in_force
from town import Town, sample_number

from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.history_proof import HistoryEvidence, verify_history
from gov_services.consent.purposes import Told
from gov_services.crypto.signing import VerifyKeys
from gov_services.kit.actor import Actor

pytestmark = pytest.mark.untraced

PROOF = """{ accessHistoryProof { entries covers at evidence checkpoint steps { number title detail } } }"""
HISTORY = "{ accessHistory(first: 50) { edges { node { id number purpose } } } }"
FIND = "query($i: FindCitizenInput!) { citizenByNationalId(input: $i) { id name } }"


async def proof(town: Town, actor: Actor) -> dict[str, Any]:
    answer = await town.ask("privacy", PROOF, purpose="access-history", actor=actor)
    assert "errors" not in answer, answer
    found: dict[str, Any] = answer["data"]["accessHistoryProof"]
    return found


def checked(town: Town, found: dict[str, Any]) -> HistoryEvidence:
    """The evidence, verified as the citizen can."""
    evidence = HistoryEvidence.from_json(found["evidence"])
    keys = VerifyKeys.load(town.settings.secrets_directory, "log")
    proved = verify_history(evidence, keys, origin=town.settings.log_origin)
    assert (proved.entries, proved.statement.size) == (found["entries"], found["covers"])
    assert [step.number for step in proved.steps] == [step["number"] for step in found["steps"]]
    return evidence


async def test_a_history_is_proved_to_be_whole_and_that_it_was_asked_is_logged(town: Town) -> None:
    actor = await town.register()
    stranger = await town.register(number=sample_number(sequence=201), phone="13900000002")
    for one in (actor, stranger, actor):
        await town.ask("identity", "{ me { name } }", purpose="own-account", actor=one)
    await town.entries()
    await town.map_subjects()
    found = await proof(town, actor)
    evidence = checked(town, found)

    page = await town.ask("privacy", HISTORY, purpose="access-history", actor=actor)
    numbers = [edge["node"]["number"] for edge in page["data"]["accessHistory"]["edges"]]
    assert [one.number for one in evidence.entries] == [n for n in sorted(numbers) if n < found["covers"]]
    assert found["entries"] >= 4
    assert all(one.opening is not None for one in evidence.entries)
    mine = next(entry for entry in await town.entries() if entry.action == "access-history-proof")
    assert (mine.kind, mine.subject_tag, mine.purpose) == (EntryKind.LOG_READ, evidence.tag, "access-history")
    assert found["evidence"] != (await proof(town, stranger))["evidence"]


async def test_until_a_root_is_signed_the_answer_is_to_come_again(town: Town) -> None:
    actor = await town.register()
    answer = await town.ask("privacy", PROOF, purpose="access-history", actor=actor)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["PROOF_NOT_YET"]
    await town.map_subjects()
    assert checked(town, await proof(town, actor)).entries


async def test_a_clerk_has_no_history_to_prove(town: Town) -> None:
    answer = await town.ask("privacy", PROOF, purpose="access-history", actor=town.staff("registrar"))
    assert answer["data"] is None


@pytest.mark.parametrize(("told", "days"), [(Told.EMBARGO, 30), (Told.AGGREGATE, 0)])
async def test_what_is_told_later_or_only_counted_leaves_no_trace_in_the_proof(
    town: Town, told: Told, days: int
) -> None:
    citizen = await town.register()
    await put_in_force(town, "counter-lookup", told=told, embargo_days=days)
    find = {"i": {"nationalId": sample_number()}}
    clerk = town.staff("registrar")
    await town.ask("identity", FIND, find, purpose="counter-lookup", actor=clerk, reason="an inquiry")
    await town.entries()
    await town.map_subjects()
    about = [entry for entry in await town.entries() if entry.purpose == "counter-lookup" and entry.subject_tag]
    assert about

    def listed(evidence: HistoryEvidence) -> list[str]:
        return [Entry.parse(one.opening[0]).purpose for one in evidence.entries if one.opening]

    found = await proof(town, citizen)
    evidence = checked(town, found)
    assert "counter-lookup" not in listed(evidence)
    assert all(one.opening for one in evidence.entries)
    assert "counter-lookup" in found["steps"][-1]["detail"]

    town.clock.advance(dt.timedelta(days=31))
    later = town.citizen(citizen.id, assurance=3)
    await town.ask("privacy", HISTORY, purpose="access-history", actor=later)
    await town.map_subjects()
    after = listed(checked(town, await proof(town, later)))
    assert (after.count("counter-lookup") == len(about)) is (told is Told.EMBARGO)
    assert ("counter-lookup" in after) is (told is Told.EMBARGO)


async def test_what_a_new_law_tells_later_is_proved_by_its_commitment_and_not_opened(town: Town) -> None:
    """It was listed while it was told: that cannot be taken back, but it is not shown again. A root of the law before
    proves nothing any more, so that nobody keeps back by a law that is not in force."""
    citizen = await town.register()
    find = {"i": {"nationalId": sample_number()}}
    clerk = town.staff("registrar")
    await town.ask("identity", FIND, find, purpose="counter-lookup", actor=clerk, reason="an inquiry")
    await town.entries()
    await town.map_subjects()
    evidence = checked(town, await proof(town, citizen))
    shown = [Entry.parse(one.opening[0]).purpose for one in evidence.entries if one.opening]
    assert "counter-lookup" in shown
    await put_in_force(town, "counter-lookup", told=Told.EMBARGO, embargo_days=30)
    early = await town.ask("privacy", PROOF, purpose="access-history", actor=citizen)
    assert [error["extensions"]["code"] for error in early["errors"]] == ["PROOF_NOT_YET"]
    await town.map_subjects()
    again = checked(town, await proof(town, citizen))
    opened = [Entry.parse(one.opening[0]).purpose for one in again.entries if one.opening]
    listed = [one.commitment for one in again.entries]
    assert listed[: len(evidence.entries)] == [one.commitment for one in evidence.entries]
    assert opened[: len(shown) - shown.count("counter-lookup")] == [code for code in shown if code != "counter-lookup"]
    assert len(opened) == len(listed) - shown.count("counter-lookup")
