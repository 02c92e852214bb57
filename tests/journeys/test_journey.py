"""The story that always works, played over HTTP; and what it leaves behind, which nobody can read."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis
from what_opens import Dump, take_dump

from gov_services.cli.demo import play_on
from gov_services.cli.running import system
from gov_services.crypto import rotation
from gov_services.crypto.keys import DataClass, LocalKeyProvider, add_kek, destroy_file, kek_path
from gov_services.devstack.journey import permit_steps, play
from gov_services.devstack.journey.town import Person
from gov_services.kit.database import Database
from gov_services.kit.settings import PROJECT_ROOT, Settings
from gov_services.privacy.service import erasure

PERSON = Person("测试甲", "99999919900307100X", "13900001234", "示例市东区银杏路 7 号 3 单元")


async def test_all_seventeen_steps_come_out_and_leave_nothing_in_clear_and_nothing_that_opens(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = dataclasses.replace(settings, log_store=str(tmp_path / "published"))
    (tmp_path / "published").mkdir()
    kept: list[Dump] = []
    erase = erasure.request_erasure

    async def dumped_before(*args: Any, **more: Any) -> Any:
        kept.append(await take_dump(settings.database_url))
        return await erase(*args, **more)

    monkeypatch.setattr(erasure, "request_erasure", dumped_before)
    invented: list[Person] = []

    original = play.invent_person

    def remembered(name: str) -> Person:
        invented.append(original(name))
        return invented[-1]

    monkeypatch.setattr(play, "invent_person", remembered)
    lines: list[str] = []
    async with system(settings) as running:
        told, complete = await play_on(running, tell=lines.append)

    assert complete, lines[-3:]
    assert [step["step"] for step in told] == list(range(1, 18))
    assert lines[-1] == "journey complete: 17/17"
    (person,) = invented
    secrets = [person.name, person.number, person.phone, f"+86{person.phone}", person.address]
    secrets += [
        permit_steps.BUSINESS,
        permit_steps.RIGHT_SCOPE,
        permit_steps.WRONG_SCOPE * 3,
        permit_steps.PROOF.decode(),
    ]
    dump = await text_dump(settings.database_url)
    assert "individual-business-licence" in dump  # it is a dump of what was played
    dump += await valkey_dump(settings.valkey_url)
    dump += "".join(
        path.read_bytes().hex() for path in (settings.runtime_directory / "documents").rglob("*") if path.is_file()
    )
    published = [path for path in (tmp_path / "published").rglob("*") if path.is_file()]
    assert any("tile" in str(path) for path in published)
    dump += "".join(path.read_bytes().hex() for path in published)
    printed = capfd.readouterr()
    dump += printed.out + printed.err
    for secret in secrets:
        for form in forms_of(secret):
            assert form not in dump, f"{secret!r} as {form!r}"
    await require_erased(settings, kept[0], person)


async def require_erased(settings: Settings, before: Dump, person: Person) -> None:
    """What was erased opens by no key that is left; nor does a dump from before, once its key files are retired."""
    secrets, erased = settings.secrets_directory, (DataClass.IDENTITY, DataClass.HEALTH)
    opened = before.opened(before.keys(secrets, erased), of=erased)
    assert person.name.encode() in opened  # before, somebody with the key files and the database could read it
    after = await take_dump(settings.database_url)
    citizens = {box.citizen_id for box in before.boxes if box.column.coordinate == "Citizen.name"}
    assert not [key for key in after.wrapped if key[0] in citizens and key[1] in erased]
    left = list(after.keys(secrets, DataClass))
    assert left  # what a law has kept still opens
    assert before.opened(left, of=erased) == after.opened(left, of=erased) == []
    # The dump itself opens until the key-encryption keys of its time are retired, on the calendar.
    database = Database(settings.database_url)
    try:
        for data_class in erased:
            old = LocalKeyProvider(secrets, [data_class]).newest(data_class)
            add_kek(secrets, data_class)
            async with database.writing() as session:
                await rotation.rewrap(
                    session, LocalKeyProvider(secrets, [data_class]), data_class=data_class, after=None
                )
                await rotation.retire(session, data_class=data_class, kek_id=old, now=dt.datetime.now(dt.UTC))
            destroy_file(kek_path(secrets, old))
    finally:
        await database.close()
    assert before.opened(before.keys(secrets, erased), of=erased) == []


async def text_dump(url: str) -> str:
    """Every row of every table as text; bytes as hexadecimal, as PostgreSQL prints them."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        lines = []
        for table in tables:
            name = f'"{table["schemaname"]}"."{table["tablename"]}"'
            rows = await connection.fetch(f"SELECT row_to_json(t)::text || t::text AS line FROM {name} AS t")
            lines += [f"{name} {row['line']}" for row in rows]
        return "\n".join(lines)
    finally:
        await connection.close()


async def valkey_dump(url: str) -> str:
    """Every key with its value as Valkey serializes it, in hexadecimal."""
    lines = []
    async with Redis.from_url(url) as client:
        async for key in client.scan_iter():
            lines.append(f"{key!r} {bytes(key).hex()} {bytes(await client.dump(key) or b'').hex()}")
    return "\n".join(lines)


def forms_of(secret: str) -> Iterator[str]:
    """The value in clear, escaped, in hexadecimal, and in base64 wherever it begins."""
    data = secret.encode()
    yield secret
    yield json.dumps(secret)[1:-1]
    yield data.hex()
    for skipped in range(3):
        encoded = base64.b64encode(bytes(skipped) + data).decode()
        # The characters at both ends also depend on what lies beside the value.
        yield encoded[(4 if skipped else 0) : len(encoded) - 4]


def test_the_forms_find_what_they_look_for() -> None:
    around = b"xy" + PERSON.number.encode() + b"z" * 7
    for shift in range(3):
        text = base64.b64encode(b"s" * shift + around).decode()
        assert any(form in text for form in forms_of(PERSON.number))
    assert any(form in around.hex() for form in forms_of(PERSON.number))


@pytest.mark.slow
def test_the_command_names_the_step_where_a_broken_service_stops_it(tmp_path: Path) -> None:
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "GOV_RUNTIME_DIR": str(tmp_path / "run"),
        "GOV_SECRETS_DIR": str(tmp_path / "run" / "secrets"),
        "GOV_PAYMENT_CHANNEL_URL": "http://127.0.0.1:9",
    }

    done = run_demo(environment)

    assert done.returncode == 1, done.stderr
    told: list[dict[str, Any]] = json.loads(done.stdout)
    assert [step["ok"] for step in told] == [True] * 7 + [False]
    assert told[-1]["step"] == 8


def run_demo(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`gov-services demo --json` in a process of its own."""
    command = [sys.executable, "-c", "from gov_services.cli.main import main; main()", "demo", "--json"]
    return subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, timeout=110, check=False
    )
