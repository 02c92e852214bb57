"""The licence: issued to its holder alone, checked by anyone, given back."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from permit_office import FILLED, Office
from town import sample_number

from gov_services.kit.database import Database
from gov_services.permits.credential import ended_in

pytestmark = pytest.mark.untraced

LICENCE = "query MyLicence($id: ID!) { licence(id: $id) { id number status issuedAt credential qrCode } }"


async def licence_of(office: Office, application_id: str) -> dict[str, Any]:
    """The licence as its holder reads it."""
    read = await office.read(application_id, "licence { id }")
    answer = await office.town.ask(
        "permits", LICENCE, read["licence"], purpose="licence-holding", actor=office.applicant
    )
    return dict(answer["data"]["licence"])


async def checked(office: Office, credential: str) -> tuple[dict[str, Any], bool]:
    """What somebody finds who is shown the licence: its claims, and whether the list says it has ended."""
    keys = jwt.PyJWKSet.from_dict((await office.http.get("/.well-known/licence-keys.json")).json())
    options = {"verify_exp": False, "verify_iat": False}  # the town's clock is not this machine's

    def read(token: str) -> dict[str, Any]:
        key = keys[jwt.get_unverified_header(token)["kid"]]
        return jwt.decode(token, key, algorithms=["EdDSA"], audience="licence-verifier", options=options)

    claims = read(credential)
    place = claims["status"]["status_list"]
    listed = await office.http.get(place["uri"])
    assert listed.headers["content-type"] == "application/statuslist+jwt"
    return claims, ended_in(read(listed.text)["status_list"]["lst"], place["idx"])


async def test_a_licence_is_checked_with_published_keys_alone(office: Office) -> None:
    application_id = await office.issued()
    licence = await licence_of(office, application_id)

    claims, ended = await checked(office, licence["credential"])

    assert claims["licence"] == {
        "number": licence["number"],
        "businessName": "测试甲小吃店",
        "businessAddress": "示例市东区一号",
        "scope": "小吃制售",
        "operatorName": "测试甲",
    }
    assert ended is False
    assert licence["status"] == "VALID"
    assert licence["qrCode"].startswith("<svg")
    said = await office.http.get("/licences/verify", params={"credential": licence["credential"]})
    assert said.json() == {"valid": True, "status": "valid", "number": licence["number"], "message": "执照有效。"}


async def test_issuing_is_logged_with_what_left_and_for_whom(office: Office) -> None:
    await office.issued()

    (issued,) = [entry for entry in await office.town.entries() if entry.action == "licence.issued"]

    assert issued.recipient == "holder"
    assert dict(issued.coordinates) == {
        "Application.applicantName": "PLAIN",
        "Application.businessAddress": "PLAIN",
        "Application.businessName": "PLAIN",
        "Application.scope": "PLAIN",
    }
    opened = [
        entry for entry in await office.town.entries() if entry.kind == "use" and entry.purpose == "licence-approval"
    ]
    assert [dict(entry.coordinates) for entry in opened] == [dict.fromkeys(dict(issued.coordinates), "OPENED")]


async def test_nobody_applies_in_a_name_that_is_not_the_verified_one(office: Office) -> None:
    for name in ("测试乙", "测试 甲 乙"):
        begun = await office.step("startApplication", {**FILLED, "applicantName": name})
        assert [(error["code"], error["field"]) for error in begun["userErrors"]] == [
            ("NAME_NOT_VERIFIED", "input.applicantName")
        ]
    assert await office.town.rows("SELECT * FROM permits.application") == []

    begun = await office.step("startApplication", {**FILLED, "applicantName": "测试 甲"})
    assert begun["userErrors"] == [], "how it is spaced makes no other name"


async def test_no_licence_is_signed_in_a_name_that_is_verified_no_more(office: Office) -> None:
    application_id = await office.recommended()
    await office.town.verified_as(office.applicant.id, "测试丙")

    approved = await office.step("approveApplication", {"applicationId": application_id}, actor=office.approver)

    assert [error["code"] for error in approved["userErrors"]] == ["NAME_NOT_VERIFIED"]
    assert (await office.row(application_id))["state"] == "recommended"
    assert await office.town.rows("SELECT * FROM permits.register") == []


async def test_a_licence_given_back_is_on_the_list_from_then_on(office: Office) -> None:
    application_id = await office.issued()
    licence = await licence_of(office, application_id)

    given_back = await office.step("surrenderLicence", {"licenceId": licence["id"]})

    assert given_back["application"]["state"] == "SURRENDERED"
    assert (await checked(office, licence["credential"]))[1] is True
    said = await office.http.get("/licences/verify", params={"credential": licence["credential"]})
    assert said.json() == {
        "valid": False,
        "status": "surrendered",
        "number": licence["number"],
        "message": "执照已注销,不再有效。",
    }
    again = await office.step("surrenderLicence", {"licenceId": licence["id"]})
    assert [error["code"] for error in again["userErrors"]] == ["APPLICATION_STATE"]


async def test_nobody_but_the_holder_reads_it_or_gives_it_back(office: Office) -> None:
    licence = await licence_of(office, await office.issued())
    other = await office.town.register(number=sample_number(sequence=101), phone="13900000002")

    read = await office.town.ask("permits", LICENCE, {"id": licence["id"]}, purpose="licence-holding", actor=other)
    given = await office.step("surrenderLicence", {"licenceId": licence["id"]}, actor=other)

    for answer in (read, given):
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["NOT_FOUND"]
    assert await office.town.value("SELECT status FROM permits.register") == "valid"


async def test_whoever_checks_a_licence_is_told_in_their_language(office: Office) -> None:
    async def told(credential: str | None, language: str) -> tuple[int, dict[str, Any]]:
        params = {} if credential is None else {"credential": credential}
        answer = await office.http.get("/licences/verify", params=params, headers={"accept-language": language})
        return answer.status_code, answer.json()

    licence = await licence_of(office, await office.issued())
    assert await told(licence["credential"], "en-GB") == (
        200,
        {"valid": True, "status": "valid", "number": licence["number"], "message": "The licence is valid."},
    )
    await office.step("surrenderLicence", {"licenceId": licence["id"]})
    assert (await told(licence["credential"], "en"))[1]["message"] == "The licence was given back and holds no more."
    assert (await told(licence["credential"], "zh-CN, en;q=0.5"))[1]["message"] == "执照已注销,不再有效。"
    for nothing in ("e30.e30.e30", None):
        for language, message in (
            ("fr", "这不是本平台签发的凭证,或凭证已过期。"),
            ("en", "This is no credential of ours, or one that has expired."),
        ):
            said = await told(nothing, language)
            assert said == (200, {"valid": False, "status": "not-ours", "message": message})

    # The database is away: nothing listens there.
    discloser = office.town.rooms["permits"].services.discloser
    present, discloser.database = discloser.database, Database("postgresql://127.0.0.1:1/gone")
    away = [await told(licence["credential"], language) for language in ("zh-CN", "en")]
    discloser.database = present
    assert [(status, problem["code"]) for status, problem in away] == [(503, "SERVICE_UNAVAILABLE")] * 2
    assert "服务暂时不可用" in away[0][1]["title"]
    assert "unavailable for the moment" in away[1][1]["title"]


async def test_an_application_that_another_room_names_is_resolved_for_who_may_read_it(office: Office) -> None:
    application_id = await office.submitted()
    document = """query Fetch($representations: [_Any!]!) {
      _entities(representations: $representations) { ... on Application { id businessName } }
    }"""
    other = await office.town.register(number=sample_number(sequence=101), phone="13900000002")
    representations = [
        {"__typename": "Application", "id": application_id},
        {"__typename": "Application", "id": "00000000-0000-7000-8000-000000000000"},
    ]

    own = await office.town.ask(
        "permits",
        document,
        {"representations": representations},
        purpose="licence-application",
        actor=office.applicant,
    )
    others = await office.town.ask(
        "permits", document, {"representations": representations}, purpose="licence-application", actor=other
    )

    assert [entity["businessName"] for entity in own["data"]["_entities"]] == ["测试甲小吃店", None]
    assert [entity["businessName"] for entity in others["data"]["_entities"]] == [None, None]
    codes = {error["extensions"]["code"] for answer in (own, others) for error in answer["errors"]}
    assert codes == {"CONSENT_REQUIRED"}
