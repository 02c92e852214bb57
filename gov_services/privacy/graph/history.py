"""The log in GraphQL: a citizen's access history with proofs, an officer's search and verification."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import Enum
from typing import Annotated

import strawberry

from gov_services.audit import history as audit_history
from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.history_proof import HistoryEvidence, ProvedHistory
from gov_services.audit.models import EntryRow
from gov_services.audit.proof import Step
from gov_services.consent.purposes import Basis
from gov_services.kit.ids import parse_id
from gov_services.privacy.graph.pages import After, First, number_in, page_of
from gov_services.privacy.service import history
from gov_services.subgraph.types import PageInfo, context_of, page_size, register_enum

register_enum(
    EntryKind,
    name="EntryKind",
    description="What an entry of the log is about.",
    values={
        EntryKind.READ: "A disclosure that was decided.",
        EntryKind.USE: "What of a disclosure was really opened.",
        EntryKind.CHANGE: "A change.",
        EntryKind.REFUSAL: "Something that was refused.",
        EntryKind.KEY: "A key was made, rotated or destroyed.",
        EntryKind.LOG_READ: "Somebody read the log.",
        EntryKind.MANIFEST: "A new list of trusted documents.",
        EntryKind.BUNDLE: "A new bundle of purposes.",
        EntryKind.MAP: "The root of the map of subjects, by which histories are proved complete.",
    },
)


@strawberry.enum(description="Whether something was allowed.")
class EntryOutcome(Enum):
    """As audit.entry has it."""

    ALLOWED = strawberry.enum_value("allowed", description="It was allowed.")
    REFUSED = strawberry.enum_value("refused", description="It was refused; the code says why.")


@strawberry.type(description="One coordinate in an entry of the log.")
class EntryField:
    """Never a value."""

    coordinate: str = strawberry.field(description="Schema coordinate, `Type.field`.")
    form: str = strawberry.field(description="PLAIN, MASKED, DERIVED, COLLECT, OPENED, or why it was withheld.")


@strawberry.type(description="One entry of the log: who saw or changed what, why, on what basis.")
class AccessEntry:
    """Without what would name another person."""

    id: strawberry.ID = strawberry.field(description="Id of the entry.")
    number: int = strawberry.field(description="Its place in the log.")
    at: dt.datetime = strawberry.field(description="When.")
    kind: EntryKind = strawberry.field(description="What it is about.")
    action: str = strawberry.field(description="What was done.")
    actor: str = strawberry.field(description="Who did it; a citizen is not named.")
    client: str = strawberry.field(description="Through which client.")
    room: str = strawberry.field(description="Which service.")
    purpose: str = strawberry.field(description="Why: code of the purpose.")
    basis: Basis | None = strawberry.field(description="On what legal basis; none where no purpose was known.")
    entrance: str = strawberry.field(description="By which registered way in.")
    fields: list[EntryField] = strawberry.field(description="Which fields, in which form.")
    case_id: strawberry.ID | None = strawberry.field(description="The case that it was for.")
    reason: str | None = strawberry.field(description="The reason that was stated.")
    recipient: str | None = strawberry.field(description="To whom it went.")
    outcome: EntryOutcome = strawberry.field(description="How it came out.")
    code: str | None = strawberry.field(description="Why it was refused.")
    policy: str = strawberry.field(description="Hash of the bundle of purposes that decided.")
    count: int = strawberry.field(description="How many refusals of strangers this entry stands for.")


@strawberry.type(description="How often data was read under a purpose in a month.")
class AccessTotal:
    """A count."""

    purpose: str = strawberry.field(description="Code of the purpose.")
    month: dt.date = strawberry.field(description="First day of the month.")
    times: int = strawberry.field(description="How often.")


@strawberry.type(description="One entry of a page.")
class AccessEntryEdge:
    """Relay's edge."""

    cursor: str = strawberry.field(description="Pass as `after` to go on from here.")
    node: AccessEntry = strawberry.field(description="The entry.")


@strawberry.type(description="A page of entries.")
class AccessEntryConnection:
    """Relay connection, newest first."""

    edges: list[AccessEntryEdge] = strawberry.field(description="The entries.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")


@strawberry.type(description="One step of checking a proof.")
class ProofStep:
    """What was checked and held."""

    number: int = strawberry.field(description="Number of the step.")
    title: str = strawberry.field(description="What is checked.")
    detail: str = strawberry.field(description="What was found.")


