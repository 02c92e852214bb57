"""GovStack's consent API: policies, agreements and webhooks, and who may ask for what."""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from consent_bb_client import BANK, Asker, asking, bare, number_of, officer, request_by_code, require_hashed, sign
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from town import Town, sample_number

from gov_services.kit.actor import Actor, ActorKind
from gov_services.privacy.consent_bb.operations import PREFIX, Operation
from gov_services.privacy.consent_bb.routes import OPERATIONS

pytestmark = pytest.mark.untraced
IDS = ("policy_id", "agreement_id", "individual_id", "webhook_id", "record_id")
POLICY = {"id": "", "name": "Rules", "version": "1", "url": "https://city.example/rules"}
HOOK = {
    "id": "",
    "payloadUrl": "https://hooks.riverside-bank.example/consents",
    "contentType": "application/json",
    "disabled": False,
    "secretKey": "",
}
SURVEY = """
title = { "zh-CN" = "满意度调查", en = "Survey" }
notice = { "zh-CN" = "经您同意,数据局可读取打码姓名以邀请您参加调查。", en = "A masked name, to invite you." }
basis = "CONSENT"
controller = "data-bureau"
clients = ["citizen-app"]
relations = ["self"]
retention_days = 30
grants = { "Citizen.name" = "MASKED" }
"""


@pytest.fixture
async def ask(town: Town) -> AsyncIterator[Asker]:
    async with asking(town) as asker:
        yield asker


@pytest.fixture
async def citizen(town: Town) -> Actor:
    return await town.register()


async def test_what_is_signed_is_the_draft_and_nothing_else(town: Town, ask: Asker, citizen: Actor) -> None:
    number = await number_of(ask, "adult-check")
    query = {"individualId": str(citizen.id), "dataAgreementId": number}
    path = "/service/individual/record/consent-record/"
    drafted = await ask("POST", f"{path}draft/", citizen, **query)
    assert drafted["consentRecord"]["id"] == drafted["signature"]["id"] == ""
    for part, name, value in (
        ("signature", "verificationPayload", "{}"),
        ("signature", "verificationPayloadHash", "00"),
        ("signature", "verificationSignedBy", "somebody"),
        ("consentRecord", "dataAgreementRevisionHash", "00" * 32),
        ("consentRecord", "id", "x"),
        # Said yes to in the signature, and no in the record.
        ("consentRecord", "optIn", False),
    ):
        changed = {**drafted, part: {**drafted[part], name: value}}
        assert await ask.refused("POST", path, citizen, changed) == "NOT_WHAT_IS_AGREED", name
    changed = {**drafted, "signature": {**drafted["signature"], "verificationMethod": "ES256"}}
    assert await ask.refused("POST", path, citizen, changed) == "SIGNATURE_METHOD_UNKNOWN"
    assert await town.value("SELECT count(*) FROM consent.revision") == 0
    # Nobody agrees in another's name.
    other = await town.register(number=sample_number(sequence=101), phone="13900000002")
    assert await ask.refused("POST", f"{path}draft/", other, **query) == "INDIVIDUAL_NOT_YOURS"
    assert await ask.refused("POST", path, other, drafted) == "NOT_WHAT_IS_AGREED"
    assert await ask.refused("POST", f"{path}draft/", citizen, dataAgreementId=number) == "BAD_QUERY"


