"""What PostgreSQL does to us is told apart: gone, busy, or a statement that it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gov_services.kit.database import Database
from gov_services.kit.errors import DatabaseUnavailable


async def test_a_row_that_another_holds_makes_who_waits_too_long_come_again(database: Database) -> None:
    async with database.writing() as holder:
        await holder.execute(text("LOCK TABLE identity.staff IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(DatabaseUnavailable):
            async with database.reading() as waiting:
                await waiting.execute(text("SELECT count(*) FROM identity.staff"))


async def test_a_statement_that_takes_too_long_is_ended(database: Database) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(DatabaseUnavailable):
            async with database.reading() as session:
                await session.execute(text("SELECT pg_sleep(10)"))


async def test_a_refused_statement_stays_what_it_is(
    database: Database, room_database: Callable[[str], Database]
) -> None:
    for asked in (database, room_database("worker")):
        with pytest.raises(DBAPIError):
            async with asked.reading() as session:
                await session.execute(text("DELETE FROM audit.entry"))


async def test_a_connection_that_the_server_closed_is_replaced_before_it_is_used(database: Database) -> None:
    async with database.reading() as session:
        (pid,) = (await session.execute(text("SELECT pg_backend_pid()"))).one()
    async with database.writing() as session:
        await session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    await asyncio.sleep(0.2)

    async with database.reading() as session:
        (other,) = (await session.execute(text("SELECT pg_backend_pid()"))).one()
    assert other != pid
