"""The `@personal` directive for Strawberry fields: marks a field as personal data. It decides nothing."""

from __future__ import annotations

import strawberry
from strawberry.schema_directive import Location
from strawberry.types.unset import UNSET

SPEC_URL = "https://gov-services.example/personal/v1.0"
"""Names the directive in `@link`; composed into the supergraph by `@composeDirective`."""


@strawberry.federation.schema_directive(
    locations=[Location.FIELD_DEFINITION, Location.INPUT_FIELD_DEFINITION],
    name="personal",
    compose=True,
    import_url=SPEC_URL,
)
class Personal:
    """Personal data. Strings and not enums, because an enum here would enter the public schema."""

    category: str
    """What it tells about a person: name, identifier, contact, address, birth, business, payment, health, account."""
    sensitivity: str
    """`general`, or `sensitive` (PIPL 28: identity documents, health, finance, whereabouts, under-14s)."""
    mask: str | None = UNSET
    """Code of the mask (crypto.masks) that serves a MASKED grant; left out where it is all or nothing."""
    derived_from: str | None = UNSET
    """For a computed answer, the coordinate it comes from (`Citizen.isAdult`: `Citizen.birthDate`)."""
