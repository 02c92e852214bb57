"""Reads bundles of purposes: the reviewed TOML file, and canonical JSON as stored. What is lawful is lawful.py's."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gov_services.consent.assessments import Assessment, Trigger
from gov_services.consent.lawful import require_lawful
from gov_services.consent.purposes import (
    FORMAT,
    Basis,
    Bundle,
    Form,
    NoticeState,
    Party,
    Purpose,
    Relation,
    Separate,
    Told,
    make_bundle,
)
from gov_services.consent.tables import PurposeRefused, Table
from gov_services.consent.terms import Period
from gov_services.kit.errors import LOCALES


def load_seed(text: str) -> Bundle:
    """The bundle in the reviewed TOML file. Raises PurposeRefused naming the purpose and what it lacks."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as malformed:
        raise PurposeRefused(f"it is no TOML: {malformed}") from malformed
    return _read("the file", raw)


@lru_cache(maxsize=4)  # rooms of one process read the same
def parse_bundle(body: bytes) -> Bundle:
    """The bundle in canonical JSON, as stored. Raises PurposeRefused."""
    try:
        raw = json.loads(body)
    except ValueError:
        raw = None
    if not isinstance(raw, dict) or raw.pop("v", None) != FORMAT:
        raise PurposeRefused(f"not a bundle of purposes of the format {FORMAT}")
    bundle = _read("the bundle", raw, plural="s")
    if bundle.body != body:
        raise PurposeRefused("the bundle is not in canonical form")
    return bundle


def read_purpose(code: str, text: str, *, parties: Mapping[str, Party]) -> Purpose:
    """One purpose, as the reviewed file would write its table. Raises PurposeRefused."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as malformed:
        raise PurposeRefused(f"{code}: it is no TOML: {malformed}") from malformed
    return _purpose(code, raw, parties)


def read_assessment(name: str, raw: object) -> Assessment:
    """An impact assessment from its table. Raises PurposeRefused."""
    if not isinstance(raw, dict):
        raise PurposeRefused(f"{name}: it is no table")
    told = Table(name, raw)
    try:
        assessment = Assessment(
            id=name,
            purposes=frozenset(told.names("purposes")),
            triggers=frozenset(Trigger(item) for item in told.names("triggers")),
            lawfulness=told.texts("lawfulness"),
            impact=told.texts("impact"),
            measures=told.texts("measures"),
            assessed_by=told.take("assessed_by", str),
            assessed_on=told.day("assessed_on"),
        )
    except ValueError as malformed:
        if isinstance(malformed, PurposeRefused):
            raise
        raise PurposeRefused(f"{name}: {malformed}") from malformed
    told.require_no_more()
    lacking = [
        part
        for part in ("lawfulness", "impact", "measures")
        if any(not getattr(assessment, part).get(locale) for locale in LOCALES)
    ]
    if lacking or not assessment.assessed_by or assessment.assessed_on is None:
        what = lacking[0] if lacking else "who assessed it and when"
        raise PurposeRefused(f"{name}: an impact assessment says, in {' and '.join(LOCALES)}, {what} (PIPL 56)")
    return assessment


def _read(what: str, raw: Mapping[str, Any], *, plural: str = "") -> Bundle:
    told = Table(what, raw)
    version = told.take("version", int)
    parties = {
        code: _party(code, item) for code, item in told.take(f"part{'ies' if plural else 'y'}", dict, {}).items()
    }
    purposes = {code: _purpose(code, item, parties) for code, item in told.take(f"purpose{plural}", dict).items()}
    assessments = {
        name: read_assessment(name, item) for name, item in told.take(f"assessment{plural}", dict, {}).items()
    }
    told.require_no_more()
    return make_bundle(version, purposes, parties=parties, assessments=assessments)


def _party(code: str, raw: object) -> Party:
    if not isinstance(raw, dict):
        raise PurposeRefused(f"{code}: it is no table")
    told = Table(code, raw)
    party = Party(code, told.texts("name"), told.take("contact", str))
    told.require_no_more()
    if any(not party.name.get(locale) for locale in LOCALES) or not party.contact:
        raise PurposeRefused(f"{code}: a party has a name in {' and '.join(LOCALES)}, and a contact (PIPL 17)")
    return party


def _purpose(code: str, raw: object, parties: Mapping[str, Party]) -> Purpose:
    if not isinstance(raw, dict):
        raise PurposeRefused(f"{code}: it is no table")
    told = Table(code, raw)
    controller = told.take("controller", str)
    if controller not in parties:
        raise PurposeRefused(f"{code}: its controller {controller!r} is no party (PIPL 17)")
    clients = frozenset(told.names("clients"))
    per = told.take("per", str, "")
    try:
        purpose = Purpose(
            code=code,
            title=told.texts("title"),
            notice=told.texts("notice"),
            basis=Basis(told.take("basis", str)),
            law=told.take("law", str, ""),
            article=told.take("article", str, ""),
            controller=parties[controller],
            recipients=tuple(parties[client] for client in sorted(clients & parties.keys())),
            notice_state=NoticeState(told.take("notice_state", str, "given")),
            notice_due=told.day("notice_due"),
            grants={coordinate: Form(form) for coordinate, form in told.pairs("grants").items()},
            clients=clients,
            roles=frozenset(told.names("roles", [])),
            relations=frozenset(Relation(item) for item in told.names("relations", [])),
            assurance=told.take("assurance", int, 0),
            retention_days=told.take("retention_days", int),
            separate=frozenset(Separate(item) for item in told.names("separate", [])),
            necessity=told.texts("necessity", {}),
            impact=told.texts("impact", {}),
            automated=told.take("automated", bool, False),
            consent_days=told.take("consent_days", int, 365),
            uses=told.take("uses", int, 0),
            times=told.take("times", int, 0),
            per=Period(per) if per else None,
            earlier_notices_until=told.day("earlier_notices_until"),
            ends_on=told.day("ends_on"),
            needs_reason=told.take("needs_reason", bool, False),
            budget_hour=told.take("budget_hour", int, 0),
            budget_day=told.take("budget_day", int, 0),
            budget_month=told.take("budget_month", int, 0),
            told=Told(told.take("told", str, "at-once")),
            embargo_days=told.take("embargo_days", int, 0),
            despite_storage=told.take("despite_storage", bool, False),
            warned=frozenset(told.names("warned", [])),
        )
    except ValueError as malformed:  # PurposeRefused is one, and has said of what
        if isinstance(malformed, PurposeRefused):
            raise
        raise PurposeRefused(f"{code}: {malformed}") from malformed
    told.require_no_more()
    require_lawful(purpose)
    return purpose
