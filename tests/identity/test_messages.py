"""Messages in a citizen's own words: names for the codes of programs, in both languages."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from sqlalchemy import text as sql
from town import Town

from gov_services.consent.purpose_files import load_seed
from gov_services.consent.purposes import Form
from gov_services.identity.labels import called, load_labels
from gov_services.identity.service.messages import TEMPLATES, Names, text_of
from gov_services.kit.errors import LOCALES
from gov_services.kit.ids import new_id
from gov_services.kit.settings import PROJECT_ROOT
from gov_services.permits.service.reviewing import Correctable
from gov_services.subgraph.types import encode_cursor

pytestmark = pytest.mark.untraced

OURS = {"anonymous", "citizen-app", "counter", "compliance", "events", "jobs", "payment-channel"}
OUTPUT = {Form.PLAIN, Form.MASKED, Form.DERIVED}
MESSAGES = "{ messages { edges { node { text } } } }"


def test_there_is_a_message_in_every_locale() -> None:
    assert all(set(words) == set(LOCALES) for words in TEMPLATES.values())


def test_every_field_that_a_party_may_read_and_every_correction_and_result_has_a_name_in_every_locale() -> None:
    labels = load_labels()
    seed = load_seed(Path(PROJECT_ROOT / "gov_services" / "consent" / "purposes.toml").read_text())
    given = {
        coordinate
        for purpose in seed.purposes.values()
        if purpose.clients - OURS
        for coordinate, form in purpose.grants.items()
        if form in OUTPUT
    }
    assert "Citizen.isAdult" in given
    assert given - set(labels.fields) == set()
    assert {item.value for item in Correctable} - set(labels.corrections) == set()
    assert set(labels.results) == {"approved", "rejected"}
    for table in (labels.fields, labels.corrections, labels.results):
        assert all(set(words) == set(LOCALES) and all(words.values()) for words in table.values())


@pytest.mark.parametrize(
    ("code", "params", "locale", "text"),
    [
        ("application.correction", {"field": "businessName"}, "zh-CN", "您的申请需要补正:字号名称。"),
        ("application.correction", {"field": "scope"}, "en", "Your application needs a correction: scope of business."),
        ("application.decided", {"decision": "rejected"}, "zh-CN", "您的申请已有结果:不予登记。"),
        ("application.decided", {"decision": "approved"}, "en", "Your application was decided: approved."),
        ("application.decided", {"decision": "shelved"}, "en", "Your application was decided: shelved."),
        ("application.correction", {"field": "fax"}, "zh-CN", "您的申请需要补正:fax。"),
        ("nobody.knows", {}, "zh-CN", "nobody.knows"),
    ],
)
def test_codes_are_put_into_words_and_unknown_ones_stay(
    code: str, params: dict[str, object], locale: str, text: str
) -> None:
    assert text_of(code, params, Names(load_labels(), {}, {}), locale) == text
    assert called({}, "a", "en") == "a"


async def test_a_disclosure_is_told_by_the_titles_of_party_purpose_and_fields(town: Town) -> None:
    actor = await town.register()
    async with town.database.writing() as session:
        await session.execute(
            sql("INSERT INTO identity.client VALUES ('riverside-bank', '江畔银行', 'x', :now)"),
            {"now": town.clock.now()},
        )
        for params in (
            '{"recipient": "riverside-bank", "purpose": "adult-check", "fields": "Citizen.isAdult, Citizen.name"}',
            '{"recipient": "gone", "purpose": "gone-too", "fields": "Gone.field"}',
        ):
            town.clock.advance(dt.timedelta(seconds=1))
            await session.execute(
                sql("INSERT INTO identity.message VALUES (:c, :m, 'disclosure.made', CAST(:p AS jsonb), :now)"),
                {"c": actor.id, "m": new_id(town.clock.now()), "p": params, "now": town.clock.now()},
            )
    texts = {}
    for locale in LOCALES:
        answer = await town.ask("identity", MESSAGES, purpose="own-account", actor=actor, locale=locale)
        texts[locale] = [edge["node"]["text"] for edge in answer["data"]["messages"]["edges"]]
    assert texts == {
        "zh-CN": [
            "gone 为“gone-too”查看了您的信息:Gone.field。",
            "江畔银行 为“确认是否成年”查看了您的信息:是否已满十八周岁、姓名。",
        ],
        "en": [
            "gone read about you for “gone-too”: Gone.field.",
            "江畔银行 read about you for “Confirming that you are an adult”: whether you are eighteen or older, name.",
        ],
    }


async def test_a_box_is_read_page_by_page_newest_first_from_any_messages_cursor(town: Town) -> None:
    actor = await town.register()
    async with town.database.writing() as session:
        for number in range(3):
            town.clock.advance(dt.timedelta(seconds=1))
            await session.execute(
                sql("INSERT INTO identity.message VALUES (:c, :m, :code, '{}', :now)"),
                {"c": actor.id, "m": new_id(town.clock.now()), "code": f"m{number}", "now": town.clock.now()},
            )
    query = """query($after: String) { messages(first: 2, after: $after) {
      edges { cursor node { code } } pageInfo { hasNextPage endCursor } } }"""

    async def page(after: str | None) -> tuple[list[str], list[str], dict[str, object]]:
        answer = await town.ask("identity", query, {"after": after}, purpose="own-account", actor=actor)
        found = answer["data"]["messages"]
        codes = [edge["node"]["code"] for edge in found["edges"]]
        return codes, [edge["cursor"] for edge in found["edges"]], found["pageInfo"]

    first, cursors, info = await page(None)
    assert (first, info) == (["m2", "m1"], {"hasNextPage": True, "endCursor": cursors[-1]})
    last, _, info = await page(cursors[-1])
    assert (last, info["hasNextPage"]) == (["m0"], False)
    assert (await page(cursors[0]))[0] == ["m1", "m0"]
    for wrong in ("x", encode_cursor("no id")):
        refused = await town.ask("identity", query, {"after": wrong}, purpose="own-account", actor=actor)
        assert refused["errors"][0]["extensions"]["code"] == "BAD_CURSOR"
