"""A root of the blind indexes is added while all serves: everybody is found throughout, and nobody twice."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from town import REQUEST_CODE, Town, sample_number

from gov_services.cli import index_upkeep
from gov_services.crypto.blind_index import BlindIndex, add_root
from gov_services.crypto.keys import KeyRefused
from gov_services.identity import following_up
from gov_services.kit.settings import Settings

pytestmark = pytest.mark.untraced

FIND = "query($i: FindCitizenInput!) { citizenByNationalId(input: $i) { id } }"
REGISTER = "mutation($input: RegisterInput!) { register(input: $input) { registered userErrors { code } } }"
REPLACE = "mutation($input: ReplacePhoneInput!) { replacePhone(input: $input) { replaced userErrors { code } } }"


@pytest.fixture
def own(town: Town, tmp_path: Path) -> Settings:
    """The installation with keys of its own: this test adds to them."""
    copy = tmp_path / "own-secrets"
    shutil.copytree(town.settings.secrets_directory, copy)
    return dataclasses.replace(town.settings, secrets_directory=copy)


@pytest.fixture
def restart(town: Town, own: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have identity hold the roots that are there now."""

    def done() -> None:
        index = town.rooms["identity"].services.ports.index
        monkeypatch.setattr(index, "_roots", BlindIndex.load(own.secrets_directory)._roots)

    return done


async def rotate(town: Town, own: Settings, tell: Callable[[int, int], None] = lambda done, total: None) -> str:
    done = await index_upkeep.rotate(own, clock=town.clock, tell=tell)
    return f"{done.followed_up} of {done.of} under {done.layers}"


async def find(town: Town, number: str) -> object:
    answer = await town.ask(
        "identity",
        FIND,
        {"i": {"nationalId": number}},
        purpose="counter-lookup",
        actor=town.staff("registrar"),
        reason="card",
    )
    found = answer["data"]["citizenByNationalId"] if answer.get("data") else None
    return found["id"] if found else answer["errors"][0]["extensions"]["code"]


async def register(town: Town, number: str, phone: str) -> object:
    values = {"name": "测试甲", "nationalId": number, "phone": phone, "address": "示例市东区一号"}
    answer = await town.ask("identity", REGISTER, {"input": values}, purpose="registration")
    if not answer.get("data"):
        return answer["errors"][0]["extensions"]["code"]
    told = answer["data"]["register"]
    return told["registered"] or told["userErrors"][0]["code"]


async def standing(town: Town) -> list[tuple[str, int]]:
    rows = await town.rows("SELECT kind, layers FROM identity.directory ORDER BY 1, 2")
    return [(row["kind"], row["layers"]) for row in rows]


NUMBERS = [sample_number(sequence=sequence) for sequence in (100, 101, 102, 103)]


async def test_everybody_is_found_before_meanwhile_and_after_and_registered_once(
    town: Town, own: Settings, restart: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, number in enumerate(NUMBERS[:3], 1):
        await town.register(number=number, phone=f"1390000000{place}")
    ids = [await find(town, number) for number in NUMBERS[:3]]
    assert len(set(ids)) == 3
    assert await rotate(town, own) == "6 of 6 under 1", "without a new root there is nothing to do"
    assert await town.value("SELECT count(*) FROM audit.pending WHERE convert_from(body, 'UTF8') ~ 'blind-index'") == 0

    add_root(own.secrets_directory)
    restart()
    assert [await find(town, number) for number in NUMBERS[:3]] == ids, "held, and nothing followed up yet"
    before = await town.rows("SELECT digest FROM identity.directory")

    # Stopped after the first batch of one.
    monkeypatch.setattr(following_up, "BATCH", 1)

    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        assert (done, total) == (1, 6)
        raise Stopped

    with pytest.raises(Stopped):
        await rotate(town, own, stop)
    assert sorted(layers for _, layers in await standing(town)) == [1, 1, 1, 1, 1, 2]
    assert [await find(town, number) for number in NUMBERS[:3]] == ids
    for number in NUMBERS[:3]:
        assert await register(town, number, "13900000009") == "REGISTRATION_NOT_POSSIBLE"
    assert await register(town, NUMBERS[3], "13900000003") == "REGISTRATION_NOT_POSSIBLE"
    assert await register(town, NUMBERS[3], "13900000004") is True
    await town.settle()

    told: list[tuple[int, int]] = []
    assert await rotate(town, own, lambda done, total: told.append((done, total))) == "8 of 8 under 2"
    assert told[-1] == (8, 8)
    assert await standing(town) == [("phone", 2)] * 4 + [("resident-number", 2)] * 4
    after = await town.rows("SELECT digest FROM identity.directory")
    assert not {row["digest"] for row in before} & {row["digest"] for row in after}
    assert [await find(town, number) for number in NUMBERS[:3]] == ids
    assert await register(town, NUMBERS[0], "13900000009") == "REGISTRATION_NOT_POSSIBLE"
    await town.sign_in("13900000004")
    await town.sign_in("13900000001")
    values = {"input": {"nationalId": NUMBERS[0], "newPhone": "13900000008"}}
    replaced = await town.ask(
        "identity", REPLACE, values, purpose="lost-phone", actor=town.staff("registrar"), reason="lost phone"
    )
    assert replaced == {"data": {"replacePhone": {"replaced": True, "userErrors": []}}}
    assert await standing(town) == [("phone", 2)] * 4 + [("resident-number", 2)] * 4
    await town.sign_in("13900000008")
    said = await town.rows("SELECT convert_from(body, 'UTF8') AS body FROM audit.pending")
    actions = [found[0] for row in said if (found := re.search(r"blind-index\.[a-z-]+", row["body"]))]
    assert set(actions) == {"blind-index.begun", "blind-index.followed-up"}


async def test_a_process_that_lacks_the_root_says_so_and_finds_nobody_absent(
    town: Town, own: Settings, restart: Callable[[], None]
) -> None:
    await town.register(number=NUMBERS[0])
    known = await find(town, NUMBERS[0])
    add_root(own.secrets_directory, sm=True)
    assert await rotate(town, own) == "2 of 2 under 2"

    assert await find(town, NUMBERS[0]) == "KEYS_UNAVAILABLE"
    assert await register(town, NUMBERS[0], "13900000009") == "KEYS_UNAVAILABLE"
    assert await register(town, NUMBERS[1], "13900000009") == "KEYS_UNAVAILABLE"
    sent = await town.ask("identity", REQUEST_CODE, {"input": {"phone": "13900000001"}}, purpose="sign-in")
    assert sent["errors"][0]["extensions"]["code"] == "KEYS_UNAVAILABLE"

    restart()
    assert await find(town, NUMBERS[0]) == known
    assert await register(town, NUMBERS[1], "13900000009") is True
    with pytest.raises(KeyRefused, match="digests have 2 layers, and only 1 roots are held"):
        await index_upkeep.rotate(town.settings, clock=town.clock, tell=lambda done, total: None)
    depth, found = await index_upkeep.status(own)
    assert (depth, found.layers, found.followed_up, found.of) == (2, 2, 4, 4)
