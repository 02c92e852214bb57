"""Labels of progressive overrides: the same for a caller each time, on for so many callers, and the plan to it."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import pytest
from small_graphs import supergraph

from gov_services.federation.engine import Engine
from gov_services.federation.planning import Planning
from gov_services.gateway.labels import Labels, LabelsRefused, parse_labels
from gov_services.gateway.limits import Limits
from gov_services.gateway.standalone import AnyDocument
from gov_services.kit.actor import ANONYMOUS, Actor, ActorKind

CITIZENS = [Actor(ActorKind.CITIZEN, UUID(int=number)) for number in range(1_000)]
MOVING = """
type Query @t(graph: A) { street: Street }
type Street @t(graph: A, key: "id") @t(graph: B, key: "id") {
  id: ID!
  name: String @f(graph: A) @f(graph: B, override: "a", overrideLabel: "LABEL")
}
"""


def test_a_caller_has_the_same_labels_each_time() -> None:
    known = frozenset({"percent(50)", "new-register"})
    labels = Labels({"new-register": 50})

    chosen = [labels.chosen(known, citizen) for citizen in CITIZENS]

    assert chosen == [labels.chosen(known, citizen) for citizen in CITIZENS]
    assert len(set(chosen)) == 4  # one label says nothing about the other


@pytest.mark.parametrize(
    ("label", "share"), [("percent(20)", 20), ("percent(0)", 0), ("percent(100)", 100), ("named", 70)]
)
def test_a_label_is_on_for_so_many_callers(label: str, share: int) -> None:
    labels = Labels({"named": 70})

    found = sum(bool(labels.chosen(frozenset({label}), citizen)) for citizen in CITIZENS)

    assert abs(found - share * 10) <= 50
    assert share not in (0, 100) or found == share * 10


def test_a_label_that_nobody_named_is_off_and_strangers_are_somebody_else_each_time() -> None:
    assert Labels().chosen(frozenset({"other"}), CITIZENS[0]) == frozenset()
    half = [bool(Labels().chosen(frozenset({"percent(50)"}), ANONYMOUS)) for _ in range(400)]
    assert 100 < sum(half) < 300


def test_the_plan_is_that_of_the_callers_labels() -> None:
    planning = Planning(supergraph(MOVING.replace("LABEL", "percent(50)")))
    documents = AnyDocument(Engine(planning, transports={}), Limits(), Labels())

    plans = {
        bool(Labels().chosen(planning.labels, citizen)): documents.select(
            citizen, document_id=None, text="{ street { name } }", name=None, headers={}, now=dt.datetime.now(dt.UTC)
        ).prepared.plan
        for citizen in CITIZENS[:50]
    }

    assert [item.subgraph for item in plans[False].fetches] == ["a"]
    assert [item.subgraph for item in plans[True].fetches] == ["a", "b"]


def test_shares_are_read_and_refused() -> None:
    assert parse_labels("") == {}
    assert parse_labels("a=1, b=c=99.5") == {"a": 1.0, "b=c": 99.5}
    for text in ("a", "a=", "=5", "a=x", "a=101", "a=-1"):
        with pytest.raises(LabelsRefused):
            parse_labels(text)
