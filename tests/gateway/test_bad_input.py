"""What the front door is sent by mistake or malice: a stable code, a localized message, nothing changed or leaked."""

from __future__ import annotations

import datetime as dt
import json
import os
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from front_door import FrontDoor, code_of
from town import Town, sample_number

from gov_services.crypto.signing import SigningKey
from gov_services.crypto.tokens import sign_token
from gov_services.gateway.limits import Limits
from gov_services.gateway.rates import RateLimiter
from gov_services.kit import access_token
from gov_services.kit.actor import ANONYMOUS, Actor

MARK = "MARKED-VALUE-7391"
"""Stands in what is sent, and must not come back."""


async def test_what_is_no_request_is_refused(door: FrontDoor) -> None:
    for body, code, status in [
        (b"", "BAD_REQUEST", 400),
        (b"{", "BAD_REQUEST", 400),
        (b"[" * 100_000, "REQUEST_TOO_LARGE", 413),
        (b"[" * 30_000, "BAD_REQUEST", 400),
        (b'"text"', "BAD_REQUEST", 400),
        (b"[{}]", "BAD_REQUEST", 400),
        (b"{}", "BAD_REQUEST", 400),
        (b"\xff\xfe", "BAD_REQUEST", 400),
        (json.dumps({"documentId": 7}).encode(), "BAD_REQUEST", 400),
        (json.dumps({"documentId": "x", "variables": []}).encode(), "BAD_REQUEST", 400),
        (json.dumps({"documentId": "x", "variables": 0}).encode(), "BAD_REQUEST", 400),
        (json.dumps({"documentId": "x", "variables": None}).encode(), "PERSISTED_QUERY_NOT_FOUND", 400),
        (json.dumps({"documentId": "x", "extensions": "y"}).encode(), "BAD_REQUEST", 400),
        (json.dumps({"query": 1}).encode(), "BAD_REQUEST", 400),
        (json.dumps({"documentId": MARK}).encode(), "PERSISTED_QUERY_NOT_FOUND", 400),
        (
            json.dumps({"extensions": {"persistedQuery": {"sha256Hash": MARK}}}).encode(),
            "PERSISTED_QUERY_NOT_FOUND",
            400,
        ),
        (json.dumps({"extensions": {"persistedQuery": MARK}}).encode(), "PERSISTED_QUERY_NOT_FOUND", 400),
        (b'{"documentId": "x", "pad": "' + b"a" * 70_000 + b'"}', "REQUEST_TOO_LARGE", 413),
    ]:
        before = await door.state()

        response = await door.post(body)

        assert (response.status_code, code_of(response)) == (status, code)
        assert MARK not in response.text
        assert await door.state() == before


async def test_messages_are_in_the_language_asked_for_and_chinese_otherwise(door: FrontDoor) -> None:
    messages = {}
    for language in ("en-GB,zh;q=0.5", "zh-CN", "fr", "", "en;q=0,zh", "en;q=x"):
        response = await door.post(b"{", **{"accept-language": language})
        messages[language] = response.json()["errors"][0]["message"]

    assert messages["en-GB,zh;q=0.5"] == "The request is not well-formed: JSON."
    assert {messages[name] for name in ("zh-CN", "fr", "", "en;q=0,zh", "en;q=x")} == {"请求格式有误:JSON。"}


