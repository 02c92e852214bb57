"""Purposes and the bundle that holds them: why a field may leave, on what basis, in what form. It does not decide."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from gov_services.kit.canonical import canonical_json, sha256
from gov_services.kit.clock import local_day
from gov_services.kit.errors import LOCALES

Value = TypeVar("Value")


class Basis(StrEnum):
    """Legal basis of processing (PIPL 13)."""

    CONSENT = "CONSENT"
    CONTRACT = "CONTRACT"
    STATUTORY = "STATUTORY"
    LEGAL_OBLIGATION = "LEGAL_OBLIGATION"
    EMERGENCY = "EMERGENCY"


class Form(StrEnum):
    """How much of a coordinate a grant gives."""

    PLAIN = "PLAIN"
    MASKED = "MASKED"
    DERIVED = "DERIVED"
    """A computed answer, such as `isAdult`, never the value that it was computed from."""
    PREDICATE = "PREDICATE"
    """Only filtered, sorted or counted by."""
    COLLECT = "COLLECT"
    """Taken in: a field of an input object."""


class Relation(StrEnum):
    """What ties an actor to the subject of a disclosure."""

    SELF = "self"
    DELEGATE = "delegate"
    OFFICER = "officer"
    """Officer of an open case of the subject."""
    CONSENTED = "consented"
    """A party whom the subject gave a consent that stands."""
    VERIFIER = "verifier"
    """Someone to whom the subject presented a code, or their full identifier, just now; always under a budget."""
    BREAK_GLASS = "break-glass"


class NoticeState(StrEnum):
    """Whether the subject was told (PIPL 17, 18, 35)."""

    GIVEN = "given"
    DEFERRED = "deferred"
    EXEMPT = "exempt"


class PurposeRefused(ValueError):
    """A purpose lacks what the law or the model asks of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """One reason for processing, with all that it allows."""

    code: str
    title: Mapping[str, str]
    notice: Mapping[str, str]
    basis: Basis
    law: str
    article: str
    agency: str
    notice_state: NoticeState
    grants: Mapping[str, Form]
    clients: frozenset[str]
    roles: frozenset[str]
    """Roles of which a staff member needs one; empty where no staff acts under it."""
    relations: frozenset[Relation]
    """Of which one must hold. Empty: it discloses nothing about a known subject (it collects, or it looks up)."""
    assurance: int
    """Lowest assurance level of the actor."""
    retention_days: int
    separate_consent: bool
    ends_on: dt.date | None
    needs_reason: bool
    budget_hour: int
    """Most distinct subjects, misses included, that one actor may ask about in an hour; 0: no budget is kept."""

    def has_ended(self, now: dt.datetime) -> bool:
        """Whether its last day is over, where the city is."""
        return self.ends_on is not None and local_day(now) > self.ends_on

    def notice_hash(self) -> bytes:
        """What a consent is pinned to: the notice in all languages, with what it covers."""
        return sha256(
            canonical_json(
                {
                    "v": "gov-notice/1",
                    "purpose": self.code,
                    "title": dict(self.title),
                    "notice": dict(self.notice),
                    "grants": {name: form.value for name, form in sorted(self.grants.items())},
                    "retentionDays": self.retention_days,
                }
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """All purposes in force at once. Its hash stands in every log entry that a decision under it makes."""

    version: int
    purposes: Mapping[str, Purpose]
    body: bytes
    """Canonical JSON: what is hashed, signed and stored."""
    hash: bytes = field(init=False)
    """SHA-256 of the body; made once, since every decision names it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", sha256(self.body))

    def without_grant(self, purpose: str, coordinate: str, *, form: Form | None = None) -> Bundle:
        """The next version, in which `purpose` grants `coordinate` no more, or only as `form`. Raises KeyError."""
        narrowed = self.purposes[purpose]
        grants = dict(narrowed.grants)
        if form is None:
            del grants[coordinate]
        else:
            grants[coordinate] = form
        purposes = {**self.purposes, purpose: replace(narrowed, grants=grants)}
        return _bundle(self.version + 1, purposes)


def signed_text(bundle: Bundle) -> bytes:
    """What the bundle key signs."""
    return f"gov-bundle/1\n{bundle.version}\n{bundle.hash.hex()}\n".encode()


def load_seed(text: str) -> Bundle:
    """The bundle in the reviewed TOML file. Raises PurposeRefused naming the purpose and what it lacks."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as malformed:
        raise PurposeRefused(f"it is no TOML: {malformed}") from malformed
    return _read("the file", raw, purposes="purpose")


@lru_cache(maxsize=4)  # rooms of one process read the same
def parse_bundle(body: bytes) -> Bundle:
    """The bundle in canonical JSON, as stored. Raises PurposeRefused."""
    try:
        raw = json.loads(body)
    except ValueError:
        raw = None
    if not isinstance(raw, dict) or raw.pop("v", None) != "gov-purposes/1":
        raise PurposeRefused("not a bundle of purposes, version 1")
    bundle = _read("the bundle", raw, purposes="purposes")
    if bundle.body != body:
        raise PurposeRefused("the bundle is not in canonical form")
    return bundle


def _read(what: str, raw: Mapping[str, Any], *, purposes: str) -> Bundle:
    told = _Told(what, raw)
    found = told.take(purposes, dict)
    version = told.take("version", int)
    told.require_no_more()
    return _bundle(version, {code: _purpose(code, item) for code, item in found.items()})


def _bundle(version: int, purposes: Mapping[str, Purpose]) -> Bundle:
    body = canonical_json(
        {"v": "gov-purposes/1", "version": version, "purposes": {code: _plain(item) for code, item in purposes.items()}}
    )
    return Bundle(version=version, purposes=dict(purposes), body=body)


def _purpose(code: str, raw: object) -> Purpose:
    if not isinstance(raw, dict):
        raise PurposeRefused(f"{code}: it is no table")
    told = _Told(code, raw)
    try:
        purpose = Purpose(
            code=code,
            title=told.texts("title"),
            notice=told.texts("notice"),
            basis=Basis(told.take("basis", str)),
            law=told.take("law", str, ""),
            article=told.take("article", str, ""),
            agency=told.take("agency", str, ""),
            notice_state=NoticeState(told.take("notice_state", str, "given")),
            grants={coordinate: Form(form) for coordinate, form in told.pairs("grants").items()},
            clients=frozenset(told.names("clients")),
            roles=frozenset(told.names("roles", [])),
            relations=frozenset(Relation(item) for item in told.names("relations", [])),
            assurance=told.take("assurance", int, 0),
            retention_days=told.take("retention_days", int),
            separate_consent=told.take("separate_consent", bool, False),
            ends_on=told.day("ends_on"),
            needs_reason=told.take("needs_reason", bool, False),
            budget_hour=told.take("budget_hour", int, 0),
        )
    except ValueError as malformed:  # PurposeRefused is one, and has said of what
        if isinstance(malformed, PurposeRefused):
            raise
        raise PurposeRefused(f"{code}: {malformed}") from malformed
    told.require_no_more()
    _require_lawful(purpose)
    return purpose


class _Told:
    """A table of the file, read key by key: a key that nobody asked for is a mistake, not a remark."""

    def __init__(self, what: str, raw: Mapping[str, Any]) -> None:
        self._what = what
        self._raw = raw
        self._left = set(raw)

    def take(self, key: str, kind: type[Value], default: Value | None = None) -> Value:
        """The value of `key`, of exactly that kind: to Python, true is a whole number too."""
        self._left.discard(key)
        value = self._raw.get(key, default)
        if value is None:
            raise PurposeRefused(f"{self._what}: it lacks {key!r}")
        if type(value) is not kind:
            raise PurposeRefused(f"{self._what}: `{key}` is {kind.__name__}, not {type(value).__name__}")
        return value

    def pairs(self, key: str) -> dict[str, str]:
        """A table of texts; empty where there is none."""
        inner = _Told(self._what, {f"{key}.{name}": value for name, value in self.take(key, dict, {}).items()})
        return {name.removeprefix(f"{key}."): inner.take(name, str) for name in inner._raw}

    def texts(self, key: str) -> dict[str, str]:
        """A text in our languages; which of them are missing is the law's to say."""
        self.take(key, dict)
        found = self.pairs(key)
        strange = found.keys() - set(LOCALES)
        if strange:
            raise PurposeRefused(f"{self._what}: `{key}.{min(strange)}` is no key of it")
        return found

    def names(self, key: str, default: list[str] | None = None) -> list[str]:
        """A list of texts."""
        found = self.take(key, list, default)
        if any(type(item) is not str for item in found):
            raise PurposeRefused(f"{self._what}: `{key}` holds str only")
        return found

    def day(self, key: str) -> dt.date | None:
        """A day, as TOML or as ISO 8601 writes it; None where it is empty or absent."""
        if type(self._raw.get(key)) is dt.date:
            return self.take(key, dt.date)
        text = self.take(key, str, "")
        return dt.date.fromisoformat(text) if text else None

    def require_no_more(self) -> None:
        """Raises PurposeRefused naming a key that was not asked for."""
        if self._left:
            raise PurposeRefused(f"{self._what}: `{min(self._left)}` is no key of it")


def _require_lawful(purpose: Purpose) -> None:
    """What the law asks of every purpose (PIPL 13, 17, 34)."""
    for name, texts in (("title", purpose.title), ("notice", purpose.notice)):
        if any(not texts.get(locale) for locale in LOCALES):
            raise PurposeRefused(f"{purpose.code}: its {name} is not given in {' and '.join(LOCALES)}")
    if purpose.basis is not Basis.CONSENT and not (purpose.law and purpose.article and purpose.agency):
        raise PurposeRefused(f"{purpose.code}: a basis without consent names law, article and agency (PIPL 34)")
    if purpose.basis is Basis.EMERGENCY and purpose.ends_on is None:
        raise PurposeRefused(f"{purpose.code}: an emergency has an end")
    if purpose.retention_days <= 0:
        raise PurposeRefused(f"{purpose.code}: retention is a number of days (PIPL 19)")
    if not purpose.clients:
        raise PurposeRefused(f"{purpose.code}: no client acts under it")
    discloses = {Form.PLAIN, Form.MASKED, Form.DERIVED} & set(purpose.grants.values())
    if discloses and not purpose.relations:
        raise PurposeRefused(f"{purpose.code}: it discloses, and says to whom by no relation")
    asks_about_strangers = {Relation.VERIFIER, Relation.CONSENTED} & purpose.relations
    if asks_about_strangers and purpose.budget_hour <= 0:
        raise PurposeRefused(f"{purpose.code}: whoever may ask about anyone has a budget")


def _plain(purpose: Purpose) -> dict[str, object]:
    return {
        "title": dict(purpose.title),
        "notice": dict(purpose.notice),
        "basis": purpose.basis.value,
        "law": purpose.law,
        "article": purpose.article,
        "agency": purpose.agency,
        "notice_state": purpose.notice_state.value,
        "grants": {coordinate: form.value for coordinate, form in purpose.grants.items()},
        "clients": sorted(purpose.clients),
        "roles": sorted(purpose.roles),
        "relations": sorted(relation.value for relation in purpose.relations),
        "assurance": purpose.assurance,
        "retention_days": purpose.retention_days,
        "separate_consent": purpose.separate_consent,
        "ends_on": purpose.ends_on.isoformat() if purpose.ends_on else "",
        "needs_reason": purpose.needs_reason,
        "budget_hour": purpose.budget_hour,
    }
