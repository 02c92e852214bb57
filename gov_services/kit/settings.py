"""The environment, parsed once into a frozen value. Only composition roots read it; secrets are files, never here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

PROJECT_ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("identity", "permits", "payments", "healthcode", "privacy", "audit", "worker")
"""Rooms that log in to the database, each under a role of its own."""


class SettingsRefused(ValueError):
    """A setting is missing or has a value that cannot be meant."""


def setting(variable: str, meaning: str, default: object, *, secret: bool = False) -> Any:
    """A dataclass field read from environment variable `variable`; `meaning` is what docs/settings.md prints.

    A `secret` one (an address with a password in it) is left out of the repr, and may be in a file instead, which
    `<variable>_FILE` names.
    """
    return field(
        default=default, repr=not secret, metadata={"variable": variable, "meaning": meaning, "secret": secret}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an installation can set."""

    environment: str = setting(
        "GOV_ENV",
        "`production` or `development`; ad-hoc documents and sandboxes exist in the latter only. Unset: production, "
        "but development for `serve` and `demo`",
        "",
    )
    database_url: str = setting(
        "DATABASE_URL",
        "PostgreSQL 15 to 18, as the migrator; `postgresql://user:password@host:port/name`",
        "",
        secret=True,
    )
    valkey_url: str = setting("VALKEY_URL", "Valkey or Redis; `redis://:password@host:port/0`", "", secret=True)
    runtime_directory: Path = setting(
        "GOV_RUNTIME_DIR",
        "Data of the embedded servers, uploads, published checkpoints, the signature of the trusted documents",
        PROJECT_ROOT / ".gov-services",
    )
    secrets_directory: Path = setting(
        "GOV_SECRETS_DIR",
        "Key files (0600): key-encryption keys, signing keys, database passwords",
        PROJECT_ROOT / ".gov-services" / "secrets",
    )
    role_prefix: str = setting("GOV_ROLE_PREFIX", "Rooms log in to PostgreSQL as `<prefix>_<room>`", "gov")
    public_url: str = setting(
        "GOV_PUBLIC_URL", "Where citizens reach us; stands in tokens and QR codes", "http://127.0.0.1:8000"
    )
    pool_size: int = setting("GOV_POOL_SIZE", "Database connections per room and process", 5)
    graph_directory: Path = setting(
        "GOV_GRAPH_DIR", "Supergraph, subgraph schemas and trusted documents", PROJECT_ROOT / "graphql"
    )
    payment_channel_url: str = setting(
        "GOV_PAYMENT_CHANNEL_URL",
        "Base address of the payment channel (WeChat Pay v3); empty: payments refuses to start",
        "",
    )
    sms_url: str = setting("GOV_SMS_URL", "Where text messages are handed to the provider", "")
    population_register_url: str = setting(
        "GOV_POPULATION_REGISTER_URL", "The population register's match service (name and resident number)", ""
    )
    room_urls: str = setting(
        "GOV_ROOM_URLS",
        "Where a gateway or a worker alone finds the rooms: `identity=http://identity:8000,permits=…`",
        "",
    )
    trusted_proxies: str = setting(
        "GOV_TRUSTED_PROXIES",
        "Addresses or networks whose `X-Forwarded-For` is believed, comma-separated; empty: nobody's",
        "",
    )
    cors_origins: str = setting("GOV_CORS_ORIGINS", "Origins that browsers may call from, comma-separated", "")
    log_origin: str = setting(
        "GOV_LOG_ORIGIN", "Name of the audit log in its checkpoints; never changes", "gov-services.example/log"
    )
    log_level: str = setting("GOV_LOG_LEVEL", "debug, info, warning or error", "info")

    @property
    def development(self) -> bool:
        """Whether development-only doors are open."""
        return self.environment == "development"

    def addresses_of_rooms(self) -> dict[str, str]:
        """Room → base address. Raises SettingsRefused for what is no such list."""
        found = {}
        for item in filter(None, (item.strip() for item in self.room_urls.split(","))):
            room, equals, address = item.partition("=")
            if not equals or room not in ROOMS or urlsplit(address).scheme not in ("http", "https"):
                raise SettingsRefused(f"GOV_ROOM_URLS holds {item!r}; an item is `identity=http://identity:8000`")
            found[room] = address.rstrip("/")
        return found

    def room_database_url(self, room: str) -> str:
        """The database as `room` logs in to it: role `<prefix>_<room>`, password from `secrets/db/<room>`."""
        parts = urlsplit(self.database_url)
        password = (self.secrets_directory / "db" / room).read_text().strip()
        host = parts.netloc.rpartition("@")[2]
        login = f"{quote(f'{self.role_prefix}_{room}')}:{quote(password)}"
        return urlunsplit(parts._replace(netloc=f"{login}@{host}"))


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from `environment` (the process's own when None). Raises SettingsRefused naming the variable."""
    source = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for item in fields(Settings):
        variable = item.metadata["variable"]
        text = _from_file(source, variable) if item.metadata["secret"] else source.get(variable)
        if text is None:
            continue
        values[item.name] = _parse(variable, text, item.default)
    settings = Settings(**values)
    if settings.environment not in ("", "production", "development"):
        raise SettingsRefused(f"GOV_ENV is {settings.environment!r}; it is `production` or `development`")
    return settings


def _from_file(source: Mapping[str, str], variable: str) -> str | None:
    path = source.get(f"{variable}_FILE")
    if path is None:
        return source.get(variable)
    if variable in source:
        raise SettingsRefused(f"{variable} and {variable}_FILE are both set; one of them is meant")
    try:
        return Path(path).read_text().strip()
    except OSError as unreadable:
        raise SettingsRefused(f"{variable}_FILE names {path}: {unreadable.strerror}") from None


def _parse(variable: str, text: str, default: object) -> object:
    if isinstance(default, Path):
        return Path(text).expanduser().resolve()
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise SettingsRefused(f"{variable} is {text!r}; it is a whole number") from None
    return text


def describe_settings() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of each setting, for docs/settings.md. Paths are told relative to the checkout."""
    rows = []
    for item in fields(Settings):
        default = item.default
        if isinstance(default, Path):
            default = default.relative_to(PROJECT_ROOT)
        variable = item.metadata["variable"]
        name = f"{variable}, {variable}_FILE" if item.metadata["secret"] else variable
        rows.append((name, str(default), item.metadata["meaning"]))
    return rows
