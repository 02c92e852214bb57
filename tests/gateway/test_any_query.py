"""Whatever the schema allows to be asked is answered, and never by a failure: schemathesis asks, over HTTP."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from typing import Any

import hypothesis
import pytest
import schemathesis
from front_door import FrontDoor
from hypothesis import strategies as st
from permit_office import Office
from sockets import line_to
from town import Town

from gov_services.gateway.standalone import NoRate
from gov_services.kit.actor import ANONYMOUS, Actor

pytestmark = pytest.mark.untraced
EXAMPLES_EACH = 5
NOT_HERE = {"bill", "bills", "unmatchedReceipts", "payBill", "requestRefund", "approveRefund", "rejectRefund"}
"""Payments', which a town of the tests has not."""
SCALARS = {
    "DateTime": st.datetimes().map(lambda moment: schemathesis.graphql.nodes.String(moment.isoformat() + "Z")),
    "Date": st.dates().map(lambda day: schemathesis.graphql.nodes.String(day.isoformat())),
}


@pytest.fixture(autouse=True)
def _scalars() -> None:
    for name, strategy in SCALARS.items():
        schemathesis.graphql.scalar(name, strategy)


class Asker:
    """Asks every root field in turn, each time as somebody else and for another purpose."""

    def __init__(self, address: str, bearers: list[str | None], purposes: list[str]) -> None:
        self.schema = schemathesis.graphql.from_url(f"{address}/graphql")
        self.statuses: Counter[int] = Counter()
        self.failed: list[tuple[str, Any]] = []
        self._who = st.sampled_from(bearers)
        self._what_for = st.sampled_from(purposes)

    def ask_everything(self) -> None:
        """Ask each field; stops at nothing."""
        for found in self.schema.get_all_operations():
            if found.ok().definition.field_name not in NOT_HERE:
                self._ask(found.ok())

    def _ask(self, operation: Any) -> None:
        @hypothesis.settings(
            max_examples=EXAMPLES_EACH,
            deadline=None,
            database=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(), bearer=self._who, purpose=self._what_for)
        def ask(case: Any, bearer: str | None, purpose: str) -> None:
            headers = {"gov-purpose": purpose, "gov-reason": "somebody asked", "gov-case": secrets.token_hex(16)}
            if bearer is not None:
                headers["authorization"] = f"Bearer {bearer}"
            response = case.call(headers=headers)
            self.statuses[response.status_code] += 1
            codes = [item.get("extensions", {}).get("code") for item in response.json().get("errors", [])]
            if response.status_code >= 500 or "INTERNAL" in codes:
                self.failed.append((case.body, response.text[:500]))

        ask()


async def test_no_query_that_the_schema_allows_fails(graph_town: Town) -> None:
    office = await Office.open(graph_town)
    await office.issued()
    await office.close()
    actors: list[Actor] = [
        ANONYMOUS,
        office.applicant,
        office.officer,
        graph_town.staff("compliance-officer", client="compliance"),
        graph_town.party("riverside-bank"),
    ]
    async with graph_town.rooms["privacy"].services.discloser.database.reading() as session:
        bundle = await graph_town.rooms["privacy"].services.discloser.bundles.current(session)
    async with line_to(FrontDoor(graph_town, rate=NoRate())) as line:
        asker = await asyncio.to_thread(
            Asker, line.address, [graph_town.bearer(actor) for actor in actors], sorted(bundle.purposes)
        )
        await asyncio.to_thread(asker.ask_everything)

    assert asker.failed == []
    assert asker.statuses[200] > 100
