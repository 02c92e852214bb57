"""Verifying the whole log: numbered checks over every entry, node, checkpoint, chain and root. It mends nothing.

The leaves of the stored tree say what was logged; signed checkpoints say that the tree is the one it was. So an entry
that differs from its leaf was altered, and a tree that differs from its checkpoint was rewritten with its leaves. What
happened before there was a leaf, the chains of those who wrote say (`audit.chain`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from obstore.store import ObjectStore

from gov_services.audit import recompute, store
from gov_services.audit.checkpoint import Checkpoint, CheckpointRefused, open_checkpoint
from gov_services.audit.entry import Entry, EntryMalformed, commitment, coordinate_names
from gov_services.audit.findings import Fault, Finding, lines_of
from gov_services.audit.merkle import Node, extend, leaf_hash, root_of_peaks
from gov_services.audit.models import DescriptionRow, EntryRow
from gov_services.audit.note import NoteKey
from gov_services.audit.own_cosignature import own_keys
from gov_services.audit.verify_chains import Chains
from gov_services.audit.verify_map import MapWalk
from gov_services.audit.verify_published import verify_published
from gov_services.crypto.keys import WRITERS
from gov_services.crypto.signing import VerifyKeys
from gov_services.kit.database import ReadSession

CHUNK = 1000
STRAYED_NAMED = 50
"""Where more entries than this are not their leaves, it is not looked up whither each was moved."""

CHECKS = {
    1: "every checkpoint is signed by a key of this log",
    2: "entries are numbered from 0 without a gap, up to the next number to be given",
    3: "every entry is the canonical text that its commitment commits to",
    4: "descriptions, which are searched by, say what the entries say",
    5: "the stored tree is the tree over the entries, in their order",
    6: "every checkpoint's root is that of the tree of its size",
    7: "checkpoints that were published elsewhere are of this log",
    8: "nothing that waits for a number contradicts an entry that has one, and nothing was set aside",
    9: "every chain of a writer is signed by its room and goes on without a break",
    10: "every entry is signed for by its writer, and everything signed for is there",
    11: "what has been published lies there whole, and is the tree's",
    12: recompute.TITLE,
    13: "the stored map of subjects is that of its newest root",
}


@dataclass(frozen=True, slots=True)
class Trust:
    """What a doubter goes by, none of which is in the database: the log's name, and the keys of all who sign in it."""

    origin: str
    log: VerifyKeys
    writers: Mapping[str, VerifyKeys]
    """By room."""
    own: tuple[NoteKey, ...] = ()
    """The log's keys by ML-DSA-44, if it has any."""

    @classmethod
    def load(cls, secrets: Path, origin: str) -> Trust:
        """From key files. Raises KeyRefused."""
        writers = {room: VerifyKeys.load(secrets, f"writer-{room}") for room in WRITERS}
        return cls(origin, VerifyKeys.load(secrets, "log"), writers, own_keys(secrets, origin))


@dataclass(frozen=True, slots=True)
class Report:
    """What verification found. `covered` entries are under a signed checkpoint; what follows them is not proved yet."""

    entries: int
    covered: int
    checkpoints: int
    findings: tuple[Finding, ...]
    published: int = 0
    """How many checkpoints kept elsewhere it was held against."""
    tiles: int | None = None
    """How many published tiles were compared; None where there are none, or where they lie was not told."""
    map_compared: bool = True
    """Whether the stored map of subjects was: not where it went on each time that it was read."""

    @property
    def matches_published(self) -> bool | None:
        """Whether every checkpoint kept elsewhere is of this log; None where none was given."""
        return all(finding.check != 7 for finding in self.findings) if self.published else None

    @property
    def sound(self) -> bool:
        """Whether everything holds."""
        return not self.findings

    def lines(self) -> list[str]:
        """The report for a person: a line a check, a line a finding."""
        left_out = {11: self.tiles is None, 13: not self.map_compared}
        return lines_of(CHECKS, self.findings, left_out={check for check, left in left_out.items() if left})


