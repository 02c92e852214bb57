"""`gov-services keys …` where key-encryption keys are on a token or in Vault: made, rotated, killed, shred."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
import soft_tokens
from transit_server import Transit, transit_server

from gov_services.cli.key_making import operator_keys
from gov_services.cli.key_sets import KEY_SETS, export_keys
from gov_services.crypto.data_keys import DataKeys
from gov_services.crypto.keys import WRITERS, DataClass, KeyRefused, KeysUnavailable
from gov_services.gateway.errors import UNAVAILABLE_CODES, status_of
from gov_services.healthcode import app as healthcode_app
from gov_services.kit.clock import SystemClock
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id
from gov_services.kit.settings import Settings, load_settings
from gov_services.kit.valkey import create_client
from gov_services.permits import app as permits_app
from gov_services.subgraph.composition import open_keys

HEALTH = DataClass.HEALTH


@pytest.fixture
def transit() -> Iterator[Transit]:
    """A transit engine of this test's own."""
    with transit_server() as served:
        yield served


@pytest.fixture
def secrets(installed: Callable, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installation's keys, copied: this test adds to them and takes from them."""
    copy = tmp_path / "own-secrets"
    shutil.copytree(settings.secrets_directory, copy)
    monkeypatch.setenv("GOV_SECRETS_DIR", str(copy))
    return copy


@pytest.fixture(params=["file", "pkcs11", "vault"])
def keeper(request: pytest.FixtureRequest, secrets: Path, transit: Transit, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installation whose newest health key is in this provider; its id."""
    name = str(request.param)
    if name != "file":
        monkeypatch.setenv("GOV_KEY_PROVIDERS", f"{name},file")
    if name == "pkcs11":
        soft_tokens.write_pins(secrets / "pkcs11")
        monkeypatch.setenv("GOV_PKCS11_MODULE", soft_tokens.module())
        monkeypatch.setenv("GOV_PKCS11_PREFIX", soft_tokens.fresh_prefix())
    if name == "vault":
        monkeypatch.setenv("GOV_VAULT_URL", transit.url)
        write_token(secrets, "operator")
    return name


def write_token(secrets: Path, holder: str) -> None:
    """The token file of a holder."""
    path = secrets / "vault" / f"{holder}.token"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(holder)
    path.chmod(0o600)


def register(settings: Settings, count: int) -> None:
    """Citizens with a health key, wrapped by whatever the environment says."""

    async def go() -> None:
        database, now = Database(settings.database_url, pool_size=2), SystemClock().now()
        keys = DataKeys(operator_keys(load_settings(), [HEALTH]))
        try:
            async with database.writing() as session:
                for _ in range(count):
                    await keys.create(session, citizen_id=new_id(now), classes=[HEALTH], now=now)
        finally:
            await database.close()

    asyncio.run(go())


def counts(command: Callable) -> dict[str, int]:
    """Health keys under each key-encryption key that wraps any."""
    found = json.loads(command("keys", "status", "--json").out)
    return {one["kek_id"]: one["keys"] for one in found if one["keys"]}


def process(*arguments: str) -> subprocess.Popen[str]:
    """The command as a process of its own, in this test's environment."""
    start = "import sys; from gov_services.cli.main import main; sys.argv[0] = 'gov-services'; sys.exit(main())"
    command = [sys.executable, "-c", start, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


def first_line(stream: IO[str] | None) -> str:
    """What comes first, waited for."""
    assert stream is not None
    return stream.readline()


def test_a_rotation_that_is_killed_is_begun_again_by_two_at_once_and_the_old_key_shred(
    installed: Callable, settings: Settings, keeper: str
) -> None:
    many = 2_500 if keeper == "file" else 700
    if keeper != "file":
        installed("keys", "add", "kek/health")
    register(settings, many)
    (old,) = counts(installed)
    new = installed("keys", "add", "kek/health").out.strip()
    refused = installed("keys", "shred", old)
    assert refused.complaint == f"{many} data keys are wrapped under {old}: keys rotate health"

    killed = process("keys", "rotate", "health")
    said = first_line(killed.stderr)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert f"of {many} looked at" in said
    halfway = counts(installed)
    assert sum(halfway.values()) == many
    assert halfway[new] > 0

    both = [process("keys", "rotate", "health", "--json") for _ in range(2)]
    done = [json.loads(one.communicate()[0]) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert sum(one["rewrapped"] for one in done) == halfway.get(old, 0)
    assert counts(installed) == {new: many}

    assert (
        installed("keys", "shred", new).complaint
        == f"{new} wraps new keys: keys add kek/health, then keys rotate health"
    )
    assert json.loads(installed("keys", "shred", old, "--json").out) == {"destroyed": [old]}
    assert installed("keys", "shred", old).out == f"{old} was destroyed before\n"
    assert old not in operator_keys(load_settings(), [HEALTH]).held(HEALTH)
    assert installed("keys", "shred", "health/7777").complaint == "key-encryption key health/7777 is not held here"
    assert installed("keys", "shred", "../x").complaint.startswith("'../x' is no key-encryption key")


def test_an_installation_begins_without_key_files_and_each_room_gets_what_it_needs(
    alone: Callable, nothing_set: pytest.MonkeyPatch, tmp_path: Path, transit: Transit
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir(mode=0o700)
    soft_tokens.write_pins(secrets / "pkcs11")
    nothing_set.setenv("GOV_KEY_PROVIDERS", "pkcs11")
    nothing_set.setenv("GOV_PKCS11_MODULE", soft_tokens.module())
    nothing_set.setenv("GOV_PKCS11_PREFIX", soft_tokens.fresh_prefix())

    made = alone("keys", "init")
    assert "made kek/health/0001.p11\n" in made.out
    assert not (secrets / "kek").exists()
    assert "0 made" in alone("keys", "init").out
    assert alone("keys", "init", "--sm").complaint.startswith("key-encryption keys serve by SM4 in files only")

    names = export_keys(secrets, "permits", tmp_path / "permits")
    assert {name for name in names if name.startswith(("pkcs11", "vault", "kek"))} == {
        "pkcs11__permits.pin",
        "pkcs11__audit.pin",
    }
    for room in ("operator", "permits", "identity"):
        write_token(secrets, room)
    names = export_keys(secrets, "identity", tmp_path / "identity")
    assert [name for name in names if name.startswith("vault")] == ["vault__identity.token"]
    shutil.rmtree(secrets / "pkcs11")
    with pytest.raises(KeyRefused, match=r"there is no kek/health/\*\.key or pkcs11/health\.pin or vault/healthcode"):
        export_keys(secrets, "healthcode", tmp_path / "healthcode")
    assert not any("operator" in pattern for patterns in KEY_SETS.values() for pattern in patterns)


def test_a_provider_that_is_away_is_said_in_one_line(
    installed: Callable, secrets: Path, transit: Transit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOV_KEY_PROVIDERS", "vault,file")
    monkeypatch.setenv("GOV_VAULT_URL", transit.url)
    write_token(secrets, "operator")
    transit.status = 503
    for arguments in (("status",), ("rotate", "health"), ("retire", "health"), ("add", "kek/health"), ("init",)):
        complaint = installed("keys", *arguments).complaint
        assert complaint == "The keys cannot be reached, so no personal data is given. Please try again later."


async def test_rooms_start_by_their_own_tokens_and_are_not_ready_while_vault_is_away(
    governed: Callable, settings: Settings, tmp_path: Path, transit: Transit
) -> None:
    secrets = tmp_path / "vault-secrets"
    shutil.copytree(settings.secrets_directory, secrets)
    for room in WRITERS:
        write_token(secrets, room)
    transit.policies |= {"permits": ("gov-permits", "gov-audit"), "identity": ("gov-",)}
    moved = dataclasses.replace(
        settings, secrets_directory=secrets, key_providers="vault,file", vault_url=transit.url, vault_prefix="gov"
    )
    operator, now = DataKeys(open_keys(moved, DataClass, holder="identity")), SystemClock().now()
    for data_class in DataClass:
        open_keys(moved, DataClass, holder="identity").add(data_class)
    database = Database(settings.database_url, pool_size=1)
    try:
        async with database.writing() as session:
            await operator.create(session, citizen_id=new_id(now), classes=DataClass, now=now)
    finally:
        await database.close()

    valkey = create_client(settings.valkey_url)
    try:
        for status, ready in ((503, False), (None, True)):
            transit.status = status
            permits = await permits_app.create_room(moved, clock=SystemClock(), valkey=valkey)
            # Its policy names none of its keys: what it is refused it does not open.
            health = await healthcode_app.create_room(moved, clock=SystemClock(), valkey=valkey)
            try:
                assert await permits.has_right_keys() is ready
                assert not await health.has_right_keys()
                if not ready:
                    with pytest.raises(KeysUnavailable):
                        await permits.require_right_keys()
            finally:
                await permits.close()
                await health.close()
    finally:
        await valkey.aclose()
    assert status_of(KeysUnavailable()) == 503
    assert KeysUnavailable.code in UNAVAILABLE_CODES


def test_who_goes_back_to_files_gets_a_name_that_was_not_retired(
    installed: Callable, settings: Settings, secrets: Path, transit: Transit, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(settings, 2)
    monkeypatch.setenv("GOV_VAULT_URL", transit.url)
    write_token(secrets, "operator")
    for providers, new, gone in (
        ("vault,file", "health/0001.vault", "health/0001"),
        ("file,vault", "health/0002", "health/0001.vault"),
    ):
        monkeypatch.setenv("GOV_KEY_PROVIDERS", providers)
        assert installed("keys", "add", "kek/health").out == f"{new}\n"
        assert installed("keys", "rotate", "health").status == 0
        assert counts(installed) == {new: 2}
        if gone == "health/0001":
            assert installed("keys", "retire", "health").out == f"destroyed {gone}\n"
