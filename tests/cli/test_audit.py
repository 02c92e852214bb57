"""`gov-services audit`: a sound log verifies, an entry is proved offline, and what was tampered with is named."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gov_services.audit.verify import CHECKS
from gov_services.kit.database import Database
from gov_services.kit.settings import Settings


@pytest.fixture
def logged(governed: Callable, integrate: Callable[[], None]) -> Callable:
    """The command, over a log of two entries under a signed checkpoint."""
    assert governed("client", "add", "west-bank", "--title", "西岸银行").status == 0
    integrate()
    return governed


def query(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements where triggers may be turned off; rows of the last."""

    async def go() -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return [tuple(row) for row in await connection.fetch(statements[-1])]
        finally:
            await connection.close()

    return asyncio.run(go())


def test_a_log_that_was_tampered_with_is_found_and_its_entry_named(
    logged: Callable, administrator: Database, settings: Settings
) -> None:
    sound = logged("audit", "verify")
    as_json = json.loads(logged("audit", "verify", "--json").out)

    assert sound.status == 0, sound
    assert sound.out.splitlines()[-1] == "3 entries, 3 under 1 signed checkpoints"
    # Nothing has been published, so that there are no tiles to compare.
    assert [line.split()[1] for line in sound.out.splitlines()[:-1]] == [
        "--" if check == 11 else "ok" for check in CHECKS
    ]
    assert as_json == {"entries": 3, "covered": 3, "findings": []}

    query(
        administrator.engine.url.set(drivername="postgresql").render_as_string(hide_password=False),
        "SET session_replication_role = replica",
        "UPDATE audit.entry SET body = convert_to("
        "replace(convert_from(body, 'UTF8'), 'west-bank', 'east-bank'), 'UTF8') WHERE seq = 2",
    )
    tampered = logged("audit", "verify")
    findings = json.loads(logged("audit", "verify", "--json").out)["findings"]

    assert tampered.status == 1
    assert "   ENTRY_ALTERED entry 2: its text is not what its commitment commits to" in tampered.out.splitlines()
    assert findings == [{"check": 3, "fault": "ENTRY_ALTERED", "where": "entry 2"}]


