"""Random valid queries over four supergraphs answer as one schema does: data alike, and errors where it has errors.

`make test` takes some of them; `make test-differential` takes 2,000.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from engine_world import town_world
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis_graphql import queries
from more_worlds import market_world, registry_world, streets_world

pytestmark = pytest.mark.untraced
WORLDS = {"town": town_world, "streets": streets_world, "market": market_world, "registry": registry_world}
EXAMPLES = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "60")) // len(WORLDS)


@pytest.mark.parametrize("name", WORLDS)
def test_any_query_answers_as_one_schema_does(name: str, bench: Any) -> None:
    place = bench(name, WORLDS[name]())
    loop = asyncio.new_event_loop()
    checked = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(document=queries(place.engine.planning.public_schema))
    def check(document: str) -> None:
        nonlocal checked
        checked += 1
        loop.run_until_complete(place.compare_with_errors(document))

    try:
        check()
    finally:
        loop.close()
    assert checked >= EXAMPLES
