"""Settings: read once from the environment given, refused by the variable's name, silent about secrets."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gov_services.kit.settings import PROJECT_ROOT, Settings, SettingsRefused, describe_settings, load_settings


def test_without_any_it_is_not_development_and_every_setting_has_its_default() -> None:
    assert load_settings({}) == Settings()
    assert not Settings().development
    assert not load_settings({"GOV_ENV": "production"}).development
    assert load_settings({"GOV_ENV": "development"}).development


def test_values_have_the_type_of_their_default(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "GOV_POOL_SIZE": "7",
            "GOV_RUNTIME_DIR": f"{tmp_path}/a/../runtime",
            "GOV_ROLE_PREFIX": "city",
            "UNHEARD_OF": "x",
        }
    )
    assert (settings.pool_size, settings.runtime_directory, settings.role_prefix) == (7, tmp_path / "runtime", "city")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"GOV_ENV": "Production"}, "GOV_ENV is 'Production'"),
        ({"GOV_POOL_SIZE": "many"}, "GOV_POOL_SIZE is 'many'; it is a whole number"),
        ({"DATABASE_URL": "x", "DATABASE_URL_FILE": "y"}, "DATABASE_URL and DATABASE_URL_FILE are both set"),
        ({"VALKEY_URL_FILE": "/nowhere/at/all"}, "VALKEY_URL_FILE names /nowhere/at/all: No such file or directory"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsRefused, match=said):
        load_settings(environment)


def test_a_secret_may_lie_in_a_file_and_is_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("postgresql://migrator:hunter2@db.test:5432/city\n")
    settings = load_settings({"DATABASE_URL_FILE": str(path), "VALKEY_URL": "redis://:hunter3@valkey.test/0"})

    assert settings.database_url == "postgresql://migrator:hunter2@db.test:5432/city"
    assert "hunter" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://migrator:x@db.test:5432/city", "postgresql://gov_permits:p%40s%3As@db.test:5432/city"),
        ("postgresql://db.test/city", "postgresql://gov_permits:p%40s%3As@db.test/city"),
        (
            "postgresql://a:b%40c@[::1]:5433/city?ssl=require",
            "postgresql://gov_permits:p%40s%3As@[::1]:5433/city?ssl=require",
        ),
    ],
)
def test_a_room_logs_in_under_its_own_role_with_the_password_in_its_file(
    tmp_path: Path, url: str, expected: str
) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "permits").write_text("p@s:s\n")
    settings = dataclasses.replace(Settings(), database_url=url, secrets_directory=tmp_path)
    assert settings.room_database_url("permits") == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        (" , ", {}),
        (
            "identity=http://identity:8000/, permits=https://p",
            {"identity": "http://identity:8000", "permits": "https://p"},
        ),
        ("identity", None),
        ("kitchen=http://kitchen:8000", None),
        ("identity=ftp://identity", None),
        ("identity=", None),
    ],
)
def test_addresses_of_rooms_are_read_whole_or_refused(text: str, found: dict[str, str] | None) -> None:
    settings = dataclasses.replace(Settings(), room_urls=text)
    if found is None:
        with pytest.raises(SettingsRefused, match="GOV_ROOM_URLS holds"):
            settings.addresses_of_rooms()
    else:
        assert settings.addresses_of_rooms() == found


def test_every_setting_is_described_and_no_path_of_this_machine_is() -> None:
    rows = describe_settings()

    assert len(rows) == len(dataclasses.fields(Settings))
    assert all(meaning for _, _, meaning in rows)
    assert not any(str(PROJECT_ROOT) in default for _, default, _ in rows)
    assert ("DATABASE_URL, DATABASE_URL_FILE" in {name for name, _, _ in rows}) is True
