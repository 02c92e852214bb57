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


_MAINLAND = frozenset({phonenumbers.PhoneNumberType.MOBILE})
_ELSEWHERE = _MAINLAND | {phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE}
"""Some countries' numbers, those of North America among them, do not tell a mobile from a landline."""


def parse_phone(text: str, *, field: str = "") -> str:
    """The mobile number in E.164, mainland China's where no country is named. Raises NotAPhoneNumber."""
    try:
        number = phonenumbers.parse(text, "CN")
    except phonenumbers.NumberParseException:
        raise NotAPhoneNumber(field=field) from None
    receives = _MAINLAND if number.country_code == 86 else _ELSEWHERE
    if not phonenumbers.is_valid_number(number) or phonenumbers.number_type(number) not in receives:
        raise NotAPhoneNumber(field=field)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
