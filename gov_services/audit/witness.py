"""A witness (C2SP tlog-witness): cosigns a checkpoint that continues the one before. It reads no log.

Another body runs it, on a machine of its own. It keeps one checkpoint for each log, and that is all it has to keep: the
note is on the disk before the cosignature leaves, and it never goes back. Where the same body was given the entries and
found them wrong (`give_up`), it cosigns that log no more.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from litestar import Litestar, Request, Response, post
from litestar.exceptions import HTTPException

from gov_services.audit.checkpoint import Checkpoint, CheckpointRefused, open_checkpoint
from gov_services.audit.cosignature import Cosigner
from gov_services.audit.merkle import EMPTY_ROOT, ProofRefused, verify_consistency
from gov_services.audit.note import NoteKey, NoteRefused, decode, divide, signature_line
from gov_services.crypto.signing import VerifyKeys
from gov_services.kit.canonical import sha256
from gov_services.kit.clock import Clock

PROOF_LIMIT = 63
BODY_LIMIT_BYTES = 64 * 1024
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")

_log = structlog.get_logger("gov_services.witness")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the witness says to one submission."""

    status: int
    text: str = ""
    media_type: str = "text/plain"


class Witness:
    """The latest checkpoint of each log that it knows, in files of `directory`."""

    def __init__(
        self, cosigners: Sequence[Cosigner], logs: Mapping[str, VerifyKeys], directory: Path, clock: Clock
    ) -> None:
        """`logs`: their public keys, by origin."""
        self._cosigners = cosigners
        self._logs = logs
        self._directory = directory
        self._clock = clock
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def latest(self, origin: str) -> str | None:
        """The note that it cosigned last."""
        path = self._path(origin)
        return path.read_text() if path.exists() else None

    def add_checkpoint(self, body: str) -> Answer:
        """Take a submission: `old`, the proof, an empty line, the note."""
        try:
            old, proof, note = _parse(body)
            origin = divide(note)[0].partition("\n")[0]
        except (NoteRefused, ValueError) as malformed:
            return Answer(400, f"{malformed}\n")
        keys = self._logs.get(origin)
        if keys is None:
            return Answer(404, "no log of that name is known here\n")
        try:
            checkpoint = open_checkpoint(note, keys, origin=origin)
        except CheckpointRefused as refused:
            return Answer(403, f"{refused}\n")
        if self._given_up(origin).exists():
            return Answer(403, "the entries of this log were found to be wrong\n")
        if old > checkpoint.size:
            return Answer(400, "it is older than what it is said to continue\n")
        with self._turn(origin):
            return self._continue(old, proof, note, checkpoint, keys)

    def give_up(self, origin: str, reason: str) -> None:
        """Cosign that log no more, in whichever process, until a person takes the file away that this leaves."""
        self._given_up(origin).write_text(reason)

    def _given_up(self, origin: str) -> Path:
        return self._path(origin).with_suffix(".given-up")

    def _continue(
        self, old: int, proof: Sequence[bytes], note: str, checkpoint: Checkpoint, keys: VerifyKeys
    ) -> Answer:
        kept = self.latest(checkpoint.origin)
        before = open_checkpoint(kept, keys, origin=checkpoint.origin) if kept else None
        size = before.size if before else 0
        if old != size:
            return Answer(409, f"{size}\n", "text/x.tlog.size")
        try:
            _require_continues(before, checkpoint, proof)
        except ProofRefused as refused:
            # Signed by the log and no continuation: this is what a witness is for.
            _log.critical("log contradicts itself", origin=checkpoint.origin, before=kept, after=note)
            return Answer(422, f"{refused}\n")
        self._keep(checkpoint.origin, note)
        now = self._clock.now()
        return Answer(200, "".join(signature_line(one.cosign(checkpoint, now)) for one in self._cosigners))

    def _path(self, origin: str) -> Path:
        return self._directory / f"{sha256(origin.encode()).hex()[:32]}.checkpoint"

    @contextlib.contextmanager
    def _turn(self, origin: str) -> Iterator[None]:
        """One at a time, whichever process: between looking and keeping nobody else keeps."""
        with self._path(origin).with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _keep(self, origin: str, note: str) -> None:
        path = self._path(origin)
        partial = path.with_suffix(".new")
        with partial.open("w") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def logs_of(keys: Sequence[NoteKey]) -> dict[str, VerifyKeys]:
    """Public keys by origin, from how tools write them."""
    found: dict[str, dict[str, bytes]] = {}
    for key in keys:
        found.setdefault(key.name, {})[key.hash.hex()] = key.public
    return {origin: VerifyKeys(these) for origin, these in found.items()}


def request_body(old: int, proof: Sequence[bytes], note: str) -> str:
    """What a log submits."""
    lines = "".join(f"{base64.b64encode(digest).decode()}\n" for digest in proof)
    return f"old {old}\n{lines}\n{note}"


def create_witness_app(witness: Witness) -> Litestar:
    """The witness's one route."""

    @post("/add-checkpoint", status_code=200)
    async def add_checkpoint(request: Request[Any, Any, Any]) -> Response[str]:
        try:
            body = (await request.body()).decode()
        except UnicodeDecodeError:
            return Response("it is no text\n", status_code=400, media_type="text/plain")
        answer = await asyncio.to_thread(witness.add_checkpoint, body)
        return Response(answer.text, status_code=answer.status, media_type=answer.media_type)

    return Litestar(
        [add_checkpoint],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=BODY_LIMIT_BYTES,
        exception_handlers={HTTPException: _plain},
    )


def _plain(_: Request[Any, Any, Any], error: HTTPException) -> Response[str]:
    return Response(f"{error.detail}\n", status_code=error.status_code, media_type="text/plain")


def _parse(body: str) -> tuple[int, list[bytes], str]:
    head, blank, note = body.partition("\n\n")
    first, *lines = head.split("\n")
    found = _OLD.fullmatch(first)
    if not blank or found is None:
        raise ValueError("a submission is `old`, a proof, an empty line and a checkpoint")
    if len(lines) > PROOF_LIMIT:
        raise ValueError(f"a proof has {PROOF_LIMIT} hashes at most")
    return int(found[1]), [decode(line) for line in lines], note


def _require_continues(before: Checkpoint | None, after: Checkpoint, proof: Sequence[bytes]) -> None:
    if after.size == 0 and after.root != EMPTY_ROOT:
        raise ProofRefused("the empty tree has another root")
    if before is None or before.size == 0:
        if proof:
            raise ProofRefused("the empty tree needs no proof")
        return
    verify_consistency(old=before.size, new=after.size, old_root=before.root, new_root=after.root, proof=list(proof))
