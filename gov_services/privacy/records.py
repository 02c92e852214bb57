"""The record of processing activities, from the schema, the purposes and the columns (PIPL 55, 56; GDPR 30). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gov_services.consent.notices import items_of
from gov_services.consent.purposes import Bundle, Purpose
from gov_services.consent.vocabulary import PersonalField, Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One purpose: who answers for it, on what basis, whose data of which kinds, who gets it, how long it is kept."""

    purpose: str
    title: str
    controller: str
    contact: str
    basis: str
    law: str
    subjects: str
    categories: list[str]
    sensitive: list[str]
    """Coordinates that are sensitive (PIPL 28)."""
    methods: list[str]
    recipients: list[str]
    staff_roles: list[str]
    retention_days: int
    separate_consent: list[str]
    automated: bool
    assessments: list[str]
    fields: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One coordinate: what it is, where it lies, and by which purposes it moves."""

    coordinate: str
    category: str
    sensitivity: str
    mask: str | None
    stored: str
    """Column and data class; what it is derived from; or that it is taken in."""
    purposes: dict[str, str]


def activities(bundle: Bundle, vocabulary: Vocabulary, *, locale: str) -> list[Activity]:
    """One for each purpose that touches personal data, by code."""
    return [
        _activity(purpose, bundle, vocabulary, locale)
        for _, purpose in sorted(bundle.purposes.items())
        if any(name in vocabulary for name in purpose.grants)
    ]


def places(bundle: Bundle, vocabulary: Vocabulary, columns: Mapping[str, str]) -> list[Place]:
    """One for each personal coordinate; `columns` says where each sealed one lies."""
    return [
        Place(
            coordinate=field.coordinate,
            category=field.category,
            sensitivity=field.sensitivity,
            mask=field.mask,
            stored=_stored(field, columns),
            purposes={
                code: purpose.grants[field.coordinate].value
                for code, purpose in sorted(bundle.purposes.items())
                if field.coordinate in purpose.grants
            },
        )
        for field in sorted(vocabulary, key=lambda field: field.coordinate)
    ]


def as_plain(records: Sequence[Activity | Place]) -> list[dict[str, Any]]:
    """For a machine."""
    return [asdict(record) for record in records]


def _activity(purpose: Purpose, bundle: Bundle, vocabulary: Vocabulary, locale: str) -> Activity:
    items = items_of(purpose, vocabulary, locale)
    return Activity(
        purpose=purpose.code,
        title=purpose.title[locale],
        controller=purpose.controller.name[locale],
        contact=purpose.controller.contact,
        basis=purpose.basis.value,
        law=" ".join(part for part in (purpose.law, purpose.article) if part),
        subjects={"zh-CN": "市民", "en": "citizens"}[locale],
        categories=items.categories,
        sensitive=sorted(name for name in purpose.grants if name in vocabulary and vocabulary[name].sensitive),
        methods=items.methods,
        recipients=[party.name[locale] for party in purpose.recipients],
        staff_roles=sorted(purpose.roles),
        retention_days=purpose.retention_days,
        separate_consent=sorted(purpose.separate),
        automated=purpose.automated,
        assessments=sorted(item.id for item in bundle.assessments.values() if purpose.code in item.purposes),
        fields={name: form.value for name, form in sorted(purpose.grants.items()) if name in vocabulary},
    )


def _stored(field: PersonalField, columns: Mapping[str, str]) -> str:
    if field.coordinate in columns:
        return columns[field.coordinate]
    if field.derived_from is not None:
        return f"derived from {field.derived_from}"
    return "taken in" if field.is_input else "not sealed"
