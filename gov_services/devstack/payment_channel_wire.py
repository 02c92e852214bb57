"""The sandbox channel's end of WeChat Pay's wire format. It shares nothing with payments.wechat_wire.

So that the two agree because both follow the format, and not because they share a mistake.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import secrets
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from gov_services.devstack.payment_channel_keys import MERCHANT_ID, ChannelKeys

SCHEME = "WECHATPAY2-SHA256-RSA2048"
BEIJING = dt.timezone(dt.timedelta(hours=8))
_PAIR = re.compile(r'([a-z_]+)="([^"]*)"')


class SignatureWrong(Exception):
    """The request is not signed by the merchant that we know."""


def rfc3339(moment: dt.datetime) -> str:
    """A moment as the channel writes it: Beijing time, whole seconds."""
    return moment.astimezone(BEIJING).isoformat(timespec="seconds")


class Wire:
    """Verifies what the merchant sends, signs and encrypts what the channel sends."""

    def __init__(self, keys: ChannelKeys) -> None:
        self._keys = keys

    def verify(self, *, method: str, target: str, body: bytes, header: str, now: dt.datetime) -> None:
        """Check a request's Authorization header. Raises SignatureWrong."""
        scheme, _, rest = header.partition(" ")
        given = dict(_PAIR.findall(rest))
        try:
            if scheme != SCHEME or given["mchid"] != MERCHANT_ID or given["serial_no"] != self._keys.merchant_serial:
                raise SignatureWrong("not the merchant's")
            if abs(now.timestamp() - int(given["timestamp"])) > 300:
                raise SignatureWrong("timestamp")
            lines = [method, target, given["timestamp"], given["nonce_str"], body.decode(), ""]
            self._keys.merchant_public_key.verify(
                base64.b64decode(given["signature"]), "\n".join(lines).encode(), PKCS1v15(), SHA256()
            )
        except (KeyError, ValueError, InvalidSignature):
            raise SignatureWrong("signature") from None

    def signed_headers(self, body: bytes, *, now: dt.datetime) -> dict[str, str]:
        """The headers under which the channel sends `body`."""
        timestamp, nonce = str(int(now.timestamp())), secrets.token_hex(16)
        text = "\n".join([timestamp, nonce, body.decode(), ""]).encode()
        return {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": self._keys.platform_serial,
            "Wechatpay-Signature-Type": SCHEME,
            "Wechatpay-Signature": base64.b64encode(self._keys.platform_key.sign(text, PKCS1v15(), SHA256())).decode(),
        }

    def notification(self, *, identifier: str, event: str, about: dict[str, Any], now: dt.datetime) -> bytes:
        """The body of a notification, its content encrypted."""
        kind = "refund" if event.startswith("REFUND.") else "transaction"
        return _json(
            {
                "id": identifier,
                "create_time": rfc3339(now),
                "event_type": event,
                "resource_type": "encrypt-resource",
                "summary": "退款成功" if kind == "refund" else "支付成功",
                "resource": {"original_type": kind, **self._encrypted(_json(about), kind)},
            }
        )

    def certificates(self, *, now: dt.datetime) -> dict[str, Any]:
        """The answer of `/v3/certificates`."""
        certificate = self._keys.platform_certificate
        return {
            "data": [
                {
                    "serial_no": self._keys.platform_serial,
                    "effective_time": rfc3339(certificate.not_valid_before_utc),
                    "expire_time": rfc3339(certificate.not_valid_after_utc),
                    "encrypt_certificate": self._encrypted(certificate.public_bytes(Encoding.PEM), "certificate"),
                }
            ]
        }

    def _encrypted(self, plaintext: bytes, associated: str) -> dict[str, str]:
        nonce = secrets.token_hex(6)
        sealed = AESGCM(self._keys.api_key).encrypt(nonce.encode(), plaintext, associated.encode())
        return {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": nonce,
            "associated_data": associated,
            "ciphertext": base64.b64encode(sealed).decode(),
        }


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