@dataclass(slots=True)
class _Walk:
    """One pass over the log, from the first entry on."""

    session: ReadSession
    trust: Trust
    signed_size: int
    """Size of the newest checkpoint when the pass began; those signed since are for the next pass."""
    tree_size: int
    published: dict[int, list[Checkpoint]]
    described: int
    """How many entries have a description."""
    chains: Chains
    subjects: MapWalk
    size: int = 0
    """How many leaves the tree below has."""
    peaks: tuple[bytes, ...] = ()
    last_true: int = 0
    """Size of the largest checkpoint so far whose root is that of the tree."""
    checkpoints: int = 0
    findings: list[Finding] = field(default_factory=list)
    strayed: dict[int, bytes] = field(default_factory=dict)
    """The leaf that an entry makes, by number, where the stored tree holds another."""

    def find(self, check: int, fault: Fault, where: str, detail: str) -> None:
        """Note one thing that does not hold."""
        self.findings.append(Finding(check, fault, where, detail))


async def verify_log(
    session: ReadSession, trust: Trust, *, published: Sequence[str] = (), objects: ObjectStore | None = None
) -> Report:
    """Verify everything. `published` are notes of checkpoints kept outside the database: at witnesses, in files.

    `objects` is where the log is published; its checkpoint is one of those, and its tiles are compared.

    Raises nothing for a broken log: the report names what is broken.
    """
    # In this order, so that what is written meanwhile only makes the later ones larger.
    tree = None
    if objects:
        tree = await verify_published(session, objects, trust.log, origin=trust.origin, own=trust.own)
    if tree is not None:
        published = [*published, tree.note]
    subjects = await MapWalk.begin(session)
    described = await store.described_upto(session)
    tree_now = await store.standing(session)
    head = await store.head(session)
    following = head.next
    chains = Chains(session, trust.writers, chained_from=head.chained_from)
    await chains.open()
    walk = _Walk(session, trust, tree_now.signed, tree_now.leaves, {}, described, chains, subjects)
    _open_published(walk, published)
    begin = 0
    while True:
        end = min(begin + CHUNK, max(following, tree_now.leaves))
        await _verify_chunk(walk, begin, end)
        await chains.follow(begin, end)
        await subjects.follow()
        if end == max(following, tree_now.leaves):
            break
        begin = end
    await _verify_end(walk, following, beside=tree_now.beside)
    await _name_strayed(walk)
    # 8. Nothing that waits contradicts what is numbered, and nothing was set aside.
    for entry_id in await store.contradicting_pending(session):
        walk.find(8, Fault.PENDING_CONTRADICTS, f"entry {entry_id}", "another entry of that id has a number")
    for entry_id, reason in await store.rejected(session):
        walk.find(8, Fault.SET_ASIDE, f"entry {entry_id}", reason)
    await chains.finish(max(following, tree_now.leaves))
    # 9. and 10. What the writers signed for is what is there.
    for where, detail in chains.broken:
        walk.find(9, Fault.CHAIN_BROKEN, where, detail)
    for where, detail in chains.planted:
        walk.find(10, Fault.ENTRY_PLANTED, where, detail)
    for where, detail in chains.dropped:
        walk.find(10, Fault.ENTRY_DROPPED, where, detail)
    walk.findings += tree.findings if tree else ()
    # 12. and 13. The map of subjects is what the entries give.
    walk.findings += await subjects.finish()
    ordered = tuple(sorted(walk.findings, key=lambda one: one.check))
    covered = max(0, min(walk.last_true, following))
    tiles = tree.tiles if tree else None
    compared = subjects.stored is not None
    return Report(following, covered, walk.checkpoints, ordered, len(published), tiles, compared)


