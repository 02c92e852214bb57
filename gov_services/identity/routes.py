"""The routes of identity: tokens for relying parties (OAuth 2.0 client credentials), and published keys."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from litestar import MediaType, Request, Response, get, post

from gov_services.crypto.tokens import jwks
from gov_services.identity.passwords import WrongCredentials
from gov_services.identity.ports import IdentityPorts
from gov_services.identity.service import staff
from gov_services.kit import access_token
from gov_services.kit.clock import Clock
from gov_services.kit.context import Entrance, EntranceKind
from gov_services.kit.errors import Unavailable
from gov_services.subgraph.context import RoomServices
from gov_services.subgraph.entrances import Route, entrance_context
from gov_services.subgraph.unit_of_work import commit

TOKEN_PATH = "/oauth/token"  # noqa: S105  a path
JWKS_PATH = "/.well-known/jwks.json"
PURPOSE = "client-sign-in"
_NO_STORE = {"cache-control": "no-store"}


def routes(services: RoomServices[IdentityPorts], clock: Clock) -> Sequence[Route]:
    """Every route of the room."""

    @post(TOKEN_PATH, status_code=200)
    async def token(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """RFC 6749 §4.4 and §5."""
        form = await request.form()
        if form.get("grant_type") != "client_credentials":
            return _error(400, "unsupported_grant_type")
        client_id, secret = _credentials(request.headers.get("authorization"), form)
        if not client_id or not secret:
            return _error(401, "invalid_client")
        entrance = Entrance(EntranceKind.ROUTE, TOKEN_PATH, PURPOSE)
        context = entrance_context(services, entrance, now=clock.now())
        try:
            outcome = await commit(context, staff.client_token, client_id=client_id, secret=secret)
        except Unavailable:
            return _error(503, "temporarily_unavailable")
        if outcome.result is None:
            known = all(isinstance(error, WrongCredentials) for error in outcome.errors)
            return _error(401 if known else 429, "invalid_client" if known else "slow_down")
        content = {
            "access_token": outcome.result.access_token,
            "token_type": "Bearer",
            "expires_in": access_token.LIFETIME_S,
        }
        return Response(content, status_code=200, headers=_NO_STORE, media_type=MediaType.JSON)

    @get(JWKS_PATH, sync_to_thread=False)
    def published_keys() -> Response[dict[str, Any]]:
        """RFC 7517."""
        return Response(jwks(services.ports.token_keys), headers={"cache-control": "public, max-age=300"})

    return (Route(TOKEN_PATH, PURPOSE, token), Route(JWKS_PATH, "", published_keys))


def _error(status: int, code: str) -> Response[dict[str, Any]]:
    headers = dict(_NO_STORE)
    if status == 401:
        headers["www-authenticate"] = "Basic"
    return Response({"error": code}, status_code=status, headers=headers, media_type=MediaType.JSON)


def _credentials(header: str | None, form: Any) -> tuple[str, str]:
    """Client id and secret from the Authorization header or the form (RFC 6749 §2.3.1); empty where there are none."""
    if header is not None:
        scheme, _, value = header.partition(" ")
        if scheme.lower() != "basic":
            return "", ""
        try:
            client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return "", ""
        return unquote(client_id), unquote(secret)
    return str(form.get("client_id") or ""), str(form.get("client_secret") or "")
