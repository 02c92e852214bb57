"""What a merchant holds of WeChat Pay, read from files: identity, private key, APIv3 key, platform certificates.

merchant.json          {"v": "gov-wechat-merchant/1", "appid", "mchid", "serial": of the merchant's own certificate}
merchant-key.pem       the merchant's private key, 0600
apiv3.key              the APIv3 key, 32 characters, 0600
platform/<serial>.pem  the channel's certificates; one may be added before the channel begins to use it
"""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificate

FORMAT = "gov-wechat-merchant/1"


class MerchantFilesRefused(ValueError):
    """The files are missing, readable by others, or not what they should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merchant:
    """Who we are towards the channel, and how we know the channel."""

    app_id: str
    id: str
    serial: str
    key: RSAPrivateKey = field(repr=False)
    api_key: bytes = field(repr=False)
    certificates: Mapping[str, Certificate]
    """Platform certificates by serial number, upper-case hexadecimal."""


def load_merchant(directory: Path) -> Merchant:
    """The merchant whose files lie in `directory`. Raises MerchantFilesRefused."""
    try:
        about = json.loads((directory / "merchant.json").read_text())
        if about["v"] != FORMAT:
            raise MerchantFilesRefused(f"{directory}/merchant.json is not {FORMAT}")
        key = load_pem_private_key(_secret(directory / "merchant-key.pem"), password=None)
        api_key = _secret(directory / "apiv3.key").strip()
        certificates = {
            format(certificate.serial_number, "X"): certificate
            for path in sorted((directory / "platform").glob("*.pem"))
            for certificate in [load_pem_x509_certificate(path.read_bytes())]
        }
        merchant = Merchant(
            app_id=str(about["appid"]),
            id=str(about["mchid"]),
            serial=str(about["serial"]),
            key=_rsa(key),
            api_key=api_key,
            certificates=certificates,
        )
    except MerchantFilesRefused:
        raise
    except (OSError, KeyError, TypeError, ValueError) as unreadable:
        raise MerchantFilesRefused(f"{directory} does not hold a merchant's files: {unreadable}") from unreadable
    if len(api_key) != 32:
        raise MerchantFilesRefused("an APIv3 key is 32 characters")
    if not certificates or not all(isinstance(item.public_key(), RSAPublicKey) for item in certificates.values()):
        raise MerchantFilesRefused(f"{directory}/platform holds no RSA certificate of the channel")
    return merchant


def _rsa(key: object) -> RSAPrivateKey:
    if not isinstance(key, RSAPrivateKey):
        raise MerchantFilesRefused("the merchant's key is not RSA")
    return key


def _secret(path: Path) -> bytes:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise MerchantFilesRefused(f"{path.name} can be read by others; it must be 0600")
    return path.read_bytes()
