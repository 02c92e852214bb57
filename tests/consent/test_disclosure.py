"""A disclosure opens what it was made for, in the form that was decided, and says what it really opened."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from uuid import UUID

import pytest
from town import Town, sample_number

from gov_services.audit.log import Logged
from gov_services.cli.documents import seed_bundle
from gov_services.consent import ledger
from gov_services.consent.disclosure import BeyondDisclosure, ConsentRequired, Disclosure, PurposeNarrowed, row_id_of
from gov_services.consent.disclosures import Disclosures, Subject
from gov_services.consent.lifecycle import ConsentEvent
from gov_services.consent.policy import Unrelated
from gov_services.crypto.columns import SealedColumn
from gov_services.identity.models import CitizenRow
from gov_services.identity.store import citizens
from gov_services.kit.actor import Actor
from gov_services.kit.context import Call, Entrance, EntranceKind
from gov_services.kit.ids import new_id


def begin(town: Town, actor: Actor, coordinates: Collection[str], *, purpose: str = "own-account") -> Disclosures:
    """A request that reads these, as a resolver of identity makes it."""
    now = town.clock.now()
    call = Call(actor, Entrance(EntranceKind.DOCUMENT, "Doc", purpose), now, str(new_id(now)))
    return town.rooms["identity"].services.discloser.begin(call, coordinates)


async def row_of(town: Town, actor: Actor) -> CitizenRow:
    """The citizen's row, all sealed."""
    assert actor.id is not None
    async with town.database.reading() as session:
        return (await citizens(session, citizen_ids=[actor.id]))[actor.id]


async def about(disclosures: Disclosures, citizen_id: UUID | None) -> Disclosure:
    """The disclosure about somebody related."""
    assert citizen_id is not None
    found = await disclosures.about(Subject(citizen_id))
    assert isinstance(found, Disclosure)
    return found


async def test_what_was_decided_opens_in_its_form_and_nothing_else_does(town: Town) -> None:
    actor, other = (
        await town.register(name="测试甲"),
        await town.register(number=sample_number(sequence=101), phone="13900000002"),
    )
    row, strangers = await row_of(town, actor), await row_of(town, other)
    asked = {"Citizen.name", "Citizen.nationalId", "Citizen.birthDate"}
    disclosures = begin(town, actor, asked)
    disclosure = await about(disclosures, actor.id)

    assert repr(disclosure) == "Disclosure(purpose='own-account', relation='self')"
    assert (disclosure.subject_id, disclosure.relation.value) == (actor.id, "self")
    assert await disclosure.open("Citizen.name", row, "name") == "测试甲"
    masked = await disclosure.open("Citizen.nationalId", row, "national_id")
    assert masked is not None
    assert (len(masked), masked[6:14]) == (18, "********")
    with pytest.raises(PurposeNarrowed):
        await disclosure.open("Citizen.birthDate", row, "birth_date")
    for coordinate, target, attribute, said in (
        ("Citizen.phone", row, "phone", "was not declared"),
        ("Citizen.name", row, "national_id", "is not what .* holds"),
        ("Citizen.name", row, "assurance", "is not a sealed column"),
        ("Citizen.name", strangers, "name", "is about somebody else"),
    ):
        with pytest.raises(BeyondDisclosure, match=said):
            await disclosure.open(coordinate, target, attribute)
    assert disclosure.opened == {"Citizen.name", "Citizen.nationalId"}
    disclosures.close()
    (use,) = [entry for entry in await town.entries() if entry.kind.value == "use"]
    assert use.coordinates == (("Citizen.name", "OPENED"), ("Citizen.nationalId", "OPENED"))
    assert use.parent == disclosure.logged.entry_id


