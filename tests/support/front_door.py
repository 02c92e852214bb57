"""The gateway before a town's rooms, with the committed graph and documents; asked over its ASGI application."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from town import Town

from gov_services.gateway.app import create_gateway, in_process
from gov_services.gateway.limits import Limits
from gov_services.gateway.rates import RateLimiter
from gov_services.gateway.tracing import Traces
from gov_services.kit.actor import ANONYMOUS, Actor
from gov_services.kit.manifest import Manifest, TrustedDocument
from gov_services.kit.settings import PROJECT_ROOT
from gov_services.subgraph.gateway_refusals import LogSink
from gov_services.subgraph.manifests import load_manifest

GRAPHQL = "application/graphql-response+json"


class FrontDoor:
    """A client of the gateway."""

    def __init__(
        self,
        town: Town,
        *,
        production: bool = False,
        limits: Limits | None = None,
        rate: RateLimiter | None = None,
        cors: str = "",
        traces: Traces | None = None,
        graph: Path = PROJECT_ROOT / "graphql",
    ) -> None:
        settings = dataclasses.replace(
            town.settings,
            graph_directory=graph,
            environment="production" if production else "development",
            cors_origins=cors,
        )
        self.town = town
        self.manifest: Manifest = load_manifest(settings, now=town.clock.now())
        privacy = town.rooms["privacy"]
        self.gateway = create_gateway(
            settings,
            manifest=self.manifest,
            transports=in_process({name: room.subgraph for name, room in town.rooms.items()}),
            subgraphs=tuple(town.rooms),
            refusals=LogSink(privacy.services.discloser),
            clock=town.clock,
            valkey=town.valkey,
            limits=limits,
            rate=rate,
            warm=False,
            traces=traces,
        )
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.gateway.endpoint), base_url="http://city.test"
        )

    def document(self, name: str, client: str = "citizen-app") -> TrustedDocument:
        """A trusted document."""
        return self.manifest.named(client, name)

    async def ask(
        self,
        name: str,
        variables: Mapping[str, Any] | None = None,
        *,
        actor: Actor = ANONYMOUS,
        client: str = "citizen-app",
        **headers: str,
    ) -> httpx.Response:
        """Send a trusted document."""
        body = {"documentId": self.document(name, client).id, "variables": dict(variables or {})}
        return await self.post(body, actor=actor, **headers)

    async def post(self, body: Any, *, actor: Actor = ANONYMOUS, **headers: str | bytes) -> httpx.Response:
        """Send a body; a dict as JSON, bytes as they are. Underscores in header names become hyphens."""
        sent: dict[str, str | bytes] = {"accept": GRAPHQL, "accept-language": "en", "content-type": "application/json"}
        bearer = self.town.bearer(actor)
        if bearer is not None:
            sent["authorization"] = f"Bearer {bearer}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post("/graphql", content=content, headers=sent)

    async def state(self) -> list[dict[str, Any]]:
        """How many rows each table that a request could change has."""
        return await self.town.rows(
            "SELECT (SELECT count(*) FROM identity.citizen) AS citizens, (SELECT count(*) FROM identity.session) AS "
            "sessions, (SELECT count(*) FROM permits.application) AS applications, (SELECT count(*) FROM "
            "consent.revision) AS revisions, (SELECT count(*) FROM events.outbox) AS events"
        )


def code_of(response: httpx.Response) -> str:
    """The code of the one error."""
    (error,) = response.json()["errors"]
    return str(error["extensions"]["code"])
