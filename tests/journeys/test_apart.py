"""The same story with each deployable in a process of its own, as a cluster runs them; two are killed on the way."""

from __future__ import annotations

import asyncio

import pytest

from gov_services.cli.apart import system_apart
from gov_services.cli.demo import play_on
from gov_services.devstack.deployable import DeployableProcess
from gov_services.kit.settings import Settings

KILLED_AFTER = {"7": "worker", "11": "log"}
"""Step → what is killed after it, and started anew while the story goes on."""


@pytest.mark.slow
async def test_the_journey_comes_out_over_eight_processes_two_of_which_are_killed(settings: Settings) -> None:
    processes: dict[str, DeployableProcess] = {}
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        killed = KILLED_AFTER.get(line.split()[0])
        if killed is not None and line.endswith("ms)"):
            processes[killed].kill()
            processes[killed].spawn()

    async with system_apart(settings, started=processes) as running:
        assert set(processes) == {
            *("gateway", "identity", "permits", "payments", "healthcode", "privacy", "log", "worker")
        }
        _, complete = await play_on(running, tell=tell)
    assert complete, lines[-3:]
    assert lines[-1] == "journey complete: 17/17"


STOPS_AT = {
    "gateway": 1,
    "identity": 1,
    "privacy": 4,
    "permits": 5,
    "payments": 8,
    "healthcode": 10,
    "worker": 7,
    "log": 13,
}
"""What is broken → the step that the story stops at."""


@pytest.mark.slow
async def test_whichever_deployable_is_broken_the_story_stops_at_the_step_that_needs_it(settings: Settings) -> None:
    processes: dict[str, DeployableProcess] = {}
    stopped: dict[str, int] = {}
    lines: list[str] = []
    async with system_apart(settings, started=processes) as running:
        for name in STOPS_AT:
            processes[name].kill()
            told, complete = await play_on(running, tell=lines.append)
            assert not complete, name
            assert told[-1]["error"], name
            stopped[name] = told[-1]["step"]
            assert lines[-1] == f"journey stopped at step {stopped[name]}: {stopped[name] - 1}/17"
            processes[name].spawn()
            await asyncio.to_thread(processes[name].await_ready)
    assert stopped == STOPS_AT
