"""From the engine to a subgraph with a signed assertion, in this process or over HTTP. It plans nothing."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import orjson

from gov_services.crypto.signing import SigningKey
from gov_services.crypto.tokens import sign_token
from gov_services.federation.http1 import HttpClient
from gov_services.federation.remote import Headers, RemotePolicy, RemoteSubgraph
from gov_services.federation.transports import SubgraphRequest, SubgraphResponse, SubgraphUnavailable
from gov_services.gateway.documents import Selected
from gov_services.gateway.tracing import NoTraces, Traces
from gov_services.kit.actor import Actor
from gov_services.kit.assertion import LIFETIME_S, TYPE, Assertion
from gov_services.kit.clock import Clock
from gov_services.kit.ids import new_id, parse_id


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayCall:
    """What the gateway knows of one request, handed through the engine to the transports."""

    actor: Actor
    bearer: str | None
    document: Selected
    request_id: str
    locale: str
    case: str | None = None
    reason: str | None = None
    about: UUID | None = None
    """What has changed, where this answers one event of a subscription."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The client's, names in lower case."""


class SubgraphHandle(Protocol):
    """A subgraph in this process."""

    async def handle(self, body: bytes, *, assertion: str, access_token: str | None) -> bytes:
        """Answer one fetch."""
        ...


class AssertionSigner:
    """States to one subgraph who is asking, for what, with which bytes (ARCHITECTURE §4.9)."""

    def __init__(self, key: SigningKey, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    def sign(self, call: GatewayCall, *, subgraph: str, body: bytes) -> str:
        """The signed assertion for one fetch."""
        now = self._clock.now()
        assertion = Assertion(
            audience=subgraph,
            id=str(new_id(now)),
            issued_at=now,
            expires_at=now + dt.timedelta(seconds=LIFETIME_S),
            body_hash=hashlib.sha256(body).hexdigest(),
            document_id=call.document.id,
            manifest_version=call.document.manifest_version,
            actor=call.actor,
            case_id=parse_id(call.case) if call.case else None,
            reason=call.reason,
            locale=call.locale,
            request_id=call.request_id,
            adhoc_purpose=call.document.adhoc_purpose,
            about=call.about,
        )
        return sign_token(self._key, assertion.claims(), type=TYPE)


def decode_answer(subgraph: str, content: bytes) -> SubgraphResponse:
    """A subgraph's answer. Raises SubgraphUnavailable where it is none."""
    try:
        answer = orjson.loads(content)
        return SubgraphResponse(
            data=answer.get("data"), errors=answer.get("errors") or [], extensions=answer.get("extensions") or {}
        )
    except (orjson.JSONDecodeError, AttributeError) as malformed:
        raise SubgraphUnavailable(subgraph) from malformed


class InProcessTransport:
    """Calls a subgraph of this process, past the very verifier that a call over HTTP passes."""

    def __init__(self, name: str, subgraph: SubgraphHandle, signer: AssertionSigner) -> None:
        self._name = name
        self._subgraph = subgraph
        self._signer = signer

    async def fetch(self, request: SubgraphRequest, *, context: object) -> SubgraphResponse:
        """See federation.transports.Transport."""
        assert isinstance(context, GatewayCall)
        body = request.body
        assertion = self._signer.sign(context, subgraph=self._name, body=body)
        content = await self._subgraph.handle(body, assertion=assertion, access_token=context.bearer)
        return decode_answer(self._name, content)


def remote_room(
    name: str, url: str, signer: AssertionSigner, client: HttpClient, traces: Traces | None = None
) -> RemoteSubgraph:
    """A transport to a subgraph elsewhere; for deployments with a process per room.

    Nothing is shared and each try has an assertion of its own, as one is good once.
    """

    onward = (traces or NoTraces()).onward

    def headers(context: Any, request: SubgraphRequest) -> Headers:
        assert isinstance(context, GatewayCall)
        found = ((b"Gov-Assertion", signer.sign(context, subgraph=name, body=request.body).encode()), *onward())
        if context.bearer is None:
            return found
        return (*found, (b"Authorization", f"Bearer {context.bearer}".encode("latin-1", "replace")))

    return RemoteSubgraph(name, url, client, policy=RemotePolicy(shares=False), headers=headers)
