"""Evidence that a history leaves nothing out: whoever holds it can check it without us, and nothing altered passes."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gov_services.audit.describe import Describer
from gov_services.audit.entry import Entry
from gov_services.audit.history_proof import HistoryEvidence, make_history_evidence, verify_history
from gov_services.audit.integrate import Integrator
from gov_services.audit.log import AuditLog
from gov_services.audit.map_subjects import Mapper
from gov_services.audit.merkle import ProofRefused, common_ranges, leaf_hash, root, verify_common
from gov_services.audit.proof import EvidenceRefused, NotYetProvable
from gov_services.audit.subject_map import Place
from gov_services.crypto.signing import VerifyKeys
from gov_services.kit.clock import FrozenClock
from gov_services.kit.database import Database

pytestmark = pytest.mark.untraced

MakeEntry = Callable[..., Entry]
RoomDatabase = Callable[[str], Database]
Prove = Callable[..., Awaitable[HistoryEvidence]]
ALICE, BOB, NOBODY = bytes.fromhex("a1" * 16), bytes.fromhex("b0" * 16), bytes(16)


@pytest.fixture
def settle(integrator: Integrator, describer: Describer) -> Callable[[], Awaitable[None]]:
    async def settled() -> None:
        await integrator.run_once()
        await describer.run_once()

    return settled


@pytest.fixture
def prove(room_database: RoomDatabase) -> Prove:
    """As the room does that shows histories, with its rights."""

    async def proved(tag: bytes = ALICE, **more: Any) -> HistoryEvidence:
        async with room_database("privacy").reading() as session:
            return await make_history_evidence(session, tag=tag, **{"opens": lambda _: True, **more})

    return proved


@pytest.fixture
async def mapped(
    permits_log: AuditLog, mapper: Mapper, settle: Callable[[], Awaitable[None]], make_entry: MakeEntry
) -> list[Entry]:
    """Thirty entries about ten people, five of them about Alice; two more about her since."""
    tags = [ALICE if number % 6 == 1 else bytes([number % 9]) * 16 for number in range(30)]
    entries = [make_entry(subject_tag=tag) for tag in tags]
    await permits_log.append(entries)
    await settle()
    await mapper.run_once()
    await permits_log.append([make_entry(), make_entry()])
    await settle()
    return [one for one in entries if one.subject_tag == ALICE]


async def test_a_whole_history_is_proved_in_six_steps_and_survives_being_written_down(
    mapped: list[Entry], prove: Prove, log_keys: VerifyKeys, origin: str
) -> None:
    evidence = await prove()
    again = HistoryEvidence.from_json(evidence.to_json())
    assert again == evidence
    proved = verify_history(again, log_keys, origin=origin)
    assert [(step.number, step.title) for step in proved.steps] == [
        (1, "checkpoint"),
        (2, "root of the map of subjects"),
        (3, "entries"),
        (4, "inclusion"),
        (5, "completeness"),
        (6, "told later or not one by one"),
    ]
    assert proved.steps[1].detail == "the first 30 of 33 entries, at 2026-03-02T09:30:15.123456+00:00"
    assert proved.steps[2].detail == "5 listed, 5 of them opened"
    assert [Entry.parse(one.opening[0]) for one in again.entries if one.opening] == mapped
    assert [one.number for one in again.entries] == [1, 7, 13, 19, 25]


@pytest.mark.usefixtures("mapped")
async def test_that_there_is_nothing_about_somebody_is_proved_too(
    prove: Prove, log_keys: VerifyKeys, origin: str
) -> None:
    for tag in (BOB, *(bytes([number]) * 16 for number in range(100, 140))):
        evidence = await prove(tag)
        assert verify_history(evidence, log_keys, origin=origin).entries == 0
        # Nothing that is shown of a neighbour says who they are or how much is known of them.
        shown = evidence.to_json()
        assert all(one.hex() not in shown for one in (ALICE, *(bytes([number]) * 16 for number in range(9))))
    hers = await prove(ALICE)
    empty = replace(hers, entries=(), proof=(await prove(BOB)).proof)
    with pytest.raises(EvidenceRefused, match="step 5"):
        verify_history(empty, log_keys, origin=origin)


@pytest.mark.usefixtures("mapped")
async def test_a_history_that_leaves_an_entry_out_proves_nothing(
    prove: Prove, log_keys: VerifyKeys, origin: str, database: Database
) -> None:
    """Even where whoever makes it up makes up the inclusion of what is left to fit."""
    from gov_services.audit.history_proof import _common_proof

    whole = await prove()
    for left_out in range(len(whole.entries)):
        entries = whole.entries[:left_out] + whole.entries[left_out + 1 :]
        numbers = [*(one.number for one in entries), whole.root_number]
        async with database.reading() as session:
            proof = await _common_proof(session, numbers, 33)
        with pytest.raises(EvidenceRefused) as refused:
            verify_history(replace(whole, entries=entries, proof=proof), log_keys, origin=origin)
        assert refused.value.step == 5
    for entries in (whole.entries[::-1], whole.entries[:1] * 2 + whole.entries[1:]):
        with pytest.raises(EvidenceRefused):
            verify_history(replace(whole, entries=entries), log_keys, origin=origin)


@pytest.mark.usefixtures("mapped")
async def test_entries_may_stay_closed_and_are_counted_all_the_same(
    prove: Prove, log_keys: VerifyKeys, origin: str
) -> None:
    newest = await prove(opened=2)
    assert [one.opening is not None for one in newest.entries] == [False, False, False, True, True]
    none = await prove(opens=lambda _: False)
    for evidence, detail in ((newest, "5 listed, 2 of them opened"), (none, "5 listed, 0 of them opened")):
        assert verify_history(evidence, log_keys, origin=origin).steps[2].detail == detail


@pytest.mark.usefixtures("mapped")
async def test_a_bit_anywhere_in_the_evidence_makes_it_fail(prove: Prove, log_keys: VerifyKeys, origin: str) -> None:
    for tag in (ALICE, BOB):
        told = json.loads((await prove(tag)).to_json())
        tried = 0
        for path, value in list(texts_of(told)):
            altered = json.loads(json.dumps(told))
            place = altered
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = flipped(value)
            with pytest.raises(EvidenceRefused):
                verify_history(HistoryEvidence.from_json(json.dumps(altered)), log_keys, origin=origin)
            # Written the one way, so that it is not the form which refuses it.
            canonical = json.dumps(altered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            with pytest.raises(EvidenceRefused):
                verify_history(HistoryEvidence.from_json(canonical), log_keys, origin=origin)
            tried += 1
        assert tried > 10


def texts_of(value: Any, path: tuple[Any, ...] = ()) -> Any:
    """Every text and number in a document, with where it stands."""
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts_of(one, (*path, key))
    elif value is not None:
        yield path, value


def flipped(value: Any) -> Any:
    """One bit of a number, of what base64 or hexadecimal writes, or of a letter."""
    if isinstance(value, int):
        return value ^ 1
    try:
        raw = bytes.fromhex(value)
        return (raw[:-1] + bytes([raw[-1] ^ 1])).hex()
    except ValueError:
        pass
    try:
        raw = base64.b64decode(value, validate=True)
        return base64.b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode()
    except ValueError:
        return value[:9] + chr(ord(value[9]) ^ 1) + value[10:]


@pytest.mark.parametrize(
    ("change", "step"),
    [
        (lambda e: replace(e, checkpoint=e.checkpoint.replace("\n33\n", "\n34\n")), 1),
        (lambda e: replace(e, root_opening=e.entries[0].opening), 2),
        (lambda e: replace(e, root_number=29), 2),
        (lambda e: replace(e, root_number=31), 4),
        (lambda e: replace(e, tag=BOB), 3),
        (lambda e: replace(e, entries=(*e.entries, replace(e.entries[-1], number=30))), 3),
        (lambda e: replace(e, proof=e.proof[:-1]), 4),
        (lambda e: replace(e, proof=(*e.proof, bytes(32))), 4),
        (lambda e: replace(e, place=Place(e.place.siblings, (bytes(32), bytes(32)))), 5),
        (lambda e: replace(e, place=Place(())), 5),
    ],
)
@pytest.mark.usefixtures("mapped")
async def test_altered_evidence_is_refused_at_the_step_that_it_breaks(
    prove: Prove, log_keys: VerifyKeys, origin: str, change: Callable, step: int
) -> None:
    with pytest.raises(EvidenceRefused) as refused:
        verify_history(change(await prove()), log_keys, origin=origin)
    assert refused.value.step == step


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"v":"gov-audit-evidence/1"}', '{"v":"gov-audit-history/1"}'])
def test_what_is_no_evidence_is_refused_at_step_0(text: str) -> None:
    with pytest.raises(EvidenceRefused, match="step 0"):
        HistoryEvidence.from_json(text)


async def test_until_the_newest_root_is_signed_there_is_no_proof(
    permits_log: AuditLog, mapper: Mapper, settle: Callable, integrator: Integrator, make_entry: MakeEntry, prove: Prove
) -> None:
    with pytest.raises(NotYetProvable):
        await prove()
    await permits_log.append([make_entry()])
    await settle()
    await mapper.run_once()
    with pytest.raises(NotYetProvable):
        await prove()
    await integrator.run_once()
    assert len((await prove()).entries) == 1


async def test_what_may_not_be_told_leaves_no_trace_in_a_proof_and_comes_in_when_it_may(
    permits_log: AuditLog,
    mapper: Mapper,
    map_clock: FrozenClock,
    settle: Callable,
    make_entry: MakeEntry,
    prove: Prove,
    tell: Callable,
    log_keys: VerifyKeys,
    origin: str,
) -> None:
    await tell(inquiry=("embargo", 30), census=("aggregate", 0))
    await permits_log.append([make_entry(), make_entry(purpose="inquiry"), make_entry(purpose="census"), make_entry()])
    await permits_log.append([make_entry(purpose="inquiry", subject_tag=BOB)])
    await settle()
    await mapper.run_once()
    await settle()
    evidence = await prove()
    proved = verify_history(evidence, log_keys, origin=origin)
    assert [one.number for one in evidence.entries] == [0, 3]
    assert proved.steps[5].detail == "census (how often only), inquiry (after 30 days)"
    # Of somebody about whom there is nothing else, it is proved that nothing may be told.
    assert verify_history(await prove(BOB), log_keys, origin=origin).entries == 0

    map_clock.advance(dt.timedelta(days=30))
    await permits_log.append([make_entry()])
    await settle()
    await mapper.run_once()
    await settle()
    later = await prove()
    assert [one.number for one in later.entries] == [0, 3, 1, 6]
    verify_history(later, log_keys, origin=origin)
    assert [one.number for one in (await prove(BOB)).entries] == [4]


@given(st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1)))), st.data())
def test_one_proof_serves_many_leaves(drawn: tuple[int, set[int]], data: st.DataObject) -> None:
    size, wanted = drawn
    leaves = [leaf_hash(b"%d" % number) for number in range(size)]
    indexes = sorted(wanted)
    proof = [root(leaves[begin:end]) for begin, end in common_ranges(indexes, size)]
    chosen = {index: leaves[index] for index in indexes}
    verify_common(chosen, size=size, proof=proof, expected_root=root(leaves))
    values = [*chosen.values(), *proof]
    at = data.draw(st.integers(0, len(values) - 1))
    values[at] = bytes([values[at][0] ^ 1]) + values[at][1:]
    spoilt = dict(zip(indexes, values, strict=False))
    with pytest.raises(ProofRefused):
        verify_common(spoilt, size=size, proof=values[len(indexes) :], expected_root=root(leaves))
    with pytest.raises(ProofRefused):
        verify_common({**chosen, size: leaves[0]}, size=size, proof=proof, expected_root=root(leaves))
