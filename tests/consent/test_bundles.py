"""The bundle in force: the newest that was signed for its place, and never one that was in force before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town

from gov_services.consent import bundles
from gov_services.consent.bundles import BundleRefused, Bundles
from gov_services.consent.purpose_files import parse_bundle
from gov_services.consent.purposes import Bundle, Form
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.database import Database

RoomDatabase = Callable[[str], Database]
ADDRESS = "{ me { address } }"
COPY = (
    "INSERT INTO consent.bundle (version, body, key_id, signature, proposed_by, approved_by, note, made_at) "
    "SELECT version + 2, body, key_id, signature, :proposer, :approver, 'again', made_at "
    "FROM consent.bundle WHERE version = 1"
)


async def put_in_force(
    town: Town, change: Callable[[Bundle], Bundle], *, officers: tuple[str, str] = ("a", "b")
) -> None:
    """Publish what `change` makes of the bundle in force."""
    body = await town.value("SELECT body FROM consent.bundle ORDER BY version DESC LIMIT 1")
    key = SigningKey.load(town.settings.secrets_directory, "bundle")
    async with town.database.writing() as session:
        await bundles.publish(
            session,
            change(parse_bundle(bytes(body))),
            key=key,
            proposed_by=officers[0],
            approved_by=officers[1],
            note="test",
            now=town.clock.now(),
        )


async def test_an_old_bundle_under_a_newer_number_is_not_in_force(town: Town, room_database: RoomDatabase) -> None:
    actor = await town.register()
    await put_in_force(town, lambda bundle: bundle.without_grant("own-account", "Citizen.address"))
    answer = await town.ask("identity", ADDRESS, purpose="own-account", actor=actor, registered=True)
    assert answer["errors"][0]["extensions"]["code"] == "PURPOSE_NARROWED"
    before = len(await town.entries())
    async with room_database("privacy").writing() as session:
        await session.execute(text(COPY), {"proposer": "a", "approver": "b"})
    answer = await town.ask("identity", ADDRESS, purpose="own-account", actor=actor, registered=True)
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"]["code"] == "POLICY_UNAVAILABLE"
    assert len([entry for entry in (await town.entries())[before:] if entry.outcome == "allowed"]) == 0


async def test_a_process_never_goes_back_behind_a_bundle_that_it_has_seen(town: Town, administrator: Database) -> None:
    keys = VerifyKeys.load(town.settings.secrets_directory, "bundle")
    await put_in_force(town, lambda bundle: bundle.without_grant("own-account", "Citizen.address"))
    read = Bundles(keys)
    async with town.database.reading() as session:
        assert (await read.current(session)).version == 2
    async with administrator.writing() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await session.execute(text("DELETE FROM consent.bundle WHERE version = 2"))
    async with town.database.reading() as session:
        with pytest.raises(BundleRefused):
            await read.current(session)


@pytest.mark.parametrize(
    ("officers", "reason"),
    [(("seed", "seed"), "the seed comes first"), (("staff:1", "staff:1"), "ck_bundle_two_officers")],
)
async def test_one_officer_alone_puts_no_bundle_in_force(town: Town, officers: tuple[str, str], reason: str) -> None:
    with pytest.raises(DBAPIError, match=reason):
        await put_in_force(
            town, lambda bundle: bundle.without_grant("own-account", "Citizen.address"), officers=officers
        )
    assert await town.value("SELECT max(version) FROM consent.bundle") == 1


async def test_what_has_no_mask_is_withheld_and_not_shown_when_the_decision_is_masked(town: Town) -> None:
    actor = await town.register()
    ask = "{ me { assuranceLevel } }"
    answer = await town.ask("identity", ask, purpose="own-account", actor=actor, registered=True)
    assert isinstance(answer["data"]["me"]["assuranceLevel"], int)
    await put_in_force(
        town, lambda bundle: bundle.without_grant("own-account", "Citizen.assuranceLevel", form=Form.MASKED)
    )
    answer = await town.ask("identity", ask, purpose="own-account", actor=actor, registered=True)
    assert answer["data"] == {"me": {"assuranceLevel": None}}
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["PURPOSE_NARROWED"]
    uses = [entry for entry in await town.entries() if entry.kind.value == "use"]
    assert all(("Citizen.assuranceLevel", "OPENED") not in use.coordinates for use in uses[1:])
