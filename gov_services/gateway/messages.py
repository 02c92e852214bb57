"""What a client asks and gets, with the protocol that carried it taken off. It decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gov_services.federation.engine import ExecutionResult
from gov_services.gateway.errors import UNAVAILABLE_CODES
from gov_services.kit.errors import ServiceError, Unauthenticated


@dataclass(slots=True, kw_only=True, eq=False)  # a frozen one takes thrice as long to make
class GraphQLRequest:
    """What a client asks, once HTTP is taken off."""

    document_id: str | None
    text: str | None = None
    operation_name: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    by_get: bool = False
    by_socket: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    """Lower-case names."""
    address: str = ""
    locale: str = "zh-CN"


@dataclass(slots=True, kw_only=True, eq=False)
class GraphQLAnswer:
    """What the client gets, before HTTP is put on."""

    body: dict[str, Any]
    status: int
    """What the HTTP status is, in media types that let it differ from 200."""
    request_id: str
    retry_after_s: int | None = None
    code: str = "OK"
    """The first error's code, or OK; what metrics count by."""


def answer_of(result: ExecutionResult, *, locale: str, request_id: str, masks: bool) -> GraphQLAnswer:
    """The answer that an execution came to; `masks`: what a subgraph says without a code is kept from the client."""
    warnings = _warnings(result) if masks and result.extensions else []
    told = {"extensions": {"warnings": warnings}} if warnings else {}
    if not result.errors:
        return GraphQLAnswer(body={"data": result.data, **told}, status=200, request_id=request_id)
    errors = [_from_subgraph(error, locale=locale, request_id=request_id, masks=masks) for error in result.errors]
    body: dict[str, Any] = {"data": result.data, "errors": errors, **told}
    codes = {error["extensions"].get("code") for error in errors}
    empty = not result.data or all(value is None for value in result.data.values())
    status = 200
    if empty and codes & UNAVAILABLE_CODES:
        status = 503
    elif empty and Unauthenticated.code in codes:
        status = 401
    code = str(errors[0]["extensions"].get("code", "UNCODED"))
    return GraphQLAnswer(body=body, status=status, request_id=request_id, code=code)


def _warnings(result: ExecutionResult) -> list[dict[str, str]]:
    """What rooms warn of, once each: code, coordinate, message. Nothing else that they say beside an answer leaves."""
    found = result.extensions.get("warnings")
    warnings: dict[tuple[str, str], dict[str, str]] = {}
    for item in found if isinstance(found, list) else ():
        if isinstance(item, dict):
            warning = {name: str(item.get(name, "")) for name in ("code", "coordinate", "message")}
            warnings[warning["code"], warning["coordinate"]] = warning
    return list(warnings.values())


def _from_subgraph(error: Any, *, locale: str, request_id: str, masks: bool) -> dict[str, Any]:
    item = dict(error)
    extensions = dict(item.get("extensions") or {})
    if "code" not in extensions and masks:
        # An error that the engine made (a subgraph away, a null where there must be none) says nothing of the inside.
        unknown = ServiceError()
        item["message"] = unknown.message(locale)
        extensions["code"] = unknown.code
    extensions["requestId"] = request_id
    item["extensions"] = extensions
    item.pop("locations", None)
    return item
