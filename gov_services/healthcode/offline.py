"""What a venue runs: checks codes with keys that it fetched before, and asks nobody. It reads no setting."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from typing import Any

from gov_services.crypto.signing import VerifyKeys
from gov_services.healthcode.code import Shown, open_code


class OfflineVerifier:
    """Checks codes of one issuer. Keys are those of `/.well-known/health-code-keys.json`, fetched once a day."""

    def __init__(self, jwk_set: Mapping[str, Any], *, issuer: str) -> None:
        """Raises KeyRefused for a key that is no Ed25519 key; KeyError where it is no JWK Set."""
        self._keys = VerifyKeys(
            {
                jwk["kid"]: base64.urlsafe_b64decode(jwk["x"] + "=" * (-len(jwk["x"]) % 4))
                for jwk in jwk_set["keys"]
                if (jwk["kty"], jwk["crv"]) == ("OKP", "Ed25519")
            }
        )
        self._issuer = issuer

    def verify(self, text: str, *, now: dt.datetime) -> Shown:
        """Colour, masked name and until when; the code holds nothing else. Raises CodeRefused."""
        return open_code(text, keys=self._keys, issuer=self._issuer, now=now)
