"""What a use-case is handed: a call's values and the powers it needs. A ReadContext cannot write; the types say so."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from gov_services.audit.entry import Entry, EntryKind
from gov_services.consent import attestations, relations
from gov_services.consent.attestations import Claim
from gov_services.consent.disclosure import ConsentRequired, Disclosure
from gov_services.consent.disclosures import SUBJECT_TAG, Discloser, Disclosures, Subject
from gov_services.consent.entries import entry_for
from gov_services.consent.policy import Unrelated, admit, require_collectable
from gov_services.consent.purposes import Bundle, Purpose, Relation
from gov_services.crypto.data_keys import DataKey
from gov_services.crypto.keys import DataClass
from gov_services.crypto.sealing import Sealer
from gov_services.kit.actor import Actor, ActorKind
from gov_services.kit.context import Call
from gov_services.kit.database import ReadSession, Session
from gov_services.kit.errors import NotFound, Refusal, Unauthenticated
from gov_services.subgraph.announcing import announce_changes
from gov_services.subgraph.events import publish

Ports = TypeVar("Ports")


@dataclass(frozen=True, slots=True)
class RoomServices(Generic[Ports]):
    """What a room's composition root wires once: the way to disclosures, and the room's own ports."""

    discloser: Discloser
    ports: Ports


class ReadContext(Generic[Ports]):
    """Enough for every query: values, a read-only session, disclosures."""

    def __init__(self, call: Call, services: RoomServices[Ports], disclosures: Disclosures) -> None:
        self.call = call
        self.services = services
        self.disclosures = disclosures
        self._loaders: dict[str, DataLoader[Any, Any]] = {}

    def loader(self, name: str, load: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]) -> DataLoader[Any, Any]:
        """The fetch's loader of that name: what siblings ask for in one tick is loaded in one statement."""
        return self._loaders.setdefault(name, DataLoader(load_fn=_as_list(load)))

    @property
    def actor(self) -> Actor:
        """Who is asking."""
        return self.call.actor

    @property
    def now(self) -> dt.datetime:
        """The moment of the request."""
        return self.call.now

    @property
    def case_id(self) -> UUID | None:
        """The case that a staff member states to be working on."""
        return self.call.case_id

    @property
    def reason(self) -> str | None:
        """The reason that a staff member states."""
        return self.call.reason

    @property
    def ports(self) -> Ports:
        """What the room reaches outside our process."""
        return self.services.ports

    @property
    def about(self) -> UUID:
        """What has changed, for the root fields of `Subscription`. Raises NotAnEvent where nothing has."""
        if self.call.about is None:
            raise NotAnEvent
        return self.call.about

    def citizen_id(self) -> UUID:
        """The citizen who is asking. Raises Unauthenticated for anybody else."""
        if self.actor.kind is not ActorKind.CITIZEN or self.actor.id is None:
            raise Unauthenticated
        return self.actor.id

    def staff_id(self) -> UUID:
        """The staff member who is asking. Raises Unauthenticated for anybody else."""
        if self.actor.kind is not ActorKind.STAFF or self.actor.id is None:
            raise Unauthenticated
        return self.actor.id

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[ReadSession]:
        """A short read-only transaction of its own: sibling resolvers run at the same time."""
        async with self.services.discloser.database.reading() as session:
            yield session

    async def subject_tag(self, session: ReadSession, citizen_id: UUID | None) -> bytes | None:
        """What stands for a citizen in the log; None for nobody, and once their audit key is destroyed."""
        key = await self.data_key(session, citizen_id, DataClass.AUDIT) if citizen_id is not None else None
        return key.tag(SUBJECT_TAG) if key else None

    async def data_key(self, session: ReadSession, citizen_id: UUID, data_class: DataClass) -> DataKey | None:
        """A citizen's key; None where there is none (any more)."""
        keys = self.services.discloser.keys
        loaded = await keys.load(session, citizen_ids=[citizen_id], data_class=data_class, now=self.now)
        return loaded.get(citizen_id)

    async def disclosure(
        self,
        citizen_id: UUID | None,
        *,
        case_id: UUID | None = None,
        presented: bool = False,
        object_ref: str | None = None,
    ) -> Disclosure:
        """The disclosure about a citizen. Raises NotFound alike where there is no such row (None) and no relation."""
        if citizen_id is None:
            raise NotFound
        subject = Subject(citizen_id, case_id=case_id, presented=presented, object=object_ref)
        return await _related(self.disclosures, subject)

    async def disclosure_of(
        self, citizen_id: UUID, coordinates: Collection[str], *, case_id: UUID | None = None, object_ref: str
    ) -> Disclosure:
        """The disclosure of what a use-case itself opens, whatever its document reads. Raises as `disclosure` does."""
        subject = Subject(citizen_id, case_id=case_id, object=object_ref)
        return await _related(self.disclosures.on_the_way(coordinates), subject)

    async def entity_disclosure(self, citizen_id: UUID, *, case_id: UUID | None = None) -> Disclosure | None:
        """For a federated reference: None where no relation holds, so that each field answers CONSENT_REQUIRED."""
        result = await self.disclosures.about(Subject(citizen_id, case_id=case_id))
        return None if isinstance(result, Unrelated) else result


async def _related(disclosures: Disclosures, subject: Subject) -> Disclosure:
    result = await disclosures.about(subject)
    if isinstance(result, Unrelated):
        unrelated = NotFound()
        unrelated.logged = True
        raise unrelated
    return result


def _as_list(load: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]) -> Callable[[list[Any]], Awaitable[list[Any]]]:
    async def load_list(keys: list[Any]) -> list[Any]:
        return list(await load(keys))

    return load_list


