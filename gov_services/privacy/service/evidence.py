"""Evidence for minimization: how grants were used, what the trail suggests, what a step would have refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gov_services.audit import usage
from gov_services.audit.entry import EntryKind
from gov_services.consent import bundles
from gov_services.consent.purposes import DISCLOSING, Bundle, Form, Purpose
from gov_services.consent.vocabulary import Vocabulary
from gov_services.kit.clock import local_day
from gov_services.kit.database import ReadSession
from gov_services.kit.errors import NotFound
from gov_services.privacy import store
from gov_services.privacy.counting import USE_TOLD, Counts, Key, add, count, told_of
from gov_services.privacy.minimization import USUAL, Step, Suggestion, Use, suggest, window_of
from gov_services.privacy.ports import PrivacyPorts
from gov_services.subgraph.context import ReadContext, WriteContext
from gov_services.subgraph.unit_of_work import MOST_BATCHES, commit_in_batches

COUNT = "count-uses"
BATCH = 5000
SAMPLES = 5
TELL_WITHIN = dt.timedelta(hours=1)
"""For so long after a request a client may tell what of it it showed."""


@dataclass(frozen=True, slots=True)
class GrantUse:
    """One grant of a purpose, as one client used it."""

    client: str
    coordinate: str
    form: Form
    declared: int
    masked: int
    opened: int
    used: int
    withheld: int


@dataclass(frozen=True, slots=True)
class Access:
    """What one client's document would have got less of."""

    client: str
    document: str
    refused: int
    shown: int
    last_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Replay:
    """A step held against the trail: the accesses since `since` that it would have refused or masked."""

    since: dt.datetime
    refuses: int
    accesses: tuple[Access, ...]
    samples: tuple[UUID, ...]
    """The newest of these in the log."""


async def count_uses(ctx: ReadContext[Any]) -> int:
    """Count what the log has grown by; returns how many entries that took."""
    async with ctx.reading() as session:
        after = await store.watermark(session, job=COUNT)
        waiting = await usage.entries_of_use(session, after=after, limit=1)
    return await commit_in_batches(ctx, _count, batch=BATCH) if waiting else 0


async def read_field_use(ctx: ReadContext[PrivacyPorts], *, purpose: str) -> list[GrantUse]:
    """Granted, declared, opened and shown, for each client and coordinate of a purpose. Raises NotFound."""
    bundle = await ctx.disclosures.require_log_read(f"field-use:{purpose}", tag=None)
    found = bundle.purposes.get(purpose)
    if found is None:
        raise NotFound
    async with ctx.reading() as session:
        uses = await uses_since(session, purpose=purpose, since=ctx.now - USUAL)
    rows = []
    for client in sorted(found.clients):
        for coordinate, form in sorted(found.grants.items()):
            if form in DISCLOSING:
                own = [use for use in uses if (use.client, use.coordinate) == (client, coordinate)]
                counted = (sum(getattr(use, name) for use in own) for name in store.COUNTED)
                rows.append(GrantUse(client, coordinate, form, *counted))
    return rows


async def read_suggestions(ctx: ReadContext[PrivacyPorts]) -> list[Suggestion]:
    """The steps that the trail bears out, over all purposes in force."""
    bundle = await ctx.disclosures.require_log_read("narrowing-suggestions", tag=None)
    async with ctx.reading() as session:
        return await suggestions(session, bundle, ctx.ports.vocabulary, now=ctx.now)


async def suggestions(
    session: ReadSession, bundle: Bundle, vocabulary: Vocabulary, *, now: dt.datetime
) -> list[Suggestion]:
    """The same, for a command."""
    since = await bundles.granted_since(session, bundle)
    maskable = {field.coordinate for field in vocabulary if field.mask is not None}
    found, tail = [], await _tail(session)
    for code, purpose in sorted(bundle.purposes.items()):
        window, uses = await _judged(session, code, now=now, tail=tail)
        found += suggest(purpose, uses, since=window, granted_since=since[code], maskable=maskable)
    return found


