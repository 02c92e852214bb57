"""Decides and logs for one request: subjects in, disclosures out, one append for all. It opens nothing itself."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.log import AuditLog
from gov_services.consent import store
from gov_services.consent.budgets import Budgets
from gov_services.consent.bundles import Bundles
from gov_services.consent.disclosure import ConsentRequired, Disclosure
from gov_services.consent.entries import entry_for
from gov_services.consent.facts import gather
from gov_services.consent.policy import (
    Declared,
    DisclosureRefused,
    Facts,
    Unrelated,
    Withheld,
    admit,
    decide,
    require_readable,
)
from gov_services.consent.purposes import Basis, Bundle, Form, Purpose, Relation
from gov_services.consent.vocabulary import Vocabulary
from gov_services.crypto.data_keys import DataKey, DataKeys
from gov_services.crypto.keys import DataClass
from gov_services.kit.actor import ActorKind
from gov_services.kit.context import Call
from gov_services.kit.database import Database
from gov_services.kit.ids import new_id

SUBJECT_TAG = b"subject"
"""Label under which a citizen's audit key makes the tag that stands for them in the log."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One citizen that a request is about."""

    citizen_id: UUID
    case_id: UUID | None = None
    presented: bool = False
    """Whether they named themselves by a code or a full identifier in this very request."""
    object: str | None = None
    """What of theirs is read, e.g. `application:<id>`; for the log."""


class Discloser:
    """A room's way to disclosures: everything about them that outlives a request."""

    def __init__(
        self,
        *,
        room: str,
        database: Database,
        audit: AuditLog,
        keys: DataKeys,
        bundles: Bundles,
        budgets: Budgets,
        vocabulary: Vocabulary,
        data_class: DataClass,
    ) -> None:
        self.room = room
        self.database = database
        self.audit = audit
        self.keys = keys
        self.bundles = bundles
        self.budgets = budgets
        self.vocabulary = vocabulary
        self.data_class = data_class

    def begin(self, call: Call, requested: Collection[str]) -> Disclosures:
        """Start one request that reads the personal coordinates `requested`, whomever it turns out to be about."""
        return Disclosures(self, call, frozenset(requested))