async def test_policies_have_revisions_and_hold_those_who_go_by_them(town: Town, ask: Asker, citizen: Actor) -> None:
    writer = officer(town)
    made = await ask("POST", "/config/policy/", writer, {"policy": {**POLICY, "dataRetentionPeriodDays": 60}})
    number, path = made["policy"]["id"], f"/config/policy/{made['policy']['id']}/"
    assert number == "2"
    changed = await ask("PUT", path, writer, {"policy": {**POLICY, "version": "2", "dataRetentionPeriodDays": 40}})
    assert require_hashed(changed["revision"])["predecessorHash"] == made["revision"]["id"]
    earlier = await ask("GET", path, revisionId=made["revision"]["id"])
    assert (earlier["policy"]["version"], earlier["revision"]["successor"]) == ("1", changed["revision"])
    revisions = (await ask("GET", f"{path}revisions/"))["revisions"]
    assert [one["id"] for one in revisions] == [made["revision"]["id"], changed["revision"]["id"]]
    assert [one["id"] for one in (await ask("GET", "/config/policies/"))["policies"]] == ["1", "2"]

    agreement = await number_of(ask, "adult-check")
    shown = (await ask("GET", f"/config/data-agreement/{agreement}/"))["dataAgreement"]
    chosen = {"dataAgreement": {**_as_sent(shown), "policy": changed["policy"]}}
    found = await ask("PUT", f"/config/data-agreement/{agreement}/", writer, chosen)
    assert found["dataAgreement"]["policy"]["id"] == number
    assert await ask.refused("DELETE", path, writer) == "POLICY_IN_USE"
    shorter = {"policy": {**POLICY, "dataRetentionPeriodDays": 10}}
    assert await ask.refused("PUT", path, writer, shorter) == "POLICY_IN_USE"
    long = await number_of(ask, "registration")
    shown = (await ask("GET", f"/config/data-agreement/{long}/"))["dataAgreement"]
    chosen = {"dataAgreement": {**_as_sent(shown), "policy": changed["policy"]}}
    refused = await ask.refused("PUT", f"/config/data-agreement/{long}/", writer, chosen)
    assert refused == "AGREEMENT_BEYOND_POLICY"

    unused = (await ask("POST", "/config/policy/", writer, {"policy": POLICY}))["policy"]["id"]
    ended = await ask("DELETE", f"/config/policy/{unused}/", writer)
    assert require_hashed(ended["revision"])["objectData"]["ended"] is True
    assert await ask.refused("GET", f"/config/policy/{unused}/") == "NOT_FOUND"
    assert await ask.refused("DELETE", "/config/policy/1/", writer) == "POLICY_IN_USE"
    for bad in ({"url": "http://x"}, {"name": " "}, {"dataRetentionPeriodDays": 0}, {"version": "\x00"}):
        code = await ask.refused("POST", "/config/policy/", writer, {"policy": {**POLICY, **bad}})
        assert code in ("POLICY_NOT_SOUND", "TEXT_NOT_STORABLE"), bad


async def test_agreements_change_by_drafts_that_another_officer_decides_on(
    town: Town, ask: Asker, citizen: Actor
) -> None:
    writer, second = officer(town), officer(town)
    base = {"id": "", "version": "1", "purpose": "Survey", "lawfulBasis": "consent", "dpia": ""}
    assert (
        await ask.refused("POST", "/config/data-agreement/", writer, {"dataAgreement": base}) == "AGREEMENT_UNDEFINED"
    )
    whole = {**base, "code": "survey", "definition": SURVEY, "note": "a survey is due"}
    made = await ask("POST", "/config/data-agreement/", writer, {"dataAgreement": whole})
    draft, path = made["dataAgreement"], f"/config/data-agreement/{made['dataAgreement']['id']}/"
    assert (draft["active"], draft["lifecycle"]["name"]) == (False, "Draft")
    assert (await ask("GET", path))["revision"] == made["revision"]
    complete = {"dataAgreement": {**base, "lifecycle": {"id": "complete", "name": "Complete"}}}
    assert await ask.refused("PUT", path, writer, complete) == "SECOND_OFFICER_NEEDED"
    await ask("PUT", path, second, complete)
    number = await number_of(ask, "survey")
    found = await ask("GET", f"/config/data-agreement/{number}/")
    assert found["dataAgreement"]["active"] is True
    assert found["revision"]["id"] == made["revision"]["id"]

    ending = await ask("DELETE", f"/config/data-agreement/{number}/", writer)
    draft_path = f"/config/data-agreement/{ending['revision']['objectId']}/"
    await ask("PUT", draft_path, second, complete)
    town.clock.advance(dt.timedelta(days=2))
    assert (await ask("GET", f"/config/data-agreement/{number}/"))["dataAgreement"]["active"] is False
    again = await ask("POST", "/config/data-agreement/", writer, {"dataAgreement": {**whole, "code": "survey-2"}})
    await ask("DELETE", f"/config/data-agreement/{again['dataAgreement']['id']}/", writer)
    path = f"/config/data-agreement/{again['dataAgreement']['id']}/"
    assert await ask.refused("PUT", path, second, complete) == "DRAFT_DECIDED"


