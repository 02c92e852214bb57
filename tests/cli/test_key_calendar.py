"""`gov-services keys rotate --due`: what an operator sees on the first day and on the day when a key is due."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gov_services.kit.settings import Settings


@pytest.fixture
def secrets(installed: Callable, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installation's keys, copied: the calendar adds to them."""
    copy = tmp_path / "own-secrets"
    shutil.copytree(settings.secrets_directory, copy)
    monkeypatch.setenv("GOV_SECRETS_DIR", str(copy))
    return copy


def test_on_the_first_day_it_takes_note_of_the_keys_and_waits_for_rooms_that_never_started(
    installed: Callable, secrets: Path
) -> None:
    first = installed("keys", "rotate", "--due")
    again = json.loads(installed("keys", "rotate", "--due", "--json").out)

    assert first.status == 0, first
    assert [line.split(", the newest since")[0] for line in first.out.splitlines()] == [
        f"{kind}: {kind}/0001 wraps" for kind in ("identity", "permits", "payments", "health", "audit")
    ]
    assert first.out.splitlines()[3].endswith("; waits for healthcode, identity")
    assert again[3] == {
        "data_class": "health",
        "newest": "health/0001",
        "since": again[3]["since"],
        "made": False,
        "waits_for": ["healthcode", "identity"],
        "rewrapped": 0,
        "left": [],
        "destroyed": [],
        "problem": "",
    }
    assert again[3]["since"] in first.out


def test_a_class_that_cannot_be_kept_is_named_and_the_others_are(installed: Callable, secrets: Path) -> None:
    shutil.rmtree(secrets / "kek" / "permits")

    done = installed("keys", "rotate", "--due")

    assert done.complaint == "permits: permits is not there or not readable"
    assert [line.partition(":")[0] for line in done.out.splitlines()] == [
        "identity",
        "permits",
        "payments",
        "health",
        "audit",
    ]


@pytest.mark.parametrize("arguments", [(), ("health", "--due")])
def test_it_is_one_class_or_all_that_is_due(alone: Callable, arguments: tuple[str, ...]) -> None:
    assert alone("keys", "rotate", *arguments).complaint == "name a CLASS, or say --due"


@pytest.mark.parametrize(("variable", "days"), [("GOV_KEK_EPOCH_DAYS", "0"), ("GOV_KEK_GRACE_DAYS", "-1")])
def test_terms_that_cannot_be_meant_are_refused(
    alone: Callable, nothing_set: pytest.MonkeyPatch, variable: str, days: str
) -> None:
    nothing_set.setenv(variable, days)
    assert alone("keys", "rotate", "--due").complaint.startswith(f"{variable} is '{days}'; it is a whole number, ")
