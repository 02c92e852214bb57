"""The manifest of trusted documents as a process takes it: signed by two, in force, watched. It signs nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache

import structlog

from gov_services.crypto.signing import SignatureRefused, VerifyKeys
from gov_services.kit.clock import Clock
from gov_services.kit.manifest import Manifest, ManifestRefused
from gov_services.kit.manifest_statement import MOST_DAYS, Office, Statement
from gov_services.kit.reloading import Reloader
from gov_services.kit.settings import Settings

MANIFEST = "trusted-documents.json"
MANIFEST_SIGNATURE = "trusted-documents.sig"
WARN_BEFORE = dt.timedelta(days=30)
TOLD_EVERY = dt.timedelta(days=1)
_LOOKED_EVERY = dt.timedelta(minutes=10)
_log = structlog.get_logger("gov_services.manifest")


def key_name(office: Office) -> str:
    """What the key of an office is called under `signing/`."""
    return f"manifest-{office.value}"


def load_keys(settings: Settings, offices: Iterable[Office] = Office) -> dict[Office, VerifyKeys]:
    """The public keys of offices. Raises KeyRefused."""
    return {office: VerifyKeys.load(settings.secrets_directory, key_name(office)) for office in offices}


@lru_cache(maxsize=2)  # rooms of one process read the same
def _parsed(content: bytes) -> Manifest:
    return Manifest.parse(content)


def load_manifest(settings: Settings, *, now: dt.datetime) -> Manifest:
    """The manifest of trusted documents, signed and in force. Raises ManifestRefused, SignatureRefused, OSError.

    1 the statement is about these very bytes   2 author and officer signed it   3 it ends within MOST_DAYS
    4 it has not ended
    """
    manifest = _parsed((settings.graph_directory / MANIFEST).read_bytes())
    statement = Statement.parse((settings.runtime_directory / MANIFEST_SIGNATURE).read_text())
    # (1)
    statement.require_about(manifest)
    # (2)
    require_signed(statement, load_keys(settings))
    # (3)
    if statement.until > now + dt.timedelta(days=MOST_DAYS):
        raise ManifestRefused(f"manifest version {manifest.version} is signed for more than {MOST_DAYS} days")
    # (4)
    signed = dataclasses.replace(manifest, until=statement.until)
    signed.require_in_force(now)
    return signed


def require_signed(statement: Statement, keys: dict[Office, VerifyKeys]) -> None:
    """Return where every office of `keys` signed the statement. Raises SignatureRefused.

    1 there is a signature of the office   2 it is that of one of the office's keys   3 no key signed for two offices
    """
    signed_by: dict[bytes, Office] = {}
    for office, known in keys.items():
        # (1)
        signature = statement.signatures.get(office)
        if signature is None:
            raise SignatureRefused(f"manifest version {statement.version} lacks the signature of its {office.value}")
        # (2)
        known.verify(signature.key_id, statement.signed_text(office), signature.raw)
        # (3)
        other = signed_by.setdefault(known.public_keys()[signature.key_id], office)
        if other is not office:
            raise SignatureRefused(f"one key signed as {other.value} and as {office.value}: they are two people")


def watch_manifest(settings: Settings, load: Callable[[Manifest], Awaitable[None]], *, clock: Clock) -> Reloader:
    """What notices another manifest or other signatures, and that their end comes near.

    `load` gets a manifest that is signed and in force.
    """

    async def reload() -> None:
        await load(load_manifest(settings, now=clock.now()))

    return Reloader(
        settings.graph_directory / MANIFEST,
        settings.runtime_directory / MANIFEST_SIGNATURE,
        load=reload,
        beside=EndWarning(settings, clock).look,
    )


class EndWarning:
    """Says once a day that the end of the signatures comes near, or has come."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._path = settings.runtime_directory / MANIFEST_SIGNATURE
        self._clock = clock
        self._look_from: dt.datetime | None = None
        self._tell_from: dt.datetime | None = None

    def look(self) -> None:
        """Read the end, now and then, and tell of it where it is near. What cannot be read is told elsewhere."""
        now = self._clock.now()
        if self._look_from is not None and now < self._look_from:
            return
        self._look_from = now + _LOOKED_EVERY
        try:
            until = Statement.parse(self._path.read_text()).until
        except (OSError, ValueError):
            return
        if until - now > WARN_BEFORE or (self._tell_from is not None and now < self._tell_from):
            return
        self._tell_from = now + TOLD_EVERY
        if now < until:
            _log.warning("the trusted documents are to be signed anew", until=until.isoformat())
        else:
            _log.critical("the trusted documents are signed no more: nothing is served", until=until.isoformat())
