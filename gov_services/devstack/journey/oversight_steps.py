"""Steps 12 to 17: the bank's question, the access history, withdrawal, the budget, the review, the erasure."""

from __future__ import annotations

import json

from gov_services.devstack.journey.account_steps import consent_to, refresh
from gov_services.devstack.journey.permit_steps import open_case
from gov_services.devstack.journey.steps import Step, Told
from gov_services.devstack.journey.town import Party, StepFailed, Town, invent_person, nodes_of
from gov_services.kit.clock import SystemClock, local_day

CURIOUS = 20
"""Look-ups that the clerk tries; the budget ends before."""


async def ask_adult(town: Town) -> Told:
    """12."""
    _, given = await consent_to(town, "adult-check", "riverside-bank")
    town.memory["bank_consent"] = given["id"]
    bank = town.memory["bank"] = await town.relying_party("riverside-bank")
    data = await town.ask(bank, "IsAdult", {"reference": given["id"]})
    if data != {"consentedCitizen": {"isAdult": True}}:
        raise StepFailed(f"the bank was answered {data}")

    async def told() -> str | None:
        nodes = nodes_of((await town.ask(town.citizen, "Messages"))["messages"])
        texts = [node["text"] for node in nodes if node["code"] == "disclosure.made"]
        return next((text for text in texts if "Riverside Bank" in text), None)

    message = await town.until("the message about the bank", told)
    return Told({"answer": data, "message": message}, ["adult: yes (no birth date)", f"message: {message}"])


async def read_history(town: Town) -> Told:
    """13."""
    entry = await town.until("the bank's entry in the history", lambda: _banks_entry(town))

    async def proved() -> dict[str, object] | None:
        answer = await town.ask(town.citizen, "AccessProof", {"entryId": entry["id"]}, expect_errors=True)
        return answer["data"]["accessProof"] if answer.get("data") else None

    proof = await town.until("the proof", proved)
    nodes = nodes_of((await town.ask(town.citizen, "AccessHistory", {"first": 50}))["accessHistory"])
    others = [node for node in nodes if node["actor"] != "citizen" and node["fields"]]
    lines = [f"{len(nodes)} newest entries; those of others, of which fields:", *map(_line, others)]
    lines.append(f"proof of entry {entry['number']}:")
    lines += [f"  {step['number']}. {step['title']}: {step['detail']}" for step in proof["steps"]]  # type: ignore[attr-defined]
    return Told({"history": nodes, "proof": proof}, lines)


async def _banks_entry(town: Town) -> dict[str, object] | None:
    nodes = nodes_of((await town.ask(town.citizen, "AccessHistory", {"first": 50}))["accessHistory"])
    return next((node for node in nodes if node["client"] == "riverside-bank" and node["kind"] == "READ"), None)


def _line(node: dict[str, object]) -> str:
    fields = node["fields"]
    assert isinstance(fields, list)
    what = ", ".join(f"{item['coordinate']} {item['form']}" for item in fields) or node["action"]
    return (
        f"{node['number']:>5} {str(node['at'])[:19]} {node['actor']:<24} {node['purpose']:<22} {node['kind']}: {what}"
    )


async def withdraw(town: Town) -> Told:
    """14."""
    reference = town.memory["bank_consent"]
    data = await town.ask(town.citizen, "WithdrawConsent", {"input": {"consentId": reference}})
    state = data["withdrawConsent"]["consent"]["state"]
    message = await town.refused(town.memory["bank"], "IsAdult", {"reference": reference}, code="CONSENT_REQUIRED")
    today = local_day(SystemClock().now()).isoformat()
    values = {"input": {"reference": reference, "deletedOn": today, "method": "NOTHING_KEPT"}}
    await town.ask(town.memory["bank"], "AttestDeletion", values)
    consents = nodes_of((await town.ask(town.citizen, "Consents"))["consents"])
    deletion = next(node["deletion"] for node in consents if node["id"] == reference)
    if deletion["deletedOn"] != today:
        raise StepFailed(f"the bank attested, and the citizen sees {deletion}")
    lines = [f"consent {state}; the bank is told: {message}", f"the bank attests, and the citizen sees: {deletion}"]
    return Told({"state": state, "refusal": message, "deletion": deletion}, lines)