class Disclosures:
    """The disclosures of one request. Each subject is decided, logged and remembered once."""

    def __init__(self, discloser: Discloser, call: Call, requested: frozenset[str]) -> None:
        self._room = discloser
        self._call = call
        self._requested = requested
        self._decided: dict[Subject, asyncio.Future[Disclosure | Unrelated]] = {}
        self._waiting: list[Subject] = []
        self._looked_up = False
        """Whether the subject was looked up, and counted, in this very request: the hit is not counted again."""
        self._on_the_way: list[Disclosures] = []

    async def about(self, subject: Subject) -> Disclosure | Unrelated:
        """The disclosure about `subject`, or that no relation holds. Calls of one tick are decided together."""
        future = self._decided.get(subject)
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._decided[subject] = loop.create_future()
            self._waiting.append(subject)
            if len(self._waiting) == 1:
                loop.call_soon(lambda: loop.create_task(self._decide_waiting()))
        return await asyncio.shield(future)

    def on_the_way(self, coordinates: Collection[str]) -> Disclosures:
        """For what a use-case itself opens, whatever its document reads: decided, logged and noted like the rest."""
        inner = self._room.begin(self._call, coordinates)
        inner._looked_up = self._looked_up
        self._on_the_way.append(inner)
        return inner

    async def require_predicate(self, coordinate: str, *, sought: str) -> None:
        """Check and log that the request may look somebody up by `coordinate`; count it, hit or miss.

        `sought` is a digest of what was looked for, never the value. Raises DisclosureRefused, BudgetExhausted.
        """
        async with self._room.database.reading() as session:
            bundle = await self._room.bundles.current(session)
        purpose = admit(bundle, self._call)
        if purpose.grants.get(coordinate) is not Form.PREDICATE:
            raise DisclosureRefused(coordinates=coordinate)
        await self._room.budgets.reserve(purpose, self._call.actor, [sought], now=self._call.now)
        self._looked_up = True
        entry = self._entry(purpose, bundle, kind=EntryKind.READ, action="look-up", subject_tag=None, actor_tag=None)
        await self._room.audit.append([replace(entry, coordinates=((coordinate, Form.PREDICATE.value),))])

    async def require_within_purpose(self) -> None:
        """Check that the purpose in force grants all that the request reads. Raises DisclosureRefused, or as `admit`.

        A registered document was held against its purpose when it was built; an ad-hoc one is here.
        """
        async with self._room.database.reading() as session:
            bundle = await self._room.bundles.current(session)
        purpose = bundle.purposes.get(self._call.purpose)
        if purpose is None:  # which is told, as such, by whatever asks first
            return
        try:
            require_readable(purpose, self._requested)
        except DisclosureRefused:
            admit(bundle, self._call)  # who may not act under it at all is told that, and not what it covers
            raise

    async def require_listing(self, action: str) -> None:
        """Admit the request to a list that holds nothing personal, and log that it was read.

        Raises a Refusal, AuditUnavailable.
        """
        async with self._room.database.reading() as session:
            bundle = await self._room.bundles.current(session)
        purpose = admit(bundle, self._call)
        entry = self._entry(purpose, bundle, kind=EntryKind.READ, action=action, subject_tag=None, actor_tag=None)
        await self._room.audit.append([entry])

    async def require_log_read(self, action: str, *, tag: bytes | None, reason: str | None = None) -> Bundle:
        """Admit the request to the log, and log that it reads it; returns the bundle in force.

        `tag` is the subject's, where the reading is about one. Raises a Refusal, AuditUnavailable.
        """
        async with self._room.database.reading() as session:
            bundle = await self._room.bundles.current(session)
        purpose = admit(bundle, self._call)
        entry = self._entry(
            purpose, bundle, kind=EntryKind.LOG_READ, action=action, subject_tag=tag, actor_tag=tag if tag else None
        )
        if self._call.actor.kind is not ActorKind.CITIZEN:
            entry = replace(entry, actor_tag=None)
        await self._room.audit.append([replace(entry, reason=reason or self._call.reason)])
        return bundle

    def close(self) -> None:
        """Note what was really opened, when the request is done."""
        for inner in self._on_the_way:
            inner.close()
        entries = [self._use_entry(disclosure) for disclosure in self._made() if disclosure.opened]
        if entries:
            self._room.audit.note(entries)

    def warned(self) -> frozenset[str]:
        """Of what was opened, the coordinates that the purpose is about to lose."""
        inner = [one.warned() for one in self._on_the_way]
        return frozenset[str]().union(*inner, *(disclosure.warned for disclosure in self._made()))

    def _made(self) -> Iterator[Disclosure]:
        for future in self._decided.values():
            if future.done() and not future.cancelled() and future.exception() is None:
                result = future.result()
                if isinstance(result, Disclosure):
                    yield result

    async def _decide_waiting(self) -> None:
        subjects, self._waiting = self._waiting, []
        try:
            results = await self._decide(subjects)
        except BaseException as error:  # noqa: BLE001  every waiter must hear of it, whatever it is
            for subject in subjects:
                if not self._decided[subject].done():
                    self._decided[subject].set_exception(error)
                    self._decided[subject].exception()  # a waiter that was cancelled asks no more; that is no warning
            return
        for subject, result in zip(subjects, results, strict=True):
            future = self._decided[subject]
            if future.done():
                continue
            if isinstance(result, ConsentRequired):
                future.set_exception(result)
                future.exception()
            else:
                future.set_result(result)

    async def _decide(self, subjects: Sequence[Subject]) -> list[Disclosure | Unrelated | ConsentRequired]:
        call, room = self._call, self._room
        ids = list(dict.fromkeys(subject.citizen_id for subject in subjects))
        async with room.database.reading() as session:
            bundle = await room.bundles.current(session)
            purpose = admit(bundle, call)
            gathered = await gather(
                session, call=call, purpose=purpose, subject_ids=ids, keys=room.keys, data_class=room.data_class
            )
        decisions = [
            self._decide_on(bundle, purpose, subject, gathered.facts[subject.citizen_id]) for subject in subjects
        ]
        await self._reserve(purpose, decisions)
        if any(isinstance(decision, Declared) and decision.counted for decision in decisions):
            lost = await self._take_readings(purpose, decisions)
            decisions = [
                self._decide_on(bundle, purpose, subject, replace(gathered.facts[subject.citizen_id], consent=None))
                if subject.citizen_id in lost
                else decision
                for subject, decision in zip(subjects, decisions, strict=True)
            ]
        actor_tag = _tag(gathered.keys, call.actor.id) if call.actor.kind is ActorKind.CITIZEN else None
        entries = [
            self._decision_entry(bundle, subject, decision, _tag(gathered.keys, subject.citizen_id), actor_tag)
            for subject, decision in zip(subjects, decisions, strict=True)
        ]
        logged = await room.audit.append(entries)
        changed = await self._changed_meanwhile(purpose, decisions)
        return [
            decision
            if isinstance(decision, Unrelated)
            else ConsentRequired()
            if decision.subject_id in changed
            else Disclosure(
                decision, receipt, entry, keys=gathered.keys[decision.subject_id], vocabulary=room.vocabulary
            )
            for decision, entry, receipt in zip(decisions, entries, logged, strict=True)
        ]

    def _decide_on(self, bundle: Bundle, purpose: Purpose, subject: Subject, facts: Facts) -> Declared | Unrelated:
        return decide(
            bundle,
            purpose,
            call=self._call,
            facts=facts,
            coordinates=self._requested,
            case_id=subject.case_id,
            presented=subject.presented,
        )

    async def _take_readings(self, purpose: Purpose, decisions: Sequence[Declared | Unrelated]) -> frozenset[UUID]:
        """Count this request under every consent that counts; the subjects of whom another was faster.

        Before the entry is written, so that the entry tells who got the last reading. One that was taken stays taken
        when the log is away then: the answer may be lost, and is never given twice.
        """
        relied = {
            decision.subject_id: decision.consent_revision
            for decision in decisions
            if isinstance(decision, Declared) and decision.counted and decision.consent_revision is not None
        }
        lost = set()
        async with self._room.database.writing() as session:
            for subject_id, revision_id in sorted(relied.items()):  # in one order, or two requests wait for each other
                if not await store.take_reading(
                    session,
                    citizen_id=subject_id,
                    purpose=purpose.code,
                    recipient=self._call.actor.client_id,
                    revision_id=revision_id,
                    request=self._call.request_id,
                    now=self._call.now,
                ):
                    lost.add(subject_id)
        return frozenset(lost)

    async def _changed_meanwhile(self, purpose: Purpose, decisions: Sequence[Declared | Unrelated]) -> frozenset[UUID]:
        """Subjects whose consent is not the one any more that was relied on.

        The append takes its time, and a withdrawal that was committed meanwhile wins: the entry then says more than
        was given.
        """
        relied = {
            decision.subject_id: decision.consent_revision
            for decision in decisions
            if isinstance(decision, Declared) and decision.consent_revision is not None
        }
        if not relied:
            return frozenset()
        call = self._call
        async with self._room.database.reading() as session:
            rows = await store.standing(
                session, citizen_ids=list(relied), purpose=purpose.code, recipient=call.actor.client_id, now=call.now
            )
        standing = {row.citizen_id: row.revision_id for row in rows}
        return frozenset(subject_id for subject_id, number in relied.items() if standing.get(subject_id) != number)

    async def _reserve(self, purpose: Purpose, decisions: Sequence[Declared | Unrelated]) -> None:
        counted = [
            decision.subject_id
            for decision in decisions
            if isinstance(decision, Unrelated)
            or decision.relation is Relation.CONSENTED
            or (decision.relation is Relation.VERIFIER and not self._looked_up)
        ]
        if counted and self._call.actor.kind in (ActorKind.STAFF, ActorKind.CLIENT):
            await self._room.budgets.reserve(purpose, self._call.actor, counted, now=self._call.now)

    def _decision_entry(
        self,
        bundle: Bundle,
        subject: Subject,
        decision: Declared | Unrelated,
        subject_tag: bytes | None,
        actor_tag: bytes | None,
    ) -> Entry:
        code = _code_of(decision)
        entry = self._entry(
            decision.purpose,
            bundle,
            kind=EntryKind.REFUSAL if code else EntryKind.READ,
            action="disclosure",
            subject_tag=subject_tag,
            actor_tag=actor_tag,
        )
        if code is not None:
            entry = replace(entry, outcome="refused", code=code)
        if isinstance(decision, Unrelated):
            coordinates = tuple((name, Withheld.CONSENT_REQUIRED.value) for name in sorted(self._requested))
            return replace(entry, coordinates=coordinates, object=subject.object)
        return replace(
            entry,
            coordinates=tuple((name, value.value) for name, value in sorted(decision.decisions.items())),
            object=subject.object,
            case=subject.case_id or self._call.case_id,
            consent=decision.consent_revision,
        )

    def _use_entry(self, disclosure: Disclosure) -> Entry:
        return replace(
            disclosure.entry,
            id=new_id(self._call.now),
            kind=EntryKind.USE,
            coordinates=tuple((name, "OPENED") for name in sorted(disclosure.opened)),
            parent=disclosure.logged.entry_id,
        )

    def _entry(
        self,
        purpose: Purpose,
        bundle: Bundle,
        *,
        kind: EntryKind,
        action: str,
        subject_tag: bytes | None,
        actor_tag: bytes | None,
    ) -> Entry:
        return entry_for(
            self._call,
            room=self._room.room,
            kind=kind,
            action=action,
            purpose=purpose,
            policy=bundle.hash,
            subject_tag=subject_tag,
            actor_tag=actor_tag,
        )


def _code_of(decision: Declared | Unrelated) -> str | None:
    """Why a decision gives nothing at all; None where it gives something, or was asked for nothing in particular."""
    if isinstance(decision, Unrelated) and decision.restricted:
        return "RESTRICTED"
    if isinstance(decision, Unrelated):
        # Who asks on the strength of consents lacks one: that is no tie that somebody pretended to have.
        return Withheld.CONSENT_REQUIRED.value if decision.purpose.basis is Basis.CONSENT else "NOT_RELATED"
    withheld = [item for item in decision.decisions.values() if isinstance(item, Withheld)]
    if not withheld or len(withheld) < len(decision.decisions):
        return None
    return (Withheld.CONSENT_REQUIRED if Withheld.CONSENT_REQUIRED in withheld else Withheld.PURPOSE_NARROWED).value


def _tag(keys: Mapping[UUID, Mapping[DataClass, DataKey]], citizen_id: UUID | None) -> bytes | None:
    """The tag that stands for a citizen in the log; None for one whose key is gone, or who never was."""
    key = keys.get(citizen_id, {}).get(DataClass.AUDIT) if citizen_id else None
    return key.tag(SUBJECT_TAG) if key else None
