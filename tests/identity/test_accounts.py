"""Accounts: registration, codes, signing in, verification, sessions, as a client sees them."""

from __future__ import annotations

import asyncio
import datetime as dt
import re

import pytest
import structlog
from town import Town, sample_number

from gov_services.audit.entry import EntryKind
from gov_services.identity.ports import ProviderUnavailable
from gov_services.identity.resident_number import age_on
from gov_services.kit.clock import local_day

pytestmark = pytest.mark.untraced

REGISTER = "mutation($input: RegisterInput!) { register(input: $input) { registered userErrors { code field } } }"
CODE = "mutation($input: RequestSignInCodeInput!) { requestSignInCode(input: $input) { sent userErrors { code } } }"
SIGN_IN = """mutation($input: SignInInput!) {
  signIn(input: $input) { session { accessToken refreshToken } userErrors { code field } } }"""
REFRESH = """mutation($input: RefreshSessionInput!) {
  refreshSession(input: $input) { session { accessToken refreshToken } userErrors { code } } }"""
ME = "{ me { id name nationalId phone address assuranceLevel } }"
VERIFY = """mutation($input: VerifyIdentityInput!) {
  verifyIdentity(input: $input) { citizen { assuranceLevel } userErrors { code } } }"""


async def test_a_citizen_registers_signs_in_and_reads_their_own_data(town: Town) -> None:
    actor = await town.register()
    session = await town.sign_in()
    assert session["accessToken"].count(".") == 2

    answer = await town.ask("identity", ME, purpose="own-account", actor=actor)

    assert answer == {
        "data": {
            "me": {
                "id": str(actor.id),
                "name": "测试甲",
                "nationalId": f"999999{'*' * 8}{sample_number()[-4:]}",
                "phone": "+86139****0001",
                "address": "示例市东区一号",
                "assuranceLevel": 2,
            }
        }
    }


async def test_what_is_read_is_in_the_log_before_it_is_answered_and_what_was_opened_after(town: Town) -> None:
    actor = await town.register()
    await town.ask("identity", "{ me { name } }", purpose="own-account", actor=actor)

    entries = await town.entries()
    read = next(entry for entry in entries if entry.kind is EntryKind.READ)
    used = next(entry for entry in entries if entry.kind is EntryKind.USE)
    assert read.coordinates == (("Citizen.name", "PLAIN"),)
    assert used.coordinates == (("Citizen.name", "OPENED"),)
    assert used.parent == read.id
    assert read.subject_tag == read.actor_tag
    assert str(actor.id) not in read.canonical().decode()


async def test_the_same_number_or_phone_registers_once_and_nothing_is_left_of_the_second_try(town: Town) -> None:
    await town.register()
    for number, phone in ((sample_number(), "13900000002"), (sample_number(sequence=101), "13900000001")):
        values = {"name": "测试乙", "nationalId": number, "phone": phone, "address": "示例市西区"}
        answer = await town.ask("identity", REGISTER, {"input": values}, purpose="registration")
        assert answer["data"]["register"] == {
            "registered": False,
            "userErrors": [{"code": "REGISTRATION_NOT_POSSIBLE", "field": None}],
        }
    assert await town.value("SELECT count(*) FROM identity.citizen") == 1
    assert await town.value("SELECT count(*) FROM keys.data_key") == 5
    assert [e.code for e in await town.entries() if e.kind is EntryKind.REFUSAL] == ["REGISTRATION_NOT_POSSIBLE"]


async def test_bad_registrations_name_the_field(town: Town) -> None:
    good = {"name": "测试丙", "nationalId": sample_number(), "phone": "13900000003", "address": "示例市"}
    for field, value, code in (
        ("name", "  ", "NOT_FILLED_IN"),
        ("name", "长" * 61, "NOT_FILLED_IN"),
        ("nationalId", "110101199003070000", "RESIDENT_NUMBER_INVALID"),
        ("phone", "12345", "PHONE_INVALID"),
        ("address", "", "NOT_FILLED_IN"),
    ):
        answer = await town.ask("identity", REGISTER, {"input": {**good, field: value}}, purpose="registration")
        assert answer["data"]["register"]["userErrors"] == [{"code": code, "field": f"input.{field}"}]
    assert await town.value("SELECT count(*) FROM identity.citizen") == 0


