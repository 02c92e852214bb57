"""What a log entry says of a request: who, why, on what basis. The rest is filled in by whoever decides or changes."""

from __future__ import annotations

from gov_services.audit.entry import Entry, EntryKind
from gov_services.consent.purposes import Purpose
from gov_services.kit.actor import ActorKind
from gov_services.kit.context import Call
from gov_services.kit.ids import new_id


def entry_for(
    call: Call,
    *,
    room: str,
    kind: EntryKind,
    action: str,
    purpose: Purpose | None,
    policy: bytes,
    subject_tag: bytes | None,
    actor_tag: bytes | None,
) -> Entry:
    """An allowed entry about `call`. A citizen who acts is named by tag, everybody else by reference."""
    outside = call.actor.kind in (ActorKind.CLIENT, ActorKind.STAFF)
    return Entry(
        id=new_id(call.now),
        at=call.now,
        room=room,
        kind=kind,
        action=action,
        actor=call.actor.ref,
        actor_tag=actor_tag,
        client=call.actor.client_id,
        roles=tuple(sorted(call.actor.roles)),
        office=call.actor.office,
        purpose=call.purpose,
        basis=purpose.basis.value if purpose else "",
        entrance=f"{call.entrance.kind.value}:{call.entrance.name}",
        document=call.entrance.document_id,
        subject_tag=subject_tag,
        case=call.case_id,
        reason=call.reason,
        recipient=call.actor.ref if outside else None,
        policy=policy.hex(),
        outcome="allowed",
        request=call.request_id,
    )
