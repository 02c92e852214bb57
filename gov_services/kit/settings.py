"""The environment, parsed once into a frozen value. Only composition roots read it; secrets are files, never here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

PROJECT_ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("identity", "permits", "payments", "healthcode", "privacy", "audit", "worker")
"""Rooms that log in to the database, each under a role of its own."""

ROLE_PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,39}", re.ASCII)
"""It stands in statements that take no parameters, and a name in PostgreSQL is 63 bytes at most."""
METRICS_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z.-]+):[0-9]{1,5}")
KEY_PROVIDERS = ("file", "pkcs11", "vault")
PLAIN_NAME = re.compile(r"[a-z][a-z0-9-]{0,24}", re.ASCII)
DAY_S = 86_400
LOG_LEVELS = ("debug", "info", "warning", "error")


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
    key_providers: str = setting(
        "GOV_KEY_PROVIDERS",
        "Where key-encryption keys are: `file`, `pkcs11` or `vault`; of several, comma-separated, the first wraps and "
        "the others open what they wrapped",
        "file",
    )
    kek_epoch_days: int = setting(
        "GOV_KEK_EPOCH_DAYS", "After how many days `keys rotate --due` makes a class's next key-encryption key", 30
    )
    kek_grace_days: int = setting(
        "GOV_KEK_GRACE_DAYS",
        "How many days a key-encryption key that wraps nothing any more is kept, so that backups made under it open",
        7,
    )
    pkcs11_module: str = setting(
        "GOV_PKCS11_MODULE",
        "Library of the token: `/usr/lib/softhsm/libsofthsm2.so`; PINs are in `pkcs11/<class>.pin`",
        "",
    )
    pkcs11_prefix: str = setting("GOV_PKCS11_PREFIX", "Tokens are called `<prefix>-<class>`, one a class", "gov")
    vault_url: str = setting(
        "GOV_VAULT_URL",
        "Vault or OpenBao, by https: `https://vault.example:8200`; tokens are in `vault/<room>.token`",
        "",
    )
    vault_mount: str = setting("GOV_VAULT_MOUNT", "Where its transit engine is mounted", "transit")
    vault_prefix: str = setting("GOV_VAULT_PREFIX", "Transit keys are called `<prefix>-<class>`, one a class", "gov")
    vault_authorities: str = setting(
        "GOV_VAULT_AUTHORITIES", "File of certificates to know it by; empty: the usual ones", ""
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
    override_labels: str = setting(
        "GOV_OVERRIDE_LABELS",
        "For how many callers in a hundred a field has moved that is overridden with a label: `new-register=20`; "
        "`percent(…)` labels say so themselves",
        "",
    )
    metrics_address: str = setting(
        "GOV_METRICS_ADDRESS", "Where the gateway shows metrics for Prometheus: `127.0.0.1:9464`; empty: nowhere", ""
    )
    traces_endpoint: str = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "Where the gateway sends spans (OTLP over HTTP): `http://collector:4318`; empty: nowhere",
        "",
    )
    traces_ratio: float = setting("GOV_TRACES_RATIO", "Of how many requests spans are sent: 0 to 1", 0.1)
    log_origin: str = setting(
        "GOV_LOG_ORIGIN", "Name of the audit log in its checkpoints; never changes", "gov-services.example/log"
    )
    log_store: str = setting(
        "GOV_LOG_STORE",
        "Where checkpoints and tiles are published: a folder, or a bucket as `s3://bucket/prefix`; "
        "empty: `log/tree` in the runtime directory",
        "",
    )
    log_witnesses: str = setting(
        "GOV_LOG_WITNESSES",
        "File that names the log's witnesses and how many must cosign before anything is published; empty: none",
        "",
    )
    log_publish_s: int = setting(
        "GOV_LOG_PUBLISH_SECONDS",
        "How often what is signed is published: at multiples of so many seconds, and only then. The rarer, the less "
        "the public log tells of when somebody was looked up",
        1,
    )
    log_level: str = setting("GOV_LOG_LEVEL", "debug, info, warning or error", "info")

    @property
    def development(self) -> bool:
        """Whether development-only doors are open."""
        return self.environment == "development"

    def names_of_key_providers(self) -> tuple[str, ...]:
        """Their names, the one that wraps first."""
        return tuple(name.strip() for name in self.key_providers.split(","))

    def addresses_of_rooms(self) -> dict[str, str]:
        """Room → base address. Raises SettingsRefused for what is no such list."""
        found = {}
        items = [item.strip() for item in self.room_urls.split(",")]
        for place, item in enumerate(filter(None, items), 1):
            room, equals, address = item.partition("=")
            if not equals or room not in ROOMS or not _is_web_address(address.rstrip("/")):
                raise SettingsRefused(f"GOV_ROOM_URLS: item {place} is not like `identity=http://identity:8000`")
            found[room] = address.rstrip("/")
        return found

    def room_database_url(self, room: str) -> str:
        """The database as `room` logs in to it: role `<prefix>_<room>`, password from `secrets/db/<room>`.

        Raises SettingsRefused where no database is set.
        """
        if not self.database_url:
            raise SettingsRefused("DATABASE_URL is not set")
        parts = urlsplit(self.database_url)
        password = (self.secrets_directory / "db" / room).read_text().strip()
        host = parts.netloc.rpartition("@")[2]
        login = f"{quote(f'{self.role_prefix}_{room}')}:{quote(password)}"
        return urlunsplit(parts._replace(netloc=f"{login}@{host}"))


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from `environment` (the process's own when None).

    Raises SettingsRefused, which names each variable that cannot serve and says what is wrong with it.
    """
    source = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    problems: list[str] = []
    for item in fields(Settings):
        variable = item.metadata["variable"]
        try:
            text = _from_file(source, variable) if item.metadata["secret"] else source.get(variable)
            if text is not None:
                values[item.name] = _parse(variable, text, item.default)
        except SettingsRefused as refused:
            problems.append(str(refused))
    settings = Settings(**values)
    problems += _problems(settings)
    if problems:
        raise SettingsRefused(". ".join(problems))
    return settings


