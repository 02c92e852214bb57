"""What permits reaches outside our process, and the keys that only it holds. Wired by app.py."""

from __future__ import annotations

from dataclasses import dataclass

from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.permits.catalogue import Service
from gov_services.permits.files import DocumentFiles


@dataclass(frozen=True, slots=True)
class PermitsPorts:
    """The room's ports."""

    files: DocumentFiles
    catalogue: tuple[Service, ...]
    """What the reviewed file says; use-cases read the table that it is loaded into."""
    upload_key: SigningKey
    upload_keys: VerifyKeys
    licence_key: SigningKey
    licence_keys: VerifyKeys
    issuer: str
    """Where citizens reach us: in credentials and in links."""
