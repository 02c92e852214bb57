"""Migrating and checking the database, for the `db` commands and for tests. It holds no SQL of a room."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gov_services.crypto.keys import KeyRefused
from gov_services.kit.database import Base
from gov_services.kit.settings import PROJECT_ROOT, ROOMS

MODEL_MODULES = (
    "gov_services.crypto.models",
    "gov_services.audit.models",
    "gov_services.consent.models",
    "gov_services.subgraph.models",
    "gov_services.identity.models",
    "gov_services.permits.models",
    "gov_services.payments.models",
    "gov_services.healthcode.models",
    "gov_services.privacy.models",
)


def load_all_models() -> None:
    """Import every room's models, so that the metadata is whole."""
    for name in MODEL_MODULES:
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)


def configuration(*, role_prefix: str = "gov", connection: Connection | None = None, database_url: str = "") -> Config:
    """An Alembic configuration for our migrations; no ini file is read."""
    config = Config()
    config.set_main_option("script_location", str(PROJECT_ROOT / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(role_prefix=role_prefix, database_url=database_url)
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def upgrade(database_url: str, *, role_prefix: str = "gov") -> None:
    """Bring the database to the newest migration. Safe to run again; two at once wait for each other's locks."""
    command.upgrade(configuration(role_prefix=role_prefix, database_url=database_url), "head")


async def set_room_passwords(connection: AsyncConnection, *, role_prefix: str, directory: Path) -> None:
    """Give each room's role the password in `directory/<room>`. Raises KeyRefused."""
    for room in ROOMS:
        password = (directory / room).read_text(errors="replace").strip()
        if not re.fullmatch(r"[A-Za-z0-9_-]{20,}", password):
            raise KeyRefused(f"the password file of {room} holds fewer than 20 letters, digits, - or _")
        await connection.execute(text(f"ALTER ROLE \"{role_prefix}_{room}\" PASSWORD '{password}'"))


def drift(connection: Connection) -> list[str]:
    """What the models say that the database does not, or the other way round; empty when they agree."""
    load_all_models()
    context = MigrationContext.configure(
        connection,
        opts={"include_schemas": True, "version_table": "schema_version", "compare_server_default": False},
    )
    differences = compare_metadata(context, Base.metadata)
    return [str(item) for item in differences if "schema_version" not in str(item)]
