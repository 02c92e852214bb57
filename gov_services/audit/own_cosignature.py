"""The log's second signature on what is published: ML-DSA-44, under the log's own name. It publishes nothing.

It is a cosignature like a witness's (C2SP tlog-cosignature, type 0x06), so that tools which know those verify it, and
those which know only the log's Ed25519 let it be. On what is published and not on every checkpoint: 2,420 bytes each
would be most of what a log of seconds keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gov_services.audit.checkpoint import Checkpoint, CheckpointRefused
from gov_services.audit.cosignature import CosignatureRefused, MlDsa44Cosigner, cosigned_at
from gov_services.audit.note import COSIGNATURE_MLDSA44, NoteKey, divide
from gov_services.crypto import quantum_safe

NAME = "log-ml-dsa-44"


def own_cosigner(secrets: Path, origin: str) -> MlDsa44Cosigner | None:
    """Who signs so; None where the installation has no such key. Raises KeyRefused."""
    key = quantum_safe.private_key(secrets, NAME)
    return MlDsa44Cosigner(origin, key) if key is not None else None


def own_keys(secrets: Path, origin: str) -> tuple[NoteKey, ...]:
    """By which it is verified; none where none is known. Raises KeyRefused."""
    found = quantum_safe.public_keys(secrets, NAME)
    return tuple(NoteKey(origin, COSIGNATURE_MLDSA44, public) for public in found)


def require_own(note: str, checkpoint: Checkpoint, keys: Sequence[NoteKey]) -> None:
    """Return where one of `keys` signed `checkpoint` in `note`, or none is known. Raises CheckpointRefused.

    A signature that does not hold is refused also where another does.
    """
    known = {key.hash: key for key in keys}
    mine = [one for one in divide(note)[1] if one.name == checkpoint.origin and one.key_hash in known]
    try:
        for one in mine:
            cosigned_at(one, known[one.key_hash], checkpoint)
    except CosignatureRefused as refused:
        raise CheckpointRefused(f"by ML-DSA-44 {refused}") from refused
    if known and not mine:
        raise CheckpointRefused("it is not signed by ML-DSA-44, and the log has a key of that kind")