async def _verify_chunk(walk: _Walk, begin: int, end: int) -> None:
    """Checks 1 to 7 of the entries from `begin` up to `end`, and of the checkpoints over trees that end among them."""
    count = end - begin
    said = await store.descriptions_from(walk.session, begin=begin, limit=count)
    rows = {row.seq: row for row in await store.entries_from(walk.session, begin=begin, limit=count)}
    stored = await store.nodes_from(walk.session, level=0, begin=begin, limit=count)
    leaves = [_verify_entry(walk, seq, rows.get(seq), stored.get(seq), said.get(seq)) for seq in range(begin, end)]
    # 1. Every checkpoint is signed by a key of this log.
    signed = await _open_checkpoints(walk, begin if begin else -1, min(end, walk.signed_size))
    # 5. to 7. The tree grows from checkpoint to checkpoint.
    new: list[tuple[Node, bytes]] = []
    grown_to = max(begin, min(end, walk.tree_size))
    for stop in sorted({*signed, *(size for size in walk.published if begin <= size <= end), grown_to}):
        if stop > grown_to:
            break
        grown = extend(walk.size, walk.peaks, leaves[walk.size - begin : stop - begin])
        walk.size, walk.peaks = grown.size, grown.peaks
        new += [node for node in grown.nodes if node[0][0] > 0]
        _compare_roots(walk, signed.get(stop), walk.published.pop(stop, []))
    await _compare_nodes(walk, new)


def _verify_entry(
    walk: _Walk, seq: int, row: EntryRow | None, stored: bytes | None, said: DescriptionRow | None
) -> bytes:
    """Checks 2 to 5 of one entry; the leaf to go on with: what the tree holds, if it holds one."""
    where = f"entry {seq}"
    if stored is None and seq < walk.tree_size:
        walk.find(5, Fault.TREE_ALTERED, f"node (0, {seq})", "the stored tree lacks this leaf")
    # 2. There is an entry of this number.
    if row is None:
        walk.find(2, Fault.ENTRY_MISSING, where, "there is no entry of this number")
        return stored or leaf_hash(b"")
    walk.chains.meet(row)
    genuine: Entry | None = None
    # 3. It is the canonical text that its commitment commits to.
    try:
        entry = Entry.parse(row.body)
        if commitment(row.body, row.salt) != row.commitment:
            raise EntryMalformed("its text is not what its commitment commits to")
        if entry.id != row.id:
            raise EntryMalformed(f"its text bears another id, {entry.id}")
    except EntryMalformed as malformed:
        walk.find(3, Fault.ENTRY_ALTERED, where, str(malformed))
    else:
        genuine = entry
        walk.chains.speaks_for(row, entry.room)
        # 4. Its description says what it says.
        if said is not None:
            differing = _differing(said, entry)
            if differing:
                walk.find(4, Fault.DESCRIPTION_ALTERED, where, f"differs in {', '.join(differing)}")
        elif seq < walk.described:
            walk.find(4, Fault.DESCRIPTION_ALTERED, where, "it has none")
    walk.subjects.meet(row, genuine, said)
    # 5. It is the leaf that the tree holds in its place.
    leaf = leaf_hash(row.commitment)
    if stored is not None and leaf != stored:
        walk.strayed[seq] = leaf
    return stored or leaf


def _differing(description: DescriptionRow, entry: Entry) -> list[str]:
    said = {
        "id": entry.id,
        "at": entry.at,
        "room": entry.room,
        "kind": entry.kind.value,
        "action": entry.action,
        "actor": entry.actor,
        "client": entry.client,
        "purpose": entry.purpose,
        "outcome": entry.outcome,
        "code": entry.code,
        "office": entry.office,
        "request": entry.request,
        "subject_tag": entry.subject_tag,
        "object": entry.object,
        "case_id": entry.case,
        "coordinates": coordinate_names(entry.coordinates),
        "forms": [form for _, form in entry.coordinates],
    }
    return [name for name, value in said.items() if getattr(description, name) != value]


async def _open_checkpoints(walk: _Walk, after: int, upto: int) -> dict[int, Checkpoint]:
    """1. The genuine checkpoints over trees larger than `after` and of `upto` leaves at most, by size."""
    rows = await store.checkpoints_between(walk.session, after=after, upto=upto)
    walk.checkpoints += len(rows)
    genuine = {}
    for row in rows:
        try:
            checkpoint = open_checkpoint(row.note, walk.trust.log, origin=walk.trust.origin)
            if checkpoint.size != row.size:
                raise CheckpointRefused(f"the note is of {checkpoint.size} leaves")
            if row.key_id not in walk.trust.log:
                raise CheckpointRefused(f"no key of this log is called {row.key_id}")
        except CheckpointRefused as refused:
            walk.find(1, Fault.CHECKPOINT_FORGED, f"checkpoint {row.size}", str(refused))
        else:
            genuine[row.size] = checkpoint
    return genuine


