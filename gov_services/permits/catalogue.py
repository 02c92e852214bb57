"""The service catalogue in its reviewed file, read and checked. Pure; it stores nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gov_services.kit.errors import LOCALES


class CatalogueRefused(ValueError):
    """The catalogue lacks something, or says what cannot be meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredDocument:
    """A document (申请材料) that an application has, or may have."""

    kind: str
    titles: Mapping[str, str]
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One matter (事项) that citizens apply for."""

    code: str
    edition: int
    """Raised by one with each edit: of two texts the one of the higher edition is in force."""
    titles: Mapping[str, str]
    fee_titles: Mapping[str, str]
    documents: tuple[RequiredDocument, ...]
    fee_fen: int
    statutory_working_days: int
    legal_basis: str
    agency: str
    division: str

    def missing(self, kinds: Sequence[str]) -> list[str]:
        """Kinds of documents that it requires and that `kinds` lacks."""
        return [item.kind for item in self.documents if item.required and item.kind not in kinds]


def load_catalogue(text: str) -> tuple[Service, ...]:
    """The services in the TOML file. Raises CatalogueRefused naming the service and what is wrong."""
    raw = tomllib.loads(text)
    if raw.get("version") != 1:
        raise CatalogueRefused("not a catalogue, version 1")
    return tuple(_service(code, item) for code, item in sorted(raw["service"].items()))


def service_from_row(row: Any) -> Service:
    """The service that `permits.service` holds."""
    return Service(
        code=row.code,
        edition=row.edition,
        titles=row.titles,
        fee_titles=row.fee_titles,
        documents=tuple(_document(row.code, item) for item in row.documents),
        fee_fen=row.fee_fen,
        statutory_working_days=row.statutory_working_days,
        legal_basis=row.legal_basis,
        agency=row.agency,
        division=row.division,
    )


def columns_of(service: Service) -> dict[str, Any]:
    """The service as `permits.service` holds it."""
    return {
        "code": service.code,
        "edition": service.edition,
        "titles": dict(service.titles),
        "fee_titles": dict(service.fee_titles),
        "documents": [
            {"kind": item.kind, "title": dict(item.titles), "required": item.required} for item in service.documents
        ],
        "fee_fen": service.fee_fen,
        "statutory_working_days": service.statutory_working_days,
        "legal_basis": service.legal_basis,
        "agency": service.agency,
        "division": service.division,
    }


def _service(code: str, raw: Mapping[str, Any]) -> Service:
    try:
        service = Service(
            code=code,
            edition=raw["edition"],
            titles=_titles(code, raw["title"]),
            fee_titles=_titles(code, raw["fee_title"]),
            documents=tuple(_document(code, item) for item in raw["documents"]),
            fee_fen=raw["fee_fen"],
            statutory_working_days=raw["statutory_working_days"],
            legal_basis=raw["legal_basis"],
            agency=raw["agency"],
            division=raw["division"],
        )
    except KeyError as missing:
        raise CatalogueRefused(f"{code}: {missing} is missing") from missing
    if type(service.edition) is not int or service.edition <= 0:
        raise CatalogueRefused(f"{code}: an edition is a positive number")
    if type(service.fee_fen) is not int or service.fee_fen <= 0:
        raise CatalogueRefused(f"{code}: a fee is a positive number of fen")
    if type(service.statutory_working_days) is not int or not 1 <= service.statutory_working_days <= 90:
        raise CatalogueRefused(f"{code}: statutory time is 1 to 90 working days")
    kinds = [item.kind for item in service.documents]
    if len(set(kinds)) != len(kinds):
        raise CatalogueRefused(f"{code}: a kind of document is listed twice")
    return service


def _document(code: str, raw: Mapping[str, Any]) -> RequiredDocument:
    return RequiredDocument(kind=raw["kind"], titles=_titles(code, raw["title"]), required=bool(raw["required"]))


def _titles(code: str, raw: Mapping[str, str]) -> dict[str, str]:
    if any(not raw.get(locale) for locale in LOCALES):
        raise CatalogueRefused(f"{code}: a title is given in {' and '.join(LOCALES)}")
    return dict(raw)
