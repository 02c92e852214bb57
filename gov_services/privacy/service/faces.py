"""A citizen's history as others' formats have it: Estonia's usage service, FHIR's AuditEvent. Read only.

Sources: `dumonitor-openapi.yaml` 2.1.0 of github.com/e-gov/AJ; FHIR R4 (4.0.1) AuditEvent; IHE BasicAudit.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gov_services.audit import history
from gov_services.audit.entry import Entry, EntryKind
from gov_services.consent.purposes import Bundle
from gov_services.kit.errors import NotFound
from gov_services.privacy.ports import PrivacyPorts
from gov_services.privacy.service.history import hidden_from_subjects, own_tag
from gov_services.subgraph.context import ReadContext

EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
AGENT_TYPE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
ENTITY_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
REQUEST_ID = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
_ACTIONS: Mapping[EntryKind, tuple[str, str]] = {
    EntryKind.READ: ("R", "read"),
    EntryKind.USE: ("R", "read"),
    EntryKind.LOG_READ: ("R", "search-type"),
    EntryKind.CHANGE: ("U", "update"),
    EntryKind.REFUSAL: ("E", "operation"),
}
_ANYTHING = ("E", "operation")


@dataclass(frozen=True, slots=True)
class Found:
    """A part of a citizen's history, newest first, and how long the whole is."""

    entries: Sequence[Entry]
    total: int
    bundle: Bundle


async def read_part(
    ctx: ReadContext[PrivacyPorts],
    *,
    action: str,
    since: dt.datetime | None,
    until: dt.datetime | None,
    offset: int,
    limit: int,
    by_others: bool,
) -> Found:
    """Entries about the citizen who asks; `by_others` leaves out what they did themselves. Raises NotFound."""
    bundle, tag = await _admitted(ctx, action)
    hidden = hidden_from_subjects(bundle, now=ctx.now)
    async with ctx.reading() as session:
        rows, total = await history.part_about(
            session, tag=tag, since=since, until=until, offset=offset, limit=limit, by_others=by_others, hidden=hidden
        )
    return Found([Entry.parse(row.body) for row in rows], total, bundle)


async def read_one(ctx: ReadContext[PrivacyPorts], *, entry_id: UUID | None) -> tuple[Entry, Bundle]:
    """One entry about the citizen who asks. Raises NotFound for any other."""
    bundle, tag = await _admitted(ctx, "audit-event")
    async with ctx.reading() as session:
        entry = await history.entry(session, entry_id=entry_id) if entry_id else None
    if entry is None or entry.subject_tag != tag:
        raise NotFound
    purpose = bundle.purposes.get(entry.purpose)
    if purpose is not None and not purpose.is_told(entry.at, ctx.now):
        raise NotFound
    return entry, bundle


async def held_since(ctx: ReadContext[PrivacyPorts]) -> dt.datetime:
    """Since when there is a history; now, where there is none."""
    async with ctx.reading() as session:
        return await history.begins_at(session) or ctx.now


def usage(entry: Entry, bundle: Bundle, locale: str) -> dict[str, str]:
    """One entry as Estonia's usage service tells it."""
    purpose, party = bundle.purposes.get(entry.purpose), bundle.parties.get(entry.client)
    holder = party or (purpose.controller if purpose else None)
    return {
        "logtime": _moment(entry.at),
        "action": purpose.title[locale] if purpose else entry.action,
        "receiverCode": holder.code if holder else entry.client,
        "receiverName": holder.name[locale] if holder else entry.client,
        "receiverSystem": entry.client or entry.room,
    }


def audit_event(entry: Entry, bundle: Bundle, *, locale: str, issuer: str, citizen_id: UUID) -> dict[str, Any]:
    """One entry as FHIR has it. Coordinates and forms, never values."""
    purpose = bundle.purposes.get(entry.purpose)
    letter, interaction = _ACTIONS.get(entry.kind, _ANYTHING)
    refused = entry.outcome == "refused"
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": str(entry.id),
        "type": {"system": EVENT_TYPE, "code": "rest", "display": "RESTful Operation"},
        "subtype": [{"system": INTERACTION, "code": interaction}],
        "action": letter,
        "recorded": _moment(entry.at),
        "outcome": "4" if refused else "0",
        "purposeOfEvent": [
            {
                "coding": [{"system": f"{issuer}/purposes", "code": entry.purpose}],
                "text": purpose.title[locale] if purpose else entry.purpose,
            }
        ],
        "agent": [
            {
                "type": {"coding": [{"system": AGENT_TYPE, "code": "IRCP"}]},
                "who": {"identifier": {"system": f"{issuer}/actors", "value": entry.actor}},
                "requestor": True,
                "role": [{"text": role} for role in entry.roles],
            }
        ],
        "source": {
            "site": entry.room,
            "observer": {"display": f"gov-services {entry.room}"},
            "type": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4"}],
        },
        "entity": [
            {
                "what": {"identifier": {"system": f"{issuer}/citizens", "value": str(citizen_id)}},
                "role": {"system": ENTITY_ROLE, "code": "1", "display": "Patient"},
                **(
                    {"detail": [{"type": name, "valueString": form} for name, form in entry.coordinates]}
                    if entry.coordinates
                    else {}
                ),
            },
            {
                "what": {"identifier": {"value": entry.request}},
                "type": {"system": REQUEST_ID, "code": "XrequestId"},
            },
        ],
    }
    if not entry.roles:
        del event["agent"][0]["role"]
    if refused:
        event["outcomeDesc"] = entry.code
    return event


async def _admitted(ctx: ReadContext[PrivacyPorts], action: str) -> tuple[Bundle, bytes]:
    tag = await own_tag(ctx)
    return await ctx.disclosures.require_log_read(action, tag=tag), tag


def _moment(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
