"""Where the published vectors and specifications lie. Without them nothing here runs, and says how to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of vectors that nobody here wrote."""
    return _folder("VECTORS", "make conformance VECTORS=<folder>")


@pytest.fixture(scope="session")
def consent_bb() -> Path:
    """A checkout of github.com/GovStackWorkingGroup/bb-consent."""
    return _folder("BB_CONSENT", "make conformance-apis BB_CONSENT=<checkout> USAGE=<checkout>")


@pytest.fixture(scope="session")
def usage() -> Path:
    """A checkout of github.com/e-gov/AJ."""
    return _folder("USAGE", "make conformance-apis BB_CONSENT=<checkout> USAGE=<checkout>")


def _folder(name: str, how: str) -> Path:
    folder = os.environ.get(name)
    if not folder:
        pytest.skip(how)
    found = Path(folder)
    assert found.is_dir(), f"{found} is no folder"
    return found
