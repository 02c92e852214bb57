"""Engines, the two session types and the one commit. It holds no SQL of any room."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, NewType

import asyncpg
from sqlalchemy import MetaData, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from gov_services.kit.errors import DatabaseUnavailable, ServiceError, TextNotStorable

ReadSession = NewType("ReadSession", AsyncSession)
"""A session in a read-only transaction: enough for every query."""
Session = NewType("Session", ReadSession)
"""A session that may write. It serves where a ReadSession is wanted; never the other way round."""

STATEMENT_TIMEOUT_MS = 2500
LOCK_TIMEOUT_MS = 1000
CONNECT_TIMEOUT_S = 2.0
POOL_TIMEOUT_S = 0.8
"""Under the second within which every answer comes while PostgreSQL is away (ARCHITECTURE §4.18)."""

_CONSTRAINTS = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Where the rooms' tables are declared. A table belongs to the room whose schema it names."""

    metadata = MetaData(naming_convention=_CONSTRAINTS)


class Database:
    """One room's way into PostgreSQL, under that room's role."""

    def __init__(self, url: str, *, pool_size: int = 5, application: str = "gov-services") -> None:
        self.engine = create_engine(url, pool_size=pool_size, application=application)
        # A use-case reads while its own transaction is open: from one pool, as many writers as connections would
        # wait for each other for ever.
        self._writers = create_engine(url, pool_size=max(1, pool_size // 2), application=application)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[ReadSession]:
        """A short read-only transaction. Raises DatabaseUnavailable when PostgreSQL does not answer."""
        with unavailable_when_away():
            async with self.engine.connect() as connection:
                await connection.execution_options(postgresql_readonly=True)
                async with AsyncSession(bind=connection, expire_on_commit=False, autoflush=False) as session:
                    yield ReadSession(session)

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[Session]:
        """One transaction, committed when the block ends without an error. The only commit there is."""
        with unavailable_when_away():
            async with AsyncSession(self._writers, expire_on_commit=False) as session, session.begin():
                yield Session(ReadSession(session))

    async def close(self) -> None:
        """Return every connection."""
        await self.engine.dispose()
        await self._writers.dispose()


async def database_answers(database: Database) -> bool:
    """Whether PostgreSQL does."""
    try:
        async with database.reading() as session:
            await session.execute(text("SELECT 1"))
    except ServiceError:
        return False
    return True


def create_engine(url: str, *, pool_size: int = 5, application: str = "gov-services") -> AsyncEngine:
    """An engine with our timeouts. `url` is `postgresql://…`; the driver is asyncpg."""
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        hide_parameters=True,  # an error text goes to logs; wrapped keys and boxes do not
        connect_args={
            "timeout": CONNECT_TIMEOUT_S,
            "server_settings": {
                "application_name": application,
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                "lock_timeout": str(LOCK_TIMEOUT_MS),
                "idle_in_transaction_session_timeout": "10000",
                "timezone": "UTC",
            },
        },
    )
    event.listen(engine.sync_engine, "checkout", _replace_closed)
    return engine


def _replace_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """Let the pool connect anew where the server has hung up since; unlike a ping this costs no round trip."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


@contextlib.contextmanager
def unavailable_when_away() -> Iterator[None]:
    """Turn what is raised while PostgreSQL is away into DatabaseUnavailable, and of unstorable text TextNotStorable."""
    try:
        yield
    except (OSError, PoolTimeout) as away:
        raise DatabaseUnavailable from away
    except (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        if _is_text_not_storable(error):  # first: asyncpg's DataError is an InterfaceError, which else means away
            raise TextNotStorable from error
        if is_away(error):
            raise DatabaseUnavailable from error
        raise


def _is_text_not_storable(error: BaseException) -> bool:
    """Whether a value was text that no text column holds: told here once, as every input of text could bring it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(
            cause, asyncpg.CharacterNotInRepertoireError | asyncpg.UntranslatableCharacterError | UnicodeEncodeError
        ):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def is_away(error: BaseException) -> bool:
    """Whether `error` says that the server is gone or too busy, as opposed to having refused a statement."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(
            cause,
            OSError
            | asyncpg.InterfaceError
            | asyncpg.InternalClientError
            | asyncpg.CannotConnectNowError
            | asyncpg.PostgresConnectionError
            | asyncpg.AdminShutdownError
            | asyncpg.CrashShutdownError
            | asyncpg.TooManyConnectionsError
            # Somebody else held what we wanted for longer than we wait: nothing has changed, and a later try may do.
            | asyncpg.LockNotAvailableError
            | asyncpg.QueryCanceledError
            | asyncpg.DeadlockDetectedError,
        ):
            return True
        cause = cause.__cause__ or getattr(cause, "orig", None)
    return False
