"""Readers run while a consent is withdrawn: none that starts after the commit succeeds, however the two meet."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

import pytest
from adult_checks import ask_adult, change_consent
from town import Town

from gov_services.consent.lifecycle import ConsentEvent
from gov_services.kit.actor import Actor

pytestmark = pytest.mark.untraced

READERS = 4
READS_BEFORE = 10
"""A withdrawal comes within as long as so many reads take here, one after the other."""


@dataclass(slots=True)
class Trial:
    """One withdrawal, and what those who read meanwhile got."""

    withdrawn: bool = False
    before: int = 0
    """Reads that succeeded and had begun before the commit was known."""
    late: list[str] = field(default_factory=list)
    """Reads that succeeded and had begun after it."""

    async def read(self, town: Town, actor: Actor) -> None:
        """Ask until it is refused."""
        while True:
            began_after = self.withdrawn
            answer = await ask_adult(town, actor.id)
            if answer == "CONSENT_REQUIRED":
                return
            assert answer is True, answer
            if began_after:
                self.late.append(str(answer))
                return
            self.before += 1

    async def withdraw(self, town: Town, actor: Actor, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await change_consent(town, actor, ConsentEvent.WITHDRAW)
        self.withdrawn = True


async def time_of_a_read(town: Town, actor: Actor) -> float:
    """Seconds; the machine may be busy."""
    await change_consent(town, actor, ConsentEvent.GIVE)
    await ask_adult(town, actor.id)
    begun = time.perf_counter()
    await asyncio.gather(*(ask_adult(town, actor.id) for _ in range(READERS)))
    return (time.perf_counter() - begun) / READERS


async def race(town: Town, trials: int) -> None:
    chance, actor, before = random.Random(20260302), await town.register(), 0
    latest_s = await time_of_a_read(town, actor) * READS_BEFORE
    for number in range(trials):
        if number % 100 == 99:
            await town.integrate()  # or nothing is opened any more: the log would lag
        await change_consent(town, actor, ConsentEvent.GIVE)
        trial = Trial()
        await asyncio.gather(
            trial.withdraw(town, actor, chance.uniform(0, latest_s)),
            *(trial.read(town, actor) for _ in range(READERS)),
        )
        assert trial.late == []
        before += trial.before
    # They did meet: some read while it stood.
    assert before > trials / 2


async def test_no_read_that_starts_after_a_withdrawal_succeeds(town: Town) -> None:
    await race(town, 25)


@pytest.mark.slow
async def test_no_read_that_starts_after_a_withdrawal_succeeds_in_a_thousand_trials(town: Town) -> None:
    await race(town, 1000)
