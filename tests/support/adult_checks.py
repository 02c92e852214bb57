"""A consent as it comes and goes in the ledger, and a bank that asks under it. No test here."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from town import Town

from gov_services.consent import ledger
from gov_services.consent.lifecycle import ConsentEvent
from gov_services.consent.purposes import parse_bundle
from gov_services.kit.actor import Actor

IS_ADULT = """query($representations: [_Any!]!) { _entities(representations: $representations) {
  ... on Citizen { isAdult } } }"""


async def change_consent(town: Town, actor: Actor, event: ConsentEvent) -> None:
    """Append to the ledger as privacy does."""
    bundle = parse_bundle(bytes(await town.value("SELECT body FROM consent.bundle")))
    purpose = bundle.purposes["adult-check"]
    assert actor.id is not None
    async with town.database.writing() as session:
        await ledger.append(
            session,
            bundle=bundle,
            purpose=purpose,
            citizen_id=actor.id,
            recipient="riverside-bank",
            event=event,
            scope=("Citizen.isAdult",) if event is ConsentEvent.GIVE else (),
            notice_hash=purpose.notice_hash(),
            made_by="citizen",
            now=town.clock.now(),
        )


async def ask_adult(town: Town, citizen_id: UUID | None) -> Any:
    answer = await town.ask(
        "identity",
        IS_ADULT,
        {"representations": [{"__typename": "Citizen", "id": str(citizen_id)}]},
        purpose="adult-check",
        actor=town.party("riverside-bank"),
    )
    if "errors" in answer:
        return answer["errors"][0]["extensions"]["code"]
    return answer["data"]["_entities"][0]["isAdult"]
