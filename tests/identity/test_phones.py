"""Phone numbers: only one that can receive a text message is a citizen's, and it is read into one spelling."""

from __future__ import annotations

import pytest
from town import Town, sample_number

from gov_services.identity.phones import NotAPhoneNumber, parse_phone

pytestmark = pytest.mark.untraced


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("13900000001", "+8613900000001"),
        ("+86 139-0000-0001", "+8613900000001"),
        ("+852 5123 4567", "+85251234567"),
        ("+44 7400 123456", "+447400123456"),
        ("+1 212 555 0123", "+12125550123"),  # where nobody can tell a mobile from a landline
    ],
)
def test_a_mobile_number_of_any_country_is_read(text: str, number: str) -> None:
    assert parse_phone(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *("010-62345678", "+86 21 6234 5678", "0755 8234 5678", "400 610 8888", "800 810 1234", "12345", "95588"),
        *("+852 2123 4567", "+44 20 7946 0958", "+1 800 234 5678", "+1 900 234 5678", "+41 22 765 43 21"),
        *("", "x", "\ud800", "+", "1390000000", "139000000011", "+999 139 0000 0001"),
    ],
)
def test_a_number_that_receives_no_text_message_is_refused(text: str) -> None:
    with pytest.raises(NotAPhoneNumber) as refused:
        parse_phone(text, field="input.phone")
    assert refused.value.field == "input.phone"


async def test_a_landline_neither_registers_nor_is_sent_a_code(town: Town) -> None:
    landline = "010-62345678"
    values = {"name": "测试甲", "nationalId": sample_number(), "phone": landline, "address": "示例市"}
    register = "mutation($input: RegisterInput!) { register(input: $input) { registered userErrors { code field } } }"
    code = "mutation($input: RequestSignInCodeInput!) { requestSignInCode(input: $input) { sent userErrors { code } } }"

    registered = await town.ask("identity", register, {"input": values}, purpose="registration")
    sent = await town.ask("identity", code, {"input": {"phone": landline}}, purpose="sign-in")

    assert registered["data"]["register"] == {
        "registered": False,
        "userErrors": [{"code": "PHONE_INVALID", "field": "input.phone"}],
    }
    assert sent["data"]["requestSignInCode"] == {"sent": False, "userErrors": [{"code": "PHONE_INVALID"}]}
    assert await town.value("SELECT count(*) FROM identity.citizen") == 0
    assert await town.messages_to("+861062345678") == []
