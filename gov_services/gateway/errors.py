"""What the gateway itself refuses, and with which HTTP status. Errors of subgraphs pass through as they are."""

from __future__ import annotations

from typing import Any, ClassVar

from gov_services.kit.errors import Refusal, ServiceError, Unauthenticated, Unavailable


class BadRequest(Refusal):
    """Not a GraphQL request: malformed JSON, a wrong type, a method or a content type that we do not take."""

    code = "BAD_REQUEST"
    status: ClassVar[int] = 400
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "请求格式有误:{problem}。",
        "en": "The request is not well-formed: {problem}.",
    }


class MethodNotAllowed(BadRequest):
    """GET for what is no query, or a method that GraphQL over HTTP does not know."""

    code = "METHOD_NOT_ALLOWED"
    status = 405


class UnsupportedMediaType(BadRequest):
    """A body that is not application/json. Browsers send such bodies across origins without asking first."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


class NotAcceptable(BadRequest):
    """The client takes none of the media types that we answer in."""

    code = "NOT_ACCEPTABLE"
    status = 406


class RequestTooSlow(BadRequest):
    """The body did not come in time."""

    code = "REQUEST_TIMEOUT"
    status = 408


class TookTooLong(Refusal):
    """The subgraphs did not answer in time, all together. What a mutation began may have been done."""

    code = "TIMED_OUT"
    status: ClassVar[int] = 504
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "处理超时。如为提交操作,请先确认是否已生效再重试。",
        "en": "This took too long. If you changed something, see whether it was done before you try again.",
    }


class RequestTooLarge(Refusal):
    """The body is longer than any registered document needs."""

    code = "REQUEST_TOO_LARGE"
    status: ClassVar[int] = 413
    messages: ClassVar[dict[str, str]] = {"zh-CN": "请求内容过大。", "en": "The request is too large."}


class DocumentUnknown(Refusal):
    """No document of that id is registered for this client."""

    code = "PERSISTED_QUERY_NOT_FOUND"
    status: ClassVar[int] = 400
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "该操作未登记。",
        "en": "This operation is not registered.",
    }


class DocumentsEnded(Refusal):
    """The signatures under the registered documents have ended. Until they are signed anew nothing is served."""

    code = "DOCUMENTS_NOT_IN_FORCE"
    status: ClassVar[int] = 503
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "已登记操作的签署已到期,重新签署前暂停服务。",
        "en": "The registered operations are no longer signed. Nothing is served until they are signed anew.",
    }


class DocumentInvalid(Refusal):
    """An ad-hoc document (development only) does not fit the schema."""

    code = "GRAPHQL_VALIDATION_FAILED"
    status: ClassVar[int] = 400
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "查询与接口定义不符:{problem}",
        "en": "The document does not fit the schema: {problem}",
    }


class VariablesRefused(Refusal):
    """A variable is missing, of the wrong type, or too long. Its value is never echoed."""

    code = "BAD_USER_INPUT"
    status: ClassVar[int] = 400
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "变量不符合要求:{variable}。",
        "en": "A variable is not as it should be: {variable}.",
    }


class TooComplex(Refusal):
    """The document is too deep, has too many aliases, or would cost too much."""

    code = "TOO_COMPLEX"
    status: ClassVar[int] = 400
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "查询过于复杂({measure} 为 {found},上限 {most})。",
        "en": "The query is too complex ({measure} is {found}, at most {most}).",
    }


class InvalidToken(Unauthenticated):
    """A bearer token that is expired, forged, for another audience or of another kind. It is not said which."""

    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "登录已失效,请重新登录。",
        "en": "Your session is not valid. Please sign in again.",
    }


UNAVAILABLE_CODES = frozenset(
    {"SERVICE_UNAVAILABLE", "AUDIT_UNAVAILABLE", "BUDGET_UNAVAILABLE", "POLICY_UNAVAILABLE", "KEYS_UNAVAILABLE"}
)
"""Codes that make a response without data a 503."""


def status_of(error: ServiceError) -> int:
    """The HTTP status for an error of the gateway's own."""
    if isinstance(error, Unauthenticated):
        return 401
    if isinstance(error, Unavailable):
        return 503
    return int(getattr(error, "status", 400))


def formatted(error: ServiceError, *, locale: str, request_id: str) -> dict[str, Any]:
    """The error as an item of `errors`."""
    return {
        "message": error.message(locale),
        "extensions": {"code": error.code, "requestId": request_id},
    }
