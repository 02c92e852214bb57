"""Plays the journey step by step, and says where it stops. A step that is printed was done."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from gov_services.devstack.journey import account_steps, health_steps, oversight_steps, permit_steps
from gov_services.devstack.journey.steps import Step
from gov_services.devstack.journey.town import StepFailed, Town, invent_person
from gov_services.kit.manifest import Manifest

STEPS: tuple[Step, ...] = (*account_steps.STEPS, *permit_steps.STEPS, *health_steps.STEPS, *oversight_steps.STEPS)
REQUEST_TIMEOUT_S = 15.0
STORY = len(STEPS)


async def play(
    url: str,
    *,
    manifest: Manifest,
    staff: Mapping[str, str],
    clients: Mapping[str, str],
    providers_url: str,
    channel_url: str,
    tell: Callable[[str], None],
) -> tuple[list[dict[str, Any]], bool]:
    """Play all steps against `url`; what each came to, and whether all were complete."""
    told: list[dict[str, Any]] = []
    async with httpx.AsyncClient(base_url=url, timeout=REQUEST_TIMEOUT_S) as http:
        town = Town(http, manifest, staff, clients, providers_url, channel_url, invent_person("测试甲"))
        for step in STEPS:
            begun = time.monotonic()
            try:
                found = await step.play(town)
            except Exception as failed:  # noqa: BLE001  whatever it is, it is told with the step that it stopped
                reason = str(failed) if isinstance(failed, StepFailed) else f"{type(failed).__name__}: {failed}"
                tell(f"{step.number:>2} {step.title}\n   FAILED: {reason}")
                told.append({"step": step.number, "title": step.title, "ok": False, "error": reason})
                tell(f"journey stopped at step {step.number}: {len(told) - 1}/{STORY}")
                return told, False
            spent_ms = round((time.monotonic() - begun) * 1000)
            tell(f"{step.number:>2} {step.title} ({spent_ms} ms)")
            for line in found.lines:
                tell(f"   {line}")
            told.append({"step": step.number, "title": step.title, "ok": True, "ms": spent_ms, **found.facts})
        tell(f"journey complete: {len(told)}/{STORY}")
    return told, True