@strawberry.type(description="Evidence that an entry is in the log; it can be checked without us.")
class AccessProof:
    """RFC 6962 inclusion under a signed checkpoint."""

    number: int = strawberry.field(description="The entry's place in the log.")
    evidence: str = strawberry.field(description="The evidence file: entry, salt, proof, signed checkpoint, as JSON.")
    checkpoint: str = strawberry.field(description="The signed checkpoint.")
    steps: list[ProofStep] = strawberry.field(description="The steps by which it was checked.")


@strawberry.type(
    description="Evidence that a history leaves nothing out, as of a root of the map of subjects; it can be checked "
    "without us. What may be told later only, or how often, is not in it; of which purposes that is so, it says."
)
class AccessHistoryProof:
    """Decision 0023."""

    entries: int = strawberry.field(description="How many entries there are about the citizen.")
    covers: int = strawberry.field(description="How many entries of the log it covers, from the first on.")
    at: dt.datetime = strawberry.field(description="As of when.")
    evidence: str = strawberry.field(
        description="The evidence file, as JSON: all by commitment, the newest thousand opened."
    )
    checkpoint: str = strawberry.field(description="The signed checkpoint.")
    steps: list[ProofStep] = strawberry.field(description="The steps by which it was checked.")


@strawberry.type(description="One check of the whole log.")
class LogCheck:
    """What did not hold, if anything."""

    line: str = strawberry.field(description="The check and how it came out.")


@strawberry.type(description="The whole log, checked.")
class LogReport:
    """The checks of `audit verify`."""

    sound: bool = strawberry.field(description="Whether everything holds.")
    entries: int = strawberry.field(description="How many entries there are.")
    covered: int = strawberry.field(description="How many of them stand under a signed checkpoint.")
    checkpoints: int = strawberry.field(description="How many checkpoints were signed.")
    matches_published: bool | None = strawberry.field(
        description="Whether the published checkpoint is of this very log; nothing where none was given."
    )
    checks: list[LogCheck] = strawberry.field(description="Check by check.")


@strawberry.input(description="What to look for; everything given must hold.")
class LogSearchInput:
    """No personal value: citizens are looked for by tag."""

    subject_tag: str | None = strawberry.field(default=None, description="Tag of a citizen, hexadecimal.")
    actor: str | None = strawberry.field(default=None, description="Who, e.g. `staff:<id>`, `client:<name>`.")
    client: str | None = strawberry.field(default=None, description="Through which client.")
    purpose: str | None = strawberry.field(default=None, description="Code of the purpose.")
    coordinate: str | None = strawberry.field(default=None, description="Schema coordinate.")
    outcome: EntryOutcome | None = strawberry.field(default=None, description="How it came out.")
    since: dt.datetime | None = strawberry.field(default=None, description="Not before.")
    until: dt.datetime | None = strawberry.field(default=None, description="Before.")


def entry_of(row: EntryRow) -> AccessEntry:
    """An entry as GraphQL shows it."""
    entry = Entry.parse(row.body)
    return AccessEntry(
        id=strawberry.ID(str(entry.id)),
        number=row.seq,
        at=entry.at,
        kind=entry.kind,
        action=entry.action,
        actor=entry.actor,
        client=entry.client,
        room=entry.room,
        purpose=entry.purpose,
        basis=Basis(entry.basis) if entry.basis else None,
        entrance=entry.entrance,
        fields=[EntryField(coordinate=name, form=form) for name, form in entry.coordinates],
        case_id=strawberry.ID(str(entry.case)) if entry.case else None,
        reason=entry.reason,
        recipient=entry.recipient,
        outcome=EntryOutcome(entry.outcome),
        code=entry.code,
        policy=entry.policy,
        count=entry.count,
    )


def entries_of(rows: Sequence[EntryRow], size: int) -> AccessEntryConnection:
    """A page of entries."""
    return page_of(
        rows,
        size=size,
        key=lambda row: row.seq,
        node=entry_of,
        edge=AccessEntryEdge,
        connection=AccessEntryConnection,
    )


def proof_of(found: history.Proved) -> AccessProof:
    """A proof as GraphQL shows it."""
    return AccessProof(
        number=found.evidence.seq,
        evidence=found.evidence.to_json(),
        checkpoint=found.evidence.checkpoint,
        steps=steps_of(found.steps),
    )