async def test_a_webhook_tells_of_changes_until_it_is_removed(town: Town, ask: Asker, citizen: Actor) -> None:
    bank = town.party(BANK)
    made = (await ask("POST", "/config/webhook/", bank, {"webhook": HOOK}))["webhook"]
    path, secret = f"/config/webhook/{made['id']}/", made["secretKey"]
    assert secret.startswith("whsec_")
    assert (await ask("GET", path, bank))["webhook"] == {**made, "secretKey": ""}
    assert (await ask("GET", "/config/webhooks/", bank))["webhooks"] == [{**made, "secretKey": ""}]
    consent = (await sign(ask, citizen, await number_of(ask, "adult-check")))["consentRecord"]["id"]
    town.parties.status = 500
    await town.rooms["privacy"].run_job("tell-webhooks")
    town.parties.status = 204
    town.clock.advance(dt.timedelta(minutes=5))
    await town.rooms["privacy"].run_job("tell-webhooks")
    first, second = town.parties.sent
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    body = json.loads(second.content)
    assert (body["type"], body["consentRecordId"], body["optIn"]) == ("consent.given", consent, True)
    assert str(citizen.id) not in second.content.decode()
    assert hmac.compare_digest(second.headers["webhook-signature"], _signed(secret, second))

    silent = (await ask("PUT", path, bank, {"webhook": {**HOOK, "disabled": True}}))["webhook"]
    assert (silent["disabled"], silent["secretKey"]) == (True, secret)
    await ask("DELETE", "/service/individual/record/", citizen)
    await town.rooms["privacy"].run_job("tell-webhooks")
    assert len(town.parties.sent) == 2
    await ask("DELETE", path, bank)
    assert await ask.refused("GET", path, bank) == "NOT_FOUND"
    actions = [entry.action for entry in await town.entries() if entry.action.startswith("webhook.")]
    assert actions == [f"webhook.{name}" for name in ("created", "put-off", "told", "updated", "removed")]


@pytest.mark.parametrize(
    "url",
    [
        "http://riverside-bank.example/x",
        "https://elsewhere.example/x",
        "https://riverside-bank.example.evil.example/x",
        "https://evilriverside-bank.example/x",
        "https://riverside-bank.example@evil.example/x",
        "https://user:word@riverside-bank.example/x",
        "https://riverside-bank.example:8443/x",
        "https://[::1]/x",
        "https://127.0.0.1/x",
        "//riverside-bank.example/x",
        "https://[",
        "",
    ],
)
async def test_we_call_nobody_on_somebodys_word(town: Town, ask: Asker, url: str) -> None:
    hook = {"id": "", "payloadUrl": url, "contentType": "application/json", "disabled": False, "secretKey": ""}
    bank = town.party(BANK)
    assert await ask.refused("POST", "/config/webhook/", bank, {"webhook": hook}) == "WEBHOOK_NOT_TAKEN"
    assert await town.value("SELECT count(*) FROM privacy.webhook") == 0


async def test_each_operation_is_for_those_whom_it_has_a_purpose_for(town: Town, ask: Asker, citizen: Actor) -> None:
    actors = {ActorKind.CITIZEN: citizen, ActorKind.CLIENT: town.party(BANK), ActorKind.STAFF: officer(town)}
    operations = [one for one in OPERATIONS if isinstance(one, Operation)]
    assert len(operations) == 35
    for operation in operations:
        path = operation.path.replace(":str}", "}").format(**dict.fromkeys(IDS, "1"))
        for kind, actor in actors.items():
            if kind not in operation.purposes:
                assert await ask.refused(operation.method, f"{path}/", actor, status=403) == "FORBIDDEN"
        assert await ask.refused(operation.method, f"{path}/", status=401) == "UNAUTHENTICATED"
    entries = await town.entries()
    names = {f"{one.method} {PREFIX}{one.path}" for one in operations}
    assert {entry.action for entry in entries if entry.code == "UNAUTHENTICATED"} == names
    forbidden = {(entry.action, entry.actor.partition(":")[0]) for entry in entries if entry.code == "FORBIDDEN"}
    assert len(forbidden) == sum(len(actors.keys() - one.purposes.keys()) for one in operations)


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.one_of(BODIES, st.fixed_dictionaries({"policy": BODIES}), st.fixed_dictionaries({"webhook": BODIES})))
async def test_no_body_makes_it_fail(town: Town, ask: Asker, body: Any) -> None:
    actors = {ActorKind.CITIZEN: town.citizen(town.staff().id), ActorKind.CLIENT: town.party(BANK)}  # type: ignore[arg-type]
    actors[ActorKind.STAFF] = officer(town)
    for operation in OPERATIONS:
        if operation.method in ("POST", "PUT") and isinstance(operation, Operation):
            path = operation.path.replace(":str}", "}").format(**dict.fromkeys(IDS, "1"))
            headers = {"authorization": f"Bearer {town.bearer(actors[next(iter(operation.purposes))])}"}
            answer = await ask.http.request(operation.method, f"{PREFIX}{path}/", json=body, headers=headers)
            assert answer.status_code in (400, 403), (operation.path, answer.status_code, answer.text)


