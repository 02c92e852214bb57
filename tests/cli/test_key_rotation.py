"""`gov-services keys add|status|rotate|retire|shred`: what an operator sees, and what stands in the log afterwards."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from gov_services.crypto.data_keys import DataKeys
from gov_services.crypto.keys import DataClass, LocalKeyProvider
from gov_services.kit.clock import SystemClock
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id
from gov_services.kit.settings import Settings


@pytest.fixture
def secrets(installed: Callable, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installation's keys, copied: this test adds to them and takes from them."""
    copy = tmp_path / "own-secrets"
    shutil.copytree(settings.secrets_directory, copy)
    monkeypatch.setenv("GOV_SECRETS_DIR", str(copy))
    return copy


def register(settings: Settings, secrets: Path, count: int) -> None:
    """Citizens with keys of every class."""

    async def go() -> None:
        database, now = Database(settings.database_url, pool_size=2), SystemClock().now()
        keys = DataKeys(LocalKeyProvider(secrets, DataClass))
        try:
            async with database.writing() as session:
                for _ in range(count):
                    await keys.create(session, citizen_id=new_id(now), classes=DataClass, now=now)
        finally:
            await database.close()

    asyncio.run(go())


def statuses(command: Callable) -> dict[str, dict[str, object]]:
    """What `keys status` says of each key-encryption key."""
    return {one.pop("kek_id"): one for one in json.loads(command("keys", "status", "--json").out)}


def logged(settings: Settings) -> list[tuple[str, str, str | None]]:
    """(action, object, reason) of what waits to be numbered, in its order."""

    async def go() -> list[bytes]:
        connection = await asyncpg.connect(settings.database_url)
        try:
            return [row["body"] for row in await connection.fetch("SELECT body FROM audit.pending ORDER BY placed_at")]
        finally:
            await connection.close()

    entries = [json.loads(body) for body in asyncio.run(go())]
    return [(entry["action"], entry["object"], entry["reason"]) for entry in entries if entry["kind"] == "key"]


def test_a_class_is_rotated_from_its_new_key_to_the_end_of_the_old_one(
    installed: Callable, settings: Settings, secrets: Path
) -> None:
    register(settings, secrets, 3)

    added = installed("keys", "add", "kek/permits", "--sm")
    early = installed("keys", "retire", "permits")
    before = statuses(installed)
    rotated = installed("keys", "rotate", "permits")
    again = installed("keys", "rotate", "permits")
    between = installed("keys", "status").out
    retired = installed("keys", "retire", "permits")
    after = statuses(installed)

    assert added.out == "permits/0002.sm\n"
    assert early.complaint == "3 data keys are wrapped under permits/0001: keys rotate permits"
    assert before["permits/0001"] == {
        "provider": "file",
        "suite": "AES_256_GCM",
        "newest": False,
        "held": True,
        "retired": False,
        "keys": 3,
        "of": 3,
        "destroyed": 0,
    }
    assert (before["permits/0002.sm"]["suite"], before["permits/0002.sm"]["newest"]) == ("SM4_GCM", True)
    assert rotated.out == "3 of 3 data keys wrapped anew, all under permits/0002.sm\n"
    assert rotated.err == "3 of 3 looked at, 3 wrapped anew\n"
    assert again.out == "0 of 3 data keys wrapped anew, all under permits/0002.sm\n"
    assert "permits/0001         file    AES_256_GCM  older    0 of 3 keys, 0 destroyed\n" in between
    assert "permits/0002.sm      file    SM4_GCM      wraps    3 of 3 keys, 0 destroyed\n" in between
    assert retired.out == "destroyed permits/0001\n"
    assert (after["permits/0001"]["retired"], after["permits/0001"]["held"]) == (True, False)
    assert not (secrets / "kek/permits/0001.key").exists()
    assert (after["permits/0002.sm"]["keys"], after["identity/0001"]["keys"]) == (3, 3)
    assert installed("keys", "retire", "permits").out == "permits has one key-encryption key here, and it wraps\n"
    assert logged(settings) == [
        ("kek.rewrapped", "kek:permits/0002.sm", "3 data keys"),
        ("kek.destroyed", "kek:permits/0001", None),
    ]


def test_a_key_that_wraps_and_whose_file_is_gone_is_told(
    installed: Callable, settings: Settings, secrets: Path
) -> None:
    register(settings, secrets, 1)
    installed("keys", "add", "kek/health")
    (secrets / "kek/health/0001.key").unlink()

    assert (
        "health/0001          file    AES_256_GCM  older    1 of 1 keys, 0 destroyed, NOT HELD HERE\n"
        in installed("keys", "status").out
    )
    assert installed("keys", "rotate", "health").complaint == "key-encryption key health/0001 is not held here"
    assert logged(settings) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("add", "licence", "--sm"), "only key-encryption keys (kek/CLASS) and blind-index serve by SM4 and SM3"),
        (("add", "kek/nothing"), "'kek/nothing' is the name of no signing key; they are "),
        (("add", "kek/../outside"), "'kek/../outside' is the name of no signing key; they are "),
    ],
)
def test_a_key_of_no_class_is_not_made(
    alone: Callable, tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    assert alone("keys", *arguments).complaint.startswith(complaint)
    assert list(tmp_path.iterdir()) == []


def test_without_a_database_it_is_said(alone: Callable) -> None:
    alone("keys", "init")
    for arguments in (("status",), ("rotate", "health"), ("retire", "health"), ("shred", "health/0001")):
        assert alone("keys", *arguments).complaint == "DATABASE_URL is not set"


def test_a_root_of_the_blind_indexes_is_added_and_followed(
    installed: Callable, settings: Settings, secrets: Path
) -> None:
    added = installed("keys", "add", "blind-index", "--sm")
    before = installed("keys", "status").out
    rotated = installed("keys", "rotate", "blind-index")
    again = installed("keys", "rotate", "blind-index", "--json")
    after = installed("keys", "status").out

    assert added.out == "blind-index/0002.sm\n"
    assert "blind-index: 2 roots, digests written under 1 of them; 0 of 0 are under all\n" in before
    assert rotated.out == "0 of 0 digests are under 2 roots\n"
    assert json.loads(again.out) == {"layers": 2, "followed_up": 0, "of": 0}
    assert "blind-index: 2 roots, digests written under 2 of them; 0 of 0 are under all\n" in after
    assert logged(settings) == [("blind-index.begun", "blind-index:0002", None)]
    (secrets / "blind-index" / "0002.sm.key").unlink()
    lacking = installed("keys", "rotate", "blind-index")
    assert lacking.complaint == "digests have 2 layers, and only 1 roots are held here"
