"""Appending: durable before anything opens, numbered without gaps, refused when it cannot be."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gov_services.audit import log as log_module
from gov_services.audit import store
from gov_services.audit.entry import Entry, EntryKind, EntryMalformed
from gov_services.audit.log import AuditLog, AuditUnavailable, Logged
from gov_services.kit.database import Database

pytestmark = pytest.mark.untraced

RoomDatabase = Callable[[str], Database]
MakeEntry = Callable[..., Entry]
MakeLog = Callable[..., AuditLog]
APPEND = "audit.append(uuid, bigint, uuid[], bytea[], bytea[], bytea[], bytea, bytea, boolean)"


async def stored(database: Database) -> list[tuple[int, Entry]]:
    """Everything that is numbered, in order."""
    async with database.reading() as session:
        return [(row.seq, Entry.parse(row.body)) for row in await store.entries_from(session, begin=0, limit=10_000)]


async def run(database: Database, statement: str) -> None:
    async with database.writing() as session:
        await session.execute(text(statement))


async def test_what_is_appended_is_durable_numbered_and_in_order(
    permits_log: AuditLog, database: Database, make_entry: MakeEntry
) -> None:
    entries = [make_entry(request=f"request-{number}") for number in range(3)]
    logged = await permits_log.append(entries)
    assert [(one.entry_id, one.seq) for one in logged] == [(entry.id, seq) for seq, entry in enumerate(entries)]
    assert await stored(database) == list(enumerate(entries))


async def test_nothing_appended_is_nothing_logged(permits_log: AuditLog, database: Database) -> None:
    assert await permits_log.append([]) == ()
    assert await stored(database) == []


async def test_an_entry_that_is_appended_again_keeps_its_number(
    permits_log: AuditLog, database: Database, make_entry: MakeEntry
) -> None:
    first, second = make_entry(), make_entry()
    await permits_log.append([first])
    again = await permits_log.append([second, first, second])
    assert [one.seq for one in again] == [1, 0, 1]
    assert len(await stored(database)) == 2


async def test_another_entry_under_a_logged_id_is_refused(
    permits_log: AuditLog, database: Database, make_entry: MakeEntry
) -> None:
    entry = make_entry()
    await permits_log.append([entry])
    with pytest.raises(AuditUnavailable):
        await permits_log.append([replace(entry, reason="something else")])
    assert await stored(database) == [(0, entry)]


async def test_a_hundred_callers_share_batches_without_gaps(
    permits_log: AuditLog, make_log: MakeLog, database: Database, make_entry: MakeEntry
) -> None:
    other = make_log("payments")
    jobs = [permits_log.append([make_entry()]) for _ in range(60)]
    jobs += [other.append([make_entry(room="payments"), make_entry(room="payments")]) for _ in range(40)]
    answers = await asyncio.gather(*jobs)
    await other.close()
    numbers = sorted(one.seq for answer in answers for one in answer)
    assert numbers == list(range(140))
    rows = await stored(database)
    assert {(entry.id, seq) for seq, entry in rows} == {(one.entry_id, one.seq) for a in answers for one in a}


async def test_only_the_log_says_that_something_is_logged() -> None:
    with pytest.raises(TypeError):
        Logged(UUID(int=1), 1)


async def test_a_room_does_not_speak_for_another(
    permits_log: AuditLog, make_log: MakeLog, database: Database, make_entry: MakeEntry
) -> None:
    with pytest.raises(ValueError, match="does not speak"):
        await permits_log.append([make_entry(room="payments")])
    impostor = make_log("payments", role="permits")
    with pytest.raises(AuditUnavailable):
        await impostor.append([make_entry(room="payments")])
    await impostor.close()
    assert await stored(database) == []


async def test_what_no_entry_can_hold_is_refused_before_it_reaches_other_callers(
    permits_log: AuditLog, database: Database, make_entry: MakeEntry
) -> None:
    kept = []
    for reason in ["a\x00b", "\ud800", "long " * 20_000]:
        good = make_entry()
        answers = await asyncio.gather(
            permits_log.append([make_entry(reason=reason)]), permits_log.append([good]), return_exceptions=True
        )
        assert isinstance(answers[0], EntryMalformed)
        kept.append(good)
        assert await stored(database) == list(enumerate(kept))


async def test_use_entries_are_noted_and_written_without_waiting(
    permits_log: AuditLog, database: Database, make_entry: MakeEntry
) -> None:
    use = make_entry(kind=EntryKind.USE, coordinates=(("Application.applicantName", "OPENED"),))
    permits_log.note([use])
    await permits_log.close()
    assert await stored(database) == [(0, use)]


async def test_a_change_is_recorded_if_and_only_if_it_commits(
    permits_log: AuditLog, room_database: RoomDatabase, database: Database, make_entry: MakeEntry
) -> None:
    permits = room_database("permits")
    kept, lost = make_entry(kind=EntryKind.CHANGE), make_entry(kind=EntryKind.CHANGE)
    async with permits.writing() as session:
        await permits_log.record_change(session, kept)

    async def change_and_fail() -> None:
        async with permits.writing() as session:
            await permits_log.record_change(session, lost)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_and_fail()
    async with database.reading() as session:
        assert await store.pending_ids(session, limit=10) == [kept.id]
    assert await stored(database) == []


async def test_a_change_of_another_room_cannot_wait_for_a_number(
    room_database: RoomDatabase, make_log: MakeLog, database: Database, make_entry: MakeEntry
) -> None:
    impostor = make_log("payments", role="permits")
    with pytest.raises(AuditUnavailable):
        async with room_database("permits").writing() as session:
            await impostor.record_change(session, make_entry(room="payments"))
    async with database.reading() as session:
        assert await store.pending_ids(session, limit=10) == []


async def test_refusals_of_strangers_are_counted_by_the_minute(
    permits_log: AuditLog, database: Database, make_entry: MakeEntry
) -> None:
    def refusal(code: str, second: int) -> Entry:
        at = dt.datetime(2026, 3, 2, 9, 30, second, tzinfo=dt.UTC)
        return make_entry(
            at=at, actor="anonymous", client="", outcome="refused", code=code, subject_tag=None, kind=EntryKind.REFUSAL
        )

    for second in range(20):
        await permits_log.refuse(refusal("UNAUTHENTICATED", second))
    await permits_log.refuse(refusal("NOT_FOUND", 30))
    assert [(entry.code, entry.count) for _, entry in await stored(database)] == [
        ("UNAUTHENTICATED", 1),
        ("NOT_FOUND", 1),
    ]
    await permits_log.close()
    counted = (await stored(database))[2:]
    assert [(entry.code, entry.count, entry.request, entry.object) for _, entry in counted] == [
        ("UNAUTHENTICATED", 19, "", None)
    ]


async def test_the_count_is_written_when_the_minute_is_over(
    permits_log: AuditLog, database: Database, make_entry: MakeEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "STRANGERS_WINDOW_S", 0.05)
    refusal = make_entry(actor="anonymous", outcome="refused", code="NOT_FOUND", kind=EntryKind.REFUSAL)
    await permits_log.refuse(refusal)
    await permits_log.refuse(replace(refusal, id=UUID(int=2)))
    for _ in range(200):
        if len(await stored(database)) == 2:
            break
        await asyncio.sleep(0.02)
    assert [entry.count for _, entry in await stored(database)] == [1, 1]


async def test_each_refusal_of_somebody_known_is_an_entry(
    permits_log: AuditLog, database: Database, make_entry: MakeEntry
) -> None:
    for _ in range(3):
        await permits_log.refuse(make_entry(outcome="refused", code="FORBIDDEN", kind=EntryKind.REFUSAL))
    assert [entry.count for _, entry in await stored(database)] == [1, 1, 1]


async def test_a_log_that_cannot_be_written_refuses_and_recovers_without_a_restart(
    permits_log: AuditLog, database: Database, make_entry: MakeEntry
) -> None:
    await permits_log.append([make_entry()])
    await run(database, f"ALTER FUNCTION {APPEND} RENAME TO away")
    with pytest.raises(AuditUnavailable) as refused:
        await permits_log.append([make_entry()])
    assert refused.value.code == "AUDIT_UNAVAILABLE"
    assert set(refused.value.messages) == {"zh-CN", "en"}
    noted = make_entry(kind=EntryKind.USE)
    permits_log.note([noted])
    await asyncio.sleep(0.1)
    assert len(await stored(database)) == 1
    await run(database, f"ALTER FUNCTION {APPEND.replace('append', 'away')} RENAME TO append")
    await permits_log.append([make_entry()])
    await permits_log.close()
    assert noted in [entry for _, entry in await stored(database)]


async def test_a_connection_that_died_is_replaced_unnoticed(
    permits_log: AuditLog, database: Database, make_entry: MakeEntry
) -> None:
    await permits_log.append([make_entry()])
    await run(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database() AND usename LIKE '%\\_permits'",
    )
    await asyncio.sleep(0.05)
    assert (await permits_log.append([make_entry()]))[0].seq == 1


async def test_a_caller_waits_no_longer_than_the_limit_while_the_head_is_locked(
    permits_log: AuditLog, database: Database, make_entry: MakeEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "APPEND_TIMEOUT_S", 0.2)
    async with database.writing() as session:
        await session.execute(text("SELECT 1 FROM audit.head FOR UPDATE"))
        with pytest.raises(AuditUnavailable):
            await permits_log.append([make_entry()])


async def test_a_checkpoint_that_lags_too_far_refuses_disclosures_and_not_refusals(
    make_log: MakeLog, database: Database, make_entry: MakeEntry
) -> None:
    lagging = make_log("permits", lag_limit_s=0.01)
    first = make_entry(outcome="refused", code="FORBIDDEN", kind=EntryKind.REFUSAL)
    await lagging.refuse(first)
    await asyncio.sleep(log_module.LAG_ASKED_EVERY_S + 0.05)
    with pytest.raises(AuditUnavailable):
        await lagging.append([make_entry()])
    await lagging.refuse(replace(first, id=UUID(int=3)))
    await lagging.close()
    assert len(await stored(database)) == 3


async def test_a_closed_log_takes_no_more(permits_log: AuditLog, database: Database, make_entry: MakeEntry) -> None:
    await permits_log.close()
    with pytest.raises(AuditUnavailable):
        await permits_log.append([make_entry()])
    assert await stored(database) == []


async def test_a_room_can_append_and_nothing_else(room_database: RoomDatabase) -> None:
    for statement in [
        "INSERT INTO audit.entry (seq) VALUES (0)",
        "UPDATE audit.entry SET seq = 7",
        "DELETE FROM audit.entry",
        "SELECT body FROM audit.entry",
        "SELECT body FROM audit.pending",
        "DELETE FROM audit.pending",
        "UPDATE audit.head SET next = 99",
        "SELECT audit.move_pending(1)",
        "SELECT audit.number('{}'::audit.pending[])",
        "INSERT INTO audit.checkpoint VALUES (1, '', '')",
        "INSERT INTO audit.node VALUES (0, 0, '')",
    ]:
        with pytest.raises(DBAPIError, match="permission denied"):
            async with room_database("permits").writing() as session:
                await session.execute(text(statement))


async def test_not_even_the_owner_changes_the_log_in_passing(
    permits_log: AuditLog, database: Database, make_entry: MakeEntry
) -> None:
    entry = make_entry()
    await permits_log.append([entry])
    for statement in [
        "UPDATE audit.entry SET salt = 'x'",
        "DELETE FROM audit.entry",
        "TRUNCATE audit.entry",
        "DELETE FROM audit.node",
        "UPDATE audit.checkpoint SET note = ''",
        "UPDATE audit.pending SET placed_at = now()",
        "DELETE FROM audit.head",
        "UPDATE audit.head SET next = next - 1",
    ]:
        with pytest.raises(DBAPIError, match=r"refused|given back"):
            await run(database, statement)
        assert await stored(database) == [(0, entry)]


async def test_the_database_itself_lets_nothing_wait_that_is_no_entry(
    permits_log: AuditLog, room_database: RoomDatabase, database: Database, make_entry: MakeEntry
) -> None:
    await permits_log.append([make_entry()])
    for body in [
        "",
        "null",
        "{}",
        '{"v":"gov-audit/1"}',
        '{"v":"gov-audit/2","room":"permits"}',
        '{"room":"payments"}',
    ]:
        with pytest.raises(DBAPIError):
            async with room_database("permits").writing() as session:
                await session.execute(
                    text(
                        "INSERT INTO audit.pending (id, salt, body, writer, voucher) SELECT gen_random_uuid(), :salt, "
                        ":body, :writer, decode(repeat('00', 64), 'hex')"
                    ),
                    {
                        "salt": bytes(32),
                        "body": body.encode(),
                        "writer": permits_log._lanes[0].appender.writer.writer_id,
                    },
                )
        async with database.reading() as session:
            assert await store.pending_ids(session, limit=10) == []
