"""Events: a room states its own and no other's, and takes them from the rooms that have a say in them."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from town import Town

from gov_services.kit.database import Database
from gov_services.kit.ids import new_id
from gov_services.subgraph.entrances import SourceRefused
from gov_services.subgraph.events import Event, publish


async def test_a_room_cannot_state_what_another_room_would(town: Town, room_database) -> None:  # type: ignore[no-untyped-def]
    actor = await town.register()
    healthcode: Database = room_database("healthcode")
    before = await town.value("SELECT count(*) FROM events.outbox")
    with pytest.raises(DBAPIError, match="row-level security"):
        async with healthcode.writing() as session:
            await publish(
                session,
                source="privacy",
                event_type="privacy.citizen_erased",
                citizen_id=actor.id,
                body={"classes": ["identity"]},
                now=town.clock.now(),
            )
    assert await town.value("SELECT count(*) FROM events.outbox") == before


@pytest.mark.parametrize(("room", "kind"), [("identity", "privacy.citizen_erased"), ("identity", "message.requested")])
async def test_an_event_of_a_room_that_has_no_say_in_it_is_refused_and_has_no_effect(
    town: Town, room: str, kind: str
) -> None:
    actor = await town.register()
    now = town.clock.now()
    inbox = await town.value("SELECT count(*) FROM events.inbox")
    event = Event(new_id(now), "audit", kind, actor.id, {"classes": ["identity"], "code": "x", "params": {}}, now)
    with pytest.raises(SourceRefused):
        await town.rooms[room].receive(event.encode())
    assert await town.value("SELECT count(*) FROM events.inbox") == inbox
    answer = await town.ask("identity", "{ me { name } }", purpose="own-account", actor=actor)
    assert answer["data"] == {"me": {"name": "测试甲"}}


async def test_a_body_that_cannot_be_read_holds_up_no_other_event(town: Town, room_database) -> None:  # type: ignore[no-untyped-def]
    healthcode: Database = room_database("healthcode")
    async with healthcode.writing() as session:
        for body in ("x", "[1]"):
            await session.execute(
                text(
                    "INSERT INTO events.outbox (event_id, source, type, body, published_at, due_at, attempts) VALUES "
                    "(gen_random_uuid(), 'healthcode', 'message.requested', convert_to(:body, 'UTF8'), :now, :now, 0)"
                ),
                {"body": body, "now": town.clock.now()},
            )
    await town.register()
    assert await town.rows("SELECT source, attempts FROM events.outbox WHERE delivered_at IS NULL") == [
        {"source": "healthcode", "attempts": 1},
        {"source": "healthcode", "attempts": 1},
    ]
