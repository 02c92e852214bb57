"""A city that is backed up and restored as docs/operations.md says, and the restores that must not pass unnoticed."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from kept_city import Place, city, installed, note, published, until_signed
from postgres_tools import restore_database, tables_in
from structlog.testing import capture_logs
from what_opens import take_dump

from gov_services.audit.app import create_audit
from gov_services.audit.findings import Fault
from gov_services.audit.log import AuditLog
from gov_services.audit.verify import Report, Trust, verify_log
from gov_services.cli.installation import NotInstalled
from gov_services.cli.rooms import SUBGRAPHS, room_factory
from gov_services.crypto.data_keys import DataKeys
from gov_services.crypto.keys import DataClass, KeyRefused, LocalKeyProvider, init_keys
from gov_services.devstack.journey import account_steps, permit_steps
from gov_services.devstack.journey.town import Town
from gov_services.devstack.processes import free_port
from gov_services.devstack.valkey import ValkeyServer
from gov_services.kit.clock import SystemClock
from gov_services.kit.database import Database
from gov_services.kit.settings import Settings
from gov_services.kit.valkey import create_client

pytestmark = pytest.mark.untraced


@dataclass
class Past:
    """A city whose database was lost after a backup. 甲 stayed; 乙 asked for erasure after the backup was made."""

    place: Place
    stays: Town
    erased: Town


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all installations of this module lie."""
    return tmp_path_factory.mktemp("restore")


@pytest.fixture(scope="module")
def beginning(directory: Path) -> Iterator[Settings]:
    """What all installations here share: a Valkey, and the address that stands in tokens."""
    valkey = ValkeyServer(directory / "valkey", throw_away=True)
    valkey.start()
    yield Settings(
        environment="development", valkey_url=valkey.url, public_url=f"http://127.0.0.1:{free_port()}", pool_size=2
    )
    valkey.stop()


@pytest.fixture(scope="module")
def past(directory: Path, beginning: Settings) -> Past:
    """A backup made while the city ran, what changed after it, and then the end of its database."""
    (directory / "kept").mkdir()
    with installed(directory / "past", beginning, directory / "kept") as place:
        stays, erased = asyncio.run(live(place))
    return Past(place, stays, erased)


@pytest.fixture(scope="module")
def restored_once(directory: Path, beginning: Settings, past: Past) -> Iterator[tuple[Place, str]]:
    """A new empty server, on which the page's commands were run; with what they printed."""
    with installed(directory / "new", beginning, past.place.kept) as place:
        yield place, place.follow("restore")


