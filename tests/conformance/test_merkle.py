"""Proofs of transparency-dev/merkle (`testdata/inclusion`, `testdata/consistency`): every one as published."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from gov_services.audit.merkle import ProofRefused, verify_consistency, verify_inclusion


def _hash(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def _is_taken(case: dict[str, object]) -> bool:
    proof = [_hash(item) for item in case["proof"] or ()]  # type: ignore[attr-defined]
    try:
        if "leafIdx" in case:
            verify_inclusion(
                leaf=_hash(case["leafHash"]),  # type: ignore[arg-type]
                index=int(case["leafIdx"]),  # type: ignore[call-overload]
                size=int(case["treeSize"]),  # type: ignore[call-overload]
                proof=proof,
                expected_root=_hash(case["root"]),  # type: ignore[arg-type]
            )
        else:
            verify_consistency(
                old=int(case["size1"]),  # type: ignore[call-overload]
                new=int(case["size2"]),  # type: ignore[call-overload]
                old_root=_hash(case["root1"]),  # type: ignore[arg-type]
                new_root=_hash(case["root2"]),  # type: ignore[arg-type]
                proof=proof,
            )
    except ProofRefused:
        return False
    return True


def test_every_proof_is_taken_or_refused_as_published(vectors: Path) -> None:
    paths = sorted((vectors / "merkle").rglob("*.json"))
    cases = {str(path.relative_to(vectors)): json.loads(path.read_text()) for path in paths}

    assert [name for name, case in cases.items() if _is_taken(case) == case["wantErr"]] == []
    good = sum(not case["wantErr"] for case in cases.values())
    assert 0 < good < len(cases)
    print(f"merkle: {len(cases)} proofs, {good} of them good")