def require_disclosure(disclosure: Disclosure | None) -> Disclosure:
    """The disclosure of an entity, or ConsentRequired: absent, unrelated and unconsented look alike."""
    if disclosure is None:
        raise ConsentRequired
    return disclosure


class NotAnEvent(Refusal):
    """A subscription is asked as if it were a question. It is answered when something has changed, by the gateway."""

    code = "NOT_AN_EVENT"
    messages: ClassVar[dict[str, str]] = {
        "zh-CN": "订阅须通过网关的实时通道。",
        "en": "A subscription is answered through the gateway's live channel only.",
    }


class UnrecordedChange(Exception):
    """A use-case would commit without a log entry. A defect of ours; the change is rolled back."""


@dataclass(slots=True)
class Changes:
    """What a unit of work has recorded so far."""

    entries: list[Entry] = field(default_factory=list)


class WriteContext(ReadContext[Ports]):
    """A ReadContext inside a unit of work: it may write, record, publish, relate and seal."""

    def __init__(
        self,
        call: Call,
        services: RoomServices[Ports],
        disclosures: Disclosures,
        *,
        session: Session,
        bundle: Bundle,
        purpose: Purpose,
    ) -> None:
        super().__init__(call, services, disclosures)
        self.session = session
        self.bundle = bundle
        self.purpose = purpose
        self.changes = Changes()

    async def record(
        self,
        action: str,
        *,
        subject: UUID | None,
        object_ref: str | None = None,
        collected: Collection[str] = (),
        kind: EntryKind = EntryKind.CHANGE,
        recipient: str | None = None,
        disclosed: Mapping[str, str] | None = None,
    ) -> None:
        """Record the change in the log, in this transaction. `collected`: input coordinates that carried a value.

        `disclosed` and `recipient` state what leaves with it (a message, a payment request, an issued credential).
        Raises DisclosureRefused where the purpose has no grant to collect one of them.
        """
        require_collectable(self.purpose, collected)
        coordinates = [(name, "COLLECT") for name in sorted(collected)] + sorted((disclosed or {}).items())
        entry = entry_for(
            self.call,
            room=self.services.discloser.room,
            kind=kind,
            action=action,
            purpose=self.purpose,
            policy=self.bundle.hash,
            subject_tag=await self.subject_tag(self.session, subject),
            actor_tag=await self.subject_tag(
                self.session, self.actor.id if self.actor.kind is ActorKind.CITIZEN else None
            ),
        )
        entry = replace(entry, object=object_ref, coordinates=tuple(coordinates))
        if recipient is not None:
            entry = replace(entry, recipient=recipient)
        await self.services.discloser.audit.record_change(self.session, entry)
        self.changes.entries.append(entry)

    async def publish(self, event_type: str, *, subject: UUID | None, body: Mapping[str, object]) -> None:
        """Put an event into the outbox, in this very transaction."""
        await publish(
            self.session,
            source=self.services.discloser.room,
            event_type=event_type,
            citizen_id=subject,
            body=body,
            now=self.now,
        )

    async def sealer(self, citizen_id: UUID) -> Sealer:
        """What closes values under the citizen's key of this room's class. Raises NotFound where there is none."""
        key = await self.data_key(self.session, citizen_id, self.services.discloser.data_class)
        if key is None:
            raise NotFound
        return Sealer(key)

    async def attest(self, citizen_id: UUID, claim: Claim, value: str) -> None:
        """State that an authority confirmed the value (identity's). Raises NotFound for who has no key any more."""
        key = await self._audit_key(citizen_id)
        await attestations.attest(self.session, key=key, claim=claim, value=value, now=self.now)

    async def require_attested(self, citizen_id: UUID, claim: Claim, value: str, *, field: str) -> None:
        """Hold what was written against what an authority confirmed. Raises NotAsVerified; NotFound as `attest`."""
        key = await self._audit_key(citizen_id)
        await attestations.require_attested(self.session, key=key, claim=claim, value=value, field=field)

    async def forget_attestations(self, citizen_id: UUID) -> None:
        """End what was confirmed about a citizen (identity's, at an erasure)."""
        await attestations.forget(self.session, citizen_id=citizen_id)

    async def _audit_key(self, citizen_id: UUID) -> DataKey:
        key = await self.data_key(self.session, citizen_id, DataClass.AUDIT)
        if key is None:
            raise NotFound
        return key

    async def relate(
        self,
        citizen_id: UUID,
        actor_id: UUID,
        relation: Relation,
        *,
        case_id: UUID | None = None,
        until: dt.datetime | None = None,
    ) -> UUID:
        """State a relation, true from now on, and until a moment where one is given; its id."""
        return await relations.relate(
            self.session,
            citizen_id=citizen_id,
            actor_id=actor_id,
            relation=relation,
            case_id=case_id,
            now=self.now,
            until=until,
        )

    async def end_relation(
        self, citizen_id: UUID, actor_id: UUID, relation: Relation, *, case_id: UUID | None = None
    ) -> None:
        """State that a relation holds no more."""
        await relations.end_relation(
            self.session, citizen_id=citizen_id, actor_id=actor_id, relation=relation, case_id=case_id, now=self.now
        )


async def open_write_context(
    call: Call, services: RoomServices[Ports], disclosures: Disclosures, *, session: Session
) -> WriteContext[Ports]:
    """A write context in `session`, once the purpose in force admits the call. Raises a Refusal."""
    announce_changes(session, source=services.discloser.room, now=call.now)
    bundle = await services.discloser.bundles.current(session)
    purpose = admit(bundle, call)
    return WriteContext(call, services, disclosures, session=session, bundle=bundle, purpose=purpose)
