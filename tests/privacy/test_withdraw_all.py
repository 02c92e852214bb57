"""Withdrawing everything at once, where the purposes have moved on since somebody asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from city_law import SEED, put_in_force
from consent_bb_client import BANK, asking, request_by_code
from town import Town

from gov_services.consent.purposes import Basis

pytestmark = pytest.mark.untraced


@pytest.mark.parametrize("moved_on", [False, True], ids=["as it was", "the party may not ask any more"])
async def test_what_waits_is_ended_whatever_became_of_the_purpose(town: Town, moved_on: bool) -> None:
    purpose = SEED.purposes["adult-check"]
    assert purpose.basis is Basis.CONSENT
    citizen = await town.register()
    async with asking(town) as ask:
        await request_by_code(town, town.party(BANK), citizen)
        if moved_on:
            others = frozenset({"citizen-app"})
            assert replace(purpose, clients=others) != purpose
            await put_in_force(town, "adult-check", clients=others)
        await ask("DELETE", "/service/individual/record/", citizen)
    state = await town.value("SELECT state FROM consent.standing")
    assert state == ("withdrawn" if moved_on else "refused")
