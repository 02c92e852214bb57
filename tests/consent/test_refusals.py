"""What was refused is in the log as refused: a use-case that lacked a consent, and a document that asked too much."""

from __future__ import annotations

from town import Town

from gov_services.audit.entry import Entry, EntryKind
from gov_services.kit.ids import new_id

DECLARE = """mutation Declare($input: DeclareHealthInput!) { declareHealth(input: $input) {
  healthCode { colour } userErrors { code } } }"""
SHOW = "mutation Show { showHealthCode { code { token } userErrors { code } } }"
CITIZEN = """query($representations: [_Any!]!) { _entities(representations: $representations) {
  ... on Citizen { name phone } } }"""


async def since(town: Town, before: list[Entry]) -> list[Entry]:
    """Entries that were not there before."""
    return [entry for entry in await town.entries() if entry not in before]


async def test_a_change_that_lacks_a_consent_is_logged_as_refused_and_never_as_allowed(town: Town) -> None:
    actor = await town.register()
    for document, variables in ((DECLARE, {"input": {"name": "测试甲", "symptoms": []}}), (SHOW, None)):
        before = await town.entries()
        answer = await town.ask("healthcode", document, variables, purpose="health-code", actor=actor)

        assert [error["extensions"]["code"] for error in answer["errors"]] == ["CONSENT_REQUIRED"]
        entries = await since(town, before)
        assert {(entry.outcome, entry.code) for entry in entries} == {("refused", "CONSENT_REQUIRED")}
        (decision,) = [entry for entry in entries if entry.action == "disclosure"]
        assert decision.subject_tag is not None
        assert decision.coordinates == (("HealthCode.colour", "CONSENT_REQUIRED"),)


async def test_a_read_that_gave_nothing_is_logged_as_refused(town: Town) -> None:
    actor = await town.register()
    before = await town.entries()
    answer = await town.ask("identity", "{ me { name address } }", purpose="licence-prefill", actor=actor)
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"CONSENT_REQUIRED"}
    (decision,) = await since(town, before)
    assert (decision.kind, decision.outcome, decision.code) == (EntryKind.REFUSAL, "refused", "CONSENT_REQUIRED")


async def test_a_reference_to_nobody_leaves_an_entry_and_answers_as_one_to_a_stranger(town: Town) -> None:
    known, officer = await town.register(), town.staff("permit-officer")
    before, answers = await town.entries(), []
    for reference in (str(known.id), str(new_id(town.clock.now())), "nonsense"):
        values = {"representations": [{"__typename": "Citizen", "id": reference}]}
        answer = await town.ask("identity", CITIZEN, values, purpose="licence-review", actor=officer)
        answers.append((answer["data"], [error["extensions"]["code"] for error in answer["errors"]]))
        entries = await since(town, before)
        assert {entry.outcome for entry in entries} == {"refused"}
        assert entries != []
        before += entries

    assert answers == [({"_entities": [{"name": None, "phone": None}]}, ["CONSENT_REQUIRED"] * 2)] * 3


async def test_an_ad_hoc_document_that_reads_beyond_its_purpose_is_refused_whole(town: Town) -> None:
    actor = await town.register()
    before = await town.entries()
    answer = await town.ask("identity", "{ me { name isAdult birthDate } }", purpose="own-account", actor=actor)

    assert answer["data"] is None
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "DISCLOSURE_REFUSED"
    assert error["message"] == "This purpose does not cover: Citizen.birthDate, Citizen.isAdult."
    (entry,) = await since(town, before)
    assert (entry.kind, entry.outcome, entry.code) == (EntryKind.REFUSAL, "refused", "DISCLOSURE_REFUSED")
    assert entry.actor_tag is not None
    # A purpose that is not there is told as such, and changes are refused before anything happens.
    unknown = await town.ask("identity", "{ me { name } }", purpose="banana", actor=actor)
    assert unknown["errors"][0]["extensions"]["code"] == "DISCLOSURE_REFUSED"
    assert unknown["errors"][0]["message"] == "This purpose is not registered, or has ended."
    changed = await town.ask(
        "privacy",
        "mutation { eraseMyData(input: {}) { __typename } }",
        purpose="own-account",
        actor=actor,
    )
    assert changed["data"] is None
