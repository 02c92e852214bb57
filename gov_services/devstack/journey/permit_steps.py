"""Steps 5 to 9: an application is begun, submitted, corrected, paid for and approved; the licence is checked."""

from __future__ import annotations

from typing import Any

import jwt

from gov_services.devstack.journey.steps import Step, Told
from gov_services.devstack.journey.town import Party, StepFailed, Town, nodes_of
from gov_services.permits.credential import ended_in

SERVICE = "individual-business-licence"
PROOF = b"%PDF-1.4\n% Invented proof that the premises may be used.\n%%EOF\n"
WRONG_SCOPE, RIGHT_SCOPE = "餐饮", "小吃制售;预包装食品零售"
BUSINESS = "示例市东区测试甲小吃店"
FEE_FEN = 2000


async def start(town: Town) -> Told:
    """5."""
    services = (await town.ask(Party("citizen-app"), "Services"))["services"]
    service = next(item for item in services if item["code"] == SERVICE)
    begun = await _begin(town)
    town.memory["application"] = begun["id"]
    lines = [
        f"{service['title']}: {_yuan(service['fee'])}, {service['statutoryWorkingDays']} working days",
        f"application {begun['id']}: {begun['state']}, name and address prefilled from identity",
    ]
    return Told({"service": service, "application": begun}, lines)


async def upload_and_submit(town: Town) -> Told:
    """6."""
    application = {"applicationId": town.memory["application"]}
    without = await town.ask(town.citizen, "SubmitApplication", {"input": application}, expect_errors=True)
    codes = [error["code"] for error in without["data"]["submitApplication"]["userErrors"]]
    if codes != ["DOCUMENT_MISSING"]:
        raise StepFailed(f"an application without its document was answered {without}")
    url, stored = await _upload(town, town.memory["application"])
    again = await town.http.put(url, content=PROOF)
    if again.status_code != 403:
        raise StepFailed(f"the same link took a second file: {again.status_code}")
    submitted = await _submit(town, town.memory["application"])
    lines = [
        f"uploaded {stored['mediaType']}, {stored['sizeBytes']} bytes, sealed; its link is used up",
        f"submitted at {submitted['submittedAt'][:19]}; an officer was assigned, nobody picked it",
    ]
    return Told({"document": stored, "application": submitted}, lines)


async def open_case(town: Town) -> str:
    """Another application of the same citizen, submitted; its id."""
    begun = await _begin(town)
    await _upload(town, begun["id"])
    return str((await _submit(town, begun["id"]))["id"])


async def _begin(town: Town) -> dict[str, Any]:
    prefill = town.memory["prefill"]
    values = {
        "service": SERVICE,
        "applicantName": prefill["name"],
        "businessName": BUSINESS,
        "businessAddress": prefill["address"],
        "scope": WRONG_SCOPE,
    }
    data = await town.ask(town.citizen, "StartApplication", {"input": values})
    begun: dict[str, Any] = data["startApplication"]["application"]
    return begun


async def _upload(town: Town, application_id: str) -> tuple[str, dict[str, Any]]:
    values = {"input": {"applicationId": application_id, "kind": "premises-proof"}}
    upload = (await town.ask(town.citizen, "RequestUpload", values))["requestUpload"]["upload"]
    stored = await town.http.put(upload["url"], content=PROOF)
    if stored.status_code != 201:
        raise StepFailed(f"the upload was answered {stored.status_code} {stored.text}")
    return upload["url"], stored.json()


async def _submit(town: Town, application_id: str) -> dict[str, Any]:
    data = await town.ask(town.citizen, "SubmitApplication", {"input": {"applicationId": application_id}})
    submitted: dict[str, Any] = data["submitApplication"]["application"]
    return submitted


async def accept_and_correct(town: Town) -> Told:
    """7."""
    officer = town.memory["permit_officer"] = await town.staff_member("lin.officer")
    case = officer.case = town.memory["application"]
    edges = (await town.ask(officer, "Caseload"))["caseload"]["edges"]
    if case not in {edge["node"]["id"] for edge in edges}:
        raise StepFailed(f"the case is not in the officer's caseload: {edges}")
    reviewed = (await town.ask(officer, "ReviewApplication", {"id": case}))["application"]
    file = await town.http.get(reviewed["documents"][0]["content"]["url"])
    if file.content != PROOF:
        raise StepFailed(f"the document came back as {file.status_code}, {len(file.content)} bytes")
    accepted = await town.ask(officer, "AcceptApplication", {"input": {"applicationId": case}})
    due_at = accepted["acceptApplication"]["application"]["dueAt"]
    values = {"applicationId": case, "field": "SCOPE", "note": "请写明具体经营项目"}
    await town.ask(officer, "RequestCorrection", {"input": values})

    async def told() -> str | None:
        nodes = nodes_of((await town.ask(town.citizen, "Messages"))["messages"])
        return next((node["text"] for node in nodes if node["code"] == "application.correction"), None)

    message = await town.until("the message about the correction", told)
    correction = (await town.ask(town.citizen, "MyApplication", {"id": case}))["application"]["correction"]
    corrected = await town.ask(
        town.citizen, "CorrectApplication", {"input": {"applicationId": case, "scope": RIGHT_SCOPE}}
    )
    state = corrected["correctApplication"]["application"]["state"]
    applicant = reviewed["applicant"]
    lines = [
        f"the officer sees {applicant['name']}, {applicant['nationalId']} from identity beside what permits holds",
        f"accepted, to be decided by {due_at[:10]}; asked for: {correction['field']}, “{correction['note']}”",
        f"message: {message}",
        f"corrected: {RIGHT_SCOPE}; the application is {state} again",
    ]
    return Told({"applicant": applicant, "dueAt": due_at, "correction": correction, "message": message}, lines)


