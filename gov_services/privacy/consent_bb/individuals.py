"""Individuals of the consent API: nobody is made here, and each is named by what whoever asks knows them by already.

A citizen is themselves; to a party they are the consent that they gave it; to a compliance officer a tag of the log.
"""

from __future__ import annotations

from typing import ClassVar

from gov_services.kit.actor import ActorKind
from gov_services.kit.errors import NotFound, UserError
from gov_services.privacy.consent_bb import records, shapes, store
from gov_services.privacy.consent_bb.operations import Asked
from gov_services.privacy.consent_bb.shapes import said
from gov_services.privacy.consent_bb.views import OF_CITIZEN, OF_TAG, Person, Shown
from gov_services.privacy.door import Context

TAG_BYTES = 32


class IndividualFromIdentity(UserError):
    """An individual is to be made or changed here."""

    code = "INDIVIDUAL_FROM_IDENTITY"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "个人由身份服务注册,此处不新建,也不保存外部编号。",
        "en": "People register with identity; none is made here, and no other number of theirs is kept.",
    }


async def meet(ctx: Context, asked: Asked) -> Shown:
    """`serviceIndividualCreate`, `serviceIndividualUpdate`: whoever is there already is shown."""
    individual = shapes.read_body(asked.body, shapes.IndividualBody).individual
    person = await _known(ctx, asked.path.get("individual_id", individual.id))
    return {"individual": _unchanged(individual, person).shown()}


async def read(ctx: Context, asked: Asked) -> Shown:
    """`serviceIndividualRead`."""
    return {"individual": (await _known(ctx, asked.path["individual_id"])).shown()}


async def list_known(ctx: Context, asked: Asked) -> Shown:
    """`serviceIndividualList`: oneself; or who gave the asking party a consent."""
    offset, limit = asked.page()
    if ctx.actor.kind is ActorKind.CLIENT:
        rows = await records.given_to_party(ctx, offset=offset, limit=limit)
        people = [records.by_consent(row) for row in rows]
    else:
        people = [await _known(ctx, str(ctx.citizen_id()))][offset : offset + limit]
    return {"individuals": [person.shown() for person in people]}


async def meet_by_tag(ctx: Context, asked: Asked) -> Shown:
    """`configIndividualCreate`: whoever is there already is shown."""
    individual = shapes.read_body(asked.body, shapes.IndividualBody).individual
    return {"individual": _unchanged(individual, await _by_tag(ctx, individual.id)).shown()}


async def read_by_tag(ctx: Context, asked: Asked) -> Shown:
    """`configIndividualRead`."""
    return {"individual": (await _by_tag(ctx, asked.path["individual_id"])).shown()}


async def list_by_tag(ctx: Context, asked: Asked) -> Shown:
    """`configIndividualList`: everybody with a consent record."""
    offset, limit = asked.page()
    await ctx.disclosures.require_log_read("individuals", tag=None)
    async with ctx.reading() as session:
        tags = await store.tags(session, offset=offset, limit=limit)
    return {"individuals": [Person(tag.hex(), OF_TAG).shown() for tag in tags]}


async def _known(ctx: Context, identifier: str) -> Person:
    if ctx.actor.kind is ActorKind.CLIENT:
        return records.by_consent(await records.one_given(ctx, consent_id=identifier))
    await ctx.disclosure(ctx.citizen_id(), object_ref="consents")
    if identifier != str(ctx.citizen_id()):
        raise NotFound
    return Person(identifier, OF_CITIZEN)


async def _by_tag(ctx: Context, identifier: str) -> Person:
    try:
        tag = bytes.fromhex(identifier)
    except ValueError:
        tag = b""
    found = tag if len(identifier) == 2 * len(tag) else b""
    await ctx.disclosures.require_log_read("individual", tag=found or None)
    async with ctx.reading() as session:
        if not found or not await store.has_tag(session, tag=found):
            raise NotFound
    return Person(found.hex(), OF_TAG)


def _unchanged(individual: shapes.Individual, person: Person) -> Person:
    told = said(individual.external_id), said(individual.external_id_type), said(individual.identity_provider_id)
    if individual.id not in ("", person.id) or told not in (("", "", ""), ("", person.kind, "")):
        raise IndividualFromIdentity
    return person