async def test_a_code_for_an_unknown_phone_is_answered_alike_and_not_sent(town: Town) -> None:
    answer = await town.ask("identity", CODE, {"input": {"phone": "13900000009"}}, purpose="sign-in")
    assert answer == {"data": {"requestSignInCode": {"sent": True, "userErrors": []}}}
    assert await town.messages_to("+8613900000009") == []


async def test_a_wrong_code_is_refused_and_five_wrong_ones_void_the_right_one(town: Town) -> None:
    await town.register()
    await town.ask("identity", CODE, {"input": {"phone": "13900000001"}}, purpose="sign-in")
    (text,) = await town.messages_to("+8613900000001")
    right = re.search(r"\d{6}", text)
    assert right
    wrong = f"{(int(right[0]) + 1) % 1_000_000:06d}"
    for code in (*[wrong] * 5, right[0]):
        answer = await town.ask(
            "identity", SIGN_IN, {"input": {"phone": "13900000001", "code": code}}, purpose="sign-in"
        )
        assert answer["data"]["signIn"] == {
            "session": None,
            "userErrors": [{"code": "CODE_NOT_RIGHT", "field": "input.code"}],
        }
    assert await town.value("SELECT count(*) FROM identity.session") == 0


async def test_a_code_works_once(town: Town) -> None:
    await town.register()
    await town.sign_in()
    (text,) = await town.messages_to("+8613900000001")
    code = re.search(r"\d{6}", text)
    assert code
    answer = await town.ask(
        "identity", SIGN_IN, {"input": {"phone": "13900000001", "code": code[0]}}, purpose="sign-in"
    )
    assert answer["data"]["signIn"]["session"] is None


async def test_only_so_many_codes_are_sent_in_an_hour(town: Town) -> None:
    await town.register()
    for _ in range(5):
        await town.ask("identity", CODE, {"input": {"phone": "13900000001"}}, purpose="sign-in")
    answer = await town.ask("identity", CODE, {"input": {"phone": "13900000001"}}, purpose="sign-in")
    assert answer["data"]["requestSignInCode"] == {"sent": False, "userErrors": [{"code": "TOO_MANY_CODES"}]}
    assert len(await town.messages_to("+8613900000001")) == 5


async def test_verification_asks_the_register_and_raises_the_level(town: Town) -> None:
    actor = await town.register(assurance=2)
    values = {"name": "测试甲", "nationalId": sample_number()}
    unknown = await town.ask("identity", VERIFY, {"input": values}, purpose="identity-verification", actor=actor)
    assert unknown["data"]["verifyIdentity"] == {"citizen": None, "userErrors": [{"code": "NOT_MATCHED"}]}

    await town.providers.post("/people", json={"name": "测试甲", "number": sample_number()})
    answer = await town.ask("identity", VERIFY, {"input": values}, purpose="identity-verification", actor=actor)
    assert answer["data"]["verifyIdentity"] == {"citizen": {"assuranceLevel": 3}, "userErrors": []}


async def test_a_register_that_is_away_changes_nothing_and_is_told(town: Town) -> None:
    actor = await town.register(assurance=2)
    await town.rooms["identity"].services.ports.register._client.aclose()
    values = {"name": "测试甲", "nationalId": sample_number(sequence=102)}
    answer = await town.ask("identity", VERIFY, {"input": values}, purpose="identity-verification", actor=actor)
    assert answer["data"]["verifyIdentity"]["userErrors"] == [{"code": "NOT_MATCHED"}]


async def test_an_expired_session_is_not_refreshed(town: Town) -> None:
    await town.register()
    session = await town.sign_in()
    town.clock.advance(dt.timedelta(days=31))
    answer = await town.ask(
        "identity", REFRESH, {"input": {"refreshToken": session["refreshToken"]}}, purpose="session-upkeep"
    )
    assert answer["data"]["refreshSession"]["session"] is None


