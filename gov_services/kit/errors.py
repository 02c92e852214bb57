"""The families of error; concrete errors live with the function that raises them.

ServiceError            carries a stable code and a message for a person
├── UserError           what a person can put right: becomes a `userErrors` item of a mutation's payload
├── Refusal             a GraphQL error: not signed in, not allowed, not found, not disclosed
└── Unavailable         something we depend on is away: nothing was changed, try again later

Anything else that escapes is INTERNAL: masked, with the request id for whoever looks into it.
"""

from __future__ import annotations

from typing import ClassVar

LOCALES = ("zh-CN", "en")


class ServiceError(Exception):
    """An error that a client may be shown. `messages` holds one template per locale, filled from `details`."""

    code: ClassVar[str] = "INTERNAL"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "系统内部错误,请稍后再试。",
        "en": "Something went wrong on our side. Please try again later.",
    }

    def __init__(self, **details: object) -> None:
        super().__init__(self.code)
        self.details = details
        self.logged = False
        """Whether the log holds this refusal already, with more than the error itself could say."""

    def message(self, locale: str) -> str:
        """The message in `locale`, in Chinese if we do not speak it. Details never hold personal values."""
        template = self.messages.get(locale) or self.messages["zh-CN"]
        return template.format(**self.details)


class UserError(ServiceError):
    """Something the person can put right; `field` is the input path it concerns, dotted, or empty."""

    def __init__(self, *, field: str = "", **details: object) -> None:
        super().__init__(**details)
        self.field = field


class Refusal(ServiceError):
    """A request that is not answered, for a reason that is stated."""


class Unavailable(ServiceError):
    """A dependency is away; nothing was changed."""


class Unauthenticated(Refusal):
    """No valid proof of who is asking."""

    code = "UNAUTHENTICATED"
    messages: ClassVar[dict[str, str]] = {"zh-CN": "请先登录。", "en": "Please sign in."}


class NotFound(Refusal):
    """There is no such thing, or not for you: the two look alike on purpose."""

    code = "NOT_FOUND"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "没有找到您可以查看的内容。",
        "en": "There is nothing here that you can see.",
    }


class Forbidden(Refusal):
    """This kind of actor never may, whatever the object."""

    code = "FORBIDDEN"
    messages: ClassVar[dict[str, str]] = {"zh-CN": "您无权进行此操作。", "en": "You may not do this."}


class AssuranceTooLow(Refusal):
    """The same person may, once verified to a higher level."""

    code = "ASSURANCE_TOO_LOW"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "此操作需要更高等级的实名认证(需 {required} 级)。",
        "en": "This needs a higher assurance level ({required}).",
    }


class TextNotStorable(UserError):
    """A text holds NUL or half a surrogate pair, which PostgreSQL's text does not hold."""

    code = "TEXT_NOT_STORABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "文本中含有无法保存的字符,请删除后重试。",
        "en": "The text holds a character that cannot be kept. Please take it out and try again.",
    }


class DatabaseUnavailable(Unavailable):
    """PostgreSQL does not answer."""

    code = "SERVICE_UNAVAILABLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "服务暂时不可用,请稍后再试。",
        "en": "The service is unavailable for the moment. Please try again.",
    }
