"""Keys of the sandbox payment channel and of the one merchant it knows, made into two directories. Development only."""

from __future__ import annotations

import datetime as dt
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

MERCHANT_ID = "1900000109"
APP_ID = "wx0000000000000000"
VALID_DAYS = 3650


@dataclass(frozen=True, slots=True)
class ChannelKeys:
    """What the channel holds."""

    platform_key: RSAPrivateKey
    platform_certificate: x509.Certificate
    merchant_certificate: x509.Certificate
    api_key: bytes

    @property
    def platform_serial(self) -> str:
        """Serial number of the platform's certificate, as the wire has it."""
        return _serial(self.platform_certificate)

    @property
    def merchant_serial(self) -> str:
        """The same of the merchant's."""
        return _serial(self.merchant_certificate)

    @property
    def merchant_public_key(self) -> RSAPublicKey:
        """What the merchant's requests are verified with."""
        key = self.merchant_certificate.public_key()
        assert isinstance(key, RSAPublicKey)
        return key


def make_keys(*, channel: Path, merchant: Path, now: dt.datetime) -> None:
    """Make the channel's files and the merchant's, once; files that are there stay as they are."""
    if (channel / "made").exists() and (merchant / "merchant.json").exists():
        return
    for directory in (channel, merchant, merchant / "platform"):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    platform_key, merchant_key = (generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    platform_certificate = _certificate(platform_key, "Sandbox Payment Channel", now)
    merchant_certificate = _certificate(merchant_key, "Sandbox Merchant", now)
    api_key = secrets.token_hex(16).encode()
    _write(channel / "platform-key.pem", _pem(platform_key))
    _write(channel / "platform-certificate.pem", platform_certificate.public_bytes(Encoding.PEM))
    _write(channel / "merchant-certificate.pem", merchant_certificate.public_bytes(Encoding.PEM))
    _write(channel / "apiv3.key", api_key)
    _write(merchant / "merchant-key.pem", _pem(merchant_key))
    _write(merchant / "apiv3.key", api_key)
    serial = _serial(platform_certificate)
    for outdated in (merchant / "platform").glob("*.pem"):
        outdated.unlink()
    _write(merchant / "platform" / f"{serial}.pem", platform_certificate.public_bytes(Encoding.PEM))
    about = {
        "v": "gov-wechat-merchant/1",
        "appid": APP_ID,
        "mchid": MERCHANT_ID,
        "serial": _serial(merchant_certificate),
    }
    _write(merchant / "merchant.json", json.dumps(about, indent=2).encode())
    _write(channel / "made", b"1")


def load_channel_keys(directory: Path) -> ChannelKeys:
    """The channel's own files."""
    platform_key = load_pem_private_key((directory / "platform-key.pem").read_bytes(), password=None)
    assert isinstance(platform_key, RSAPrivateKey)
    return ChannelKeys(
        platform_key,
        x509.load_pem_x509_certificate((directory / "platform-certificate.pem").read_bytes()),
        x509.load_pem_x509_certificate((directory / "merchant-certificate.pem").read_bytes()),
        (directory / "apiv3.key").read_bytes(),
    )


def _certificate(key: RSAPrivateKey, name: str, now: dt.datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=VALID_DAYS))
        .sign(key, SHA256())
    )


def _serial(certificate: x509.Certificate) -> str:
    return format(certificate.serial_number, "X")


def _pem(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    partial.replace(path)
