"""What serves refuses in one line to serve what is not installed, and makes nothing on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gov_services.cli.rooms import SUBGRAPHS

ALONE = [("subgraph", name) for name in SUBGRAPHS] + [("log",), ("worker",)]


@pytest.mark.parametrize("arguments", [("serve",), *ALONE], ids=" ".join)
def test_without_a_database_nothing_is_served(
    alone: Callable[..., Any], nothing_set: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    nothing_set.setenv("GOV_ENV", "production")
    before = sorted(tmp_path.rglob("*"))

    assert alone(*arguments).complaint == "DATABASE_URL is not set"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_gateway_alone_must_know_where_the_rooms_are(
    alone: Callable[..., Any], nothing_set: pytest.MonkeyPatch
) -> None:
    assert alone("gateway").complaint == "VALKEY_URL is not set"
    nothing_set.setenv("VALKEY_URL", "redis://127.0.0.1:9/0")
    nothing_set.setenv("GOV_ROOM_URLS", "identity=http://identity:8000")
    assert alone("gateway").complaint == "GOV_ROOM_URLS does not say where permits, payments, healthcode, privacy is"
    for wrong in ("identity", "bank=http://bank", "identity=ftp://identity"):
        nothing_set.setenv("GOV_ROOM_URLS", wrong)
        assert alone("gateway").complaint == "GOV_ROOM_URLS: item 1 is not like `identity=http://identity:8000`"


def test_a_secret_setting_may_be_in_a_file_but_not_in_both_places(
    alone: Callable[..., Any], nothing_set: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nothing_set.setenv("VALKEY_URL_FILE", str(tmp_path / "none"))
    assert alone("gateway").complaint == f"VALKEY_URL_FILE names {tmp_path / 'none'}: No such file or directory"
    (tmp_path / "url").write_text("redis://127.0.0.1:9/0\n")
    nothing_set.setenv("VALKEY_URL_FILE", str(tmp_path / "url"))
    assert "GOV_ROOM_URLS" in alone("gateway").complaint
    nothing_set.setenv("VALKEY_URL", "redis://127.0.0.1:9/0")
    assert alone("gateway").complaint == "VALKEY_URL and VALKEY_URL_FILE are both set; one of them is meant"
