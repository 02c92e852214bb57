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
        ({"GOV_KEY_PROVIDERS": "pkcs11"}, "GOV_PKCS11_MODULE is no full path of a library"),
        ({"GOV_KEY_PROVIDERS": "file,vault"}, "GOV_VAULT_URL is no address like `https://vault.example:8200`"),
        ({"VALKEY_URL_FILE": "/nowhere/at/all"}, "VALKEY_URL_FILE names /nowhere/at/all: No such file or directory"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsRefused, match=said):
        load_settings(environment)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        *(("GOV_POOL_SIZE", value, f"is {value!r}; it is a whole number, 1 or more") for value in ("0", "-1")),
        *(
            ("GOV_KEY_PROVIDERS", value, "it is of file, pkcs11, vault, each once")
            for value in ("", "none", "file,file", "file,", "vault;file")
        ),
        *(("GOV_VAULT_PREFIX", value, "it is lower-case letters, digits and -") for value in ("", "a/b", "../x", "A")),
        *(
            ("DATABASE_URL", value, "is no address like `postgresql://user:password@host:5432/name`")
            for value in ("x", "postgres://db/city", "postgresql://", "postgresql:///", "postgresql://db")
        ),
        *(
            ("DATABASE_URL", value, "is no address like")
            for value in ("postgresql://db:x/city", "postgresql://[::1/city", "postgresql://d b/city")
        ),
        *(
            ("VALKEY_URL", value, "is no address like `redis://:password@host:6379/0`")
            for value in ("x", "http://valkey/0", "redis://", "redis://valkey:x/0", "redis://valkey/zero")
        ),
        *(
            ("GOV_PUBLIC_URL", value, "is no address like `https://gov.example`")
            for value in ("", "gov.example", "ftp://gov.example", "https://", "https://gov.example/", "https://x:y")
        ),
        ("GOV_PUBLIC_URL", "https://gov.example?a=b", "is no address like `https://gov.example`"),
        *((variable, "sms.example", "is no address like") for variable in ("GOV_SMS_URL", "GOV_PAYMENT_CHANNEL_URL")),
        ("GOV_POPULATION_REGISTER_URL", "http://[", "is no address like"),
        *(
            ("GOV_ROOM_URLS", f"permits=http://p:1,{value}", "item 2 is not like `identity=http://identity:8000`")
            for value in ("identity", "kitchen=http://kitchen", "identity=http://", "identity=http://[::1")
        ),
        *(
            ("GOV_ROLE_PREFIX", value, f"is {value!r}; it is a plain identifier")
            for value in ("", "Gov", "1gov", "gov-x", 'gov"; DROP ROLE x; --', "g" * 41, "市")
        ),
        *(("GOV_LOG_LEVEL", value, f"is {value!r}; it is debug, info, warning or error") for value in ("", "loud")),
    ],
)
def test_a_value_that_cannot_serve_is_refused_when_it_is_read(variable: str, value: str, said: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        load_settings({variable: value})
    assert str(refused.value).startswith((f"{variable} ", f"{variable}: "))
    assert said in str(refused.value)


def test_values_of_every_right_shape_are_taken() -> None:
    for variable, value in (
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "postgresql:///city"),
        ("DATABASE_URL", "postgresql:///city?host=/run/postgresql"),
        ("DATABASE_URL", "postgresql://a:b%40c@[::1]:5433/city?ssl=require"),
        ("VALKEY_URL", "valkeys://:secret@valkey.test:6380"),
        ("VALKEY_URL", "redis://valkey.test/0"),
        ("GOV_PUBLIC_URL", "https://gov.example:8443/city"),
        ("GOV_LOG_LEVEL", "WARNING"),
        ("GOV_ROLE_PREFIX", "_city2"),
    ):
        load_settings({variable: value})


def test_all_that_is_wrong_is_said_at_once_and_no_password_with_it() -> None:
    with pytest.raises(SettingsRefused) as refused:
        load_settings(
            {
                "GOV_ENV": "Production",
                "GOV_POOL_SIZE": "many",
                "DATABASE_URL": "mysql://migrator:hunter2@db/city",
                "VALKEY_URL": "redis://:hunter3@:x/0",
                "GOV_LOG_LEVEL": "loud",
            }
        )
    said = str(refused.value)
    named = [
        name for name in ("GOV_ENV", "DATABASE_URL", "VALKEY_URL", "GOV_POOL_SIZE", "GOV_LOG_LEVEL") if name in said
    ]
    assert len(named) == 5
    assert "hunter" not in said
    assert len(said.splitlines()) == 1


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
        with pytest.raises(SettingsRefused, match="GOV_ROOM_URLS: item 1"):
            settings.addresses_of_rooms()
    else:
        assert settings.addresses_of_rooms() == found


def test_every_setting_is_described_and_no_path_of_this_machine_is() -> None:
    rows = describe_settings()

    assert len(rows) == len(dataclasses.fields(Settings))
    assert all(meaning for _, _, meaning in rows)
    assert not any(str(PROJECT_ROOT) in default for _, default, _ in rows)
    assert ("DATABASE_URL, DATABASE_URL_FILE" in {name for name, _, _ in rows}) is True


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://vault.example:8200", True),
        ("http://127.0.0.1:8200", True),
        ("http://vault.example:8200", False),
        ("http://127.0.0.1.example", False),
        ("https://vault.example:8200/", False),
    ],
)
def test_data_keys_travel_by_https_or_within_the_machine(url: str, taken: bool) -> None:
    environment = {"GOV_KEY_PROVIDERS": "vault, file", "GOV_VAULT_URL": url}
    if not taken:
        with pytest.raises(SettingsRefused, match="GOV_VAULT_URL is no address"):
            load_settings(environment)
        return
    assert load_settings(environment).names_of_key_providers() == ("vault", "file")
