"""A name that was verified binds what other rooms print: compared by a tag, never told, gone with the citizen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from town import Town, sample_number

from gov_services.consent.attestations import same_person_spelt
from gov_services.kit.database import Database

VERIFY = """mutation($input: VerifyIdentityInput!) {
  verifyIdentity(input: $input) { userErrors { code } } }"""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("阿依古丽·买买提", "阿依古丽•买买提"),
        ("阿依古丽·买买提", "阿依古丽・买买提"),
        ("Anna  Beispiel", "ANNA BEISPIEL"),
        ("ＡＮＮＡ", "anna"),
    ],
)
def test_how_a_name_is_typed_makes_no_other_person(one: str, other: str) -> None:
    assert same_person_spelt(one) == same_person_spelt(other)


@given(st.text())
def test_spelling_is_settled_at_once(name: str) -> None:
    spelt = same_person_spelt(name)

    assert not any(character.isspace() for character in spelt)
    assert same_person_spelt(name.replace(" ", "  ")) == spelt


async def test_verification_attests_the_name_that_matched(town: Town) -> None:
    one = await town.register(name="测试乙", assurance=2)
    other = await town.register(name="测试乙", number=sample_number(sequence=102), phone="13900000002", assurance=2)
    assert await town.rows("SELECT * FROM consent.attestation") == []

    for actor, number in ((one, sample_number()), (other, sample_number(sequence=102))):
        await town.providers.post("/people", json={"name": "测试甲", "number": number})
        values = {"input": {"name": "测试甲", "nationalId": number}}
        answer = await town.ask("identity", VERIFY, values, purpose="identity-verification", actor=actor)
        assert answer == {"data": {"verifyIdentity": {"userErrors": []}}}

    rows = await town.rows("SELECT citizen_id, claim, digest FROM consent.attestation")
    assert {(row["citizen_id"], row["claim"]) for row in rows} == {(one.id, "name"), (other.id, "name")}
    assert len({bytes(row["digest"]) for row in rows}) == 2, "equal names of two people are not linked"


async def test_nothing_is_attested_of_a_name_that_did_not_match(town: Town) -> None:
    actor = await town.register(assurance=2)

    values = {"input": {"name": "测试乙", "nationalId": sample_number()}}
    answer = await town.ask("identity", VERIFY, values, purpose="identity-verification", actor=actor)

    assert answer["data"]["verifyIdentity"] == {"userErrors": [{"code": "NOT_MATCHED"}]}
    assert await town.rows("SELECT * FROM consent.attestation") == []


async def test_only_identity_states_what_was_confirmed(town: Town, room_database: Any) -> None:
    actor = await town.register()
    statement = "UPDATE consent.attestation SET digest = decode(repeat('00', 16), 'hex')"

    for room in ("permits", "payments", "healthcode", "privacy"):
        database: Database = room_database(room)
        async with database.reading() as session:
            found = (await session.execute(text("SELECT citizen_id FROM consent.attestation"))).scalars().all()
            assert found == [actor.id]
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with database.writing() as session:
                await session.execute(text(statement))
