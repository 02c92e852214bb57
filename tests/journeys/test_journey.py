"""The story that always works, played over HTTP; and what it leaves behind, which nobody can read."""

from __future__ import annotations

import base64
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

from gov_services.cli.demo import play_on
from gov_services.cli.running import system
from gov_services.devstack.journey import permit_steps, play
from gov_services.devstack.journey.town import Person
from gov_services.kit.settings import PROJECT_ROOT, Settings

PERSON = Person("测试甲", "99999919900307100X", "13900001234", "示例市东区银杏路 7 号 3 单元")


async def test_all_seventeen_steps_come_out_and_leave_nothing_in_clear(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    for secret in secrets:
        for form in forms_of(secret):
            assert form not in dump, f"{secret!r} as {form!r}"


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
