"""The life cycles: the tables in the code, and the same edges refused by the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from gov_services.kit.database import Database
from gov_services.payments.graph.types import BillStateType, PaymentStateType, RefundStateType
from gov_services.payments.lifecycle import (
    BILL,
    PAYMENT,
    REFUND,
    BillEvent,
    BillState,
    IllegalPaymentChange,
    PaymentState,
    RefundState,
    advance,
)

pytestmark = pytest.mark.untraced

CITIZEN = "01950000-0000-7000-8000-000000000001"
OFFICERS = "'01950000-0000-7000-8000-00000000000a', '01950000-0000-7000-8000-00000000000b'"
TITLES = '{"zh-CN": "t", "en": "t"}'
MOMENT = "'2026-03-02T01:00:00Z'"


@pytest.mark.parametrize(
    ("in_the_graph", "states"),
    [(BillStateType, BillState), (PaymentStateType, PaymentState), (RefundStateType, RefundState)],
)
def test_the_graph_names_every_state(in_the_graph: Any, states: Any) -> None:
    assert {item.value for item in in_the_graph} == {state.value for state in states}


def test_an_event_that_a_state_does_not_know_is_refused_with_its_field() -> None:
    with pytest.raises(IllegalPaymentChange) as refused:
        advance(BILL, BillState.ISSUED, BillEvent.COMPLETE_REFUND, field="input.refundId")
    assert refused.value.field == "input.refundId"


def _edges(table: Mapping[tuple[Any, Any], StrEnum]) -> set[tuple[str, str]]:
    return {(before.value if before else "", after.value) for (before, _), after in table.items()}


def _pairs(states: type[StrEnum]) -> Iterator[tuple[str, str]]:
    for after in states:
        yield "", after.value
        yield from ((before.value, after.value) for before in states if before is not after)


def _row(table: str, state: str) -> str:
    """An INSERT of a row that is in `state`, as complete as that state asks."""
    settled = state in ("succeeded", "surplus")
    if table == "bill":
        paid = state not in ("issued", "cancelled")
        return (
            f"INSERT INTO payments.bill VALUES ('{CITIZEN}', gen_random_uuid(), gen_random_uuid(), "
            f"'{TITLES}', 5, '{state}', {MOMENT}, {MOMENT}, {MOMENT if paid else 'NULL'}, "
            f"{repr('n') if paid else 'NULL'})"
        )
    if table == "payment":
        return (
            f"INSERT INTO payments.payment SELECT citizen_id, gen_random_uuid(), bill_id, 'c', 5, '{state}', 'u', "
            f"{MOMENT}, {MOMENT}, {MOMENT}, 0, {repr('t') if settled else 'NULL'}, NULL, "
            f"{MOMENT if settled else 'NULL'}, {5 if settled else 'NULL'} FROM payments.bill"
        )
    decided = state != "requested"
    done = state in ("succeeded", "failed")
    first, second = OFFICERS.split(", ")
    return (
        f"INSERT INTO payments.refund SELECT citizen_id, gen_random_uuid(), bill_id, payment_id, 5, '{state}', "
        f"{first}, {MOMENT}, {second if decided else 'NULL'}, {MOMENT if decided else 'NULL'}, {MOMENT}, 0, NULL, "
        f"{MOMENT if done else 'NULL'} FROM payments.payment"
    )


def _change(table: str, state: str) -> str:
    changes = {
        "bill": "settled_at = CASE WHEN '{s}' IN ('issued', 'cancelled') THEN NULL ELSE now() END, "
        "receipt_number = CASE WHEN '{s}' IN ('issued', 'cancelled') THEN NULL ELSE 'n' END",
        "payment": "settled_at = CASE WHEN '{s}' IN ('succeeded', 'surplus') THEN now() END, "
        "channel_transaction = CASE WHEN '{s}' IN ('succeeded', 'surplus') THEN 't' END, "
        "paid_fen = CASE WHEN '{s}' IN ('succeeded', 'surplus') THEN 5 END",
        "refund": "decided_by = CASE WHEN '{s}' <> 'requested' THEN " + OFFICERS.split(", ")[1] + "::uuid END, "
        "decided_at = CASE WHEN '{s}' <> 'requested' THEN now() END, "
        "completed_at = CASE WHEN '{s}' IN ('succeeded', 'failed') THEN now() END",
    }
    return f"UPDATE payments.{table} SET state = '{state}', {changes[table].replace('{s}', state)}"


@pytest.mark.parametrize(
    ("table", "states", "edges"),
    [("bill", BillState, BILL), ("payment", PaymentState, PAYMENT), ("refund", RefundState, REFUND)],
)
async def test_the_database_knows_the_edges_of_the_table_and_no_other(
    table: str, states: type[StrEnum], edges: Mapping[tuple[Any, Any], StrEnum], database: Database
) -> None:
    async with database.writing() as session:
        # Rows that others refer to; rows in the midst of life are put there with the trigger asleep.
        for needed in ("bill", "payment"):
            await session.execute(text(f"ALTER TABLE payments.{needed} DISABLE TRIGGER USER"))
        if table != "bill":
            await session.execute(text(_row("bill", "paid")))
        if table == "refund":
            await session.execute(text(_row("payment", "succeeded")))
    allowed: set[tuple[str, str]] = set()
    refused: list[str] = []
    for before, after in _pairs(states):
        try:
            async with database.writing() as session:
                if before:
                    await session.execute(text(f"ALTER TABLE payments.{table} DISABLE TRIGGER USER"))
                    await session.execute(text(_row(table, before)))
                await session.execute(text(f"ALTER TABLE payments.{table} ENABLE TRIGGER USER"))
                await session.execute(text(_change(table, after) if before else _row(table, after)))
                raise Undone
        except Undone:
            allowed.add((before, after))
        except IntegrityError as error:
            refused.append(str(error))
    assert allowed == _edges(edges)
    assert all("does not go from" in reason for reason in refused)


class Undone(Exception):
    """Rolls a probe back."""
