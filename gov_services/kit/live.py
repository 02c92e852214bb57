"""Where in Valkey a citizen's changes are announced: the channel's name alone. It neither tells nor listens."""

from __future__ import annotations

from uuid import UUID


def channel_of(citizen_id: UUID) -> str:
    """The channel of one citizen; ids travel there, and no personal value."""
    return f"live:{{{citizen_id}}}"
