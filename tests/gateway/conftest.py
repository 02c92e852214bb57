"""What the tests of the gateway share: a town with the committed documents, and the front door to it."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import pytest
from front_door import FrontDoor
from redis.asyncio import Redis
from sockets import Line, line_to
from town import Town, found_town

from gov_services.kit.actor import Actor
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database
from gov_services.kit.settings import PROJECT_ROOT, Settings


@pytest.fixture
async def graph_town(settings: Settings, clock: FrozenClock, database: Database, valkey: Redis) -> AsyncIterator[Town]:
    """A town whose rooms trust the committed documents."""
    settings = dataclasses.replace(settings, graph_directory=PROJECT_ROOT / "graphql", public_url="http://city.test")
    founded = await found_town(settings, clock=clock, database=database, valkey=valkey)
    yield founded
    await founded.close()


@pytest.fixture
async def door(graph_town: Town) -> AsyncIterator[FrontDoor]:
    """The front door, in development."""
    opened = FrontDoor(graph_town)
    yield opened
    await opened.http.aclose()


@pytest.fixture
async def line(door: FrontDoor) -> AsyncIterator[Line]:
    """A gateway on a port."""
    async with line_to(door) as opened:
        yield opened


@pytest.fixture
async def citizen(graph_town: Town) -> Actor:
    """Somebody who signed in."""
    return await graph_town.register()