async def exhaust_budget(town: Town) -> Told:
    """15."""
    clerk = await town.staff_member("qian.registrar")
    clerk.reason = "just looking"
    tried = 0
    for tried in range(CURIOUS):  # noqa: B007  told below
        values = {"input": {"nationalId": invent_person("谁").number}}
        answer = await town.ask(clerk, "FindCitizen", values, expect_errors=True)
        if answer["errors"][0]["extensions"]["code"] == "BUDGET_EXHAUSTED":
            break
    else:
        raise StepFailed(f"{CURIOUS} look-ups, and no budget")
    officer = town.memory["officer"] = await town.staff_member("wu.compliance")

    async def found() -> dict[str, object] | None:
        nodes = nodes_of((await town.ask(officer, "Findings"))["findings"])
        return next((node for node in nodes if node["kind"] == "BUDGET_EXHAUSTED"), None)

    finding = await town.until("the finding", found)
    lines = [f"stopped after {tried} look-ups: {answer['errors'][0]['message']}", f"finding: {finding['actor']}"]
    return Told({"lookUps": tried, "finding": finding}, lines)


async def narrow(town: Town) -> Told:
    """16."""
    officer: Party = town.memory["officer"]
    report = (await town.ask(officer, "VerifyLog"))["verifyLog"]
    if report["sound"] is not True:
        raise StepFailed(json.dumps(report))
    purpose, coordinate = "licence-review", "Citizen.phone"
    rows = nodes_of((await town.ask(officer, "FieldUse", {"purpose": purpose}))["fieldUse"])
    row = next(row for row in rows if row["coordinate"] == coordinate)
    if row["declared"] == 0 or row["opened"] != 0:
        raise StepFailed(f"the trail says {row}")
    values = {"purpose": purpose, "coordinate": coordinate, "note": "granted to every reviewer, shown to none"}
    proposal = (await town.ask(officer, "ProposeNarrowing", {"input": values}))["proposeNarrowing"]["narrowing"]
    second = await town.staff_member("zheng.compliance")
    decision: dict[str, object] = {"input": {"narrowingId": proposal["id"], "approve": True}}
    decided = (await town.ask(second, "ApproveNarrowing", decision))["decideNarrowing"]["narrowing"]
    await _require_phone_gone(town)
    lines = [
        f"{report['entries']} entries, {report['covered']} under {report['checkpoints']} checkpoints: sound",
        *(check["line"] for check in report["checks"]),
        f"{coordinate} under {purpose}: declared {row['declared']}, opened {row['opened']}",
        f"narrowed by two officers, in force as bundle {decided['bundleVersion']}; next answer: phone null, "
        "PURPOSE_NARROWED",
    ]
    return Told({"report": report, "use": row, "narrowing": decided}, lines)


async def _require_phone_gone(town: Town) -> None:
    await refresh(town)
    reviewer = await town.staff_member("lin.officer")
    reviewer.case = await open_case(town)
    answer = await town.ask(reviewer, "ReviewApplication", {"id": reviewer.case, "withPhone": True}, expect_errors=True)
    codes = [(error["path"], error["extensions"]["code"]) for error in answer.get("errors", ())]
    applicant = ((answer.get("data") or {}).get("application") or {}).get("applicant") or {}
    if codes != [(["application", "applicant", "phone"], "PURPOSE_NARROWED")] or applicant.get("phone") is not None:
        raise StepFailed(f"the next answer was {answer}")


async def erase(town: Town) -> Told:
    """17."""
    await refresh(town)
    data = await town.ask(town.citizen, "RequestErasure", {"input": {"confirm": True}})
    payload = data["requestErasure"]
    message = await town.refused(town.citizen, "Me", {}, code="NOT_FOUND")
    officer: Party = town.memory["officer"]

    async def sound() -> dict[str, object] | None:
        report: dict[str, object] = (await town.ask(officer, "VerifyLog"))["verifyLog"]
        return report if report["sound"] else None

    report = await town.until("a log that verifies", sound)
    kept = [
        f"  {item['dataClass']}: {item['law']} {item['article']}, {item['years']} years, until {item['until']}: "
        f"{item['reason']}"
        for item in payload["kept"]
    ]
    lines = [
        f"destroyed: {', '.join(payload['destroyed'])}",
        "kept:",
        *kept,
        f"their own data: {message}",
        f"the log still verifies: {report['entries']} entries",
    ]
    return Told({"erasure": payload, "report": report}, lines)


STEPS = (
    Step(12, "a bank, with consent, asks whether they are an adult", ask_adult),
    Step(13, "the citizen sees who saw what, each entry provable", read_history),
    Step(14, "withdraws the consent, and the bank is refused", withdraw),
    Step(15, "a clerk without a case is stopped by a budget and flagged", exhaust_budget),
    Step(16, "compliance verifies the log and narrows a purpose", narrow),
    Step(17, "the citizen asks for erasure", erase),
)
