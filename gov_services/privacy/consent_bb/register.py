"""Data agreements by number: every purpose, and of those that rest on consent every recipient, since the first bundle.

A number is never given twice: agreements are numbered in the order in which bundles brought them, by code and recipient
within one. It follows from the signed bundles alone, and is stored nowhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gov_services.consent.bundles import Bundles
from gov_services.consent.purposes import Basis, Bundle, Purpose
from gov_services.kit.database import ReadSession
from gov_services.kit.errors import NotFound


@dataclass(frozen=True, slots=True)
class Wording:
    """A purpose as it stood from some bundle on: what a consent is pinned to."""

    purpose: Purpose
    bundle: Bundle
    since: dt.datetime


@dataclass(slots=True)
class Agreement:
    """One purpose, for one recipient where it rests on consent."""

    number: int
    code: str
    recipient: str
    """Empty where no consent is asked for."""
    wordings: list[Wording] = field(default_factory=list)
    """Oldest first; another one wherever the notice changed."""
    active: bool = True
    """Whether it is in the bundle in force, and its last day is not over."""

    @property
    def id(self) -> str:
        """As the API names it."""
        return str(self.number)

    @property
    def newest(self) -> Wording:
        """As it reads now, or read last."""
        return self.wordings[-1]

    def wording(self, revision_id: str) -> Wording:
        """The wording of that revision; the newest for none. Raises NotFound."""
        if not revision_id:
            return self.newest
        for wording in reversed(self.wordings):  # the same may have been in force before
            if wording.purpose.notice_hash.hex() == revision_id:
                return wording
        raise NotFound


class Register:
    """Agreements as the bundles until now give them. Each process reads each bundle once."""

    def __init__(self, bundles: Bundles) -> None:
        self._bundles = bundles
        self._version = 0
        self._agreements: dict[tuple[str, str], Agreement] = {}

    async def agreements(self, session: ReadSession, *, now: dt.datetime) -> Sequence[Agreement]:
        """Every agreement there ever was, by number. Raises as `Bundles.current` does."""
        current = await self._bundles.current(session)
        if current.version != self._version:
            for bundle, row in await self._bundles.since(session, self._version):
                if bundle.version > self._version:  # another request may have read on meanwhile
                    self._take(bundle, row.made_at)
        for agreement in self._agreements.values():
            agreement.active = _is_active(agreement, current, now)
        return list(self._agreements.values())

    async def agreement(self, session: ReadSession, *, number: str, now: dt.datetime) -> Agreement:
        """The agreement of that number. Raises NotFound for any other, and for what is no number."""
        found = await self.agreements(session, now=now)
        if number.isascii() and number.isdecimal() and len(number) < 10 and 0 < int(number) <= len(found):
            agreement = found[int(number) - 1]
            if agreement.id == number:
                return agreement
        raise NotFound

    async def agreement_of(self, session: ReadSession, *, code: str, recipient: str, now: dt.datetime) -> Agreement:
        """The agreement that a consent is to. Raises NotFound."""
        await self.agreements(session, now=now)
        found = self._agreements.get((code, recipient))
        if found is None:
            raise NotFound
        return found

    def _take(self, bundle: Bundle, since: dt.datetime) -> None:
        for code, recipient in _pairs(bundle):
            agreement = self._agreements.setdefault(
                (code, recipient), Agreement(len(self._agreements) + 1, code, recipient)
            )
            purpose = bundle.purposes[code]
            if not agreement.wordings or agreement.newest.purpose.notice_hash != purpose.notice_hash:
                agreement.wordings.append(Wording(purpose, bundle, since))
        self._version = bundle.version


def _pairs(bundle: Bundle) -> Iterator[tuple[str, str]]:
    for code, purpose in sorted(bundle.purposes.items()):
        for recipient in sorted(_recipients(purpose)):
            yield code, recipient


def _recipients(purpose: Purpose) -> frozenset[str]:
    return purpose.clients if purpose.basis is Basis.CONSENT else frozenset({""})


def _is_active(agreement: Agreement, bundle: Bundle, now: dt.datetime) -> bool:
    purpose = bundle.purposes.get(agreement.code)
    return purpose is not None and not purpose.has_ended(now) and agreement.recipient in _recipients(purpose)
