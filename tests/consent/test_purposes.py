"""Purposes: one that lacks what the law asks is refused by name, and a bundle is one text with one hash."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from gov_services.cli.documents import seed_bundle
from gov_services.consent.purpose_files import load_seed, parse_bundle
from gov_services.consent.purposes import FORMAT, Basis, Form, Relation, signed_text
from gov_services.consent.tables import PurposeRefused
from gov_services.kit.canonical import canonical_json

TEXTS = {"zh-CN": "告知", "en": "notice"}
LAWFUL: dict[str, Any] = {
    "title": TEXTS,
    "notice": TEXTS,
    "basis": "STATUTORY",
    "law": "中华人民共和国个人信息保护法",
    "article": "第十三条",
    "controller": "data-bureau",
    "notice_state": "given",
    "grants": {"Citizen.name": "PLAIN", "Citizen.phone": "MASKED"},
    "clients": ["counter"],
    "roles": ["registrar"],
    "relations": ["officer"],
    "assurance": 0,
    "retention_days": 30,
    "separate": [],
    "automated": False,
    "consent_days": 365,
    "uses": 0,
    "times": 0,
    "per": "",
    "warned": [],
    "despite_storage": False,
    "told": "at-once",
    "embargo_days": 0,
    "necessity": {},
    "impact": {},
    "notice_due": "",
    "earlier_notices_until": "",
    "ends_on": "",
    "needs_reason": False,
    "budget_hour": 0,
    "budget_day": 0,
    "budget_month": 0,
}


PARTIES: dict[str, Any] = {
    "data-bureau": {"name": TEXTS, "contact": "bureau@city.example"},
    "bank": {"name": TEXTS, "contact": "bank@bank.example"},
}
EMPTY: dict[str, Any] = {"v": FORMAT, "version": 7, "parties": PARTIES, "purposes": {}, "assessments": {}}


def a_bundle(**changes: Any) -> bytes:
    """The body of a bundle of one purpose; a change to None leaves the item out."""
    purpose = {name: value for name, value in {**LAWFUL, **changes}.items() if value is not None}
    return canonical_json({**EMPTY, "purposes": {"work": purpose}})


def test_a_lawful_purpose_is_read_as_it_was_written() -> None:
    bundle = parse_bundle(a_bundle())

    purpose = bundle.purposes["work"]
    assert (bundle.version, bundle.body) == (7, a_bundle())
    assert purpose.basis is Basis.STATUTORY
    assert purpose.grants == {"Citizen.name": Form.PLAIN, "Citizen.phone": Form.MASKED}
    assert purpose.relations == {Relation.OFFICER}
    assert signed_text(bundle) == f"gov-bundle/1\n7\n{bundle.hash.hex()}\n".encode()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        *(
            (
                {"basis": basis, name: "", "ends_on": "2026-12-31"},
                "a basis without consent names law and article",
            )
            for basis in ("CONTRACT", "STATUTORY", "LEGAL_OBLIGATION", "EMERGENCY")
            for name in ("law", "article")
        ),
        ({"basis": "EMERGENCY"}, "an emergency has an end"),
        ({"basis": "VITAL"}, "'VITAL' is not a valid Basis"),
        ({"basis": None}, "'basis'"),
        ({"title": {"zh-CN": "x"}}, "its title is not given in zh-CN and en"),
        ({"notice": {"zh-CN": "x", "en": ""}}, "its notice is not given in zh-CN and en"),
        ({"retention_days": 0}, "retention is a number of days"),
        ({"retention_days": -1}, "retention is a number of days"),
        ({"retention_days": "long"}, "`retention_days` is int"),
        ({"clients": []}, "no client acts under it"),
        ({"relations": []}, "it discloses, and says to whom by no relation"),
        ({"relations": ["friend"]}, "'friend' is not a valid Relation"),
        ({"relations": ["verifier"]}, "whoever may ask about anyone has a budget"),
        ({"relations": ["consented"], "budget_hour": -1}, "whoever may ask about anyone has a budget"),
        ({"grants": {"Citizen.name": "EVERYTHING"}}, "'EVERYTHING' is not a valid Form"),
        ({"notice_state": "forgotten"}, "'forgotten' is not a valid NoticeState"),
        ({"ends_on": "soon"}, "Invalid isoformat string"),
        ({"need_reason": True}, "`need_reason` is no key of it"),
        ({"title": {**TEXTS, "zn-CH": "x"}}, "`title.zn-CH` is no key of it"),
        ({"notice": {**TEXTS, "fr": "x"}}, "`notice.fr` is no key of it"),
        ({"notice": "x"}, "`notice` is dict"),
        ({"title": ["zh-CN", "en"]}, "`title` is dict"),
        ({"title": {**TEXTS, "en": 1}}, "`title.en` is str"),
        ({"basis": 1}, "`basis` is str"),
        ({"law": ["x"]}, "`law` is str"),
        ({"controller": 1}, "`controller` is str"),
        ({"controller": "nobody"}, "its controller 'nobody' is no party"),
        ({"notice_state": []}, "`notice_state` is str"),
        ({"grants": ["Citizen.name"]}, "`grants` is dict"),
        ({"grants": {"Citizen.name": ["PLAIN"]}}, "`grants.Citizen.name` is str"),
        ({"clients": "counter"}, "`clients` is list"),
        ({"clients": [1]}, "`clients` holds str"),
        ({"roles": "registrar"}, "`roles` is list"),
        ({"relations": {"self": 1}}, "`relations` is list"),
        ({"relations": [["self"]]}, "`relations` holds str"),
        ({"assurance": "3"}, "`assurance` is int"),
        ({"retention_days": True}, "`retention_days` is int"),
        ({"separate": "sensitive"}, "`separate` is list"),
        ({"separate": ["all"], "basis": "CONSENT"}, "'all' is not a valid Separate"),
        ({"separate": ["sensitive"]}, "separate consent is asked for where consent is the basis"),
        ({"basis": "CONSENT", "clients": ["bank"]}, "passing on to bank needs separate consent"),
        ({"uses": -1}, "a frequency is so many times per period"),
        ({"times": 3}, "a frequency is so many times per period"),
        ({"per": "day"}, "a frequency is so many times per period"),
        ({"per": "year", "times": 1}, "'year' is not a valid Period"),
        ({"consent_days": 0}, "a consent lasts 365 days at most"),
        ({"consent_days": 366}, "a consent lasts 365 days at most"),
        ({"warned": ["Citizen.birthDate"]}, "it warns of Citizen.birthDate, not granted"),
        ({"notice_state": "deferred"}, "only in an emergency a notice is deferred"),
        ({"notice_due": "2026-12-31"}, "only in an emergency a notice is deferred"),
        ({"told": "embargo"}, "an embargo ends, after 365 days at the latest"),
        ({"told": "embargo", "embargo_days": 366}, "an embargo ends, after 365 days at the latest"),
        ({"embargo_days": 3}, "an embargo ends, after 365 days at the latest"),
        ({"told": "never"}, "'never' is not a valid Told"),
        ({"told": "aggregate", "basis": "CONSENT"}, "only what a law asks for is not told at once"),
        ({"automated": 1}, "`automated` is bool"),
        ({"necessity": "x"}, "`necessity` is dict"),
        ({"needs_reason": "false"}, "`needs_reason` is bool"),
        ({"ends_on": 20261231}, "`ends_on` is str"),
        ({"budget_hour": "12"}, "`budget_hour` is int"),
    ],
)
def test_a_purpose_that_lacks_what_it_needs_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PurposeRefused) as refused:
        parse_bundle(a_bundle(**changes))
    assert str(refused.value).startswith("work: ")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"basis": "CONSENT", "law": "", "article": ""},
        {"basis": "EMERGENCY", "ends_on": "2026-12-31"},
        {"relations": [], "grants": {"Citizen.nationalId": "PREDICATE", "RegisterInput.name": "COLLECT"}},
        {"relations": ["verifier"], "budget_hour": 12},
    ],
)
def test_what_the_law_asks_of_others_is_not_asked_of_these(changes: dict[str, Any]) -> None:
    assert set(parse_bundle(a_bundle(**changes)).purposes) == {"work"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (json.dumps(json.loads(a_bundle())).encode(), "not in canonical form"),
        (a_bundle() + b" ", "not in canonical form"),
        (a_bundle(roles=["b", "a"]), "not in canonical form"),
        (a_bundle(assurance=None), "not in canonical form"),
        (a_bundle().replace(b"gov-purposes/2", b"gov-purposes/1"), "not a bundle of purposes of the format"),
        (b"{}", "not a bundle of purposes of the format"),
        (b"[]", "not a bundle of purposes of the format"),
        (b"\xff", "not a bundle of purposes of the format"),
        (canonical_json({**EMPTY, "version": "7"}), "`version` is int"),
        (canonical_json({**EMPTY, "purposes": []}), "`purposes` is dict"),
        (canonical_json({"v": FORMAT, "version": 7}), "'purposes'"),
        (canonical_json({**EMPTY, "more": 1}), "`more` is no key of it"),
    ],
)
def test_a_bundle_has_one_text_and_no_other(body: bytes, said: str) -> None:
    with pytest.raises(PurposeRefused, match=said):
        parse_bundle(body)


def test_the_reviewed_file_is_lawful_and_its_bundle_comes_back_from_its_own_text() -> None:
    seed = seed_bundle()
    again = parse_bundle(seed.body)

    assert again == seed
    assert again.hash == seed.hash
    assert len(seed.purposes) > 25


def test_a_narrowed_bundle_is_the_next_version_and_differs_in_that_one_grant() -> None:
    seed = seed_bundle()
    gone = seed.without_grant("own-account", "Citizen.address")
    masked = gone.without_grant("own-account", "Citizen.name", form=Form.MASKED)

    assert [bundle.version for bundle in (seed, gone, masked)] == [1, 2, 3]
    assert len({seed.hash, gone.hash, masked.hash}) == 3
    before, after = seed.purposes["own-account"].grants, masked.purposes["own-account"].grants
    assert after == {name: form for name, form in before.items() if name != "Citizen.address"} | {
        "Citizen.name": Form.MASKED
    }
    assert {code: item for code, item in masked.purposes.items() if code != "own-account"} == {
        code: item for code, item in seed.purposes.items() if code != "own-account"
    }
    assert parse_bundle(masked.body) == masked
    for purpose, coordinate in (("own-account", "Citizen.birthDate"), ("banana", "Citizen.name")):
        with pytest.raises(KeyError):
            seed.without_grant(purpose, coordinate)


def test_a_notice_is_another_when_any_of_what_was_told_is() -> None:
    hashes = {
        parse_bundle(a_bundle(**changes)).purposes["work"].notice_hash
        for changes in (
            {},
            {"title": {**TEXTS, "en": "other"}},
            {"notice": {**TEXTS, "zh-CN": "另"}},
            {"grants": {"Citizen.name": "PLAIN"}},
            {"grants": {"Citizen.name": "PLAIN", "Citizen.phone": "PLAIN"}},
            {"retention_days": 31},
        )
    }
    assert len(hashes) == 6
    same = parse_bundle(a_bundle(roles=["supervisor"])).purposes["work"]
    assert same.notice_hash in hashes


def test_the_reviewed_file_names_the_purpose_that_is_not_lawful() -> None:
    text = 'version = 1\n[party.x]\nname = { "zh-CN" = "x", en = "x" }\ncontact = "x"\n'
    text += '[purpose.work]\ncontroller = "x"\nclients = ["counter"]\nbasis = "CONSENT"\n'
    text += 'title = { "zh-CN" = "x", en = "x" }\n'
    with pytest.raises(PurposeRefused, match="work: it lacks 'notice'"):
        load_seed(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = 1\npurpose = 1\n", "`purpose` is dict"),
        ("version = 1\n[purpose]\nwork = 1\n", "work: it is no table"),
        ("version = 1\npurposes = 1\n[purpose]\n", "`purposes` is no key of it"),
        ("version = 1.0\n[purpose]\n", "`version` is int"),
        ("[purpose]\n", "'version'"),
        ("version = \n", "it is no TOML"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_whole(text: str, said: str) -> None:
    with pytest.raises(PurposeRefused) as refused:
        load_seed(text)
    assert said in str(refused.value)


def test_an_end_may_be_written_as_toml_writes_a_day() -> None:
    written = {**LAWFUL, "basis": "EMERGENCY", "ends_on": "ENDS"}
    party = f"[party.data-bureau]\nname = {_toml(TEXTS)}\ncontact = 'x'"
    lines = "\n".join(f"{name} = {_toml(value)}" for name, value in written.items())
    seed = load_seed(f"version = 1\n{party}\n[purpose.work]\n{lines}\n".replace('"ENDS"', "2026-12-31"))

    assert seed.purposes["work"].ends_on == dt.date(2026, 12, 31)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {json.dumps(text)}" for name, text in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
