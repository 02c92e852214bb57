"""Plays the citizen's journey against a town of its own, and takes the town down again. It tells no step itself."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

from gov_services.cli.apart import system_apart
from gov_services.cli.running import Running, system
from gov_services.devstack.journey.play import play
from gov_services.kit.settings import Settings


async def play_demo(settings: Settings, *, quiet: bool, apart: bool) -> tuple[list[dict[str, Any]], bool]:
    """Play the journey against a system of its own; the steps, and whether all were complete."""
    tell: Callable[[str], None] = (lambda _: None) if quiet else click.echo
    # A town of its own, new at each run: the story ends with a purpose narrowed and a citizen erased.
    demo = Path(settings.runtime_directory) / "demo"
    shutil.rmtree(demo, ignore_errors=True)
    settings = dataclasses.replace(settings, runtime_directory=demo, secrets_directory=demo / "secrets")
    async with (system_apart if apart else system)(settings, tell=tell) as running:
        return await play_on(running, tell=tell)


async def play_on(running: Running, *, tell: Callable[[str], None]) -> tuple[list[dict[str, Any]], bool]:
    """Play the journey against a system that answers; what each step came to, and whether all were complete."""
    return await play(
        running.url,
        manifest=running.manifest,
        staff=running.accounts.staff,
        clients=running.accounts.clients,
        providers_url=running.sandboxes.providers_url,
        channel_url=running.sandboxes.channel_url,
        tell=tell,
    )
