"""Runs the migrations against one database, as the migrator; settings come in as configuration attributes."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from gov_services.cli.database import load_all_models
from gov_services.kit.database import Base


def run(connection: Connection) -> None:
    load_all_models()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_schemas=True,
        transaction_per_migration=True,
        version_table="schema_version",
        version_table_schema="public",
    )
    with context.begin_transaction():
        context.run_migrations()


async def connect_and_run(url: str) -> None:
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1),
        poolclass=pool.NullPool,
        connect_args={"server_settings": {"lock_timeout": "4000", "statement_timeout": "60000"}},
    )
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    asyncio.run(connect_and_run(context.config.attributes["database_url"]))
