"""Registration, one-time codes, signing in, verification to a higher assurance level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from gov_services.consent.attestations import Claim
from gov_services.crypto import blind_index
from gov_services.crypto.columns import Sealed
from gov_services.crypto.keys import DataClass
from gov_services.identity import resident_number, store
from gov_services.identity.codes import CodeNotRight
from gov_services.identity.models import CitizenRow
from gov_services.identity.phones import parse_phone
from gov_services.identity.ports import IdentityPorts
from gov_services.identity.service import childhoods
from gov_services.identity.service.sessions import Tokens, open_session
from gov_services.kit.actor import Actor, ActorKind
from gov_services.kit.clock import local_day
from gov_services.kit.errors import UserError
from gov_services.kit.ids import new_id
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import Outcome, commit

SELF_DECLARED = 2
MATCHED = 3
CITIZEN_CLIENT = "citizen-app"
SMS_PROVIDER = "party:sms-provider"
REGISTER = "party:population-register"
LONGEST_NAME, LONGEST_ADDRESS = 60, 200
CODE_TEXT: Mapping[str, str] = {
    "zh-CN": "【示例市政务】验证码 {code},10 分钟内有效。工作人员不会向您索取验证码。",
    "en": "[Example City] Your code is {code}. It is valid for 10 minutes. No member of staff will ask you for it.",
}


class RegistrationNotPossible(UserError):
    """The number or the phone is registered already; it is not said which, nor to whom."""

    code = "REGISTRATION_NOT_POSSIBLE"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "无法完成注册。如您已注册,请直接登录;如有疑问,请前往政务服务大厅。",
        "en": "You cannot be registered with these details. If you registered before, sign in; else ask a counter.",
    }


class NotFilledIn(UserError):
    """A field is empty, or longer than it may be."""

    code = "NOT_FILLED_IN"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "此项为必填,且不得超过 {most} 个字。",
        "en": "This is needed, in at most {most} characters.",
    }


class NotMatched(UserError):
    """The population register does not know the two together, or it is not this account's number."""

    code = "NOT_MATCHED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "姓名与身份证号码不匹配。",
        "en": "The name and the number do not belong together.",
    }


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A citizen who has just proved their phone."""

    citizen_id: UUID
    tokens: Tokens


def phone_digest(ports: IdentityPorts, phone: str) -> bytes:
    """What stands for a phone number (E.164); in the directory, under every root: see `layers`."""
    return ports.index.of("identity.directory.phone", phone, normalize=blind_index.phone)


def number_digest(ports: IdentityPorts, number: str) -> bytes:
    """What stands for a resident number, as above."""
    return ports.index.of("identity.directory.resident-number", number, normalize=blind_index.resident_number)


def layers(ports: IdentityPorts, kind: str, digest: bytes) -> tuple[bytes, ...]:
    """The digests by one of which a number of that kind stands in the directory."""
    return ports.index.layers(f"identity.directory.{kind}", digest)


def filled_in(value: str, *, field: str, most: int) -> str:
    """The text without blanks around it. Raises NotFilledIn."""
    text = " ".join(value.split())
    if not text or len(text) > most:
        raise NotFilledIn(field=field, most=most)
    return text


async def register(ctx: WriteContext[IdentityPorts], *, name: str, national_id: str, phone: str, address: str) -> UUID:
    """Register a citizen, with keys of every class made in the same transaction. Raises UserErrors."""
    name = filled_in(name, field="input.name", most=LONGEST_NAME)
    address = filled_in(address, field="input.address", most=LONGEST_ADDRESS)
    number = resident_number.parse(national_id, today=local_day(ctx.now), field="input.nationalId")
    phone = parse_phone(phone, field="input.phone")
    citizen_id = new_id(ctx.now)
    await ctx.services.discloser.keys.create(ctx.session, citizen_id=citizen_id, classes=DataClass, now=ctx.now)
    values = {
        "name": name,
        "national_id": number.text,
        "phone": phone,
        "address": address,
        "birth_date": number.birth_date.isoformat(),
    }
    sealed = await _seal(ctx, citizen_id, values)
    ctx.session.add(
        CitizenRow(
            citizen_id=citizen_id,
            assurance=SELF_DECLARED,
            assured_at=ctx.now,
            registered_at=ctx.now,
            erased_at=None,
            **sealed,
        )
    )
    await ctx.session.flush()
    for kind, digest in (
        (store.RESIDENT_NUMBER, number_digest(ctx.ports, number.text)),
        (store.PHONE, phone_digest(ctx.ports, phone)),
    ):
        digests = layers(ctx.ports, kind, digest)
        if not await store.list_in_directory(
            ctx.session, kind=kind, digests=digests, citizen_id=citizen_id, now=ctx.now
        ):
            raise RegistrationNotPossible
    await childhoods.state(ctx, citizen_id, number.birth_date)
    await ctx.record(
        "citizen.registered",
        subject=citizen_id,
        object_ref="citizen",
        collected=("RegisterInput.name", "RegisterInput.nationalId", "RegisterInput.phone", "RegisterInput.address"),
    )
    await ctx.publish("identity.citizen_registered", subject=citizen_id, body={})
    return citizen_id


async def request_sign_in_code(ctx: ReadContext[IdentityPorts], *, phone: str) -> Outcome[bool]:
    """Send a code to the phone of a registered citizen; whether there is one is not told to who asks.

    Nobody waits for the provider: neither its delay nor its failure tells who is registered.
    """
    outcome = await commit(ctx, _issue_code, phone=phone)
    if outcome.result is not None and outcome.result.registered:
        text = CODE_TEXT[ctx.call.locale].format(code=outcome.result.code)
        ctx.ports.texts.send(phone=outcome.result.phone, text=text, about="sign-in code")
    return Outcome(outcome.result is not None or None, outcome.errors)


@dataclass(frozen=True, slots=True)
class _Issued:
    phone: str
    code: str
    registered: bool


async def _issue_code(ctx: WriteContext[IdentityPorts], *, phone: str) -> _Issued:
    phone = parse_phone(phone, field="input.phone")
    holder = phone_digest(ctx.ports, phone)
    await ctx.ports.codes.count_send(holder)
    citizen_id = await store.citizen_by(ctx.session, kind=store.PHONE, digests=layers(ctx.ports, store.PHONE, holder))
    await ctx.record(
        "code.requested",
        subject=citizen_id,
        collected=("RequestSignInCodeInput.phone",),
        recipient=SMS_PROVIDER if citizen_id else None,
        disclosed={"Citizen.phone": "PLAIN"} if citizen_id else None,
    )
    # A code is made for a stranger's phone too, and goes nowhere: the same work, and the same answers to guesses.
    return _Issued(phone, await ctx.ports.codes.issue(holder), citizen_id is not None)


async def sign_in(ctx: WriteContext[IdentityPorts], *, phone: str, code: str) -> SignedIn:
    """Sign a citizen in by a code sent to their phone. Raises CodeNotRight, also for a phone that nobody has."""
    phone = parse_phone(phone, field="input.phone")
    holder = phone_digest(ctx.ports, phone)
    await ctx.ports.codes.take(holder, code)
    citizen_id = await store.citizen_by(ctx.session, kind=store.PHONE, digests=layers(ctx.ports, store.PHONE, holder))
    if citizen_id is None:
        raise CodeNotRight(field="input.code")
    row = (await store.citizens(ctx.session, citizen_ids=[citizen_id]))[citizen_id]
    actor = Actor(
        kind=ActorKind.CITIZEN,
        id=citizen_id,
        client_id=CITIZEN_CLIENT,
        assurance=row.assurance,
        authenticated_at=ctx.now,
    )
    tokens = await open_session(ctx, actor)
    await ctx.record("session.opened", subject=citizen_id, collected=("SignInInput.phone",))
    return SignedIn(citizen_id, tokens)


async def verify_identity(ctx: ReadContext[IdentityPorts], *, name: str, national_id: str) -> Outcome[int]:
    """Match name and number with the population register (实名认证); reaches level 3, under the name that matched.

    What leaves is recorded before it leaves: a register that does not answer has been asked all the same.
    """
    citizen_id = ctx.citizen_id()
    asked = await commit(ctx, _ask_register, citizen_id=citizen_id, name=name, national_id=national_id)
    if asked.result is None:
        return Outcome(None, asked.errors)
    matched = await ctx.ports.register.matches(name=asked.result.name, national_id=asked.result.number)
    return await commit(ctx, _note_match, citizen_id=citizen_id, name=asked.result.name, matched=matched)


@dataclass(frozen=True, slots=True)
class _Question:
    name: str
    number: str


async def _ask_register(
    ctx: WriteContext[IdentityPorts], *, citizen_id: UUID, name: str, national_id: str
) -> _Question:
    name = filled_in(name, field="input.name", most=LONGEST_NAME)
    number = resident_number.parse(national_id, today=local_day(ctx.now), field="input.nationalId")
    digests = layers(ctx.ports, store.RESIDENT_NUMBER, number_digest(ctx.ports, number.text))
    if not await store.is_listed(ctx.session, citizen_id=citizen_id, kind=store.RESIDENT_NUMBER, digests=digests):
        raise NotMatched
    await childhoods.state(ctx, citizen_id, number.birth_date)
    await ctx.record(
        "identity.asked",
        subject=citizen_id,
        collected=("VerifyIdentityInput.name", "VerifyIdentityInput.nationalId"),
        recipient=REGISTER,
        disclosed={"Citizen.name": "PLAIN", "Citizen.nationalId": "PLAIN"},
    )
    return _Question(name, number.text)


async def _note_match(ctx: WriteContext[IdentityPorts], *, citizen_id: UUID, name: str, matched: bool) -> int:
    if not matched:
        raise NotMatched
    # The level says that this name is the number's: whatever was written at registration gives way to it.
    sealed = await _seal(ctx, citizen_id, {"name": name})
    await store.rename_citizen(ctx.session, citizen_id=citizen_id, name=sealed["name"])
    await store.raise_assurance(ctx.session, citizen_id=citizen_id, level=MATCHED, now=ctx.now)
    await ctx.attest(citizen_id, Claim.NAME, name)
    await ctx.record(
        "identity.verified",
        subject=citizen_id,
        object_ref=f"assurance:{MATCHED}",
        collected=("VerifyIdentityInput.name",),
    )
    return MATCHED


async def _seal(ctx: WriteContext[IdentityPorts], citizen_id: UUID, values: dict[str, str]) -> dict[str, Sealed]:
    sealer = await ctx.sealer(citizen_id)
    columns = CitizenRow.__table__.columns
    return {
        name: sealer.seal(columns[name].type, row_id=citizen_id, value=value)  # type: ignore[arg-type]
        for name, value in values.items()
    }
