"""Runs the contestants by turns against the same subgraphs, and says what each did. It starts and stops them itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from gov_services.devstack.bench import scenario
from gov_services.devstack.bench.contestants import Contestant
from gov_services.devstack.bench.load import Load, Round, WrongAnswer

STARTS_WITHIN_S = 60
_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Figures:
    """What one contestant did: a number a round."""

    name: str
    rps: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    memory_mb: float = 0.0

    def add(self, done: Round, cpu_ms: float) -> None:
        """Add one round."""
        taken = sorted(done.latencies_ms)
        self.rps.append(done.requests / done.seconds)
        self.p50_ms.append(taken[len(taken) // 2])
        self.p99_ms.append(taken[min(len(taken) - 1, len(taken) * 99 // 100)])
        self.cpu_ms.append(cpu_ms / done.requests)

    def medians(self) -> dict[str, float]:
        """Medians over the rounds, and the memory at the end."""
        return {
            "requests_per_s": round(statistics.median(self.rps), 1),
            "p50_ms": round(statistics.median(self.p50_ms), 2),
            "p99_ms": round(statistics.median(self.p99_ms), 2),
            "cpu_ms_per_request": round(statistics.median(self.cpu_ms), 3),
            "memory_mb": round(self.memory_mb, 1),
        }


@dataclass(frozen=True, slots=True)
class Run:
    """How long and how hard. `cores`: for the gateways and for all else; None where there are not two."""

    rounds: int
    seconds: float
    connections: int
    cores: tuple[int, int] | None


async def measure(contestants: Sequence[Contestant], run: Run, tell: Callable[[str], None]) -> list[Figures]:
    """Let all of them answer by turns. Raises WrongAnswer where two answer differently."""
    figures = [Figures(item.name) for item in contestants]
    async with contextlib.AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(_started(item, run)) for item in contestants]
        loads = [
            Load(item.port, item.path, {"query": scenario.QUERY, "variables": scenario.VARIABLES}, item.headers)
            for item in contestants
        ]
        sizes = await _sizes(contestants, loads)
        for load, size in zip(loads, sizes, strict=True):  # what is made once is made now
            await load.run(connections=run.connections, seconds=min(2.0, run.seconds), expected=size)
        for number in range(run.rounds):
            for item, process, load, size in zip(figures, processes, loads, sizes, strict=True):
                before = _cpu_ms(process.pid)
                done = await load.run(connections=run.connections, seconds=run.seconds, expected=size)
                item.add(done, _cpu_ms(process.pid) - before)
                tell(f"round {number + 1}: {item.name}: {item.rps[-1]:.0f} requests a second")
        for item, process in zip(figures, processes, strict=True):
            item.memory_mb = _memory_mb(process.pid)
    return figures


async def _sizes(contestants: Sequence[Contestant], loads: Sequence[Load]) -> list[int]:
    """The size of each one's answer, once all are known to be the same."""
    answers = [await load.ask() for load in loads]
    for item, answer in zip(contestants, answers, strict=True):
        if answer.get("errors") or answer.get("data") != answers[0].get("data"):
            raise WrongAnswer(f"{item.name} answers something else: {str(answer)[:300]}")
    return [await load.size() for load in loads]


@contextlib.asynccontextmanager
async def _started(item: Contestant, run: Run) -> AsyncIterator[subprocess.Popen[bytes]]:
    """The process, once it answers; stopped at the end."""
    with tempfile.TemporaryFile() as told:
        environment = {**os.environ, "NODE_ENV": "production"}
        process = subprocess.Popen(item.command, stdout=told, stderr=told, env=environment)  # noqa: ASYNC220
        try:
            if run.cores is not None:
                os.sched_setaffinity(process.pid, {run.cores[0]})
            await _answers(item, process)
            yield process
        except WrongAnswer:
            told.seek(0)
            raise WrongAnswer(f"{item.name}: {told.read()[-1500:].decode(errors='replace')}") from None
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def _answers(item: Contestant, process: subprocess.Popen[bytes]) -> None:
    load = Load(item.port, item.path, {"query": "{__typename}"}, item.headers)
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, ValueError, orjson.JSONDecodeError):
            if (await load.ask()).get("data") == {"__typename": "Query"}:
                return
        await asyncio.sleep(0.2)
    raise WrongAnswer("it does not answer")


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _family(int(child))
    return found


def _stat(pid: int) -> list[Any]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_ms(pid: int) -> float:
    return sum((int(_stat(one)[11]) + int(_stat(one)[12])) * _TICK_MS for one in _family(pid))


def _memory_mb(pid: int) -> float:
    return sum(int(_stat(one)[21]) * _PAGE for one in _family(pid)) / 1e6
