"""`gov-services audit witness`: one command, on a machine that has nothing of ours, and a log is witnessed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gov_services.audit.checkpoint import Checkpoint, sign_checkpoint, verifier_key
from gov_services.audit.cosignature import cosigned_at
from gov_services.audit.merkle import consistency_proof, leaf_hash, root
from gov_services.audit.note import NoteKey, signature_lines
from gov_services.audit.witness import request_body
from gov_services.crypto.signing import SigningKey

LOG = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))), "log-1")
ORIGIN = "gov.example/log"
LEAVES = [leaf_hash(str(number).encode()) for number in range(9)]
STARTS_WITHIN_S = 30
COMMAND = "from gov_services.cli.main import main; main()"


@contextmanager
def witnessing(folder: Path) -> Iterator[tuple[str, list[NoteKey]]]:
    """A witness that serves, and its keys as it prints them."""
    arguments = ("--name", "witness.example/w1", "--log", verifier_key(ORIGIN, LOG.public_bytes), "--port", "0")
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "audit", "witness", str(folder), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder.parent)},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        assert said.startswith("witnessing at "), said + process.stderr.read()
        keys = [NoteKey.parse(process.stdout.readline()) for _ in range(2)]
        yield said.split()[-1], keys
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(STARTS_WITHIN_S) == 0
        process.stdout.close()
        process.stderr.close()


def test_a_second_body_witnesses_a_log_by_its_key_alone(tmp_path: Path) -> None:
    def note(size: int) -> str:
        return sign_checkpoint(Checkpoint(ORIGIN, size, root(LEAVES[:size])), LOG)

    with witnessing(tmp_path / "witness") as (address, keys):
        first = httpx.post(f"{address}/add-checkpoint", content=request_body(0, [], note(4)))
        assert first.status_code == 200
        for line, key in zip(signature_lines(first.text), keys, strict=True):
            cosigned_at(line, key, Checkpoint(ORIGIN, 4, root(LEAVES[:4])))
    with witnessing(tmp_path / "witness") as (address, again):
        assert again == keys
        late = httpx.post(f"{address}/add-checkpoint", content=request_body(0, [], note(9)))
        assert (late.status_code, late.text) == (409, "4\n")
        proof = consistency_proof(LEAVES, 4)
        assert httpx.post(f"{address}/add-checkpoint", content=request_body(4, proof, note(9))).status_code == 200
    assert {path.name for path in (tmp_path / "witness").iterdir()} == {"ed25519.pem", "ml-dsa-44.pem", "seen"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "witness").glob("*.pem"))


def test_what_is_no_key_of_a_log_is_refused_in_a_line(alone: Callable, tmp_path: Path) -> None:
    complaint = alone("audit", "witness", str(tmp_path / "w"), "--name", "w.example", "--log", "x").complaint
    assert complaint == "--log x: a key is written name+hash+base64"


def test_a_key_that_others_may_read_is_refused(alone: Callable, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context():
        key = verifier_key(ORIGIN, LOG.public_bytes)
        (tmp_path / "w").mkdir()
        (tmp_path / "w" / "ed25519.pem").write_text("x")
        (tmp_path / "w" / "ed25519.pem").chmod(0o644)
        complaint = alone("audit", "witness", str(tmp_path / "w"), "--name", "w.example", "--log", key).complaint
    assert complaint.endswith("can be read by others: chmod 600")