def test_an_exported_log_verifies_without_a_database(
    logged: Callable, nothing_set: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "exported"
    assert logged("audit", "export", str(folder)).out == "3 entries in 1 files, 1 checkpoints\n"
    assert "is not empty" in logged("audit", "export", str(folder)).complaint
    nothing_set.delenv("DATABASE_URL")

    sound = logged("audit", "verify", "--export", str(folder))
    assert sound.status == 0, sound
    *checks, batches, _ = sound.out.splitlines()
    assert [line.split()[1] for line in checks] == ["ok", "ok", "ok", "ok", "--", "ok", "ok", "ok"]
    assert " batches of writers, from entry 0 on, " in batches
    assert sound.out.splitlines()[-1].startswith("3 entries, 1 checkpoints, 0 roots of the map of subjects, ")

    note = tmp_path / "note"
    note.write_text((folder / "checkpoints.txt").read_text().split("\f")[0][:-1])
    held = logged("audit", "verify", "--export", str(folder), "--published", str(note))
    assert [line.split()[1] for line in held.out.splitlines()[:-2]] == ["ok"] * 8

    (file,) = (folder / "entries").iterdir()
    file.write_text(file.read_text().replace("west-bank", "east-bank"))
    found = json.loads(logged("audit", "verify", "--export", str(folder), "--json").out)
    assert [(one["fault"], one["where"]) for one in found["findings"]] == [
        ("HISTORY_REWRITTEN", "checkpoint 3"),
        ("ENTRY_PLANTED", "entry 2"),
    ]
    assert logged("audit", "verify", "--export", str(tmp_path)).complaint == f"{tmp_path} holds no export"


def test_an_entry_is_proved_by_a_file_and_by_no_other(logged: Callable, settings: Settings, tmp_path: Path) -> None:
    ((entry_id,),) = query(settings.database_url, "SELECT id FROM audit.entry WHERE seq = 2")
    proof = tmp_path / "proof.json"
    proof.write_text(logged("audit", "prove", str(entry_id)).out)

    verified = logged("audit", "verify", str(proof))

    assert verified.status == 0, verified
    steps = verified.out.splitlines()
    assert [step.partition(".")[0] for step in steps] == [str(number + 1) for number in range(len(steps))]
    assert len(steps) >= 4
    told = json.loads(proof.read_text())
    entry = base64.b64decode(told["entry"])
    assert b"west-bank" in entry
    told["entry"] = base64.b64encode(entry.replace(b"west-bank", b"east-bank")).decode()
    proof.write_text(json.dumps(told))
    refused = logged("audit", "verify", str(proof))
    assert refused.complaint.startswith("the evidence proves nothing: ")
    assert refused.out == ""


def test_an_entry_that_is_not_there_is_not_proved(logged: Callable) -> None:
    nobody = uuid4()
    refused = logged("audit", "prove", str(nobody))
    assert refused.complaint == f"there is no entry {nobody}"
    assert refused.out == ""


def test_a_log_signed_by_another_key_does_not_verify(
    logged: Callable, nothing_set: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    strangers = tmp_path / "strangers"
    shutil.copytree(settings.secrets_directory / "signing", strangers / "signing")
    shutil.rmtree(strangers / "signing" / "log")
    for name in ("signing/log", "db"):
        (strangers / name).mkdir(mode=0o700)
    (key,) = (settings.secrets_directory / "signing" / "log").glob("*.pub")
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    (strangers / "signing" / "log" / key.name).write_text(public.hex())
    (strangers / "db" / "privacy").write_bytes((settings.secrets_directory / "db" / "privacy").read_bytes())
    nothing_set.setenv("GOV_SECRETS_DIR", str(strangers))

    verified = logged("audit", "verify", "--json")

    assert verified.status == 1
    assert {finding["fault"] for finding in json.loads(verified.out)["findings"]} == {"CHECKPOINT_FORGED"}


def test_a_history_is_proved_whole_by_a_file_and_by_no_other(
    logged: Callable, settings: Settings, tmp_path: Path
) -> None:
    early = logged("audit", "prove-history", "00" * 16)
    assert early.status == 1
    assert "signed checkpoint" in early.complaint
    assert logged("audit", "prove-history", "zz").complaint.startswith("zz is no tag")

    asyncio.run(mapped(settings))
    proof = tmp_path / "history.json"
    proof.write_text(logged("audit", "prove-history", MAPPED.hex()).out)
    steps = logged("audit", "verify", str(proof)).out.splitlines()
    assert [step.partition(".")[0] for step in steps] == ["1", "2", "3", "4", "5", "6"]
    assert steps[2] == "3. entries: 2 listed, 2 of them opened"
    told = json.loads(proof.read_text())
    del told["entries"][0]
    proof.write_text(json.dumps(told, separators=(",", ":"), sort_keys=True, ensure_ascii=False))
    refused = logged("audit", "verify", str(proof))
    assert refused.complaint.startswith("the evidence proves nothing: step ")
    assert refused.out == ""


def test_a_witness_whose_body_finds_an_export_wrong_cosigns_no_more(
    logged: Callable, settings: Settings, tmp_path: Path
) -> None:
    folder, witness = tmp_path / "exported", tmp_path / "witness"
    witness.mkdir()
    logged("audit", "export", str(folder))
    given = ("audit", "verify", "--export", str(folder), "--witness", str(witness))
    assert logged(*given).status == 0
    assert list(witness.rglob("*.given-up")) == []
    (file,) = (folder / "entries").iterdir()
    file.write_text(file.read_text().replace("west-bank", "east-bank"))
    wrong = logged(*given)
    assert wrong.status == 1
    assert "cosigns" in wrong.complaint
    (left,) = witness.rglob("*.given-up")
    assert left.read_text().startswith("HISTORY_REWRITTEN checkpoint 3: ")
    assert (
        logged(*given[:2], "--witness", str(witness)).complaint == "--witness needs --export: a witness has no database"
    )


MAPPED = bytes(range(16))


async def mapped(settings: Settings) -> None:
    """Two entries about somebody, in the map of subjects; its root signed."""
    from gov_services.audit.describe import Describer
    from gov_services.audit.entry import Entry, EntryKind
    from gov_services.audit.integrate import Integrator
    from gov_services.audit.log import AuditLog
    from gov_services.audit.map_subjects import Mapper
    from gov_services.crypto.signing import SigningKey, VerifyKeys
    from gov_services.kit.clock import SystemClock
    from gov_services.kit.ids import new_id

    clock, secrets = SystemClock(), settings.secrets_directory
    audit = Database(settings.room_database_url("audit"), pool_size=4)
    privacy = Database(settings.room_database_url("privacy"), pool_size=2)
    key, keys = SigningKey.load(secrets, "log"), VerifyKeys.load(secrets, "log")
    integrator = Integrator(audit, key, clock, keys=keys, origin=settings.log_origin)
    own = AuditLog(audit.engine, room="audit", key=SigningKey.load(secrets, "writer-audit"))
    log = AuditLog(privacy.engine, room="privacy", key=SigningKey.load(secrets, "writer-privacy"), lag_limit_s=1e9)
    said = {"room": "privacy", "kind": EntryKind.READ, "action": "disclosure", "actor": "system", "actor_tag": None}
    said |= {
        "client": "x",
        "purpose": "p",
        "entrance": "e",
        "subject_tag": MAPPED,
        "outcome": "allowed",
        "request": "r",
    }
    await log.append([Entry(id=new_id(clock.now()), at=clock.now(), **said) for _ in range(2)])
    await integrator.run_once()
    await Describer(audit).run_once()
    await Mapper(audit, own, clock).run_once()
    await integrator.run_once()
    for one in (log, own, audit, privacy):
        await one.close()
