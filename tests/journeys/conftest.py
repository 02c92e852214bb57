"""What the journeys share: settings of an installation that keeps its own copy of the key files."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from gov_services.kit.settings import Settings


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """A whole system makes keys for its payment channel: in a directory that no other test looks into."""
    secrets = tmp_path / "secrets"
    shutil.copytree(settings.secrets_directory, secrets, ignore=shutil.ignore_patterns("payment-channel*"))
    return dataclasses.replace(settings, secrets_directory=secrets)
