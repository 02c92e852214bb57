"""Refresh tokens: derived from a session and a generation, so that none is stored. It knows no session."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from gov_services.kit.errors import UserError

_SHAPE = re.compile(r"r1\.([0-9a-f]{32})\.([1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})", re.ASCII)


class RefreshRefused(UserError):
    """The refresh token is unknown, ended, over, or was used before."""

    code = "REFRESH_REFUSED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "登录已失效,请重新登录。",
        "en": "Your session is over. Please sign in again.",
    }


@dataclass(frozen=True, slots=True)
class Turn:
    """What a genuine token names: a session, and which of its tokens it is, counted from 1."""

    session_id: UUID
    generation: int


class RefreshTokens:
    """Makes and reads `r1.<session id>.<generation>.<MAC>` under the root key `refresh-token`."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token_for(self, turn: Turn) -> str:
        """The one token of that generation of that session."""
        return f"r1.{turn.session_id.hex}.{turn.generation}.{self._mac(turn)}"

    def read(self, token: str) -> Turn:
        """What the token names. Raises RefreshRefused for any text that we did not make."""
        parts = _SHAPE.fullmatch(token)
        if parts is None:
            raise RefreshRefused
        turn = Turn(UUID(parts[1]), int(parts[2]))
        if not hmac.compare_digest(parts[3], self._mac(turn)):
            raise RefreshRefused
        return turn

    def _mac(self, turn: Turn) -> str:
        text = f"gov-refresh/1\n{turn.session_id.hex}\n{turn.generation}\n"
        return base64.urlsafe_b64encode(hmac.digest(self._key, text.encode(), hashlib.sha256)).decode().rstrip("=")