async def test_a_rule_is_given_the_value_that_its_answer_is_derived_from_and_no_other(town: Town) -> None:
    actor = await town.register()
    row = await row_of(town, actor)
    await change_consent(town, actor, ConsentEvent.GIVE)
    asking = begin(town, town.party("riverside-bank"), {"Citizen.isAdult"}, purpose="adult-check")
    disclosure = await about(asking, actor.id)

    for attribute in ("name", "national_id", "phone"):
        with pytest.raises(BeyondDisclosure, match="is not derived from what"):
            await disclosure.derive("Citizen.isAdult", row, attribute, len)
    with pytest.raises(BeyondDisclosure, match="is derived only"):
        await disclosure.open("Citizen.isAdult", row, "birth_date")
    assert disclosure.opened == frozenset()
    assert await disclosure.derive("Citizen.isAdult", row, "birth_date", lambda value: value[:4]) == "1990"
    assert disclosure.opened == {"Citizen.isAdult"}


async def change_consent(town: Town, actor: Actor, event: ConsentEvent) -> None:
    """Append to the ledger as privacy does."""
    bundle = seed_bundle()
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
            scope=("Citizen.isAdult",),
            notice_hash=purpose.notice_hash,
            made_by="citizen",
            now=town.clock.now(),
        )


async def test_nothing_stored_opens_as_nothing_and_is_not_noted_as_opened(town: Town) -> None:
    actor = await town.register()
    row = await row_of(town, actor)
    disclosure = await about(begin(town, actor, {"Citizen.name"}), actor.id)
    row.name = None  # type: ignore[assignment]  # as erasure leaves it

    assert await disclosure.open("Citizen.name", row, "name") is None
    assert disclosure.opened == frozenset()


async def test_a_stranger_gets_no_disclosure_and_an_unconsented_party_nothing_out_of_one(town: Town) -> None:
    actor, other = await town.register(), await town.register(number=sample_number(sequence=101), phone="13900000002")
    assert actor.id is not None
    found = await begin(town, other, {"Citizen.name"}).about(Subject(actor.id))
    assert isinstance(found, Unrelated)
    bank = await begin(town, town.party("riverside-bank"), {"Citizen.isAdult"}, purpose="adult-check").about(
        Subject(actor.id)
    )
    assert isinstance(bank, Unrelated)
    refused = [entry for entry in await town.entries() if entry.outcome == "refused"]
    assert [(entry.code, entry.purpose) for entry in refused] == [
        ("NOT_RELATED", "own-account"),
        ("CONSENT_REQUIRED", "adult-check"),
    ]
    assert [entry for entry in await town.entries() if entry.kind.value == "use"] == []


async def test_a_value_that_is_not_sealed_is_released_only_once_it_is_decided(town: Town) -> None:
    actor = await town.register()
    disclosure = await about(begin(town, actor, {"Citizen.assuranceLevel", "Citizen.isAdult"}), actor.id)

    assert disclosure.release("Citizen.assuranceLevel", 2) == 2
    with pytest.raises(PurposeNarrowed):
        disclosure.release("Citizen.isAdult", True)
    with pytest.raises(BeyondDisclosure):
        disclosure.release("Citizen.name", "测试甲")
    assert disclosure.opened == {"Citizen.assuranceLevel"}


def test_only_the_log_says_that_something_is_logged() -> None:
    with pytest.raises(TypeError, match="only the log"):
        Logged(UUID(int=1), 1)


def test_a_box_is_bound_to_an_id_and_to_nothing_else() -> None:
    column = CitizenRow.__table__.columns["name"].type
    assert isinstance(column, SealedColumn)
    assert row_id_of(SimpleNamespace(**{column.row: UUID(int=1)}), column) == UUID(int=1)
    with pytest.raises(BeyondDisclosure, match="is no id"):
        row_id_of(SimpleNamespace(**{column.row: "text"}), column)


def test_what_a_client_is_told_is_in_both_languages() -> None:
    for refusal in (ConsentRequired(), PurposeNarrowed()):
        assert refusal.message("en") != refusal.message("zh-CN")
