"""Phone numbers: what a person typed to E.164. It calls nobody."""

from __future__ import annotations

from typing import ClassVar

import phonenumbers

from gov_services.kit.errors import UserError


class NotAPhoneNumber(UserError):
    """The text is no mobile number."""

    code = "PHONE_INVALID"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "手机号码有误,请核对。",
        "en": "This is not a valid mobile number.",
    }


def parse_phone(text: str, *, field: str = "") -> str:
    """The number in E.164, mainland China's where no country is named. Raises NotAPhoneNumber."""
    try:
        number = phonenumbers.parse(text, "CN")
    except phonenumbers.NumberParseException:
        raise NotAPhoneNumber(field=field) from None
    if not phonenumbers.is_valid_number(number):
        raise NotAPhoneNumber(field=field)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
