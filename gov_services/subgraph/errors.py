"""Errors on their way out of a subgraph: a stable code, a localized message, the request id; the rest is masked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog

from gov_services.kit.errors import ServiceError
from graphql import GraphQLError

_log = structlog.get_logger("gov_services.subgraph")

INTERNAL_MESSAGES = ServiceError.messages
INVALID_MESSAGES = {
    "zh-CN": "请求内容有误,请检查后重试。",
    "en": "The request is not valid.",
}


def service_error_of(error: GraphQLError) -> ServiceError | None:
    """The error of ours behind a GraphQL error, if there is one."""
    original: BaseException | None = error
    while isinstance(original, GraphQLError):
        original = original.original_error
    return original if isinstance(original, ServiceError) else None


def format_errors(errors: Sequence[GraphQLError], *, locale: str, request_id: str) -> list[dict[str, Any]]:
    """The errors as a client may see them. Values are never echoed: graphql-core's own messages quote them."""
    return [_format(error, locale=locale, request_id=request_id) for error in errors]


def _format(error: GraphQLError, *, locale: str, request_id: str) -> dict[str, Any]:
    service_error = service_error_of(error)
    if service_error is not None:
        message, code = service_error.message(locale), service_error.code
    elif error.original_error is None:
        message, code = INVALID_MESSAGES.get(locale, INVALID_MESSAGES["zh-CN"]), "BAD_REQUEST"
    else:
        _log.error("a resolver failed", request_id=request_id, path=error.path, exc_info=error.original_error)
        message, code = INTERNAL_MESSAGES.get(locale, INTERNAL_MESSAGES["zh-CN"]), "INTERNAL"
    formatted: dict[str, Any] = {"message": message, "extensions": {"code": code, "requestId": request_id}}
    if error.path is not None:
        formatted["path"] = error.path
    return formatted


def describe_error(error: ServiceError, *, locale: str) -> dict[str, Any]:
    """An error that concerns a fetch as a whole."""
    return {"message": error.message(locale), "extensions": {"code": error.code}}


FIELD_GOES = "FIELD_GOES"
_FIELD_GOES = {"zh-CN": "该字段即将收回,请勿再依赖。", "en": "This field is about to be taken away; do not rely on it."}


def warning(coordinate: str, *, locale: str) -> dict[str, str]:
    """What stands beside an answer that gave a field which the purpose is about to lose."""
    return {"code": FIELD_GOES, "coordinate": coordinate, "message": _FIELD_GOES.get(locale, _FIELD_GOES["en"])}