async def test_only_json_is_taken_and_only_known_methods(door: FrontDoor) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        response = await door.post(b"{}", **{"content-type": content_type})
        assert (response.status_code, code_of(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")
    response = await door.http.put("/graphql", content=b"{}")
    assert (response.status_code, code_of(response), response.headers["allow"]) == (
        405,
        "METHOD_NOT_ALLOWED",
        "GET, POST",
    )
    response = await door.post(b"{}", accept="text/html")
    assert (response.status_code, code_of(response)) == (406, "NOT_ACCEPTABLE")


async def test_a_document_of_another_client_is_unknown_to_this_one(door: FrontDoor) -> None:
    citizen = await door.town.register()
    for client, name in (("riverside-bank", "IsAdult"), ("counter", "ReviewApplication"), ("compliance", "SearchLog")):
        response = await door.ask(name, {"reference": "x", "id": "x"}, client=client, actor=citizen)
        assert (response.status_code, code_of(response)) == (400, "PERSISTED_QUERY_NOT_FOUND")


async def test_a_document_that_needs_sign_in_says_so(door: FrontDoor) -> None:
    response = await door.ask("Me")
    assert (response.status_code, code_of(response)) == (401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_a_client_cannot_choose_the_purpose_of_a_trusted_document(door: FrontDoor) -> None:
    citizen = await door.town.register()

    response = await door.ask("Me", actor=citizen, gov_purpose="licence-review")

    assert response.json()["data"]["me"]["name"] == "测试甲"
    reads = [entry.purpose for entry in await door.town.entries() if entry.kind == "read"]
    assert set(reads) == {"own-account"}


async def test_the_wrong_purpose_for_an_ad_hoc_document_reads_nothing(door: FrontDoor) -> None:
    citizen = await door.town.register()
    text = "{ me { name birthDate } }"

    missing = await door.post({"query": text}, actor=citizen)
    unknown = await door.post({"query": text}, actor=citizen, gov_purpose=MARK)
    beyond = await door.post({"query": text}, actor=citizen, gov_purpose="own-account")
    another = await door.post({"query": text}, actor=citizen, gov_purpose="licence-review")

    assert (missing.status_code, code_of(missing)) == (400, "BAD_REQUEST")
    assert code_of(unknown) == "DISCLOSURE_REFUSED"
    assert code_of(another) == "FORBIDDEN"
    # Refused whole: what a build would not have registered is not answered in part.
    assert (beyond.json()["data"], code_of(beyond)) == (None, "DISCLOSURE_REFUSED")
    assert beyond.json()["errors"][0]["message"] == "This purpose does not cover: Citizen.birthDate."
    assert MARK not in unknown.text


async def test_in_production_no_ad_hoc_document_and_no_introspection(graph_town: Town) -> None:
    door = FrontDoor(graph_town, production=True)
    citizen = await graph_town.register()
    for text in ("{ me { name } }", "{ __schema { types { name } } }", "{ __typename }"):
        response = await door.post({"query": text}, actor=citizen, gov_purpose="own-account")
        assert (response.status_code, code_of(response)) == (400, "PERSISTED_QUERY_NOT_FOUND")
    await door.http.aclose()


def token(
    town: Town, actor: Actor, *, key: SigningKey | None = None, type_: str = access_token.TYPE, **claims: Any
) -> str:
    """An access token, changed."""
    now = town.clock.now()
    made = access_token.claims_of(actor, issuer=town.settings.public_url, token_id=os.urandom(8).hex(), issued_at=now)
    return sign_token(key or town.signing_key("access-token"), {**made, **claims}, type=type_)


async def test_expired_forged_and_misused_tokens_are_one_refusal(door: FrontDoor) -> None:
    town = door.town
    citizen = await town.register()
    now = int(town.clock.now().timestamp())
    good = token(town, citizen)
    key = town.signing_key("access-token")
    stranger = SigningKey(Ed25519PrivateKey.generate(), key.key_id)
    unknown = SigningKey(Ed25519PrivateKey.generate(), "no-such-key")
    claims = jwt.decode(good, options={"verify_signature": False})
    bad = {
        "expired": token(town, citizen, iat=now - 700, exp=now - 100),
        "not yet": token(town, citizen, iat=now + 3600, exp=now + 7200),
        "another audience": token(town, citizen, aud="another-service"),
        "another issuer": token(town, citizen, iss="https://other.example"),
        "another type": token(town, citizen, type_="upload+jwt"),
        "forged": token(town, citizen, key=stranger),
        "unknown key": token(town, citizen, key=unknown),
        "none": jwt.encode(claims, None, algorithm="none", headers={"typ": access_token.TYPE, "kid": key.key_id}),
        "hmac": jwt.encode(claims, "k" * 32, algorithm="HS256", headers={"typ": access_token.TYPE, "kid": key.key_id}),
        "altered": good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB"),
        "a system's": token(town, citizen, kind="system"),
        "no roles": token(town, citizen, roles=None),
        "no token": "garbage",
        "endless": "a" * 9000 + ".b.c",
    }
    answers = {}
    for name, value in bad.items():
        response = await door.ask("Me", authorization=f"Bearer {value}")
        answers[name] = (response.status_code, code_of(response), response.json()["errors"][0]["message"])
    for value in ("", "Basic abc", "Bearer", "Bearer a b"):
        response = await door.ask("Me", authorization=value)
        answers[value] = (response.status_code, code_of(response), None)

    message = "Your session is not valid. Please sign in again."
    assert {name for name, (status, code, _) in answers.items() if (status, code) != (401, "UNAUTHENTICATED")} == set()
    assert {answers[name][2] for name in bad} == {message}
    assert (await door.ask("Me", authorization=f"Bearer {good}")).status_code == 200
    assert [entry for entry in await town.entries() if entry.kind == "use"] != []


async def test_variables_of_the_wrong_shape_are_refused_unechoed(door: FrontDoor) -> None:
    for variables in [
        {},
        {"input": None},
        {"input": {}},
        {"input": {"phone": 139}},
        {"input": {"phone": [MARK]}},
        {"input": {"phone": MARK, "also": MARK}},
        {"input": {"phone": "1" * 10_001}},
        {"input": {"phone": "139\u0000" + MARK}},
        {"input": {"phone": "139\ud800" + MARK}},
        {"input": {"phone": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": MARK}}}}}}}}}}},
        {"input": {f"field{number}": MARK for number in range(101)}},
        {"input": {"phone": 2**70}},
    ]:
        before = await door.state()

        response = await door.ask("RequestSignInCode", variables)

        assert (response.status_code, code_of(response)) == (400, "BAD_USER_INPUT")
        assert response.json()["errors"][0]["message"] == "A variable is not as it should be: $input."
        assert MARK not in response.text
        assert await door.state() == before


async def test_an_unknown_variable_is_not_passed_on(door: FrontDoor) -> None:
    citizen = await door.town.register()
    response = await door.ask("Me", {"withPhone": False, "extra": MARK}, actor=citizen)
    assert response.status_code == 200
    assert MARK not in response.text


async def test_a_document_that_is_too_complex_is_refused_by_measure(door: FrontDoor) -> None:
    citizen = await door.town.register()
    for text, measure in [
        ("{ " + " ".join(f"a{n}: __typename" for n in range(21)) + " }", "aliases"),
        ("{ services { code } " + " ".join(["__typename"] * 10) + " }", "root fields"),
        ("{ me { id " + "id " * 2000 + "} }", "tokens"),
        (
            "{ applications(first: 50) { edges { node { documents { id kind mediaType } timeline { event at by } "
            "service { code title documents { kind title required } } } } } "
            "other: applications(first: 5000) { edges { node { id } } } }",
            "cost",
        ),
    ]:
        response = await door.post({"query": text}, actor=citizen, gov_purpose="licence-application")

        assert (response.status_code, code_of(response)) == (400, "TOO_COMPLEX")
        assert f"({measure} is" in response.json()["errors"][0]["message"]


async def test_a_document_that_is_too_deep_is_refused(graph_town: Town) -> None:
    door = FrontDoor(graph_town, limits=Limits(depth=3))
    citizen = await graph_town.register()
    text = "{ applications { edges { node { id } } } }"
    response = await door.post({"query": text}, actor=citizen, gov_purpose="licence-application")
    assert code_of(response) == "TOO_COMPLEX"
    assert "(depth is 4, at most 3)" in response.json()["errors"][0]["message"]
    await door.http.aclose()


async def test_a_document_that_fits_no_schema_is_refused_in_development(door: FrontDoor) -> None:
    for text in ("{ nothing }", "{", "mutation { signOut", "subscription { x }"):
        response = await door.post({"query": text}, gov_purpose="own-account")
        assert (response.status_code, code_of(response)) == (400, "GRAPHQL_VALIDATION_FAILED")


async def test_a_page_longer_than_fifty_is_refused_by_the_room(door: FrontDoor) -> None:
    citizen = await door.town.register()
    response = await door.ask("MyApplications", {"first": 51}, actor=citizen)
    assert code_of(response) == "PAGE_TOO_LARGE"
    response = await door.ask("MyApplications", {"after": "bm90IG91cnM="}, actor=citizen)
    assert code_of(response) == "BAD_CURSOR"


async def test_a_caller_who_is_too_fast_is_told_when_to_come_back(graph_town: Town) -> None:
    door = FrontDoor(graph_town, rate=RateLimiter(graph_town.valkey, per_second=0.5, burst=2))
    statuses = [await door.ask("Services") for _ in range(3)]

    assert [response.status_code for response in statuses] == [200, 200, 429]
    assert code_of(statuses[2]) == "RATE_LIMITED"
    assert 1 <= int(statuses[2].headers["retry-after"]) <= 3
    await door.http.aclose()


async def test_a_reason_is_kept_printable(door: FrontDoor) -> None:
    registrar = door.town.staff("registrar")
    values = {"input": {"nationalId": sample_number(sequence=7)}}
    reason = "%E5%87%BA%E7%A4%BA%00%0a%ED%A0%80" + "x" * 600

    response = await door.ask(
        "FindCitizen",
        values,
        client="counter",
        actor=registrar,
        gov_reason=reason,
    )

    assert code_of(response) == "NOT_FOUND"
    reasons = {entry.reason for entry in await door.town.entries() if entry.reason}
    assert len(reasons) == 1
    (kept,) = reasons
    assert kept.startswith("出示")
    assert len(kept) == 500
    assert kept.isprintable()


async def test_refusals_of_strangers_are_in_the_log_as_one_line_a_minute(door: FrontDoor) -> None:
    for _ in range(5):
        await door.post({"documentId": MARK})
    door.town.clock.advance(dt.timedelta(minutes=2))
    await door.post({"documentId": "y"})

    refused = [entry for entry in await door.town.entries() if entry.code == "PERSISTED_QUERY_NOT_FOUND"]
    assert sum(entry.count for entry in refused) >= 1
    assert len(refused) <= 2
    assert ANONYMOUS.ref in {entry.actor for entry in refused}
