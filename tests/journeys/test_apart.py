"""The same story with each deployable in a process of its own, as a cluster runs them; two are killed on the way."""

from __future__ import annotations

import pytest

from gov_services.cli.apart import system_apart
from gov_services.devstack.deployable import DeployableProcess
from gov_services.devstack.journey.play import play
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
        _, complete = await play(
            running.url,
            manifest=running.manifest,
            staff=running.accounts.staff,
            clients=running.accounts.clients,
            providers_url=running.sandboxes.providers_url,
            channel_url=running.sandboxes.channel_url,
            tell=tell,
        )
    assert complete, lines[-3:]
    assert lines[-1] == "journey complete: 17/17"
