"""The catalogue in the database: an edition is written once, and an older one never comes back."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Callable

import pytest
from permit_office import Office
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gov_services.kit.database import Database
from gov_services.permits import store
from gov_services.permits.app import CATALOGUE
from gov_services.permits.catalogue import Service, columns_of, load_catalogue

pytestmark = pytest.mark.untraced

NOW = dt.datetime(2026, 3, 2, 1, 0, tzinfo=dt.UTC)
DIGESTS = {
    ("individual-business-licence", 1): "9d9897aa3e24694287372196e6faa5ae120c34ae20565838bb871312f0fa6aa5",
}
"""What each edition says, as it was published. An edited service gets another edition, and another line here."""


def the_service(**changed: object) -> Service:
    """The service of the reviewed file, edited."""
    (service,) = load_catalogue(CATALOGUE.read_text())
    return dataclasses.replace(service, **changed)  # type: ignore[arg-type]


async def keep(database: Database, service: Service, *, now: dt.datetime = NOW) -> None:
    """What a process does that has this text in its catalogue."""
    async with database.writing() as session:
        await store.keep_service(session, columns=columns_of(service), now=now)


async def kept(database: Database) -> tuple[int, int, dt.datetime]:
    """Edition, fee and moment of what is stored."""
    async with database.reading() as session:
        row = await store.service(session, code="individual-business-licence")
    return row.edition, row.fee_fen, row.loaded_at


def test_what_an_edition_says_does_not_change() -> None:
    said = {
        (service.code, service.edition): hashlib.sha256(
            json.dumps(columns_of(service), sort_keys=True, ensure_ascii=False).encode()
        ).hexdigest()
        for service in load_catalogue(CATALOGUE.read_text())
    }

    assert said.items() <= DIGESTS.items()


async def test_only_a_newer_edition_is_written(room_database: Callable[[str], Database], database: Database) -> None:
    permits, later = room_database("permits"), NOW + dt.timedelta(days=1)
    await keep(permits, the_service(edition=2, fee_fen=2500))
    assert await kept(permits) == (2, 2500, NOW)

    # A process of the version before, during a rolling update; and another text under the same number.
    await keep(permits, the_service(edition=1, fee_fen=2000), now=later)
    await keep(permits, the_service(edition=2, fee_fen=9900), now=later)
    assert await kept(permits) == (2, 2500, NOW)

    await keep(permits, the_service(edition=3, fee_fen=3000), now=later)
    assert await kept(permits) == (3, 3000, later)
    for owner in (permits, database):
        with pytest.raises(DBAPIError, match="another edition"):
            async with owner.writing() as session:
                await session.execute(text("UPDATE permits.service SET fee_fen = 1"))


async def test_applicants_do_not_wait_for_each_other_at_the_catalogue(office: Office) -> None:
    permits, service = office.town.rooms["permits"].services.discloser.database, the_service()
    await keep(permits, service)

    async with permits.writing() as first:
        await store.keep_service(first, columns=columns_of(service), now=NOW)
        async with asyncio.timeout(2), office.town.database.writing() as second:
            await store.keep_service(second, columns=columns_of(service), now=NOW)
            await second.execute(text("SELECT FROM permits.service FOR UPDATE NOWAIT"))
