"""Declaring, and showing the code. A colour follows from the rules; nobody sets one."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from gov_services.consent.attestations import Claim
from gov_services.consent.disclosure import Disclosure
from gov_services.crypto.masks import MASKS
from gov_services.healthcode import store
from gov_services.healthcode.code import LIFETIME, Shown, qr_code, sign_code
from gov_services.healthcode.facts import Facts, Symptom, TestResult, declare
from gov_services.healthcode.models import EVIDENCE, OUTCOME, CodeRow, DeclarationRow
from gov_services.healthcode.ports import HealthcodePorts
from gov_services.healthcode.rules import Standing, carry, judge, standing_in
from gov_services.kit.errors import UserError
from gov_services.kit.ids import new_id
from gov_services.subgraph.context import ReadContext, WriteContext

Context = WriteContext[HealthcodePorts]
COLOUR = "HealthCode.colour"
LONGEST_NAME = 50


class NoDeclaration(UserError):
    """There is no declaration whose colour is still good."""

    code = "DECLARATION_NEEDED"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "请先申报健康情况。",
        "en": "Declare your health first.",
    }


class NotFilledIn(UserError):
    """The name is empty or too long."""

    code = "NOT_FILLED_IN"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "此项为必填,且不得超过 {most} 个字。",
        "en": "This is needed, in at most {most} characters.",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What the citizen wrote."""

    name: str
    symptoms: list[Symptom]
    test_result: TestResult | None
    tested_at: dt.datetime | None
    contact_at: dt.datetime | None

    def given(self) -> list[str]:
        """Fields of the input that carried a value."""
        optional = {"testResult": self.test_result, "testedAt": self.tested_at, "contactAt": self.contact_at}
        return ["name", "symptoms", *(name for name, value in optional.items() if value is not None)]


@dataclass(frozen=True, slots=True)
class Code:
    """A code as it is shown."""

    text: str
    qr_code: str
    expires_at: dt.datetime


async def declare_health(ctx: Context, *, declared: Declared) -> DeclarationRow:
    """Take a declaration in the place of an earlier one.

    Raises ConsentRequired, NotFilledIn, NotAsVerified, FactRefused.
    A red or yellow that stands is carried over until its end. The name serves for the mask and is not kept.
    """
    citizen_id = ctx.citizen_id()
    disclosure = await ctx.disclosure_of(citizen_id, {COLOUR}, object_ref="declaration")
    name = _name(declared.name)
    await ctx.require_attested(citizen_id, Claim.NAME, name, field="input.name")
    masked_name = MASKS["name"](name)
    facts = declare(
        now=ctx.now,
        symptoms=declared.symptoms,
        test_result=declared.test_result,
        tested_at=declared.tested_at,
        contact_at=declared.contact_at,
    )
    rules = ctx.ports.rules
    outcome = disclosure.release(COLOUR, judge(rules, facts, masked_name=masked_name, now=ctx.now))
    # Two declarations at once would each see what stood before both, and the later one lose the earlier one's colour.
    await store.lock_declarations(ctx.session, citizen_id=citizen_id)
    earlier = await store.declaration(ctx.session, citizen_id=citizen_id, now=ctx.now)
    before = () if earlier is None else (await _standing(disclosure, earlier)).outcomes
    await store.remove_declarations(ctx.session, citizen_id=citizen_id)
    row = await _sealed(ctx, citizen_id, facts, carry(outcome, before, now=ctx.now), keep_days=rules.keep_days)
    ctx.session.add(row)
    await ctx.session.flush()
    await ctx.record(
        "health.declared",
        subject=citizen_id,
        object_ref=f"declaration:{row.declaration_id}",
        collected=[f"DeclareHealthInput.{name}" for name in declared.given()],
    )
    return row


async def show_code(ctx: Context) -> Code:
    """A code for the next minutes. Raises ConsentRequired, NoDeclaration."""
    citizen_id = ctx.citizen_id()
    disclosure = await ctx.disclosure_of(citizen_id, {COLOUR}, object_ref="code")
    disclosure.release(COLOUR, None)  # without a standing consent nothing more is shown
    row = await store.declaration(ctx.session, citizen_id=citizen_id, now=ctx.now)
    if row is None:
        raise NoDeclaration
    outcome = (await _standing(disclosure, row)).at(ctx.now)
    if outcome.valid_until <= ctx.now:
        raise NoDeclaration
    code_id = UUID(bytes=secrets.token_bytes(16))
    expires_at = min(ctx.now + LIFETIME, outcome.valid_until)
    ctx.session.add(
        CodeRow(
            citizen_id=citizen_id,
            code_id=code_id,
            declaration_id=row.declaration_id,
            issued_at=ctx.now,
            expires_at=expires_at,
        )
    )
    shown = Shown(
        id=code_id,
        colour=outcome.colour,
        masked_name=outcome.masked_name,
        valid_until=outcome.valid_until,
        expires_at=expires_at,
    )
    text = sign_code(ctx.ports.key, shown, issuer=ctx.ports.issuer, now=ctx.now)
    await ctx.record(
        "health-code.shown",
        subject=citizen_id,
        object_ref=f"code:{code_id}",
        recipient="holder",
        disclosed={COLOUR: "PLAIN"},
    )
    return Code(text, qr_code(text), expires_at)


async def read_code(ctx: ReadContext[HealthcodePorts]) -> tuple[DeclarationRow, Disclosure] | None:
    """The asking citizen's declaration, with its disclosure; None where there is none."""
    citizen_id = ctx.citizen_id()
    async with ctx.reading() as session:
        row = await store.declaration(session, citizen_id=citizen_id, now=ctx.now)
    disclosure = await ctx.disclosure(citizen_id, object_ref="health-code")
    return (row, disclosure) if row else None


async def _standing(disclosure: Disclosure, row: DeclarationRow) -> Standing:
    return standing_in(await disclosure.open(COLOUR, row, "outcome") or "")


async def _sealed(
    ctx: Context, citizen_id: UUID, facts: Facts, standing: Standing, *, keep_days: int
) -> DeclarationRow:
    declaration_id = new_id(ctx.now)
    sealer = await ctx.sealer(citizen_id)
    return DeclarationRow(
        citizen_id=citizen_id,
        declaration_id=declaration_id,
        evidence=sealer.seal(EVIDENCE, row_id=declaration_id, value=facts.text()),
        outcome=sealer.seal(OUTCOME, row_id=declaration_id, value=standing.text()),
        declared_at=ctx.now,
        keep_until=ctx.now + dt.timedelta(days=keep_days),
    )


def _name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise NotFilledIn(field="input.name", most=LONGEST_NAME)
    return name