def _open_published(walk: _Walk, notes: Sequence[str]) -> None:
    """7. Checkpoints kept elsewhere are signed, too, and not of a longer log than this."""
    for note in notes:
        try:
            checkpoint = open_checkpoint(note, walk.trust.log, origin=walk.trust.origin)
        except CheckpointRefused as refused:
            walk.find(7, Fault.CHECKPOINT_FORGED, "published checkpoint", str(refused))
            continue
        if checkpoint.size > walk.tree_size:
            where, detail = f"published checkpoint {checkpoint.size}", f"the stored tree has {walk.tree_size} leaves"
            walk.find(7, Fault.HISTORY_REWRITTEN, where, detail)
        else:
            walk.published.setdefault(checkpoint.size, []).append(checkpoint)


def _compare_roots(walk: _Walk, signed: Checkpoint | None, published: Sequence[Checkpoint]) -> None:
    """6. and 7. The checkpoints of the size that the tree has just reached."""
    root = root_of_peaks(walk.peaks)
    between = f"entries {walk.last_true} to {walk.size - 1} are not those that were signed"
    for checkpoint in published:
        if checkpoint.root != root:
            walk.find(7, Fault.HISTORY_REWRITTEN, f"published checkpoint {walk.size}", between)
    if signed is not None and signed.root != root:
        walk.find(6, Fault.HISTORY_REWRITTEN, f"checkpoint {walk.size}", between)
    elif signed is not None:
        walk.last_true = walk.size


async def _compare_nodes(walk: _Walk, new: Sequence[tuple[Node, bytes]]) -> None:
    """5. Inner nodes are the hashes of what is below them."""
    stored = await store.nodes(walk.session, [name for name, _ in new])
    for name, digest in new:
        if stored.get(name) != digest:
            detail = "it is not the hash of what is below" if name in stored else "the stored tree lacks this node"
            walk.find(5, Fault.TREE_ALTERED, f"node {name}", detail)


async def _verify_end(walk: _Walk, following: int, *, beside: int) -> None:
    """2. and 6. Nothing stands behind the end, and the end is not before what was signed."""
    if walk.signed_size > walk.tree_size:
        detail = f"the stored tree has {walk.tree_size} leaves"
        walk.find(6, Fault.HISTORY_REWRITTEN, f"checkpoint {walk.signed_size}", detail)
    elif walk.tree_size > max(0, walk.signed_size):
        where, detail = f"tree of {walk.tree_size}", "the checkpoint that was signed over it is gone"
        walk.find(6, Fault.TREE_ALTERED, where, detail)
    for seq in await store.behind_the_end(walk.session, limit=CHUNK):
        walk.find(2, Fault.HISTORY_REWRITTEN, f"entry {seq}", "no such number has been given")
    if walk.tree_size > following:
        detail = f"the tree has {walk.tree_size} leaves"
        walk.find(2, Fault.HISTORY_REWRITTEN, f"next number {following}", detail)
    # 4. and 5. Nothing stands beside what there is a place for.
    if walk.described > following:
        detail = f"there are descriptions up to number {walk.described - 1}"
        walk.find(4, Fault.DESCRIPTION_ALTERED, f"next number {following}", detail)
    if beside:
        walk.find(5, Fault.TREE_ALTERED, f"tree of {walk.tree_size}", f"{beside} nodes are of no such tree")


async def _name_strayed(walk: _Walk) -> None:
    """5. An entry that is not its own leaf: it was moved if it is that of another number, altered otherwise."""
    for seq, leaf in walk.strayed.items():
        places = await store.places_of_leaf(walk.session, leaf=leaf) if len(walk.strayed) <= STRAYED_NAMED else []
        if places:
            walk.find(5, Fault.ENTRY_REORDERED, f"entry {seq}", f"it was logged as number {places[0]}")
        else:
            walk.find(5, Fault.ENTRY_ALTERED, f"entry {seq}", "it is not the leaf that the tree holds")