def _as_sent(agreement: dict[str, Any]) -> dict[str, Any]:
    return {name: agreement[name] for name in ("id", "version", "purpose", "lawfulBasis", "dpia")}


def _signed(secret: str, request: httpx.Request) -> str:
    """A message's signature by https://www.standardwebhooks.com."""
    content = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.content
    digest = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), content, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


async def test_a_webhook_hears_in_order_and_nothing_of_what_was_merely_asked(
    town: Town, ask: Asker, citizen: Actor
) -> None:
    bank, number = town.party(BANK), await number_of(ask, "adult-check")
    for _ in range(2):
        await ask("POST", "/config/webhook/", bank, {"webhook": HOOK})
    # Asked for, refused, asked for again, lapsed, and withdrawn before it was ever given: none of the bank's business.
    await request_by_code(town, bank, citizen)
    asked = (await ask("GET", f"/service/individual/record/data-agreement/{number}/", citizen))["consentRecord"]
    refused = {"consentRecord": {**bare(asked), "optIn": False}}
    await ask("PUT", f"/service/individual/record/consent-record/{asked['id']}/", citizen, refused)
    await request_by_code(town, bank, citizen)
    await ask("DELETE", "/service/individual/record/", citizen)
    assert await town.value("SELECT count(*) FROM privacy.webhook_message") == 0
    assert (await ask("GET", "/service/verification/consent-records/", bank))["consentRecords"] == []

    record = (await sign(ask, citizen, number))["consentRecord"]
    await ask("DELETE", "/service/individual/record/", citizen)
    path = f"/service/verification/consent-record/{record['id']}/"
    before = await ask("GET", path, bank)
    # That the question reached somebody, a record does not tell either.
    await request_by_code(town, bank, citizen)
    assert await town.value("SELECT state FROM consent.standing") == "requested"
    assert await ask("GET", path, bank) == before
    town.parties.status = 500
    await town.rooms["privacy"].run_job("tell-webhooks")
    town.parties.status = 204
    assert len(town.parties.sent) == 2, "the second change waits behind the first"
    town.clock.advance(dt.timedelta(minutes=5))
    assert await town.rooms["privacy"].run_job("tell-webhooks") == 4
    told = [json.loads(request.content)["type"] for request in town.parties.sent[2:]]
    assert told[:2] == ["consent.given"] * 2
    assert told[2:] == ["consent.withdrawn"] * 2
    assert await town.value("SELECT count(*) FROM privacy.webhook_message") == 0


async def test_what_cannot_be_told_is_given_up_and_a_slow_party_holds_nobody_up(
    town: Town, ask: Asker, citizen: Actor
) -> None:
    await ask("POST", "/config/webhook/", town.party(BANK), {"webhook": HOOK})
    await sign(ask, citizen, await number_of(ask, "adult-check"))
    town.parties.status = 503
    for _ in range(30):
        await town.rooms["privacy"].run_job("tell-webhooks")
        town.clock.advance(dt.timedelta(hours=3))
    assert await town.value("SELECT count(*) FROM privacy.webhook_message") == 0
    assert (await town.entries())[-1].action == "webhook.given-up"
    assert 20 < len(town.parties.sent) < 30
