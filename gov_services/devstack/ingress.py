"""An ingress in miniature: routes by path to deployables on loopback, as a cluster's does. Development only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade", b"host")
)
TIMEOUT_S = 15.0


class Ingress:
    """The ASGI application. `routes`: path → base address; one that ends with a slash stands for all below it."""

    def __init__(self, routes: Mapping[str, str]) -> None:
        self._routes = routes
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        address = self._address_of(path)
        if address is None:
            await _answer(send, 404, [], b"")
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in _HOP_BY_HOP]
        headers.append((b"x-forwarded-for", scope["client"][0].encode()))
        target = httpx.URL(address).copy_with(raw_path=_raw_path(scope))
        try:
            response = await self._client.request(scope["method"], target, content=body, headers=headers)
        except httpx.HTTPError:
            await _answer(send, 502, [], b"")
            return
        kept = [(name, value) for name, value in response.headers.raw if name.lower() not in _DECODED]
        await _answer(send, response.status_code, kept, response.content)

    def _address_of(self, path: str) -> str | None:
        for prefix, address in self._routes.items():
            if path == prefix or (prefix.endswith("/") and path.startswith(prefix)):
                return address
        return None


_DECODED = _HOP_BY_HOP | {b"content-encoding", b"content-length"}


def _raw_path(scope: Any) -> bytes:
    query = scope["query_string"]
    raw: bytes = scope["raw_path"]
    return raw + b"?" + query if query else raw


async def _answer(send: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
