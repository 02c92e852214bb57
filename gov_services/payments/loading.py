"""One statement for what many resolvers of a fetch ask for at the same time. It keeps nothing beyond the fetch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary, ref

from strawberry.dataloader import DataLoader

from gov_services.payments.models import BillRow, PaymentRow, RefundRow
from gov_services.payments.ports import PaymentsPorts
from gov_services.payments.service import reading
from gov_services.subgraph.context import ReadContext

Key = TypeVar("Key", bound=Hashable)
Row = TypeVar("Row")
Context = ReadContext[PaymentsPorts]


class Loaders:
    """The loaders of one fetch. They end with its context, and so do not hold it."""

    def __init__(self, ctx: Context) -> None:
        self.bills: DataLoader[UUID, BillRow | None] = _loader(ctx, reading.load_bills)
        self.payments: DataLoader[tuple[UUID, UUID], PaymentRow | None] = _loader(ctx, reading.load_payments)
        self.refunds: DataLoader[tuple[UUID, UUID], RefundRow | None] = _loader(ctx, reading.load_refunds)


_loaders: WeakKeyDictionary[ReadContext[Any], Loaders] = WeakKeyDictionary()


def loaders_of(ctx: Context) -> Loaders:
    """The loaders of this fetch, made when first asked for."""
    loaders = _loaders.get(ctx)
    if loaders is None:
        loaders = _loaders[ctx] = Loaders(ctx)
    return loaders


def _loader(ctx: Context, load: Callable[[Context, list[Key]], Awaitable[list[Row]]]) -> DataLoader[Key, Row]:
    context = ref(ctx)

    async def load_all(keys: list[Key]) -> list[Row]:
        alive = context()
        assert alive is not None  # whoever waits for the answer holds it
        return await load(alive, keys)

    return DataLoader(load_all)
