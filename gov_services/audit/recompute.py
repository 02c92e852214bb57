"""The map of subjects computed anew from the entries, and every stated root held against it. It reads no stored page.

Whoever holds the entries can do this, and nobody else: the public log has commitments only, and who an entry is about
is in none of them. It goes through the entries once, in order. Some 200 bytes of memory a subject.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gov_services.audit.entry import Entry, EntryKind
from gov_services.audit.findings import Fault, Finding
from gov_services.audit.listing import Listing, Mention, NoRoot, RootStatement
from gov_services.audit.merkle import EMPTY_ROOT
from gov_services.audit.subject_map import by_key, grow

CHECK = 12
TITLE = "every logged root of the map of subjects is the one that the entries give"
NAMED = 50
"""Roots that are told one by one: one entry that is missing has every root after it differ."""


@dataclass(slots=True)
class Recomputed:
    """One pass over the log, from the first entry on."""

    pages: dict[bytes, bytes] = field(default_factory=dict)
    upto: int = 0
    root: bytes = EMPTY_ROOT
    roots: int = 0
    """How many were held against it."""
    late: dict[int, int] = field(default_factory=dict)
    """Of entries that were kept back and are listed now: before which number they came in."""
    withheld: dict[int, Mention] = field(default_factory=dict)
    """Everything that was ever kept back."""
    _listing: Listing = field(default_factory=Listing)
    _ahead: deque[Mention] = field(default_factory=deque)
    """Entries that no root was over yet."""
    _wrong: list[Finding] = field(default_factory=list)
    _more_wrong: int = 0

    def meet(self, mention: Mention) -> None:
        """Come by an entry about somebody."""
        self._ahead.append(mention)

    def meet_statement(self, number: int, entry: Entry) -> None:
        """Come by an entry that is to state a root."""
        try:
            statement = RootStatement.of(entry)
        except NoRoot as none:
            self._find(f"entry {number}", str(none))
            return
        if statement.size > number:
            self._find(f"entry {number}", f"a map of {statement.size} entries is stated before there were as many")
        else:
            self.state(f"entry {number}", statement)

    def state(self, where: str, statement: RootStatement) -> None:
        """Hold a root against the entries. What does not go on from the root before is found as well."""
        if statement.size <= self.upto:
            self._find(where, f"a map of {statement.size} entries is stated after one of {self.upto}")
            return
        new = []
        while self._ahead and self._ahead[0].number < statement.size:
            new.append(self._ahead.popleft())
        listed = self._listing.take(new, statement.withheld, statement.at)
        self.late.update((one.number, self.upto) for one in listed if one.number < self.upto)
        self.withheld.update((one.number, one) for one in new if one.number in self._listing.kept)
        self.root, _ = grow(self.pages, by_key((one.tag, one.number, one.commitment) for one in listed))
        self.upto = statement.size
        self.roots += 1
        if statement.root != self.root:
            self._find(where, f"the map of subjects at {statement.size} is not what the entries give")

    def findings(self) -> list[Finding]:
        """What does not hold."""
        if not self._more_wrong:
            return list(self._wrong)
        more = Finding(CHECK, Fault.MAP_CONTRADICTED, "map of subjects", f"{self._more_wrong} more roots are wrong")
        return [*self._wrong, more]

    def stored_withheld(self) -> Iterator[tuple[int, str, object, int | None]]:
        """What should be stored of entries that were ever kept back, by number."""
        for number in sorted(self.withheld):
            one = self.withheld[number]
            yield number, one.purpose, one.at, self.late.get(number)

    def _find(self, where: str, detail: str) -> None:
        if len(self._wrong) < NAMED:
            self._wrong.append(Finding(CHECK, Fault.MAP_CONTRADICTED, where, detail))
        else:
            self._more_wrong += 1


def is_statement(kind: EntryKind) -> bool:
    """Whether an entry of that kind is to state a root, whoever wrote it."""
    return kind is EntryKind.MAP


def below(pages: Mapping[bytes, bytes], nibble: int) -> list[bytes]:
    """Where the pages lie that are below one slot of the root, in their order."""
    return sorted(prefix for prefix in pages if prefix and prefix[0] == nibble)
