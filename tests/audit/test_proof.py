"""Evidence: whoever holds it can check it without us, and nothing altered passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from gov_services.audit.entry import Entry
from gov_services.audit.integrate import Integrator
from gov_services.audit.log import AuditLog
from gov_services.audit.proof import Evidence, EvidenceRefused, NotYetProvable, make_evidence, verify_evidence
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.database import Database

pytestmark = pytest.mark.untraced

RoomDatabase = Callable[[str], Database]
MakeEntry = Callable[..., Entry]


@pytest.fixture
async def evidence(
    integrator: Integrator, permits_log: AuditLog, room_database: RoomDatabase, make_entry: MakeEntry
) -> Evidence:
    entries = [make_entry(request=f"request-{number}") for number in range(11)]
    await permits_log.append(entries)
    await integrator.run_once()
    async with room_database("privacy").reading() as session:
        made = await make_evidence(session, entry_id=entries[6].id)
    assert made is not None
    assert (made.seq, made.entry) == (6, entries[6].canonical())
    return made


async def test_evidence_holds_in_five_steps_and_survives_being_written_down(
    evidence: Evidence, log_keys: VerifyKeys, origin: str
) -> None:
    again = Evidence.from_json(evidence.to_json())
    assert again == evidence
    steps = verify_evidence(again, log_keys, origin=origin)
    assert [(step.number, step.title) for step in steps] == [
        (1, "entry"),
        (2, "commitment"),
        (3, "checkpoint"),
        (4, "number"),
        (5, "inclusion"),
    ]
    assert steps[3].detail == "6 of 11"


async def test_every_entry_of_a_growing_log_is_provable(
    integrator: Integrator,
    permits_log: AuditLog,
    database: Database,
    make_entry: MakeEntry,
    log_keys: VerifyKeys,
    origin: str,
) -> None:
    entries = [make_entry() for _ in range(9)]
    for entry in entries:
        await permits_log.append([entry])
        await integrator.run_once()
    async with database.reading() as session:
        for entry in entries:
            made = await make_evidence(session, entry_id=entry.id)
            assert made is not None
            verify_evidence(made, log_keys, origin=origin)


async def test_altered_evidence_is_refused_at_the_step_that_it_breaks(
    evidence: Evidence, strangers_key: SigningKey, log_keys: VerifyKeys, origin: str
) -> None:
    other = evidence.entry.replace(b"request-6", b"request-7")
    for changed, step in [
        (replace(evidence, entry=b"{}"), 1),
        (replace(evidence, entry=evidence.entry + b" "), 1),
        (replace(evidence, salt=evidence.salt[1:]), 2),
        (replace(evidence, checkpoint=evidence.checkpoint.replace("\n11\n", "\n12\n")), 3),
        (replace(evidence, seq=11), 4),
        (replace(evidence, seq=-1), 4),
        (replace(evidence, seq=7), 5),
        (replace(evidence, entry=other), 5),
        (replace(evidence, salt=bytes(32)), 5),
        (replace(evidence, proof=evidence.proof[1:]), 5),
        (replace(evidence, proof=(*evidence.proof, bytes(32))), 5),
    ]:
        with pytest.raises(EvidenceRefused) as refused:
            verify_evidence(changed, log_keys, origin=origin)
        assert refused.value.step == step
    with pytest.raises(EvidenceRefused, match="step 3"):
        verify_evidence(evidence, log_keys, origin="other.example/log")
    strangers_keys = VerifyKeys({strangers_key.key_id: strangers_key.public_bytes})
    with pytest.raises(EvidenceRefused, match="step 3"):
        verify_evidence(evidence, strangers_keys, origin=origin)


async def test_an_entry_without_a_number_or_a_checkpoint_has_no_evidence_yet(
    integrator: Integrator, permits_log: AuditLog, database: Database, make_entry: MakeEntry
) -> None:
    await integrator.run_once()
    entry = make_entry()
    await permits_log.append([entry])
    async with database.reading() as session:
        assert await make_evidence(session, entry_id=UUID(int=9)) is None
        with pytest.raises(NotYetProvable):
            await make_evidence(session, entry_id=entry.id)


async def test_what_is_no_evidence_is_refused_at_step_0(evidence: Evidence) -> None:
    raw = json.loads(evidence.to_json())
    for text in [
        "",
        "[]",
        "null",
        "{}",
        json.dumps({**raw, "v": "gov-audit-evidence/2"}),
        json.dumps({**raw, "seq": "6"}),
        json.dumps({**raw, "seq": True}),
        json.dumps({**raw, "salt": "?"}),
        json.dumps({**raw, "proof": 3}),
        json.dumps({**raw, "checkpoint": None}),
    ]:
        with pytest.raises(EvidenceRefused, match="step 0"):
            Evidence.from_json(text)
