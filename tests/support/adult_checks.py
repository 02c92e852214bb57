"""A consent as it comes and goes in the ledger, and a bank that asks under it. No test here."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from town import Town

from gov_services.consent import ledger, store
from gov_services.consent.lifecycle import ConsentEvent
from gov_services.consent.purpose_files import parse_bundle
from gov_services.consent.terms import Terms
from gov_services.kit.actor import Actor

IS_ADULT = """query($representations: [_Any!]!) { _entities(representations: $representations) {
  ... on Citizen { isAdult } } }"""


async def change_consent(town: Town, actor: Actor, event: ConsentEvent, *, terms: Terms | None = None) -> None:
    """Append to the ledger as privacy does."""
    bundle = parse_bundle(bytes(await town.value("SELECT body FROM consent.bundle ORDER BY version DESC LIMIT 1")))
    purpose = bundle.purposes["adult-check"]
    assert actor.id is not None
    now = town.clock.now()
    async with town.database.writing() as session:
        (row,) = await store.standing(
            session, citizen_ids=[actor.id], purpose=purpose.code, recipient="riverside-bank", now=now
        ) or (None,)
        if row is not None and event is not ConsentEvent.GIVE:
            await ledger.change(session, row, event=event, bundle=bundle, made_by="citizen", now=now)
            return
        await ledger.append(
            session,
            bundle=bundle,
            purpose=purpose,
            citizen_id=actor.id,
            recipient="riverside-bank",
            event=event,
            scope=("Citizen.isAdult",),
            notice_hash=purpose.notice_hash,
            made_by="citizen",
            now=now,
            terms=terms,
        )


async def ask_adult(town: Town, citizen_id: UUID | None, *, request_id: str | None = None) -> Any:
    answer = await town.ask(
        "identity",
        IS_ADULT,
        {"representations": [{"__typename": "Citizen", "id": str(citizen_id)}]},
        purpose="adult-check",
        actor=town.party("riverside-bank"),
        request_id=request_id,
    )
    if "errors" in answer:
        return answer["errors"][0]["extensions"]["code"]
    return answer["data"]["_entities"][0]["isAdult"]
