"""Where the published vectors lie: VECTORS names the folder. Without it nothing here runs, and says how to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of vectors that nobody here wrote."""
    folder = os.environ.get("VECTORS")
    if not folder:
        pytest.skip("make conformance VECTORS=<folder>")
    found = Path(folder)
    assert found.is_dir(), f"{found} is no folder"
    return found
