"""The licence as a signed credential, its QR code, and the signed list of what still holds. It reads no database.

The credential is a JWT of type `licence+jwt`; the list follows the IETF's Token Status List (one bit a licence, zlib,
base64url), so that anyone can check a licence with the published keys and the list, and ask us nothing.
"""

from __future__ import annotations

import base64
import datetime as dt
import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

import segno

from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.crypto.tokens import sign_token, verify_token

FORMAT = "gov-licence/1"
LICENCE_TYPE = "licence+jwt"
STATUS_LIST_TYPE = "statuslist+jwt"
AUDIENCE = "licence-verifier"
TERM = dt.timedelta(days=3653)
"""How long a credential is good for. The licence has no term; its holder gets a new credential."""
STATUS_LIST_LIFETIME = dt.timedelta(hours=24)
STATUS_LIST_TTL_S = 300
STATUS_PATH = "/licences/status"
VERIFY_PATH = "/licences/verify"
KEYS_PATH = "/.well-known/licence-keys.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Particulars:
    """What is printed on a licence (登记事项)."""

    number: str
    business_name: str
    business_address: str
    scope: str
    operator_name: str


def issue_credential(
    key: SigningKey, particulars: Particulars, *, issuer: str, status_index: int, now: dt.datetime
) -> str:
    """The credential. It names no id of ours but the public number."""
    issued = int(now.timestamp())
    claims = {
        "v": FORMAT,
        "iss": issuer,
        "aud": AUDIENCE,
        "iat": issued,
        "exp": issued + int(TERM.total_seconds()),
        "status": {"status_list": {"idx": status_index, "uri": issuer + STATUS_PATH}},
        "licence": {
            "number": particulars.number,
            "businessName": particulars.business_name,
            "businessAddress": particulars.business_address,
            "scope": particulars.scope,
            "operatorName": particulars.operator_name,
        },
    }
    return sign_token(key, claims, type=LICENCE_TYPE)


def number_in(credential: str, *, keys: VerifyKeys, issuer: str, now: dt.datetime) -> str:
    """The number of the licence that a credential of ours is for. Raises crypto.tokens.TokenRefused."""
    claims = verify_token(keys, credential, type=LICENCE_TYPE, audience=AUDIENCE, issuer=issuer, now=now)
    return str(claims["licence"]["number"])


def qr_code(credential: str, *, issuer: str) -> str:
    """An SVG with a QR code; what scans it is taken to the verification page."""
    address = f"{issuer}{VERIFY_PATH}?credential={quote(credential, safe='')}"
    out = io.BytesIO()
    segno.make(address, error="l", micro=False).save(out, kind="svg", xmldecl=False, scale=3, border=4)
    return out.getvalue().decode().strip()


def status_list(key: SigningKey, ended: Iterable[int], *, size: int, issuer: str, now: dt.datetime) -> str:
    """The signed list: bit `i` is set where licence `i` holds no more."""
    bits = bytearray((size + 7) // 8 or 1)
    for index in ended:
        bits[index // 8] |= 1 << (index % 8)
    issued = int(now.timestamp())
    claims = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": issuer + STATUS_PATH,
        "iat": issued,
        "exp": issued + int(STATUS_LIST_LIFETIME.total_seconds()),
        "ttl": STATUS_LIST_TTL_S,
        "status_list": {"bits": 1, "lst": base64.urlsafe_b64encode(zlib.compress(bytes(bits), 9)).decode().rstrip("=")},
    }
    return sign_token(key, claims, type=STATUS_LIST_TYPE)


def ended_in(lst: str, index: int) -> bool:
    """Whether the `lst` of a status list says that licence `index` holds no more."""
    bits = zlib.decompress(base64.urlsafe_b64decode(lst + "=" * (-len(lst) % 4)))
    return bool(bits[index // 8] >> (index % 8) & 1)
