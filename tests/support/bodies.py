"""Two witnesses of two bodies, in this process, whom a publisher reaches over HTTP without a network."""

from __future__ import annotations

from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from httpx import ASGITransport

from gov_services.audit.cosignature import Ed25519Cosigner
from gov_services.audit.note import NoteKey
from gov_services.audit.witness import Witness, create_witness_app, logs_of
from gov_services.audit.witnesses import WitnessPolicy
from gov_services.kit.clock import FrozenClock


class Bodies:
    """Two witnesses of two bodies, who answer or do not."""

    def __init__(self, folder: Path, log: NoteKey, clock: FrozenClock) -> None:
        self.cosigners = [Ed25519Cosigner(f"w{number}.example", Ed25519PrivateKey.generate()) for number in (1, 2)]
        self.witnesses = [
            Witness([cosigner], logs_of([log]), folder / cosigner.name, clock) for cosigner in self.cosigners
        ]
        self.away: set[str] = set()
        self._apps = {
            cosigner.name: ASGITransport(create_witness_app(witness))  # type: ignore[arg-type]
            for cosigner, witness in zip(self.cosigners, self.witnesses, strict=True)
        }

    def policy(self, wanted: str) -> WitnessPolicy:
        lines = [f"witness {one.name} {one.key} http://{one.name}/" for one in self.cosigners]
        return WitnessPolicy.parse("\n".join([*lines, f"group G {wanted} w1.example w2.example", "quorum G"]))

    def seen(self, origin: str) -> set[int]:
        """The sizes that they cosigned last."""
        notes = [witness.latest(origin) for witness in self.witnesses]
        return {int(note.split("\n")[1]) for note in notes if note}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host in self.away:
            raise httpx.ConnectError("nobody listens there")
        return await self._apps[request.url.host].handle_async_request(request)
