"""The books: what the database itself refuses, whoever asks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from payment_city import City
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from gov_services.cli.database import drift
from gov_services.kit.database import Database, Session

pytestmark = pytest.mark.untraced

HEADER = (
    "INSERT INTO payments.ledger_transaction SELECT citizen_id, gen_random_uuid(), bill_id, 'refund-paid', "
    "gen_random_uuid(), now() FROM payments.bill RETURNING transaction_id"
)


async def _post(session: Session, *amounts: int) -> None:
    transaction = (await session.execute(text(HEADER))).scalar_one()
    await _add(session, transaction, *amounts)


async def _add(session: Session, transaction: object, *amounts: int, first: int = 1) -> None:
    for line, amount in enumerate(amounts, start=first):
        await session.execute(
            text(
                "INSERT INTO payments.ledger_entry SELECT citizen_id, :transaction, :line, 'channel', :amount "
                "FROM payments.bill"
            ),
            {"transaction": transaction, "line": line, "amount": amount},
        )


async def test_a_transaction_that_does_not_sum_to_zero_never_commits(city: City) -> None:
    await city.assess(await city.register())
    for amounts in ((), (5,), (5, -4), (5, -5, 1)):
        with pytest.raises(IntegrityError, match="does not balance"):
            async with city.room.services.discloser.database.writing() as session:
                await _post(session, *amounts)
    assert await city.balances() == {"receivable": 5000, "revenue": -5000}


async def test_a_committed_transaction_takes_no_further_line(city: City) -> None:
    await city.assess(await city.register())
    transaction = await city.value("SELECT transaction_id FROM payments.ledger_transaction")
    with pytest.raises(IntegrityError, match="2 added later"):
        async with city.room.services.discloser.database.writing() as session:
            await _add(session, transaction, 7, -7, first=3)
    assert await city.value("SELECT count(*) FROM payments.ledger_entry") == 2


HISTORY = (
    "UPDATE payments.ledger_entry SET amount_fen = -amount_fen",
    "DELETE FROM payments.ledger_entry",
    "TRUNCATE payments.ledger_entry",
    "UPDATE payments.ledger_transaction SET posted_at = now()",
    "DELETE FROM payments.bill",
    "DELETE FROM payments.idempotency",
    "UPDATE payments.notification SET received_at = now()",
)
BEYOND = (
    "UPDATE payments.bill SET amount_fen = 1",
    "UPDATE payments.payment SET amount_fen = 1",
    "UPDATE payments.refund SET requested_by = gen_random_uuid()",
    "DELETE FROM payments.ledger_entry",
    "SELECT * FROM identity.citizen",
)


async def test_history_is_not_changed_even_by_the_owner(database: Database) -> None:
    for statement in HISTORY:
        with pytest.raises(DBAPIError, match="append-only"):
            async with database.writing() as session:
                await session.execute(text(statement))


async def test_the_room_may_not_do_more_than_its_work(room_database: Callable[[str], Database]) -> None:
    for statement in BEYOND:
        with pytest.raises(DBAPIError, match="permission denied"):
            async with room_database("payments").writing() as session:
                await session.execute(text(statement))


async def test_models_and_migration_of_the_room_say_the_same(database: Database) -> None:
    async with database.engine.connect() as connection:
        differences = await connection.run_sync(drift)
    assert [item for item in differences if "payments" in item] == []
