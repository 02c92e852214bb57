"""The bundle of purposes in force, read and verified; and publishing one. It narrows nothing by itself."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

import structlog

from gov_services.consent import store
from gov_services.consent.models import BundleRow
from gov_services.consent.purpose_files import parse_bundle
from gov_services.consent.purposes import Bundle, signed_text
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.database import ReadSession, Session
from gov_services.kit.errors import Unavailable


class NoBundle(Unavailable):
    """No bundle is published, so nothing may be disclosed."""

    code = "POLICY_UNAVAILABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "服务暂时不可用,请稍后再试。",
        "en": "The service is unavailable for the moment. Please try again.",
    }


class BundleRefused(Unavailable):
    """What stands as the newest bundle is not the one that was signed for that place: nothing is disclosed."""

    code = "POLICY_UNAVAILABLE"
    messages: ClassVar[dict[str, str]] = NoBundle.messages


_log = structlog.get_logger("gov_services.consent")


class Bundles:
    """The newest bundle, asked of the database each time, so that what it took away binds the next read."""

    def __init__(self, keys: VerifyKeys) -> None:
        self._keys = keys
        self._verified: Bundle | None = None
        """The newest that this process has seen; it never goes back behind it."""

    async def current(self, session: ReadSession) -> Bundle:
        """The bundle in force. Raises NoBundle, BundleRefused, SignatureRefused."""
        version = await store.newest_bundle_version(session)
        if version is None:
            raise NoBundle
        if self._verified is None or self._verified.version != version:
            bundle = self._open(await store.bundle(session, version=version))
            if self._verified is not None and bundle.version < self._verified.version:
                _log.critical("the bundle went back", seen=self._verified.version, stands=bundle.version)
                raise BundleRefused
            self._verified = bundle
        return self._verified

    async def since(self, session: ReadSession, version: int) -> list[tuple[Bundle, BundleRow]]:
        """Every bundle after that version, oldest first, each with what is kept of it. Raises as `current` does."""
        return [(self._open(row), row) for row in await store.bundles_since(session, version=version)]

    def _open(self, row: BundleRow) -> Bundle:
        bundle = parse_bundle(row.body)
        self._keys.verify(row.key_id, signed_text(bundle), row.signature)
        # The signature is over the version in the body: an old bundle laid down under a newer number is genuine, and
        # would give back what was taken away since.
        if bundle.version != row.version:
            _log.critical("a bundle stands under another's number", signed=bundle.version, stands=row.version)
            raise BundleRefused
        return bundle


async def granted_since(session: ReadSession, bundle: Bundle) -> dict[str, dict[str, dt.datetime]]:
    """Of each purpose in force and each of its grants, since when it has been there without a break, in that form."""
    since: dict[str, dict[str, dt.datetime]] = {code: {} for code in bundle.purposes}
    open_ = {(code, name) for code, purpose in bundle.purposes.items() for name in purpose.grants}
    for row in await store.bundles_until_now(session):
        earlier = parse_bundle(row.body).purposes
        for code, name in list(open_):
            if code in earlier and earlier[code].grants.get(name) is bundle.purposes[code].grants[name]:
                since[code][name] = row.made_at
            else:
                open_.discard((code, name))
        if not open_:
            break
    return since


async def publish(
    session: Session,
    bundle: Bundle,
    *,
    key: SigningKey,
    proposed_by: str,
    approved_by: str,
    note: str,
    now: dt.datetime,
) -> None:
    """Sign `bundle` and put it in force when the transaction commits. A version that exists is refused by its key."""
    session.add(
        BundleRow(
            version=bundle.version,
            body=bundle.body,
            key_id=key.key_id,
            signature=key.sign(signed_text(bundle)),
            proposed_by=proposed_by,
            approved_by=approved_by,
            note=note,
            made_at=now,
        )
    )
    await session.flush()  # two officers publishing the same version: the second learns it here, not at commit
