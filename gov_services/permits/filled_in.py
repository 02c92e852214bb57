"""What an applicant writes into an application, checked. Pure; it echoes nothing of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import ClassVar

from gov_services.kit.errors import UserError

LONGEST: Mapping[str, int] = {"businessName": 60, "businessAddress": 120, "scope": 200, "applicantName": 30}
"""Characters; together they fit the credential's QR code (a test holds the sum to it)."""
LONGEST_NOTE = 300
SHORTEST = 2


class NotFilledIn(UserError):
    """A field is empty, too short or too long, or holds characters that nobody types."""

    code = "NOT_FILLED_IN"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "此项须填写 {least} 至 {most} 个字。",
        "en": "This needs {least} to {most} characters.",
    }


def filled_in(name: str, text: str) -> str:
    """The value of field `name` as it is kept: NFC, spaces around it gone. Raises NotFilledIn."""
    return _checked(text, field=f"input.{name}", most=LONGEST[name])


def filled_note(text: str) -> str:
    """An officer's note to the applicant, as it is kept. Raises NotFilledIn."""
    return _checked(text, field="input.note", most=LONGEST_NOTE)


def _checked(text: str, *, field: str, most: int) -> str:
    value = unicodedata.normalize("NFC", text).strip()
    odd = any(unicodedata.category(letter) in ("Cc", "Cs", "Co", "Cn") for letter in value)
    if odd or not SHORTEST <= len(value) <= most:
        raise NotFilledIn(field=field, least=SHORTEST, most=most)
    return value
