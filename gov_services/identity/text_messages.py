"""Text messages, handed over behind the request: who asked learns nothing by waiting. It decides on no message."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

_log = structlog.get_logger("gov_services.identity")


class Sms(Protocol):
    """Sends a text message."""

    async def send(self, *, phone: str, text: str) -> None:
        """Hand `text` to the provider for `phone` (E.164). Raises ProviderUnavailable."""
        ...


class TextMessages:
    """Messages on their way to the provider; those are awaited when the room closes."""

    def __init__(self, sms: Sms) -> None:
        self._sms = sms
        self._on_the_way: set[asyncio.Task[None]] = set()

    def send(self, *, phone: str, text: str, about: str) -> None:
        """Hand `text` over for `phone` (E.164) and return at once. `about` names the message for operators."""
        task = asyncio.create_task(self._hand_over(phone=phone, text=text, about=about))
        self._on_the_way.add(task)
        task.add_done_callback(self._on_the_way.discard)

    async def settled(self) -> None:
        """Return once nothing is on its way; the room closes after that."""
        while self._on_the_way:
            await asyncio.gather(*self._on_the_way)

    async def _hand_over(self, *, phone: str, text: str, about: str) -> None:
        try:
            await self._sms.send(phone=phone, text=text)
        except Exception as error:  # noqa: BLE001  nobody waits for this task: whatever it is, operators hear of it
            # Neither number nor text: nobody learns from this line who is registered, nor a code.
            cause = type(error.__cause__ or error).__name__
            _log.error("a text message was not sent", about=about, error=cause)