def history_proof_of(evidence: HistoryEvidence, proved: ProvedHistory) -> AccessHistoryProof:
    """A proof of a whole history as GraphQL shows it."""
    return AccessHistoryProof(
        entries=proved.entries,
        covers=proved.statement.size,
        at=proved.statement.at,
        evidence=evidence.to_json(),
        checkpoint=evidence.checkpoint,
        steps=steps_of(proved.steps),
    )


def steps_of(steps: Sequence[Step]) -> list[ProofStep]:
    """Steps as GraphQL shows them."""
    return [ProofStep(number=step.number, title=step.title, detail=step.detail) for step in steps]


@strawberry.type
class HistoryQuery:
    """Root fields about the log."""

    @strawberry.field(description="Who saw or changed what of the citizen who asks, newest first.")
    async def access_history(
        self, info: strawberry.Info, first: First = 20, after: After = None
    ) -> AccessEntryConnection:
        """PIPL 44, 45."""
        size = page_size(first)
        rows = await history.read_own_history(context_of(info), before=number_in(after), limit=size + 1)
        return entries_of(rows, size)

    @strawberry.field(description="How often data of the citizen who asks was read, by purpose and month.")
    async def access_totals(self, info: strawberry.Info) -> list[AccessTotal]:
        """Of some purposes the law has only this told; bounded by purposes and months."""
        return [
            AccessTotal(purpose=purpose, month=month, times=times)
            for purpose, month, times in await history.read_own_totals(context_of(info))
        ]

    @strawberry.field(description="The proof that an entry about the citizen who asks is in the log.")
    async def access_proof(
        self,
        info: strawberry.Info,
        entry_id: Annotated[strawberry.ID, strawberry.argument(description="Id of the entry.")],
    ) -> AccessProof:
        """Checked before it is shown."""
        return proof_of(await history.prove_own_entry(context_of(info), entry_id=parse_id(entry_id)))

    @strawberry.field(
        description="The proof that the history of the citizen who asks leaves nothing out that may be told, as of a "
        "minute ago or so. Until that is under a signed checkpoint: `PROOF_NOT_YET`."
    )
    async def access_history_proof(self, info: strawberry.Info) -> AccessHistoryProof:
        """Checked before it is shown."""
        return history_proof_of(*await history.prove_own_history(context_of(info)))

    @strawberry.field(description="Entries of the log, for compliance officers; newest first.")
    async def log_entries(
        self,
        info: strawberry.Info,
        search: Annotated[LogSearchInput, strawberry.argument(description="What to look for.")],
        first: First = 20,
        after: After = None,
    ) -> AccessEntryConnection:
        """Reading the log is logged."""
        size = page_size(first)
        criteria = audit_history.Search(
            subject_tag=_tag(search.subject_tag),
            actor=search.actor,
            client=search.client,
            purpose=search.purpose,
            coordinate=search.coordinate,
            outcome=str(search.outcome.value) if search.outcome else None,
            since=search.since,
            until=search.until,
        )
        rows = await history.search(context_of(info), criteria=criteria, before=number_in(after), limit=size + 1)
        return entries_of(rows, size)

    @strawberry.field(description="The proof of any entry, for compliance officers.")
    async def log_entry_proof(
        self,
        info: strawberry.Info,
        entry_id: Annotated[strawberry.ID, strawberry.argument(description="Id of the entry.")],
    ) -> AccessProof:
        """Checked before it is shown."""
        return proof_of(await history.prove_entry(context_of(info), entry_id=parse_id(entry_id)))

    @strawberry.field(description="The whole log, checked now; for compliance officers.")
    async def verify_log(
        self,
        info: strawberry.Info,
        published: Annotated[
            str | None,
            strawberry.argument(
                description="A checkpoint (signed note) that was kept outside the database, to hold the log against."
            ),
        ] = None,
    ) -> LogReport:
        """Every entry, node and checkpoint."""
        report = await history.verify(context_of(info), published=published)
        return LogReport(
            sound=report.sound,
            entries=report.entries,
            covered=report.covered,
            checkpoints=report.checkpoints,
            matches_published=report.matches_published,
            checks=[LogCheck(line=line) for line in report.lines()],
        )


def _tag(text: str | None) -> bytes | None:
    """A tag as an officer gives it; what is none is nobody's."""
    if text is None:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