async def assess_and_pay(town: Town) -> Told:
    """8."""
    officer: Party = town.memory["permit_officer"]
    case = town.memory["application"]
    await town.ask(officer, "AssessFee", {"input": {"applicationId": case}})

    async def billed() -> dict[str, Any] | None:
        answer = await town.ask(town.citizen, "MyApplication", {"id": case}, expect_errors=True)
        fee = (answer["data"].get("application") or {}).get("fee")
        return fee if fee and fee["amount"] else None

    fee = await town.until("the bill", billed)
    if fee["amount"]["amount"] != FEE_FEN:
        raise StepFailed(f"the bill is {fee}")
    values = {"input": {"billId": fee["id"], "idempotencyKey": f"journey-{case}"}}
    payment = (await town.ask(town.citizen, "PayBill", values))["payBill"]["payment"]
    again = (await town.ask(town.citizen, "PayBill", values))["payBill"]["payment"]
    if again["id"] != payment["id"]:
        raise StepFailed("the same key began a second payment")
    paid = await town.http.post(
        f"{town.channel_url}/sandbox/pay", json={"codeUrl": payment["codeUrl"], "notifications": 2}
    )
    if paid.status_code >= 300:
        raise StepFailed(f"the phone could not pay: {paid.status_code} {paid.text}")

    async def settled() -> dict[str, Any] | None:
        bill: dict[str, Any] = (await town.ask(town.citizen, "MyBill", {"id": fee["id"]}))["bill"]
        return bill if bill["state"] == "PAID" else None

    bill = await town.until("the settlement", settled)
    lines = [
        f"bill {fee['title']}: {_yuan(fee['amount'])}; the same key twice gave one payment",
        f"paid by scanning {payment['codeUrl']}; notified twice, settled once; receipt {bill['receipt']['number']}",
    ]
    return Told({"bill": bill}, lines)


async def approve(town: Town) -> Told:
    """9."""
    officer: Party = town.memory["permit_officer"]
    case = town.memory["application"]

    async def under_review() -> bool:
        found = (await town.ask(town.citizen, "MyApplication", {"id": case}))["application"]
        return bool(found["state"] == "UNDER_REVIEW")

    await town.until("the settlement's way to permits", under_review)
    await town.ask(officer, "RecommendApproval", {"input": {"applicationId": case}})
    second = await town.staff_member("zhao.approver")
    second.case = case
    approved = await town.ask(second, "ApproveApplication", {"input": {"applicationId": case}})
    licence = approved["approveApplication"]["application"]["licence"]
    held = (await town.ask(town.citizen, "MyLicence", {"id": licence["id"]}))["licence"]
    if not held["qrCode"].startswith("<svg"):
        raise StepFailed("the licence has no QR code")
    claims = await _checked_by_anyone(town, held["credential"])
    printed = claims["licence"]
    if printed["scope"] != RIGHT_SCOPE or printed["number"] != licence["number"]:
        raise StepFailed(f"the licence says {printed}")
    lines = [
        "one officer recommended, another approved",
        f"licence {licence['number']}: {printed['businessName']}, {printed['operatorName']}, {printed['scope']}",
        f"QR code: {len(held['qrCode'])} bytes of SVG; signature and status list hold, checked with published keys",
    ]
    return Told({"licence": {**licence, "printed": printed}}, lines)


def _yuan(money: dict[str, int]) -> str:
    return f"{money['amount'] / 100:.2f} yuan"


async def _checked_by_anyone(town: Town, credential: str) -> dict[str, Any]:
    """What somebody does who was shown the QR code: published keys, the published list, nothing of ours."""
    keys = jwt.PyJWKSet.from_dict((await town.http.get("/.well-known/licence-keys.json")).json())
    key = keys[jwt.get_unverified_header(credential)["kid"]]
    claims: dict[str, Any] = jwt.decode(credential, key, algorithms=["EdDSA"], audience="licence-verifier")
    place = claims["status"]["status_list"]
    listed = (await town.http.get(place["uri"])).text
    status = jwt.decode(
        listed, keys[jwt.get_unverified_header(listed)["kid"]], algorithms=["EdDSA"], audience="licence-verifier"
    )
    if ended_in(status["status_list"]["lst"], place["idx"]):
        raise StepFailed("the status list says that the licence has ended")
    return claims


STEPS = (
    Step(5, "starts an application for a licence, prefilled from identity", start),
    Step(6, "uploads a document and submits", upload_and_submit),
    Step(7, "an officer accepts, asks for a correction, the citizen corrects", accept_and_correct),
    Step(8, "the fee is assessed and paid, settled by a signed notification", assess_and_pay),
    Step(9, "a second officer approves, the licence is issued", approve),
)
