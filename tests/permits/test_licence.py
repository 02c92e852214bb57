"""The licence: issued to its holder alone, checked by anyone, given back."""

from __future__ import annotations

from typing import Any

import jwt
from permit_office import Office
from town import sample_number

from gov_services.permits.credential import ended_in

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
    assert said.json() == {"valid": True, "status": "valid", "number": licence["number"]}


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


async def test_a_licence_given_back_is_on_the_list_from_then_on(office: Office) -> None:
    application_id = await office.issued()
    licence = await licence_of(office, application_id)

    given_back = await office.step("surrenderLicence", {"licenceId": licence["id"]})

    assert given_back["application"]["state"] == "SURRENDERED"
    assert (await checked(office, licence["credential"]))[1] is True
    said = await office.http.get("/licences/verify", params={"credential": licence["credential"]})
    assert said.json() == {"valid": False, "status": "surrendered", "number": licence["number"]}
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


async def test_a_credential_that_is_not_ours_is_told_as_that(office: Office) -> None:
    said = await office.http.get("/licences/verify", params={"credential": "e30.e30.e30"})
    assert said.json() == {"valid": False, "status": "not-ours"}


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
