"""What a bundle must have before it is in force: assessments, separate consent, an end to what was told differently."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from gov_services.cli.documents import seed_bundle
from gov_services.consent.assessments import Trigger
from gov_services.consent.lawful import require_consistent, require_follows, triggers
from gov_services.consent.notices import CATEGORIES, METHODS, items_of
from gov_services.consent.purposes import Basis, Bundle, Form, Purpose, Separate, make_bundle
from gov_services.consent.tables import PurposeRefused
from gov_services.consent.vocabulary import Vocabulary
from gov_services.kit.errors import LOCALES
from gov_services.kit.settings import PROJECT_ROOT

SEED = seed_bundle()
SCHEMA = Vocabulary.from_sdl((PROJECT_ROOT / "graphql" / "supergraph.graphql").read_text())


def with_(code: str, **changes: object) -> Bundle:
    return SEED.with_purpose(replace(SEED.purposes[code], **changes))  # type: ignore[arg-type]


def test_the_reviewed_file_has_an_assessment_for_whatever_needs_one() -> None:
    require_consistent(SEED, SCHEMA)
    needing = {code for code, purpose in SEED.purposes.items() if triggers(purpose, SCHEMA)}
    assert {"health-code", "adult-check", "bill-refund", "registration"} <= needing
    for code in needing:
        without = make_bundle(
            1,
            SEED.purposes,
            parties=SEED.parties,
            assessments={name: item for name, item in SEED.assessments.items() if code not in item.purposes},
        )
        with pytest.raises(PurposeRefused, match="lacks an impact assessment"):
            require_consistent(without, SCHEMA)


def test_an_assessment_covers_what_it_was_made_for_and_nothing_that_came_later() -> None:
    bundle = with_("adult-check", automated=True)
    with pytest.raises(PurposeRefused, match="adult-check: it lacks an impact assessment as automated"):
        require_consistent(bundle, SCHEMA)
    assessment = replace(SEED.assessments["PIA-2026-05"], id="PIA-2026-09", triggers=frozenset({Trigger.AUTOMATED}))
    require_consistent(bundle.with_purpose(bundle.purposes["adult-check"], assessment), SCHEMA)


def test_sensitive_data_is_consented_to_separately_with_necessity_and_impact_told() -> None:
    for changes, said in (
        ({"separate": frozenset()}, "is sensitive and needs separate consent"),
        ({"necessity": {}}, "of sensitive data its necessity is told"),
        ({"impact": {"zh-CN": "x"}}, "of sensitive data its impact is told"),
    ):
        with pytest.raises(PurposeRefused, match=said):
            require_consistent(with_("health-code", **changes), SCHEMA)


def test_every_reason_for_an_assessment_is_found() -> None:
    general = replace(SEED.purposes["adult-check"], recipients=(), separate=frozenset())
    assert triggers(general, SCHEMA) == frozenset()
    for changes, trigger in (
        ({"automated": True}, Trigger.AUTOMATED),
        ({"grants": {"Citizen.nationalId": Form.MASKED}}, Trigger.SENSITIVE),
        ({"separate": frozenset({Separate.EXPORT})}, Trigger.EXPORT),
        ({"separate": frozenset({Separate.PUBLICATION})}, Trigger.PROVISION),
        ({"recipients": (SEED.parties["night-market"],)}, Trigger.PROVISION),
    ):
        changed: Purpose = replace(general, **changes)  # type: ignore[arg-type]
        assert triggers(changed, SCHEMA) == {trigger}


def test_a_purpose_that_is_told_differently_says_until_when_earlier_consents_hold() -> None:
    earlier = SEED.purposes["adult-check"]
    told = {"zh-CN": "另有用途。", "en": "For another end."}
    with pytest.raises(PurposeRefused, match="its notice changed"):
        require_follows(earlier, replace(earlier, notice=told))
    require_follows(earlier, replace(earlier, notice=told, earlier_notices_until=dt.date(2026, 12, 1)))
    # A field more is no other purpose: nobody has agreed to it, and the rest goes on.
    require_follows(earlier, replace(earlier, grants={**earlier.grants, "Citizen.name": Form.MASKED}))
    require_follows(None, replace(earlier, notice=told))
    # Nobody who said no is overruled by a law that comes to mind later.
    with pytest.raises(PurposeRefused, match="another basis is another purpose"):
        require_follows(earlier, replace(earlier, basis=Basis.STATUTORY, law="统计法", article="第七条"))
    statutory = replace(earlier, basis=Basis.STATUTORY)
    require_follows(statutory, replace(statutory, notice=told))


def test_the_hash_of_a_notice_is_over_all_that_a_notice_says() -> None:
    purpose = SEED.purposes["health-code"]
    for changes in (
        {"notice": {"zh-CN": "x", "en": "x"}},
        {"necessity": {}},
        {"impact": {}},
        {"controller": SEED.parties["data-bureau"]},
        {"recipients": (SEED.parties["night-market"],)},
        {"separate": frozenset()},
        {"automated": False},
        {"grants": {}},
        {"retention_days": 15},
        {"consent_days": 10},
        {"uses": 1},
    ):
        assert replace(purpose, **changes).notice_hash != purpose.notice_hash, changes  # type: ignore[arg-type]
    assert replace(purpose, budget_hour=9).notice_hash == purpose.notice_hash


def test_every_notice_says_every_item_in_every_language() -> None:
    assert {field.category for field in SCHEMA} <= CATEGORIES.keys()
    assert set(METHODS) == set(Form)
    for purpose in SEED.purposes.values():
        for locale in LOCALES:
            items = items_of(purpose, SCHEMA, locale)
            assert bool(items.methods) == bool(purpose.grants)
            assert str(purpose.retention_days) in items.retention
            assert items.rights
            assert purpose.controller.contact
            assert purpose.controller.name[locale]
            assert (items.automated is not None) == purpose.automated


def test_an_earlier_bundle_is_not_read_and_one_that_follows_keeps_its_assessments() -> None:
    following = SEED.without_grant("adult-check", "Citizen.isAdult")
    assert following.version == SEED.version + 1
    assert following.assessments == SEED.assessments
    assert following.parties == SEED.parties