async def test_the_name_that_matched_takes_the_place_of_the_name_given_at_registration(town: Town) -> None:
    actor = await town.register(name="假名王", assurance=2)
    await town.providers.post("/people", json={"name": "真名李", "number": sample_number()})
    values = {"name": "真名李", "nationalId": sample_number()}
    answer = await town.ask("identity", VERIFY, {"input": values}, purpose="identity-verification", actor=actor)
    assert answer["data"]["verifyIdentity"] == {"citizen": {"assuranceLevel": 3}, "userErrors": []}

    me = await town.ask("identity", "{ me { name } }", purpose="own-account", actor=actor)
    assert me == {"data": {"me": {"name": "真名李"}}}
    (noted,) = [entry for entry in await town.entries() if entry.action == "identity.verified"]
    assert noted.coordinates == (("VerifyIdentityInput.name", "COLLECT"),)


async def test_a_name_that_does_not_match_changes_neither_name_nor_level(town: Town) -> None:
    actor = await town.register(name="假名王", assurance=2)
    values = {"name": "真名李", "nationalId": sample_number()}
    answer = await town.ask("identity", VERIFY, {"input": values}, purpose="identity-verification", actor=actor)
    assert answer["data"]["verifyIdentity"] == {"citizen": None, "userErrors": [{"code": "NOT_MATCHED"}]}
    me = await town.ask("identity", "{ me { name assuranceLevel } }", purpose="own-account", actor=actor)
    assert me == {"data": {"me": {"name": "假名王", "assuranceLevel": 2}}}


class SlowThenAway:
    """A provider that hangs until told, and then fails."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fail = asyncio.Event()

    async def send(self, *, phone: str, text: str) -> None:
        self.asked.append(phone)
        await self.fail.wait()
        raise ProviderUnavailable


async def test_a_registered_and_a_strange_phone_are_answered_alike_while_the_provider_hangs_and_fails(
    town: Town,
) -> None:
    await town.register()
    texts = town.rooms["identity"].services.ports.texts
    texts._sms = away = SlowThenAway()
    answers = [
        await asyncio.wait_for(town.ask("identity", CODE, {"input": {"phone": phone}}, purpose="sign-in"), 5)
        for phone in ("13900000001", "13900000009")
    ]
    assert answers == [{"data": {"requestSignInCode": {"sent": True, "userErrors": []}}}] * 2
    away.fail.set()
    with structlog.testing.capture_logs() as lines:
        await texts.settled()
    assert away.asked == ["+8613900000001"]
    assert lines == [
        {
            "event": "a text message was not sent",
            "about": "sign-in code",
            "error": "ProviderUnavailable",
            "log_level": "error",
        }
    ]


async def test_a_code_is_sent_in_the_language_asked_for(town: Town) -> None:
    await town.register()
    for locale in ("en", "zh-CN"):
        await town.ask("identity", CODE, {"input": {"phone": "13900000001"}}, purpose="sign-in", locale=locale)
    english, chinese = await town.messages_to("+8613900000001")
    assert re.fullmatch(
        r"\[Example City\] Your code is \d{6}\. It is valid for 10 minutes\. No member of staff will ask you for it\.",
        english,
    )
    assert re.fullmatch(r"【示例市政务】验证码 \d{6},10 分钟内有效。工作人员不会向您索取验证码。", chinese)


async def test_a_birthday_counts_from_midnight_in_beijing(town: Town) -> None:
    eighteen_on = dt.datetime.combine(town.clock.now().date() + dt.timedelta(days=3), dt.time(), dt.UTC)
    born = (eighteen_on - dt.timedelta(days=1)).date().replace(year=eighteen_on.year - 18)
    assert age_on(born, eighteen_on.date()) == 18
    midnight = eighteen_on - dt.timedelta(hours=8)
    town.clock.advance(midnight - town.clock.now() - dt.timedelta(seconds=1))
    assert local_day(town.clock.now()) == eighteen_on.date() - dt.timedelta(days=1)
    town.clock.advance(dt.timedelta(seconds=1))
    assert local_day(town.clock.now()) == eighteen_on.date()
    assert town.clock.now().date() == eighteen_on.date() - dt.timedelta(days=1)

    newborn = sample_number(born=eighteen_on.strftime("%Y%m%d"))
    await town.register(number=newborn)
    assert await town.value("SELECT count(*) FROM identity.citizen") == 1