def _problems(settings: Settings) -> list[str]:
    """What cannot serve, a sentence a variable. Addresses that may hold a password are not quoted."""
    found: list[str] = []
    if settings.environment not in ("", "production", "development"):
        found.append(f"GOV_ENV is {settings.environment!r}; it is `production` or `development`")
    if settings.database_url and not _is_database_address(settings.database_url):
        found.append("DATABASE_URL is no address like `postgresql://user:password@host:5432/name`")
    if settings.valkey_url and not _is_valkey_address(settings.valkey_url):
        found.append("VALKEY_URL is no address like `redis://:password@host:6379/0`")
    if settings.pool_size < 1:
        found.append(f"GOV_POOL_SIZE is {str(settings.pool_size)!r}; it is a whole number, 1 or more")
    if not _is_web_address(settings.public_url):
        found.append("GOV_PUBLIC_URL is no address like `https://gov.example`")
    for variable, address in (
        ("GOV_PAYMENT_CHANNEL_URL", settings.payment_channel_url),
        ("GOV_SMS_URL", settings.sms_url),
        ("GOV_POPULATION_REGISTER_URL", settings.population_register_url),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", settings.traces_endpoint),
    ):
        if address and not _is_web_address(address.rstrip("/")):
            found.append(f"{variable} is no address like `https://provider.example`, without a query")
    try:
        settings.addresses_of_rooms()
    except SettingsRefused as refused:
        found.append(str(refused))
    if not ROLE_PREFIX.fullmatch(settings.role_prefix):
        found.append(
            f"GOV_ROLE_PREFIX is {settings.role_prefix!r}; it is a plain identifier: lower-case letters, digits and _, "
            "40 at most"
        )
    found += _problems_of_keys(settings)
    if settings.metrics_address and not METRICS_ADDRESS.fullmatch(settings.metrics_address):
        found.append(f"GOV_METRICS_ADDRESS is {settings.metrics_address!r}; it is like `127.0.0.1:9464`")
    if not 0 <= settings.traces_ratio <= 1:
        found.append(f"GOV_TRACES_RATIO is {settings.traces_ratio}; it is a number from 0 to 1")
    if not 1 <= settings.log_publish_s <= DAY_S:
        found.append(f"GOV_LOG_PUBLISH_SECONDS is {str(settings.log_publish_s)!r}; it is a whole number, 1 to {DAY_S}")
    if settings.log_level.lower() not in LOG_LEVELS:
        found.append(f"GOV_LOG_LEVEL is {settings.log_level!r}; it is debug, info, warning or error")
    return found


