"""The one verifier of assertions: every fetch passes it, in the same process or over HTTP. It signs nothing."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import ClassVar

from gov_services.crypto.signing import VerifyKeys
from gov_services.crypto.tokens import TokenRefused, verify_token
from gov_services.kit.actor import ANONYMOUS, Actor, ActorKind
from gov_services.kit.assertion import ADHOC, ISSUER, LIFETIME_S, TYPE, Assertion, AssertionMalformed
from gov_services.kit.context import Call, Entrance, EntranceKind
from gov_services.kit.errors import Refusal
from gov_services.kit.manifest import Manifest, ManifestRefused
from gov_services.subgraph.bearer import BearerRefused, Bearers

BEFORE_S = 120.0
"""How long a room serves by the manifest before: gateways and rooms do not see a new one in the same moment."""


class AssertionRefused(Refusal):
    """The fetch does not come from the gateway, or not in the way that it states. `reason` is for our log only."""

    code = "ASSERTION_REFUSED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "请求未通过网关校验。",
        "en": "The request did not come through the gateway.",
    }

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class ReplayGuard:
    """Remembers assertion ids until they expire. One per subgraph process; bounded, because lifetimes are short."""

    def __init__(self, *, capacity: int = 200_000) -> None:
        self._seen: dict[str, dt.datetime] = {}
        self._capacity = capacity

    def claim(self, assertion: Assertion, *, now: dt.datetime) -> None:
        """Take the id. Raises AssertionRefused where it was taken before, or when too many are remembered."""
        if assertion.id in self._seen:
            raise AssertionRefused("replayed")
        if len(self._seen) >= self._capacity:
            # Ids are remembered in the order they came, and all live equally long: the oldest expire first.
            for key in [key for key, until in self._seen.items() if until <= now]:
                del self._seen[key]
            if len(self._seen) >= self._capacity:
                raise AssertionRefused("too many assertions at once")
        self._seen[assertion.id] = assertion.expires_at


class AssertionVerifier:
    """Turns what came with a fetch into a Call, or refuses it."""

    def __init__(
        self,
        *,
        subgraph: str,
        gateway_keys: VerifyKeys,
        access_token_keys: VerifyKeys,
        issuer: str,
        manifest: Manifest,
        allow_adhoc: bool,
    ) -> None:
        self._subgraph = subgraph
        self._gateway_keys = gateway_keys
        self._bearers = Bearers(access_token_keys, issuer=issuer)
        self._allow_adhoc = allow_adhoc
        self._replays = ReplayGuard()
        self.manifest = manifest
        self._before: tuple[Manifest, dt.datetime] | None = None
        """The manifest before, and until when a gateway may still serve by it."""

    def trust(self, manifest: Manifest, *, now: dt.datetime) -> None:
        """Take a newer manifest; the one before serves on for BEFORE_S. Raises ManifestRefused.

        An older one is refused, and one that is not signed, or no longer.
        """
        manifest.require_not_before(self.manifest.version)
        manifest.require_in_force(now)
        if manifest.version == self.manifest.version:
            if manifest.hash != self.manifest.hash:
                raise ManifestRefused(f"another manifest of version {manifest.version}")
            self.manifest = manifest  # the same documents, signed until another day
            return
        self._before = self.manifest, now + dt.timedelta(seconds=BEFORE_S)
        self.manifest = manifest

    def verify(self, *, token: str, bearer: str | None, body: bytes, document: str, now: dt.datetime) -> Call:
        """The call that the assertion `token` states. Raises AssertionRefused; each number below is one check.

        1 signed by the gateway, of our type, for this subgraph, not expired   2 lives no longer than 30 s
        3 about these very bytes   4 not seen before   5 the actor's own token says the same
        6 part of a registered document's plan, from the manifest that we hold
        """
        # (1)
        try:
            claims = verify_token(self._gateway_keys, token, type=TYPE, audience=self._subgraph, issuer=ISSUER, now=now)
            assertion = Assertion.parse(claims)
        except (TokenRefused, AssertionMalformed) as refused:
            raise AssertionRefused("not a valid assertion for this subgraph") from refused
        # (2)
        if assertion.expires_at - assertion.issued_at > dt.timedelta(seconds=LIFETIME_S):
            raise AssertionRefused("lives too long")
        # (3)
        if assertion.body_hash != hashlib.sha256(body).hexdigest():
            raise AssertionRefused("about another body")
        # (4)
        self._replays.claim(assertion, now=now)
        # (5)
        if self._actor(bearer, now=now) != assertion.actor:
            raise AssertionRefused("the actor's token says otherwise")
        # (6)
        return Call(
            actor=assertion.actor,
            entrance=self._entrance(assertion, document, now),
            now=now,
            request_id=assertion.request_id,
            locale=assertion.locale,
            case_id=assertion.case_id,
            reason=assertion.reason,
            about=assertion.about,
        )

    def _actor(self, bearer: str | None, *, now: dt.datetime) -> Actor:
        if bearer is None:
            return ANONYMOUS
        try:
            return self._bearers.actor(bearer, now=now)
        except BearerRefused as refused:
            raise AssertionRefused("the actor's token is not valid") from refused

    def _held(self, version: int, now: dt.datetime) -> Manifest:
        """The manifest of that version. Raises AssertionRefused."""
        held = self.manifest
        if self._before is not None and version == self._before[0].version and now < self._before[1]:
            held = self._before[0]
        if version != held.version:
            raise AssertionRefused("of a manifest that is not in force")
        try:
            held.require_in_force(now)
        except ManifestRefused as ended:
            raise AssertionRefused(str(ended)) from None
        return held

    def _entrance(self, assertion: Assertion, document: str, now: dt.datetime) -> Entrance:
        if assertion.document_id == ADHOC:
            if not self._allow_adhoc or assertion.adhoc_purpose is None:
                raise AssertionRefused("ad-hoc documents are for development")
            return Entrance(EntranceKind.DOCUMENT, ADHOC, assertion.adhoc_purpose, ADHOC, assertion.manifest_version)
        manifest = self._held(assertion.manifest_version, now)
        registered = manifest.documents.get(assertion.document_id)
        if registered is None:
            raise AssertionRefused("of a document that this manifest does not hold")
        if hashlib.sha256(document.encode()).hexdigest() not in registered.fetches.get(self._subgraph, ()):
            raise AssertionRefused("not part of that document's plan")
        if assertion.actor.kind is not ActorKind.ANONYMOUS and assertion.actor.client_id not in registered.clients:
            raise AssertionRefused("of another client's document")
        return Entrance(EntranceKind.DOCUMENT, registered.name, registered.purpose, registered.id, manifest.version)
