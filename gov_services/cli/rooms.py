"""The five subgraphs by name. It wires none of them."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from typing import Any, cast

from gov_services.subgraph.composition import Room
from gov_services.subgraph.schema import Schema

SUBGRAPHS = ("identity", "permits", "payments", "healthcode", "privacy")


def create_schema(name: str) -> Schema:
    """The schema of a subgraph, with nothing connected."""
    module = importlib.import_module(f"gov_services.{name}.graph")
    if not hasattr(module, "create_schema"):
        module = importlib.import_module(f"gov_services.{name}.graph.schema")
    return cast(Schema, module.create_schema())


def room_factory(name: str) -> Callable[..., Awaitable[Room[Any]]]:
    """The composition root of a room."""
    return cast(Callable[..., Awaitable[Room[Any]]], importlib.import_module(f"gov_services.{name}.app").create_room)