def _problems_of_keys(settings: Settings) -> list[str]:
    """Of what says where key-encryption keys are."""
    found: list[str] = []
    for variable, days, least in (
        ("GOV_KEK_EPOCH_DAYS", settings.kek_epoch_days, 1),
        ("GOV_KEK_GRACE_DAYS", settings.kek_grace_days, 0),
    ):
        if days < least:
            found.append(f"{variable} is {str(days)!r}; it is a whole number, {least} or more")
    providers = settings.names_of_key_providers()
    if not set(providers) <= set(KEY_PROVIDERS) or len(set(providers)) < len(providers):
        found.append(f"GOV_KEY_PROVIDERS is {settings.key_providers!r}; it is of {', '.join(KEY_PROVIDERS)}, each once")
    if "pkcs11" in providers and not Path(settings.pkcs11_module).is_absolute():
        found.append("GOV_PKCS11_MODULE is no full path of a library, and GOV_KEY_PROVIDERS names pkcs11")
    # Data keys travel there as they are.
    parts = _split(settings.vault_url)
    near = parts is not None and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if "vault" in providers and not (
        _is_web_address(settings.vault_url) and (near or settings.vault_url.startswith("https:"))
    ):
        found.append("GOV_VAULT_URL is no address like `https://vault.example:8200`, and GOV_KEY_PROVIDERS names vault")
    for variable, name in (
        ("GOV_PKCS11_PREFIX", settings.pkcs11_prefix),
        ("GOV_VAULT_PREFIX", settings.vault_prefix),
        ("GOV_VAULT_MOUNT", settings.vault_mount),
    ):
        if not PLAIN_NAME.fullmatch(name):
            found.append(f"{variable} is {name!r}; it is lower-case letters, digits and -, 25 at most")
    return found


def _split(address: str) -> SplitResult | None:
    """The parts of an address; None where it has none, or a port that is no number."""
    if any(one.isspace() for one in address):
        return None
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _is_web_address(address: str) -> bool:
    """Whether it is one to which a path is appended: so it ends without a slash."""
    parts = _split(address)
    return (
        parts is not None
        and parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and not parts.query
        and not parts.fragment
        and not address.endswith("/")
    )


def _is_database_address(address: str) -> bool:
    # Without a host it is the server's socket on this machine.
    parts = _split(address)
    return parts is not None and parts.scheme == "postgresql" and len(parts.path) > 1


def _is_valkey_address(address: str) -> bool:
    parts = _split(address)
    if parts is None or parts.scheme not in ("redis", "rediss", "valkey", "valkeys") or not parts.hostname:
        return False
    return parts.path in ("", "/") or (parts.path[1:].isascii() and parts.path[1:].isdigit())


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
    if isinstance(default, float):
        try:
            return float(text)
        except ValueError:
            raise SettingsRefused(f"{variable} is {text!r}; it is a number") from None
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise SettingsRefused(f"{variable} is {text!r}; it is a whole number, 1 or more") from None
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
