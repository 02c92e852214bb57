"""A review of a colour in GraphQL, for officers: what it rests on, what of it is struck, by two of them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Annotated
from uuid import UUID

import strawberry

from gov_services.consent.disclosure import Disclosure
from gov_services.consent.personal import Personal
from gov_services.healthcode.graph.types import HealthCode, healthcode_context
from gov_services.healthcode.models import DeclarationRow, StrikeRow
from gov_services.healthcode.service import reviewing
from gov_services.healthcode.strikes import StrikeGround, StrikePart
from gov_services.kit.ids import parse_id
from gov_services.subgraph.types import UserErrorType, register_enum, user_errors
from gov_services.subgraph.unit_of_work import Outcome, commit

_HEALTH = Personal(category="health", sensitivity="sensitive")

register_enum(
    StrikeGround,
    name="HealthStrikeGround",
    description="Why evidence of a health code is wrong.",
    values={
        StrikeGround.WRONG_PERSON: "It is about somebody else.",
        StrikeGround.WRONG_RESULT: "It says what was not so.",
        StrikeGround.OUTDATED: "It was so, and is so no more.",
    },
)
register_enum(
    StrikePart,
    name="HealthEvidencePart",
    description="A part of the evidence of a health code.",
    values={
        StrikePart.SYMPTOMS: "The symptoms.",
        StrikePart.TEST: "The test.",
        StrikePart.CONTACT: "The contact.",
        StrikePart.EARLIER: "What earlier declarations brought and still stands.",
    },
)


@strawberry.federation.type(description="A proposal to strike evidence of a health code, for the officer who took it.")
class HealthStrike:
    """One officer's, for another."""

    row: strawberry.Private[StrikeRow]
    declaration: strawberry.Private[DeclarationRow | None]
    disclosure: strawberry.Private[Disclosure]
    now: strawberry.Private[dt.datetime]

    @strawberry.field(description="Opaque id.")
    async def id(self) -> strawberry.ID:
        return strawberry.ID(str(self.row.strike_id))

    @strawberry.field(description="Why.")
    async def ground(self) -> StrikeGround:
        return StrikeGround(self.row.ground)

    @strawberry.field(description="What of the evidence.", directives=[_HEALTH])
    async def parts(self) -> list[StrikePart] | None:
        text = await self.disclosure.open("HealthStrike.parts", self.row, "parts")
        return [StrikePart(item) for item in json.loads(text)] if text else None

    @strawberry.field(description="The code that it is about; null once something else was declared.")
    async def health_code(self) -> HealthCode | None:
        if self.declaration is None:
            return None
        return HealthCode(row=self.declaration, disclosure=self.disclosure, now=self.now)


@strawberry.input(description="Evidence that is to be struck.")
class ProposeHealthStrikeInput:
    """By the officer who took the citizen's request."""

    request_id: strawberry.ID = strawberry.field(description="Id of the request for a review.")
    ground: StrikeGround = strawberry.field(description="Why.")
    parts: list[StrikePart] = strawberry.field(description="What.", directives=[_HEALTH])


@strawberry.input(description="A decision on a proposal that one took.")
class DecideHealthStrikeInput:
    """By another officer than who proposed it."""

    strike_id: strawberry.ID = strawberry.field(description="Id of the proposal.")
    approve: bool = strawberry.field(description="True: it is struck, and the rules are asked again.")


@strawberry.type(description="What came of a proposal or a decision.")
class HealthStrikePayload:
    """No colour is told: it follows from the rules."""

    strike_id: strawberry.ID | None = strawberry.field(description="Id of the proposal.")
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")


@strawberry.federation.type(description="What came of takeHealthStrike.")
class TakeHealthStrikePayload:
    """The proposal is read after the commit."""

    taken: strawberry.Private[UUID | None]
    user_errors: list[UserErrorType] = strawberry.field(description="What can be put right.")

    @strawberry.field(description="The proposal that is the officer's to decide now.")
    async def strike(self, info: strawberry.Info) -> HealthStrike | None:
        if self.taken is None:
            return None
        ctx = healthcode_context(info)
        row, declaration, disclosure = await reviewing.read_strike(ctx, strike_id=self.taken)
        return HealthStrike(row=row, declaration=declaration, disclosure=disclosure, now=ctx.now)


@strawberry.type
class ReviewQuery:
    """What an officer looks at."""

    @strawberry.field(description="The health code of who asked for the review that the officer has taken.")
    async def health_review(
        self,
        info: strawberry.Info,
        request_id: Annotated[strawberry.ID, strawberry.argument(description="Id of the request.")],
    ) -> HealthCode | None:
        ctx = healthcode_context(info)
        found = await reviewing.read_review(ctx, request_id=parse_id(request_id))
        return HealthCode(row=found[0], disclosure=found[1], now=ctx.now) if found else None


@strawberry.type
class ReviewMutation:
    """What two officers do."""

    @strawberry.mutation(description="Propose that evidence of a health code is struck, on its holder's request.")
    async def propose_health_strike(
        self,
        info: strawberry.Info,
        input: Annotated[ProposeHealthStrikeInput, strawberry.argument(description="What it takes.")],
    ) -> HealthStrikePayload | None:
        outcome = await commit(
            healthcode_context(info),
            reviewing.propose_strike,
            request_id=parse_id(input.request_id),
            ground=input.ground,
            parts=input.parts,
        )
        return _payload(outcome, info)

    @strawberry.mutation(description="Take the proposal of another officer that waits the longest.")
    async def take_health_strike(self, info: strawberry.Info) -> TakeHealthStrikePayload | None:
        outcome = await commit(healthcode_context(info), reviewing.take_strike)
        return TakeHealthStrikePayload(taken=outcome.result, user_errors=user_errors(outcome, info))

    @strawberry.mutation(description="Decide on a proposal that one took.")
    async def decide_health_strike(
        self,
        info: strawberry.Info,
        input: Annotated[DecideHealthStrikeInput, strawberry.argument(description="What it takes.")],
    ) -> HealthStrikePayload | None:
        outcome = await commit(
            healthcode_context(info),
            reviewing.decide_strike,
            strike_id=parse_id(input.strike_id),
            approve=input.approve,
        )
        return _payload(outcome, info)


def _payload(outcome: Outcome[UUID], info: strawberry.Info) -> HealthStrikePayload:
    strike_id = strawberry.ID(str(outcome.result)) if outcome.result else None
    return HealthStrikePayload(strike_id=strike_id, user_errors=user_errors(outcome, info))
