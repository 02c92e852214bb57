"""Words that every migration uses: a room's role, append-only tables. It runs inside Alembic only."""

from __future__ import annotations

import re

from alembic import context, op

_TABLE = re.compile(r"[a-z_]+\.[a-z_]+")


def role(room: str) -> str:
    """The quoted name of the role that `room` logs in as."""
    prefix = context.config.attributes.get("role_prefix", "gov")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", prefix):
        raise ValueError("a role prefix is lower-case letters, digits and underscores")
    return f'"{prefix}_{room}"'


def append_only(table: str) -> None:
    """Make `schema.table` refuse UPDATE, DELETE and TRUNCATE by trigger, whoever asks, the owner included."""
    if not _TABLE.fullmatch(table):
        raise ValueError(f"{table!r} is not schema.table")
    name = table.replace(".", "_")
    op.execute(
        f"CREATE TRIGGER {name}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()"
    )