@pytest.fixture
async def restored(restored_once: tuple[Place, str], tmp_path: Path) -> Place:
    """What was restored, for this test alone: a copy of the database, the keys and the files."""
    place, _ = restored_once
    name = f"copy_{tmp_path.name}"
    connection = await asyncpg.connect(place.settings.database_url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE gov_services')
    finally:
        await connection.close()
    for folder in ("run", "secrets"):
        shutil.copytree(place.settings.runtime_directory.with_name(folder), tmp_path / folder)
    settings = dataclasses.replace(
        place.settings,
        database_url=urlsplit(place.settings.database_url)._replace(path=f"/{name}").geturl(),
        runtime_directory=tmp_path / "run",
        secrets_directory=tmp_path / "secrets",
    )
    return Place(settings, place.postgres, place.kept)


@pytest.fixture
async def restored_without_data_keys(restored_once: tuple[Place, str], tmp_path: Path) -> Place:
    """The dump of the database alone, in a database of its own; with the keys and the files."""
    place, _ = restored_once
    name = f"bare_{tmp_path.name}"
    connection = await asyncpg.connect(place.settings.database_url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    finally:
        await connection.close()
    url = urlsplit(place.settings.database_url)._replace(path=f"/{name}").geturl()
    await asyncio.to_thread(restore_database, url, place.kept / "backup" / "database.dump")
    for folder in ("run", "secrets"):
        shutil.copytree(place.settings.runtime_directory.with_name(folder), tmp_path / folder)
    settings = dataclasses.replace(
        place.settings,
        database_url=url,
        runtime_directory=tmp_path / "run",
        secrets_directory=tmp_path / "secrets",
    )
    return Place(settings, place.postgres, place.kept)


async def live(place: Place) -> tuple[Town, Town]:
    """Two citizens register, one applies with a document; a backup; the other is erased; data keys are put by again."""
    async with city(place) as of:
        stays, erased = of("测试甲"), of("测试乙")
        for step in account_steps.STEPS[:3]:
            await step.play(erased)
        for step in (*account_steps.STEPS, *permit_steps.STEPS[:2]):
            await step.play(stays)
        await until_signed(place)
        await asyncio.to_thread(place.follow, "backup")
        await asyncio.to_thread(place.follow, "data keys")
        shutil.copy(place.kept / "data-keys" / "data-keys.dump", place.kept / "data-keys.older")
        await erased.ask(erased.citizen, "RequestErasure", {"input": {"confirm": True}})
        assert await codes_of(erased, "Me") == ["NOT_FOUND"]
        await until_signed(place)
        await asyncio.to_thread(place.follow, "data keys")
    return stays, erased


async def codes_of(
    town: Town, name: str, variables: dict[str, Any] | None = None, *, or_data: bool = False
) -> list[str]:
    """The codes of the errors that a document of the citizen's is answered with; no data comes with them."""
    answer = await town.ask(town.citizen, name, variables, expect_errors=True)
    if answer.get("errors") or not or_data:
        assert not any((answer.get("data") or {}).values()), answer
        assert town.person.name not in str(answer)
    return [error["extensions"]["code"] for error in answer.get("errors", ())]


async def test_a_city_is_restored_from_its_backup_and_goes_on(
    past: Past, restored_once: tuple[Place, str], restored: Place
) -> None:
    _, printed = restored_once
    lines = printed.splitlines()
    assert lines[0] == "the database is up to date"
    assert lines[1] == "models and database agree"
    assert [line.split(" ")[1] for line in lines[2:10]] == ["ok"] * 8
    before = published(restored).size
    citizen = past.stays

    async with city(restored, citizen):
        # The session of before the backup goes on: the keys of tokens are the same.
        assert (await citizen.ask(citizen.citizen, "Me"))["me"]["name"] == citizen.person.name
        application = (await citizen.ask(citizen.citizen, "MyApplication", {"id": citizen.memory["application"]}))[
            "application"
        ]
        assert (application["state"], application["applicantName"]) == ("SUBMITTED", citizen.person.name)
        document = await citizen.http.get(application["documents"][0]["content"]["url"])
        assert document.content == permit_steps.PROOF
        clerk = await citizen.staff_member("qian.registrar")
        clerk.reason = "invented"
        found = await citizen.ask(clerk, "FindCitizen", {"input": {"nationalId": citizen.person.number}})
        assert found["citizenByNationalId"]["id"] == citizen.memory["citizen_id"]
        begun = await permit_steps.open_case(citizen)
        assert begun != citizen.memory["application"]
        officer = await citizen.staff_member("wu.compliance")
        assert await until_signed(restored) > before
        report = (await citizen.ask(officer, "VerifyLog"))["verifyLog"]
        assert report["sound"] is True


async def test_an_erasure_made_after_the_backup_holds_by_the_newest_data_keys(past: Past, restored: Place) -> None:
    citizen = past.erased
    async with city(restored, citizen, past.stays):
        assert await codes_of(citizen, "Me") == ["NOT_FOUND"]
        assert (await past.stays.ask(past.stays.citizen, "Me"))["me"]["name"] == past.stays.person.name
    connection = await asyncpg.connect(restored.settings.database_url)
    try:
        destroyed = await connection.fetch(
            "SELECT data_class, reason, wrapped FROM keys.data_key WHERE destroyed_at IS NOT NULL ORDER BY data_class"
        )
    finally:
        await connection.close()
    # They never applied and never paid: no class of theirs is held but the log's.
    assert [row["data_class"] for row in destroyed] == ["health", "identity", "payments", "permits"]
    assert {(row["reason"], row["wrapped"]) for row in destroyed} == {("erasure", None)}


async def test_older_data_keys_bring_back_who_was_erased_since(past: Past, restored_without_data_keys: Place) -> None:
    place, citizen = restored_without_data_keys, past.erased
    await asyncio.to_thread(restore_database, place.settings.database_url, place.kept / "data-keys.older")

    async with city(place, citizen):
        assert (await citizen.ask(citizen.citizen, "Me"))["me"]["name"] == citizen.person.name


async def test_the_backup_of_the_database_holds_no_data_key_and_opens_nothing_with_all_key_files(
    past: Past, restored_without_data_keys: Place
) -> None:
    place, other = restored_without_data_keys, past.place
    held = await take_dump(place.settings.database_url)
    assert held.wrapped == ()
    assert len(held.boxes) > 10, "what is sealed is all there"

    database = Database(place.settings.database_url, pool_size=1)
    keys = DataKeys(LocalKeyProvider(other.kept / "keys", DataClass))
    try:
        async with database.reading() as session:
            wanted = {item: {box.citizen_id for box in held.boxes} for item in DataClass}
            found = await keys.load_classes(session, wanted=wanted, now=SystemClock().now())
    finally:
        await database.close()
    assert found == {item: {} for item in DataClass}

    # The dump of data keys holds them, and nothing that is sealed.
    tables = await asyncio.to_thread(tables_in, other.kept / "data-keys" / "data-keys.dump")
    assert tables == {"keys.data_key", "keys.holder", "keys.retired"}


async def test_without_the_keys_or_under_new_ones_nothing_starts(past: Past, restored: Place) -> None:
    citizen, secrets = past.stays, restored.settings.secrets_directory
    secrets.rename(secrets.with_name("lost"))
    refused = await asyncio.to_thread(restored.try_to_follow, "gov-services db upgrade")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"gov-services: there are no keys in {secrets}: gov-services keys init\n"

    shutil.copytree(secrets.with_name("lost"), secrets)
    shutil.rmtree(secrets / "kek")
    valkey = create_client(restored.settings.valkey_url)
    paying = dataclasses.replace(restored.settings, payment_channel_url="http://channel.test")
    for name in SUBGRAPHS:
        with pytest.raises(KeyRefused, match=r"is not there or not readable$"):
            await room_factory(name)(paying, clock=SystemClock(), valkey=valkey)
    await valkey.aclose()

    init_keys(secrets)
    with (
        capture_logs() as told,
        pytest.raises(NotInstalled, match=r"put its own back$"),
    ):
        async with city(restored, citizen):
            pass
    (refused_key,) = [line for line in told if line["log_level"] == "critical"]
    assert refused_key["reason"] == "the key was not wrapped under audit/0001"

    # Nothing was written over: the right files bring everything back.
    shutil.copytree(secrets.with_name("lost"), secrets, dirs_exist_ok=True)
    async with city(restored, citizen):
        assert (await citizen.ask(citizen.citizen, "Me"))["me"]["name"] == citizen.person.name


async def test_a_backup_older_than_the_published_checkpoint_is_never_signed_and_so_opens_nothing(
    past: Past, restored: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AuditLog.__init__.__kwdefaults__, "lag_limit_s", 0.5)
    citizen, log = past.stays, restored.settings.runtime_directory / "log"
    held = published(restored).size
    shutil.copytree(past.place.settings.runtime_directory / "log", log, dirs_exist_ok=True)
    newest = note(restored)
    told_elsewhere = published(restored).size
    assert told_elsewhere > held
    lies = (log / "tree" / "checkpoint").read_text()

    with capture_logs() as told:
        async with city(restored, citizen):
            deadline = time.monotonic() + 5
            while await codes_of(citizen, "Me", or_data=True) != ["AUDIT_UNAVAILABLE"]:
                assert time.monotonic() < deadline, "what is read goes on without a signature"
                await asyncio.sleep(0.1)
            assert (await citizen.http.get("/readyz")).status_code == 200
            # What was out before stays out, and nothing comes after it.
            assert (await citizen.http.get("/log/checkpoint")).text == lies
    unsigned = [line for line in told if line["event"] == "log not signed"]
    reason = f"a checkpoint of {told_elsewhere} was published, the database holds a tree of {held}"
    assert {(line["log_level"], line["error"]) for line in unsigned} == {("critical", reason)}
    assert note(restored) == newest
    report = await verified(restored, newest)
    assert [(one.check, one.fault, one.where) for one in report.findings] == [
        (7, Fault.HISTORY_REWRITTEN, f"published checkpoint {told_elsewhere}")
    ]

    # To go on all the same takes a person who puts the newer checkpoint aside; that it was so stays to be proved by it.
    log.rename(log.with_name("log.put-aside"))
    audit = create_audit(restored.settings)
    integrated = await audit.integrator.run_once()
    await audit.close()
    assert integrated is not None
    assert published(restored).size == integrated.size > held
    assert not (await verified(restored, newest)).sound


async def verified(place: Place, *published_elsewhere: str) -> Report:
    """The whole log checked, also against checkpoints that somebody kept."""
    database = Database(place.settings.room_database_url("privacy"), pool_size=1)
    trust = Trust.load(place.settings.secrets_directory, place.settings.log_origin)
    try:
        async with database.reading() as session:
            return await verify_log(session, trust, published=published_elsewhere)
    finally:
        await database.close()
