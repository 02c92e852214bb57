"""The pairs of cyberphone/json-canonicalization: input parsed and written anew is the output, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

from gov_services.kit.canonical import jcs


def test_every_pair_is_written_as_published(vectors: Path) -> None:
    inputs = sorted((vectors / "jcs" / "input").glob("*.json"))

    for path in inputs:
        wanted = (path.parent.parent / "output" / path.name).read_bytes().removesuffix(b"\n")
        assert jcs(json.loads(path.read_text())) == wanted, path.name
    assert inputs
    print(f"jcs: {len(inputs)} pairs")
