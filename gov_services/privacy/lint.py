"""What does not fit together: coordinates without purpose, grants that nobody reads, documents that over-ask. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from gov_services.consent.lawful import require_consistent
from gov_services.consent.purposes import Bundle, Form
from gov_services.consent.tables import PurposeRefused
from gov_services.consent.vocabulary import Vocabulary
from gov_services.kit.manifest import TrustedDocument


class Rule(StrEnum):
    """What can be wrong."""

    NO_PURPOSE = "coordinate-without-purpose"
    NO_COORDINATE = "grant-without-coordinate"
    NO_ENTRANCE = "purpose-without-entrance"
    NO_READER = "grant-without-reader"
    """No document, route, job or handler of the purpose reads or collects it: it can go before anybody uses it."""
    NOT_LAWFUL = "not-lawful"
    UNUSED = "purpose-without-use"
    OVER_ASKING = "document-over-asks"


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """One thing that does not fit."""

    rule: Rule
    about: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.about}: {self.text}"


def lint(
    bundle: Bundle,
    vocabulary: Vocabulary,
    documents: Iterable[TrustedDocument],
    *,
    names: Collection[str],
    opens: Collection[str],
) -> list[Remark]:
    """What can be told from what is committed. `names`: purposes that the code names, in routes, jobs and handlers.

    `opens`: coordinates that use-cases open on the way, whatever their document reads.
    """
    documents = list(documents)
    found = []
    try:
        require_consistent(bundle, vocabulary)
    except PurposeRefused as refused:
        found.append(Remark(Rule.NOT_LAWFUL, str(refused).partition(":")[0], str(refused)))
    granted = {name for purpose in bundle.purposes.values() for name in purpose.grants}
    sources = {field.derived_from for field in vocabulary if field.coordinate in granted}
    found += [
        Remark(Rule.NO_PURPOSE, field.coordinate, "no purpose grants it, so nobody can read or give it")
        for field in vocabulary
        if field.coordinate not in granted | sources
    ]
    for code, purpose in bundle.purposes.items():
        own = [document for document in documents if document.purpose == code]
        if not own and code not in names:
            found.append(Remark(Rule.NO_ENTRANCE, code, "no document, route, job or handler names it"))
        touched = frozenset[str]().union(*(document.reads | document.collects for document in own))
        for name, form in purpose.grants.items():
            if name not in vocabulary:
                found.append(Remark(Rule.NO_COORDINATE, name, f"{code} grants it, and it is in no schema"))
            elif form is not Form.PREDICATE and own and name not in (touched | frozenset(opens)):
                found.append(Remark(Rule.NO_READER, name, f"{code} grants it, and nothing of it reads or collects it"))
    return sorted(found)
