"""The citizen as an entity of the graph."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import strawberry

from gov_services.consent.personal import Personal
from gov_services.identity.resident_number import age_on
from gov_services.identity.service import citizens
from gov_services.identity.service.citizens import Known
from gov_services.kit.clock import local_day
from gov_services.kit.ids import parse_id
from gov_services.subgraph.context import ReadContext, require_disclosure
from gov_services.subgraph.types import context_of

ADULT = 18


@strawberry.federation.type(
    keys=["id"], description="A person who registered. A personal field is null unless a purpose gives it."
)
class Citizen:
    """Decided field by field; opened by the disclosure alone."""

    id: strawberry.ID = strawberry.field(description="Opaque id.")
    known: strawberry.Private[Known]
    today: strawberry.Private[dt.date]

    @classmethod
    async def resolve_reference(cls, info: strawberry.Info, id: strawberry.ID) -> Citizen:
        """A citizen to whom another subgraph refers."""
        ctx = context_of(info)
        return citizen_of(ctx, await citizens.refer_to_citizen(ctx, citizen_id=parse_id(id)), reference=id)

    @strawberry.field(description="Name.", directives=[Personal(category="name", sensitivity="general", mask="name")])
    async def name(self) -> str | None:
        """Sealed."""
        return await self._open("Citizen.name", "name")

    @strawberry.field(
        description="Resident identity number.",
        directives=[Personal(category="identifier", sensitivity="sensitive", mask="resident_number")],
    )
    async def national_id(self) -> str | None:
        """Sealed."""
        return await self._open("Citizen.nationalId", "national_id")

    @strawberry.field(
        description="Mobile number.", directives=[Personal(category="contact", sensitivity="general", mask="phone")]
    )
    async def phone(self) -> str | None:
        """Sealed."""
        return await self._open("Citizen.phone", "phone")

    @strawberry.field(
        description="Address.", directives=[Personal(category="address", sensitivity="general", mask="address")]
    )
    async def address(self) -> str | None:
        """Sealed."""
        return await self._open("Citizen.address", "address")

    @strawberry.field(
        description="Date of birth.", directives=[Personal(category="birth", sensitivity="general", mask="date")]
    )
    async def birth_date(self) -> str | None:
        """Sealed."""
        return await self._open("Citizen.birthDate", "birth_date")

    @strawberry.field(
        description="Whether they are eighteen or older: the answer without the date.",
        directives=[Personal(category="birth", sensitivity="general", derived_from="Citizen.birthDate")],
    )
    async def is_adult(self) -> bool | None:
        """Derived from the birth date, which goes no further."""
        disclosure = require_disclosure(self.known.disclosure)
        today = self.today
        return await disclosure.derive(
            "Citizen.isAdult",
            self.known.row,
            "birth_date",
            lambda born: age_on(dt.date.fromisoformat(born), today) >= ADULT,
        )

    @strawberry.field(
        description="Assurance level reached: 2 self-declared, 3 matched, 5 seen at a counter.",
        directives=[Personal(category="account", sensitivity="general")],
    )
    def assurance_level(self) -> int | None:
        """Not sealed, and personal all the same."""
        disclosure = require_disclosure(self.known.disclosure)
        row = self.known.row
        return disclosure.release("Citizen.assuranceLevel", row.assurance if row else None)

    async def _open(self, coordinate: str, attribute: str) -> str | None:
        disclosure = require_disclosure(self.known.disclosure)
        return await disclosure.open(coordinate, self.known.row, attribute)


def citizen_of(ctx: ReadContext[object], known: Known, *, reference: str | None = None) -> Citizen:
    """A citizen as GraphQL shows one."""
    name = reference if known.row is None else str(known.row.citizen_id)
    return Citizen(id=strawberry.ID(name or ""), known=known, today=local_day(ctx.now))


@strawberry.input(description="Whom to find.")
class FindCitizenInput:
    """A full number; nobody is found by a part of one."""

    national_id: str = strawberry.field(
        description="Full resident identity number.",
        directives=[Personal(category="identifier", sensitivity="sensitive")],
    )


@strawberry.type
class CitizenQuery:
    """Root fields about citizens."""

    @strawberry.field(description="The citizen who asks.")
    async def me(self, info: strawberry.Info) -> Citizen:
        """Their own data."""
        ctx = context_of(info)
        return citizen_of(ctx, await citizens.read_me(ctx))

    @strawberry.field(description="The citizen with a full number, for the counter; counted, hit or miss.")
    async def citizen_by_national_id(
        self,
        info: strawberry.Info,
        input: Annotated[FindCitizenInput, strawberry.argument(description="Whom to find.")],
    ) -> Citizen:
        """Needs a reason, and has a budget."""
        ctx = context_of(info)
        return citizen_of(ctx, await citizens.find_citizen(ctx, national_id=input.national_id))
