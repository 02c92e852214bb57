"""The types of healthcode in the graph. They translate; what a personal field gives is the disclosure's to say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

import strawberry

from gov_services.consent.disclosure import Disclosure
from gov_services.consent.personal import Personal
from gov_services.healthcode.facts import facts_in
from gov_services.healthcode.models import DeclarationRow
from gov_services.healthcode.ports import HealthcodePorts
from gov_services.healthcode.rules import Outcome, standing_in
from gov_services.subgraph.context import ReadContext
from gov_services.subgraph.types import context_of

Answer = TypeVar("Answer")
_HEALTH = Personal(category="health", sensitivity="sensitive")


def _derived(source: str = "HealthCode.colour", *, category: str = "health") -> Personal:
    return Personal(category=category, sensitivity="sensitive", derived_from=source)


@strawberry.enum(name="HealthColour", description="What a health code shows.")
class HealthColourType(Enum):
    GREEN = strawberry.enum_value("GREEN", description="Nothing was found.")
    YELLOW = strawberry.enum_value("YELLOW", description="A symptom or a contact was declared.")
    RED = strawberry.enum_value("RED", description="A positive test was declared.")


@strawberry.enum(name="Symptom", description="A symptom that can be declared.")
class SymptomType(Enum):
    FEVER = strawberry.enum_value("fever", description="Fever.")
    COUGH = strawberry.enum_value("cough", description="Cough.")
    BREATHLESSNESS = strawberry.enum_value("breathlessness", description="Shortness of breath.")


@strawberry.enum(name="TestResult", description="How a test came out.")
class TestResultType(Enum):
    __test__ = False

    NEGATIVE = strawberry.enum_value("negative", description="Negative.")
    POSITIVE = strawberry.enum_value("positive", description="Positive.")


@strawberry.type(description="What was declared: what the colour was made from.")
class HealthEvidence:
    """PIPL 24: a decision by rules is explained with what it rests on."""

    symptoms: list[SymptomType] = strawberry.field(description="Symptoms.")
    test_result: TestResultType | None = strawberry.field(description="How a test came out.")
    tested_at: dt.datetime | None = strawberry.field(description="When it was taken.")
    contact_at: dt.datetime | None = strawberry.field(description="When there was contact with a confirmed case.")
    declared_at: dt.datetime = strawberry.field(description="When it was declared.")

    @classmethod
    def of(cls, text: str) -> HealthEvidence:
        """The declaration in a sealed text."""
        facts = facts_in(text)
        return cls(
            symptoms=[SymptomType(item.value) for item in facts.symptoms],
            test_result=TestResultType(facts.test_result.value) if facts.test_result else None,
            tested_at=facts.tested_at,
            contact_at=facts.contact_at,
            declared_at=facts.declared_at,
        )


@strawberry.federation.type(description="A citizen's health code: what the rules made of their declaration.")
class HealthCode:
    """Of the holder, for the holder."""

    row: strawberry.Private[DeclarationRow]
    disclosure: strawberry.Private[Disclosure]
    now: strawberry.Private[dt.datetime]

    @strawberry.field(description="Its colour, by the rule below.", directives=[_HEALTH])
    async def colour(self) -> HealthColourType | None:
        text = await self.disclosure.open("HealthCode.colour", self.row, "outcome")
        return HealthColourType(standing_in(text).at(self.now).colour.value) if text else None

    @strawberry.field(description="The rule that decided: rule set, version, rule.", directives=[_derived()])
    async def rule_id(self) -> str | None:
        return await self._derive("HealthCode.ruleId", lambda outcome: outcome.rule_id)

    @strawberry.field(description="Why, in the language asked for.", directives=[_derived()])
    async def reason(self, info: strawberry.Info) -> str | None:
        ctx = healthcode_context(info)
        return await self._derive(
            "HealthCode.reason",
            lambda outcome: ctx.ports.rules.explain(outcome, newest=self.row.declared_at, locale=ctx.call.locale),
        )

    @strawberry.field(description="Until when the colour is good.", directives=[_derived()])
    async def valid_until(self) -> dt.datetime | None:
        return await self._derive("HealthCode.validUntil", lambda outcome: outcome.valid_until)

    @strawberry.field(description="The name as a venue sees it.", directives=[_derived(category="name")])
    async def masked_name(self) -> str | None:
        return await self._derive("HealthCode.maskedName", lambda outcome: outcome.masked_name)

    @strawberry.field(description="What was declared.", directives=[_HEALTH])
    async def evidence(self) -> HealthEvidence | None:
        text = await self.disclosure.open("HealthCode.evidence", self.row, "evidence")
        return HealthEvidence.of(text) if text else None

    async def _derive(self, coordinate: str, rule: Callable[[Outcome], Answer]) -> Answer | None:
        return await derive(self.disclosure, self.row, coordinate, rule, now=self.now)


@strawberry.federation.type(description="What a venue learns from a code: this, and nothing else.")
class HealthVerification:
    """Of a code that its holder showed."""

    row: strawberry.Private[DeclarationRow]
    disclosure: strawberry.Private[Disclosure]
    now: strawberry.Private[dt.datetime]

    @strawberry.field(description="Its colour.", directives=[_derived()])
    async def colour(self) -> HealthColourType | None:
        return await derive(
            self.disclosure,
            self.row,
            "HealthVerification.colour",
            lambda outcome: HealthColourType(outcome.colour.value),
            now=self.now,
        )

    @strawberry.field(description="The holder's name, masked.", directives=[_derived(category="name")])
    async def masked_name(self) -> str | None:
        return await derive(
            self.disclosure,
            self.row,
            "HealthVerification.maskedName",
            lambda outcome: outcome.masked_name,
            now=self.now,
        )

    @strawberry.field(description="Until when the colour is good.", directives=[_derived()])
    async def valid_until(self) -> dt.datetime | None:
        return await derive(
            self.disclosure,
            self.row,
            "HealthVerification.validUntil",
            lambda outcome: outcome.valid_until,
            now=self.now,
        )


@strawberry.type(description="A code to show, for some minutes.")
class ShownCode:
    """It leaves with its holder."""

    token: str = strawberry.field(description="The code's text: a signed CWT in Base45.")
    qr_code: str = strawberry.field(description="The same as a QR code: an SVG.")
    expires_at: dt.datetime = strawberry.field(description="Until when it can be shown.")


async def derive(
    disclosure: Disclosure,
    row: DeclarationRow,
    coordinate: str,
    rule: Callable[[Outcome], Answer],
    *,
    now: dt.datetime,
) -> Answer | None:
    """One answer from the sealed outcome that counts now."""
    return await disclosure.derive(coordinate, row, "outcome", lambda text: rule(standing_in(text).at(now)))


def healthcode_context(info: strawberry.Info) -> ReadContext[HealthcodePorts]:
    """The context of the fetch, with this room's ports."""
    return context_of(info)
