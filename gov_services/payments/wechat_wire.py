"""WeChat Pay API v3 on the wire: signing requests, verifying answers, opening notifications. No network, no clock.

WeChat Pay APIv3 接口规则: 签名生成, 签名验证, 证书和回调报文解密.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import Certificate

SCHEME = "WECHATPAY2-SHA256-RSA2048"
TOLERANCE_S = 300
"""How far from our clock a signature's timestamp may be; the genuine SDK checks nothing here."""
AEAD = "AEAD_AES_256_GCM"


class Forged(Exception):
    """A signature, a timestamp or a ciphertext is not what the channel would have sent. The message names the check."""


def authorization(
    key: RSAPrivateKey,
    *,
    merchant_id: str,
    serial: str,
    method: str,
    target: str,
    body: bytes,
    nonce: str,
    timestamp: int,
) -> str:
    """The Authorization header of a request to `target` (path and query)."""
    text = f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"
    signature = base64.b64encode(key.sign(text, PKCS1v15(), SHA256())).decode()
    return (
        f'{SCHEME} mchid="{merchant_id}",nonce_str="{nonce}",signature="{signature}",'
        f'timestamp="{timestamp}",serial_no="{serial}"'
    )


def verify(
    certificates: Mapping[str, Certificate], *, headers: Mapping[str, str], body: bytes, now: dt.datetime
) -> None:
    """Check that the channel itself sent `body`, just now. `headers` have lower-case names. Raises Forged.

    1 signed in the one scheme we know   2 timestamp within TOLERANCE_S of `now`   3 by a platform certificate that we
    hold, in its term   4 the signature is over these very bytes
    """
    # (1)
    if headers.get("wechatpay-signature-type", SCHEME) != SCHEME:
        raise Forged("signature type")
    # (2)
    timestamp = headers.get("wechatpay-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise Forged("timestamp")
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_S:
        raise Forged("timestamp too far")
    # (3)
    certificate = certificates.get(headers.get("wechatpay-serial", "").upper())
    if certificate is None:
        raise Forged("certificate serial")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Forged("certificate out of term")
    public_key = certificate.public_key()
    assert isinstance(public_key, RSAPublicKey)  # wechat_files takes no other
    # (4)
    text = f"{timestamp}\n{headers.get('wechatpay-nonce', '')}\n".encode() + body + b"\n"
    try:
        signature = base64.b64decode(headers.get("wechatpay-signature", ""), validate=True)
        public_key.verify(signature, text, PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        raise Forged("signature") from None


def open_resource(api_key: bytes, resource: Mapping[str, Any]) -> bytes:
    """The plaintext of a notification's `resource`. Raises Forged."""
    try:
        if resource["algorithm"] != AEAD:
            raise Forged("algorithm")
        nonce = resource["nonce"].encode()
        ciphertext = base64.b64decode(resource["ciphertext"], validate=True)
        return AESGCM(api_key).decrypt(nonce, ciphertext, (resource.get("associated_data") or "").encode())
    except (InvalidTag, KeyError, AttributeError, TypeError, ValueError):
        raise Forged("resource") from None