async def replay(
    session: ReadSession, *, purpose: Purpose, coordinate: str, step: Step, form: Form | None, now: dt.datetime
) -> Replay:
    """What a grant in `form`, or none, would have refused: each opening in a wider form than that is one.

    Of a warning, whom it will reach. What gives back refuses nothing.
    """
    since, uses = await _judged(session, purpose.code, now=now)
    if step is Step.RESTORE:
        return Replay(since, 0, (), ())
    accesses = []
    for use in uses:
        refused = use.opened - (use.masked if form is Form.MASKED else 0)
        if use.coordinate == coordinate and refused > 0 and use.last_at is not None:
            accesses.append(Access(use.client, use.document, refused, use.used, use.last_at))
    samples = await usage.newest_uses(session, purpose=purpose.code, coordinate=coordinate, limit=SAMPLES)
    return Replay(
        since,
        sum(access.refused for access in accesses),
        tuple(sorted(accesses, key=lambda access: -access.refused)),
        tuple(entry_id for entry_id, at in samples if at >= since) if accesses else (),
    )


async def uses_since(
    session: ReadSession, *, purpose: str, since: dt.datetime, tail: Mapping[Key, Counts] | None = None
) -> list[Use]:
    """How a purpose's grants were used since a day: what was counted, and what the log has grown by since (`tail`)."""
    counted: dict[tuple[str, str, str], dict[str, Any]] = {}

    def note(client: str, document: str, coordinate: str, counts: object) -> None:
        values = counted.setdefault((client, document, coordinate), {})
        for name in store.COUNTED:
            values[name] = values.get(name, 0) + getattr(counts, name)
        at = getattr(counts, "last_at")  # noqa: B009  a row and a count have it alike
        values["last_at"] = max(at, values.get("last_at", at))

    first = local_day(since)
    for row in await store.uses(session, purpose=purpose, since=first):
        note(row.client, row.document, row.coordinate, row)
    for key, counts in (await _tail(session) if tail is None else tail).items():
        if key.purpose == purpose and key.day >= first:
            note(key.client, key.document, key.coordinate, counts)
    return [
        Use(client=client, document=document, coordinate=coordinate, **values)
        for (client, document, coordinate), values in sorted(counted.items())
    ]


async def _tail(session: ReadSession) -> dict[Key, Counts]:
    """What the log has grown by since it was counted last."""
    after, found = await store.watermark(session, job=COUNT), dict[Key, Counts]()
    for _ in range(MOST_BATCHES):
        rows = await usage.entries_of_use(session, after=after, limit=BATCH)
        add(found, count(entry for _, entry in rows))
        if len(rows) < BATCH:
            break
        after = rows[-1][0]
    return found


async def note_use(ctx: WriteContext[PrivacyPorts], *, request: UUID | None, shown: Mapping[str, None]) -> int:
    """A client tells which of the fields that it opened in a request it showed to a person, or worked with.

    What was not opened there is not counted. Raises NotFound where nothing was opened in that request.
    """
    if request is None:
        raise NotFound
    since = ctx.now - TELL_WITHIN
    rows = await usage.uses_in_request(ctx.session, request=str(request), actor=ctx.actor.ref, since=since)
    noted = 0
    for row in rows:
        entry = usage.parsed(row.body)
        opened = {name for name, form in entry.coordinates if form == "OPENED"} & shown.keys() if entry else set()
        if entry is not None and opened and entry.client == ctx.actor.client_id:
            await ctx.record(
                USE_TOLD,
                subject=None,
                object_ref=told_of(entry.purpose, entry.document),
                kind=EntryKind.USE,
                disclosed=dict.fromkeys(opened, "USED"),
            )
            noted += len(opened)
    if not noted:
        raise NotFound
    return noted


async def _judged(
    session: ReadSession, purpose: str, *, now: dt.datetime, tail: Mapping[Key, Counts] | None = None
) -> tuple[dt.datetime, Sequence[Use]]:
    """Since when a purpose is judged, and how it was used since."""
    recent = await store.days_used(session, purpose=purpose, since=local_day(now - USUAL))
    since = window_of(days_used=recent, now=now)
    return since, await uses_since(session, purpose=purpose, since=since, tail=tail)


async def _count(ctx: WriteContext[PrivacyPorts]) -> int:
    after = await store.watermark_for_update(ctx.session, job=COUNT)
    rows = await usage.entries_of_use(ctx.session, after=after, limit=BATCH)
    await store.add_uses(ctx.session, count(entry for _, entry in rows))
    if rows:
        await store.advance_watermark(ctx.session, job=COUNT, seq=rows[-1][0])
    await ctx.record(f"log-read:{COUNT}", subject=None, kind=EntryKind.LOG_READ)
    return len(rows)
