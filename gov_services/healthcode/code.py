"""The code that is shown: a signed CWT (RFC 8392) in Base45, with colour, masked name and end. It reads no database.

`GHC1:` and Base45 of a COSE_Sign1 message. Claims: 1 issuer, 4 end, 6 issued, 7 a random id, and ours: "c" colour,
"n" masked name, "u" until when the colour is good. Nothing else stands in it.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import segno

from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.healthcode import base45, cose
from gov_services.healthcode.rules import Colour

PREFIX = "GHC1:"
KIND = "gov-health-code/1"
LIFETIME = dt.timedelta(minutes=10)
"""So short that a picture of somebody's code is of no use."""
CLOCK_SKEW = dt.timedelta(seconds=30)
LONGEST_TEXT = 1024
_ISSUER, _EXPIRES, _ISSUED, _ID = 1, 4, 6, 7
_CLAIMS = frozenset({_ISSUER, _EXPIRES, _ISSUED, _ID, "c", "n", "u"})


class CodeRefused(Exception):
    """The code is not ours, altered, or over. `reason` names the check that failed and quotes nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a code says."""

    id: UUID
    colour: Colour
    masked_name: str
    valid_until: dt.datetime
    expires_at: dt.datetime


def sign_code(key: SigningKey, shown: Shown, *, issuer: str, now: dt.datetime) -> str:
    """The text of the code."""
    claims: dict[Any, object] = {
        _ISSUER: issuer,
        _EXPIRES: int(shown.expires_at.timestamp()),
        _ISSUED: int(now.timestamp()),
        _ID: shown.id.bytes,
        "c": shown.colour.value,
        "n": shown.masked_name,
        "u": int(shown.valid_until.timestamp()),
    }
    return PREFIX + base45.encode(cose.sign1(cose.dumps(claims), key=key, kind=KIND))


def open_code(text: str, *, keys: VerifyKeys, issuer: str, now: dt.datetime) -> Shown:
    """What a code says, checked with published keys and no network. Raises CodeRefused; each number is one check.

    1 our prefix, our alphabet, not overlong   2 signed by a key of ours (cose.open_sign1)   3 exactly our claims
    4 from this issuer   5 issued, and neither the code nor its colour is over
    """
    # (1)
    if not text.startswith(PREFIX) or len(text) > LONGEST_TEXT:
        raise CodeRefused("prefix")
    try:
        message = base45.decode(text.removeprefix(PREFIX))
    except base45.NotBase45:
        raise CodeRefused("alphabet") from None
    # (2)
    try:
        payload = cose.open_sign1(message, keys=keys, kind=KIND)
        claims = cose.loads(payload)
    except cose.CoseRefused:
        raise CodeRefused("signature") from None
    # (3)
    if not isinstance(claims, Mapping) or set(claims) != _CLAIMS:
        raise CodeRefused("claims")
    try:
        shown = Shown(
            id=UUID(bytes=claims[_ID]),
            colour=Colour(claims["c"]),
            masked_name=str(claims["n"]),
            valid_until=dt.datetime.fromtimestamp(claims["u"], dt.UTC),
            expires_at=dt.datetime.fromtimestamp(claims[_EXPIRES], dt.UTC),
        )
        issued = dt.datetime.fromtimestamp(claims[_ISSUED], dt.UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise CodeRefused("claims") from None
    # (4)
    if claims[_ISSUER] != issuer:
        raise CodeRefused("issuer")
    # (5)
    if issued > now + CLOCK_SKEW or shown.expires_at <= now or shown.valid_until <= now:
        raise CodeRefused("time")
    return shown


def qr_code(text: str) -> str:
    """The code as an SVG; Base45 keeps it in the alphanumeric mode, so that it stays small."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="svg", xmldecl=False, scale=4, border=4)
    return out.getvalue().decode().strip()
