"""The log as citizens and officers read it: proofs, search, verification, findings, narrowing, erasure."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from city_law import put_in_force
from town import Town, sample_number

from gov_services.audit.checkpoint import Checkpoint, sign_checkpoint
from gov_services.audit.entry import EntryKind
from gov_services.audit.proof import Evidence, verify_evidence
from gov_services.audit.verify import CHECKS
from gov_services.consent.purposes import Told
from gov_services.crypto.signing import VerifyKeys
from gov_services.kit.actor import Actor
from gov_services.kit.ids import new_id
from gov_services.subgraph.types import encode_cursor

pytestmark = pytest.mark.untraced

HISTORY = """query($first: Int! = 20, $after: String) { accessHistory(first: $first, after: $after) {
  edges { cursor node { id number action kind purpose actor fields { coordinate form } } }
  pageInfo { hasNextPage endCursor } } }"""
PROOF = "query($id: ID!) { accessProof(entryId: $id) { number evidence steps { number title detail } } }"
VERIFY = "{ verifyLog { sound entries covered checkpoints checks { line } } }"
HOLD_AGAINST = """query($published: String) { verifyLog(published: $published) {
  sound matchesPublished checks { line } } }"""
SEARCH = """query($s: LogSearchInput!) { logEntries(search: $s) {
  edges { node { id action client kind outcome basis code } } } }"""
USE = """query($p: String!) { fieldUse(purpose: $p, first: 50) {
  edges { node { client coordinate form declared opened withheld } } } }"""
PROPOSE = """mutation($input: ProposeNarrowingInput!) { proposeNarrowing(input: $input) {
  narrowing { id state declared opened } userErrors { code } } }"""
DECIDE = """mutation($input: DecideNarrowingInput!) { decideNarrowing(input: $input) {
  narrowing { id state bundleVersion } userErrors { code } } }"""
FINDINGS = "{ findings { edges { node { kind actor purpose } } } }"
FIND = "query($i: FindCitizenInput!) { citizenByNationalId(input: $i) { id name } }"


def nodes_of(connection: dict[str, Any]) -> list[dict[str, Any]]:
    return [edge["node"] for edge in connection["edges"]]


def officer(town: Town) -> Actor:
    return town.staff("compliance-officer", client="compliance")


async def test_a_citizen_sees_who_saw_what_and_each_entry_is_provable(town: Town) -> None:
    actor = await town.register()
    await town.ask("identity", "{ me { name } }", purpose="own-account", actor=actor)
    await town.entries()
    await town.integrate()
    answer = await town.ask("privacy", HISTORY, purpose="access-history", actor=actor)
    nodes = nodes_of(answer["data"]["accessHistory"])
    assert {"READ", "USE"} <= {node["kind"] for node in nodes}
    assert str(actor.id) not in json.dumps(nodes)

    await town.integrate()
    read = next(node for node in nodes if node["kind"] == "READ")
    proof = await town.ask("privacy", PROOF, {"id": read["id"]}, purpose="access-history", actor=actor)
    found = proof["data"]["accessProof"]
    assert [step["number"] for step in found["steps"]] == [1, 2, 3, 4, 5]
    keys = VerifyKeys.load(town.settings.secrets_directory, "log")
    steps = verify_evidence(Evidence.from_json(found["evidence"]), keys, origin=town.settings.log_origin)
    assert len(steps) == 5


async def test_history_is_paged_and_goes_on_where_it_stopped(town: Town) -> None:
    actor = await town.register()
    for _ in range(3):
        await town.ask("identity", "{ me { name } }", purpose="own-account", actor=actor)
    first = (await town.ask("privacy", HISTORY, {"first": 2}, purpose="access-history", actor=actor))["data"]
    page = first["accessHistory"]
    assert page["pageInfo"]["hasNextPage"] is True
    again = await town.ask(
        "privacy",
        HISTORY,
        {"first": 2, "after": page["pageInfo"]["endCursor"]},
        purpose="access-history",
        actor=actor,
    )
    numbers = [node["number"] for node in nodes_of(page) + nodes_of(again["data"]["accessHistory"])]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 4


async def test_a_cursor_that_names_no_entry_is_refused_and_nothing_is_read(town: Town) -> None:
    actor = await town.register()
    for key in ["9223372036854775808", "9" * 40, "-1", "²", "x"]:
        values = {"after": encode_cursor(key)}
        answer = await town.ask("privacy", HISTORY, values, purpose="access-history", actor=actor)
        assert answer["data"] is None
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_CURSOR"]
        assert [entry for entry in await town.entries() if entry.kind is EntryKind.LOG_READ] == []


async def test_a_cursor_may_name_the_last_number_there_can_be(town: Town) -> None:
    actor = await town.register()
    values = {"after": encode_cursor(str(2**63 - 1)), "first": 1}
    answer = await town.ask("privacy", HISTORY, values, purpose="access-history", actor=actor)
    assert len(nodes_of(answer["data"]["accessHistory"])) == 1


async def test_entries_about_others_unknown_ones_and_nonsense_are_not_proved(town: Town) -> None:
    actor = await town.register()
    stranger = await town.register(number=sample_number(sequence=201), phone="13900000002")
    await town.ask("identity", "{ me { name } }", purpose="own-account", actor=stranger)
    await town.integrate()
    theirs = next(e for e in await town.entries() if e.kind is EntryKind.READ)
    for entry_id in (str(theirs.id), str(new_id(town.clock.now())), "nonsense"):
        answer = await town.ask("privacy", PROOF, {"id": entry_id}, purpose="access-history", actor=actor)
        assert answer["data"] is None
        assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_an_officer_verifies_the_whole_log_and_that_is_logged_too(town: Town) -> None:
    actor = await town.register()
    await town.ask("identity", "{ me { name } }", purpose="own-account", actor=actor)
    await town.integrate()
    answer = await town.ask("privacy", VERIFY, purpose="log-review", actor=officer(town))
    report = answer["data"]["verifyLog"]
    assert report["sound"] is True
    assert report["checkpoints"] == 1
    assert len(report["checks"]) == len(CHECKS)
    assert [e.action for e in await town.entries() if e.kind is EntryKind.LOG_READ] == ["verification"]


async def test_an_officer_holds_the_log_against_a_checkpoint_that_was_published(town: Town) -> None:
    actor = await town.register()
    await town.ask("identity", "{ me { name } }", purpose="own-account", actor=actor)
    await town.integrate()
    note = await town.value("SELECT note FROM audit.checkpoint ORDER BY size DESC LIMIT 1")
    size = await town.value("SELECT max(size) FROM audit.checkpoint")
    key, origin = town.signing_key("log"), town.settings.log_origin
    forked = sign_checkpoint(Checkpoint(origin, size, b"x" * 32), key)
    longer = sign_checkpoint(Checkpoint(origin, size + 1, b"x" * 32), key)
    for published, sound, said in (
        (None, True, None),
        (note, True, []),
        (forked, False, [f"   HISTORY_REWRITTEN published checkpoint {size}: "]),
        (longer, False, [f"   HISTORY_REWRITTEN published checkpoint {size + 1}: "]),
        ("nonsense", False, ["   CHECKPOINT_FORGED published checkpoint: it is no signed note"]),
    ):
        answer = await town.ask(
            "privacy", HOLD_AGAINST, {"published": published}, purpose="log-review", actor=officer(town)
        )
        report = answer["data"]["verifyLog"]
        lines = [check["line"] for check in report["checks"]]
        assert report["sound"] is sound
        assert report["matchesPublished"] is (None if published is None else sound)
        assert all(any(line.startswith(one) for line in lines) for one in said or [])
        assert len(lines) == len(CHECKS) + len(said or [])


async def test_an_officer_finds_entries_by_what_they_say(town: Town) -> None:
    actor = await town.register()
    await town.ask("identity", "{ me { name } }", purpose="own-account", actor=actor)
    search: dict[str, Any] = {"coordinate": "Citizen.name", "client": "citizen-app"}
    answer = await town.ask("privacy", SEARCH, {"s": search}, purpose="log-review", actor=officer(town))
    assert {node["action"] for node in nodes_of(answer["data"]["logEntries"])} == {"disclosure"}
    nothing = await town.ask("privacy", SEARCH, {"s": {"subjectTag": "zz"}}, purpose="log-review", actor=officer(town))
    assert nodes_of(nothing["data"]["logEntries"]) == []


async def test_nobody_but_a_compliance_officer_reads_the_log(town: Town) -> None:
    citizen = await town.register()
    for actor in (citizen, town.staff("registrar"), town.party("riverside-bank")):
        answer = await town.ask("privacy", VERIFY, purpose="log-review", actor=actor)
        assert answer["data"] is None
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_two_officers_narrow_a_purpose_and_the_field_is_gone_from_the_next_answer(town: Town) -> None:
    citizen = await town.register()
    me = "{ me { name address } }"
    assert (await town.ask("identity", me, purpose="own-account", actor=citizen))["data"]["me"]["address"]
    await town.entries()
    first, second = officer(town), officer(town)
    use = await town.ask("privacy", USE, {"p": "own-account"}, purpose="purpose-review", actor=first)
    rows = {row["coordinate"]: row for row in nodes_of(use["data"]["fieldUse"])}
    assert (rows["Citizen.address"]["declared"], rows["Citizen.address"]["opened"]) == (1, 1)
    assert (rows["Citizen.phone"]["declared"], rows["Citizen.phone"]["opened"]) == (0, 0)

    values = {"purpose": "own-account", "coordinate": "Citizen.address", "note": "shown nowhere", "urgent": True}
    proposed = await town.ask("privacy", PROPOSE, {"input": values}, purpose="purpose-review", actor=first)
    narrowing = proposed["data"]["proposeNarrowing"]["narrowing"]
    assert narrowing["state"] == "PROPOSED"
    again = await town.ask("privacy", PROPOSE, {"input": values}, purpose="purpose-review", actor=second)
    assert again["data"]["proposeNarrowing"]["userErrors"] == [{"code": "ALREADY_PROPOSED"}]

    decide = {"input": {"narrowingId": narrowing["id"]}}
    alone = await town.ask("privacy", DECIDE, decide, purpose="purpose-review", actor=first)
    assert alone["data"]["decideNarrowing"]["userErrors"] == [{"code": "SECOND_OFFICER_NEEDED"}]
    done = await town.ask("privacy", DECIDE, decide, purpose="purpose-review", actor=second)
    assert done["data"]["decideNarrowing"]["narrowing"]["bundleVersion"] == 2
    late = await town.ask("privacy", DECIDE, decide, purpose="purpose-review", actor=second)
    assert late["data"]["decideNarrowing"]["userErrors"] == [{"code": "ALREADY_DECIDED"}]

    answer = await town.ask("identity", me, purpose="own-account", actor=citizen, registered=True)
    assert answer["data"]["me"] == {"name": "测试甲", "address": None}
    (error,) = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["me", "address"], "PURPOSE_NARROWED")
    # What is asked ad hoc is held against the purpose as it is now.
    answer = await town.ask("identity", me, purpose="own-account", actor=citizen)
    assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == (None, "DISCLOSURE_REFUSED")


async def test_what_is_not_granted_cannot_be_narrowed(town: Town) -> None:
    values = {"purpose": "own-account", "coordinate": "Citizen.birthDate", "note": "-"}
    answer = await town.ask("privacy", PROPOSE, {"input": values}, purpose="purpose-review", actor=officer(town))
    assert answer["data"]["proposeNarrowing"]["userErrors"] == [{"code": "NOTHING_TO_NARROW"}]


@pytest.mark.parametrize(
    ("coordinate", "errors"), [("Citizen.assuranceLevel", [{"code": "NOTHING_TO_NARROW"}]), ("Citizen.name", [])]
)
async def test_only_what_has_a_mask_is_narrowed_to_masked(
    town: Town, coordinate: str, errors: list[dict[str, str]]
) -> None:
    values = {"purpose": "own-account", "coordinate": coordinate, "form": "MASKED", "note": "-"}
    answer = await town.ask("privacy", PROPOSE, {"input": values}, purpose="purpose-review", actor=officer(town))
    assert answer["data"]["proposeNarrowing"]["userErrors"] == errors
    assert await town.value("SELECT count(*) FROM privacy.narrowing") == (0 if errors else 1)


async def test_a_clerk_who_looks_up_citizens_is_stopped_by_a_budget_and_flagged(town: Town) -> None:
    await town.register()
    clerk = town.staff("registrar")
    for sequence in range(12):
        number = {"i": {"nationalId": sample_number(sequence=100 + sequence)}}
        answer = await town.ask(
            "identity", FIND, number, purpose="counter-lookup", actor=clerk, reason="at the counter"
        )
        if sequence == 0:
            assert answer["data"]["citizenByNationalId"]["name"] == "测**"
        else:
            assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    number = {"i": {"nationalId": sample_number(sequence=300)}}
    stopped = await town.ask("identity", FIND, number, purpose="counter-lookup", actor=clerk, reason="once more")
    assert stopped["errors"][0]["extensions"]["code"] == "BUDGET_EXHAUSTED"

    await town.entries()
    privacy = town.rooms["privacy"]
    assert await privacy.run_job("findings")
    found = await town.ask("privacy", FINDINGS, purpose="log-review", actor=officer(town))
    flagged = {"kind": "BUDGET_EXHAUSTED", "actor": clerk.ref, "purpose": "counter-lookup"}
    assert flagged in nodes_of(found["data"]["findings"])


async def test_a_look_up_needs_a_reason(town: Town) -> None:
    answer = await town.ask(
        "identity",
        FIND,
        {"i": {"nationalId": sample_number()}},
        purpose="counter-lookup",
        actor=town.staff("registrar"),
    )
    assert answer["errors"][0]["extensions"]["code"] == "REASON_REQUIRED"


TOTALS = "{ accessTotals { purpose month times } }"


@pytest.mark.parametrize(("told", "days"), [(Told.EMBARGO, 30), (Told.AGGREGATE, 0)])
async def test_what_is_not_told_at_once_is_told_when_its_day_has_come_or_as_a_number(
    town: Town, told: Told, days: int
) -> None:
    citizen = await town.register()
    clerk = town.staff("registrar")
    await put_in_force(town, "counter-lookup", told=told, embargo_days=days)
    find = {"i": {"nationalId": sample_number()}}
    await town.ask("identity", FIND, find, purpose="counter-lookup", actor=clerk, reason="an inquiry")
    await town.entries()
    await town.integrate()
    about = [entry for entry in await town.entries() if entry.purpose == "counter-lookup" and entry.subject_tag]
    assert about

    async def seen() -> list[str]:
        answer = await town.ask("privacy", HISTORY, purpose="access-history", actor=citizen)
        return [node["purpose"] for node in nodes_of(answer["data"]["accessHistory"])]

    async def proof() -> Any:
        variables = {"id": str(about[0].id)}
        answer = await town.ask("privacy", PROOF, variables, purpose="access-history", actor=citizen)
        return "errors" not in answer

    async def totals() -> dict[str, int]:
        answer = await town.ask("privacy", TOTALS, purpose="access-history", actor=citizen)
        return {item["purpose"]: item["times"] for item in answer["data"]["accessTotals"]}

    assert "counter-lookup" not in await seen()
    assert await proof() is False
    assert ("counter-lookup" in await totals()) == (told is Told.AGGREGATE)
    town.clock.advance(dt.timedelta(days=31))
    await town.integrate()
    later = town.citizen(citizen.id, assurance=3) if citizen.id else citizen
    answer = await town.ask("privacy", HISTORY, purpose="access-history", actor=later)
    purposes = [node["purpose"] for node in nodes_of(answer["data"]["accessHistory"])]
    assert ("counter-lookup" in purposes) == (told is Told.EMBARGO)
