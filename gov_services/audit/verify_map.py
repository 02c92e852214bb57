"""Verifying the map of subjects against the entries, beside the pass over them; and the stored map against that.

How far the stored map reaches, and what is in it, is read before the entries are: so that what is mapped meanwhile is
not held against them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from gov_services.audit import map_store, store
from gov_services.audit.entry import Entry, EntryMalformed
from gov_services.audit.findings import Fault, Finding
from gov_services.audit.listing import Mention, NoRoot, RootStatement
from gov_services.audit.models import DescriptionRow, EntryRow
from gov_services.audit.recompute import Recomputed, below, is_statement
from gov_services.audit.subject_map import SLOTS
from gov_services.kit.database import ReadSession

STORED_CHECK = 13
ATTEMPTS = 5
"""Reading the stored map takes a second or so, and it goes on once a minute."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """The stored map at one moment."""

    upto: int
    root: bytes
    entry: UUID | None
    root_page: bytes | None
    digests: tuple[bytes | None, ...]
    withheld: Sequence[tuple[int, str, object, int | None]]


@dataclass(slots=True)
class MapWalk:
    """One pass over the log, from the first entry on."""

    session: ReadSession
    before: int
    """The next number when the stored map was read: no root that was logged earlier reaches further than it."""
    stored: _Stored | None
    """None where it went on each time that it was read: then it is not compared."""
    recomputed: Recomputed = field(default_factory=Recomputed)
    _statements: list[tuple[int, Entry]] = field(default_factory=list)
    _found: list[Finding] = field(default_factory=list)
    _is_compared: bool = False

    @classmethod
    async def begin(cls, session: ReadSession) -> MapWalk:
        """Read what is stored."""
        before = (await store.head(session)).next
        for _ in range(ATTEMPTS):
            stored = await _read(session)
            if stored is not None:
                break
        return cls(session, before, stored)

    def meet(self, row: EntryRow, entry: Entry | None, said: DescriptionRow | None) -> None:
        """Come by an entry; where its text is no longer an entry's, what was described of it stands for it."""
        if entry is not None and is_statement(entry.kind):
            self._statements.append((row.seq, entry))
        elif entry is not None and entry.subject_tag is not None:
            told = (entry.subject_tag, entry.purpose, entry.at)
            self.recomputed.meet(Mention(row.seq, row.commitment, *told))
        elif entry is None and said is not None and said.subject_tag is not None:
            self.recomputed.meet(Mention(row.seq, row.commitment, said.subject_tag, said.purpose, said.at))

    async def follow(self) -> None:
        """12. Hold the roots that were met against the entries."""
        statements, self._statements = self._statements, []
        for number, entry in statements:
            await asyncio.to_thread(self.recomputed.meet_statement, number, entry)
            stored, upto = self.stored, self.recomputed.upto
            if stored is not None and number < self.before and upto > stored.upto and not self._is_compared:
                self._find(f"root of {upto}", "the stored map does not reach as far")
                self._is_compared = True
            await self._compare(entry.id)

    async def finish(self) -> list[Finding]:
        """13. The stored map is that of the last root, whose entry may still wait for a number; all that was found."""
        if self.stored is not None and not self._is_compared:
            if self.stored.entry is None:
                self._differ(self.stored, Recomputed())
            else:
                await self._state_waiting(self.stored, self.stored.entry)
        return [*self.recomputed.findings(), *self._found]

    async def _state_waiting(self, stored: _Stored, entry_id: UUID) -> None:
        waiting = [row.body for row in await store.waiting(self.session) if row.id == entry_id]
        numbered = await store.entry(self.session, entry_id=entry_id)
        where = f"stored map of {stored.upto}"
        try:
            entry = Entry.parse(numbered.body if numbered is not None else waiting[0])
            statement = RootStatement.of(entry)
        except (IndexError, EntryMalformed, NoRoot):
            self._find(where, "there is no entry that states its root")
            return
        await asyncio.to_thread(self.recomputed.state, where, statement)
        await self._compare(entry_id)
        if not self._is_compared:
            self._find(where, "it is not what its entry states")

    async def _compare(self, entry_id: UUID) -> None:
        stored = self.stored
        if stored is None or self._is_compared or (entry_id, self.recomputed.upto) != (stored.entry, stored.upto):
            return
        self._is_compared = True
        await asyncio.to_thread(self._differ, stored, self.recomputed)

    def _differ(self, stored: _Stored, given: Recomputed) -> None:
        """Find what of the stored map is not what the entries give."""
        where = f"stored map of {stored.upto}"
        if (stored.upto, stored.root) != (given.upto, given.root):
            self._find(where, "it says that it has another root")
        if stored.root_page != given.pages.get(b""):
            self._find(where, "its first page is not what the entries give")
        for nibble, digest in enumerate(stored.digests):
            prefixes = below(given.pages, nibble)
            content = b"".join([prefix + given.pages[prefix] for prefix in prefixes])
            if digest != (hashlib.sha256(content).digest() if prefixes else None):
                self._find(where, f"the pages below {nibble:x} are not what the entries give")
        if list(stored.withheld) != list(given.stored_withheld()):
            self._find(where, "what it keeps back is not what is to be kept back")

    def _find(self, where: str, detail: str) -> None:
        self._found.append(Finding(STORED_CHECK, Fault.MAP_ALTERED, where, detail))


async def _read(session: ReadSession) -> _Stored | None:
    """What is stored; None where it went on meanwhile."""
    session.expire_all()
    row = await map_store.standing(session)
    upto, root, entry = row.upto, row.root, row.entry
    root_page = await map_store.root_page(session)
    digests = [await map_store.page_digest(session, nibble=nibble) for nibble in range(SLOTS)]
    withheld = await map_store.withheld_rows(session)
    session.expire_all()
    if (await map_store.standing(session)).upto != upto:
        return None
    return _Stored(upto, root, entry, root_page, tuple(digests), withheld)
