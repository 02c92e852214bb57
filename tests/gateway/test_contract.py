"""What a client may rely on: how documents are named, which methods and media types, which statuses."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from front_door import GRAPHQL, FrontDoor, code_of
from town import Town

from gov_services.crypto.keys import add_signing_key
from gov_services.crypto.signing import VerifyKeys
from gov_services.crypto.tokens import jwks


async def test_a_document_is_named_by_id_or_by_persisted_query(door: FrontDoor) -> None:
    document = door.document("Services")
    for body in (
        {"documentId": document.id},
        {"documentId": f"sha256:{document.id}"},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": document.id}}},
        {"documentId": document.id, "query": "{ ignored }", "operationName": None, "variables": None},
    ):
        response = await door.post(body)
        assert response.status_code == 200
        assert response.json()["data"]["services"][0]["code"] == "individual-business-licence"


async def get(door: FrontDoor, name: str, variables: dict[str, Any] | None = None, **headers: str) -> Any:
    """Ask by GET."""
    query = {"documentId": door.document(name).id}
    if variables is not None:
        query["variables"] = json.dumps(variables)
    sent = {
        "accept": GRAPHQL,
        "gov-preflight": "1",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return await door.http.get("/graphql", params=query, headers=sent)


async def test_get_is_for_queries_without_personal_variables(door: FrontDoor) -> None:
    citizen = await door.town.register()
    bearer = f"Bearer {door.town.bearer(citizen)}"

    assert (await get(door, "Services")).status_code == 200
    assert (await get(door, "Me", authorization=bearer)).json()["data"]["me"]["name"] == "测试甲"
    notice = await get(door, "Notice", {"purpose": "adult-check"}, authorization=bearer)
    assert notice.json()["data"]["notice"]["purpose"] == "adult-check"
    for name, variables in (("SignOut", None), ("RequestSignInCode", {"input": {"phone": "13900000001"}})):
        refused = await get(door, name, variables, authorization=bearer)
        assert (refused.status_code, code_of(refused)) == (405, "METHOD_NOT_ALLOWED")
    by_number = await door.http.get(
        "/graphql",
        params={
            "documentId": door.document("FindCitizen", "counter").id,
            "variables": json.dumps({"input": {"nationalId": "999999199003071005"}}),
        },
        headers={"accept": GRAPHQL, "authorization": f"Bearer {door.town.bearer(door.town.staff('registrar'))}"},
    )
    assert (by_number.status_code, code_of(by_number)) == (405, "METHOD_NOT_ALLOWED")


async def test_a_query_string_that_is_no_json_is_refused(door: FrontDoor) -> None:
    for query in ["documentId=x&variables={", "extensions=[1]", "documentId=x&extensions={"]:
        response = await door.http.get(f"/graphql?{query}", headers={"accept": GRAPHQL, "gov-preflight": "1"})
        assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")


async def test_in_production_a_get_that_another_origins_page_could_have_caused_is_refused(graph_town: Town) -> None:
    door = FrontDoor(graph_town, production=True)
    document = door.document("Services").id
    # A page may ask for any media type without the browser's asking first: that proves nothing.
    for accept in ("*/*", GRAPHQL):
        bare = await door.http.get("/graphql", params={"documentId": document}, headers={"accept": accept})
        assert (bare.status_code, code_of(bare)) == (415, "UNSUPPORTED_MEDIA_TYPE")
    for headers in ({"gov-preflight": "1"}, {"content-type": "application/json"}):
        asked = await door.http.get(
            "/graphql", params={"documentId": document}, headers={"accept": "application/json", **headers}
        )
        assert asked.status_code == 200
    await door.http.aclose()


async def test_the_media_type_decides_the_status_of_a_request_that_was_understood(door: FrontDoor) -> None:
    citizen = await door.town.register()
    variables = {"input": {"phone": 1}}
    new = await door.ask("RequestSignInCode", variables)
    old = await door.ask("RequestSignInCode", variables, accept="application/json")
    assert (new.status_code, new.headers["content-type"]) == (400, f"{GRAPHQL}; charset=utf-8")
    assert (old.status_code, old.headers["content-type"]) == (200, "application/json; charset=utf-8")
    assert code_of(new) == code_of(old) == "BAD_USER_INPUT"
    for accept in ("*/*", "application/*", f"application/json;q=0.9, {GRAPHQL}"):
        assert (await door.ask("Me", actor=citizen, accept=accept)).status_code == 200
    assert (await door.ask("Me", actor=citizen)).headers["cache-control"] == "no-store"


async def test_every_answer_names_its_request(door: FrontDoor) -> None:
    response = await door.ask("Me")
    identifier = response.headers["gov-request-id"]
    assert response.json()["errors"][0]["extensions"]["requestId"] == identifier
    await door.town.integrate()
    assert identifier in {entry.request for entry in await door.town.entries()}


async def test_only_listed_origins_may_ask_from_a_browser(graph_town: Town) -> None:
    door = FrontDoor(graph_town, cors="https://app.example, https://counter.example")
    preflight = await door.http.options("/graphql", headers={"origin": "https://app.example"})
    stranger = await door.http.options("/graphql", headers={"origin": "https://evil.example"})

    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, "https://app.example")
    assert "access-control-allow-origin" not in stranger.headers
    await door.http.aclose()


async def test_a_new_signing_key_signs_and_the_old_one_still_verifies(graph_town: Town, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    shutil.copytree(graph_town.settings.secrets_directory, secrets)
    graph_town.settings = dataclasses.replace(graph_town.settings, secrets_directory=secrets)
    citizen = await graph_town.register()
    old = graph_town.bearer(citizen)
    before = set(VerifyKeys.load(secrets, "access-token").public_keys())

    key_id = add_signing_key(secrets, "access-token")
    door = FrontDoor(graph_town)
    new = graph_town.bearer(citizen)

    assert graph_town.signing_key("access-token").key_id == key_id
    assert {item["kid"] for item in jwks(VerifyKeys.load(secrets, "access-token"))["keys"]} == before | {key_id}
    assert (await door.ask("Me", authorization=f"Bearer {old}")).status_code == 200
    # The rooms were composed before the key was there: they refuse it until they are started again.
    by_new = await door.ask("Me", authorization=f"Bearer {new}")
    assert code_of(by_new) == "ASSERTION_REFUSED"
    await door.http.aclose()


async def test_a_defect_of_ours_is_masked_with_the_request_id(
    door: FrontDoor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    citizen = await door.town.register()

    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("an inner detail")

    monkeypatch.setattr(door.gateway.pipeline._engine, "execute", broken)
    response = await door.ask("Me", actor=citizen)

    assert (response.status_code, code_of(response)) == (500, "INTERNAL")
    assert "inner detail" not in response.text
    assert response.json()["errors"][0]["extensions"]["requestId"]
