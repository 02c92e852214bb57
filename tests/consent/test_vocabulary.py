"""The vocabulary is what the schema says is personal; what cannot be meant is refused with its coordinate."""

from __future__ import annotations

import pytest

from gov_services.consent.vocabulary import PersonalField, Vocabulary, VocabularyRefused

SDL = """
type Citizen {
  id: ID!
  name: String @personal(category: "name", sensitivity: "general", mask: "name")
  birthDate: String @personal(category: "birth", sensitivity: "sensitive")
  isAdult: Boolean @personal(category: "birth", sensitivity: "general", derivedFrom: "Citizen.birthDate")
}
input RegisterInput { name: String! @personal(category: "name", sensitivity: "general") note: String @deprecated }
enum Kind { A }
"""


def test_every_marked_field_is_in_it_and_no_other() -> None:
    vocabulary = Vocabulary.from_sdl(SDL)

    assert {field.coordinate for field in vocabulary} == {
        *("Citizen.name", "Citizen.birthDate", "Citizen.isAdult", "RegisterInput.name")
    }
    assert len(vocabulary) == 4
    assert "Citizen.id" not in vocabulary
    assert vocabulary["Citizen.name"] == PersonalField("Citizen.name", "name", "general", "name", None, is_input=False)
    assert vocabulary["Citizen.isAdult"].derived_from == "Citizen.birthDate"
    assert vocabulary["RegisterInput.name"].is_input
    assert [field.coordinate for field in vocabulary if field.sensitive] == ["Citizen.birthDate"]
    with pytest.raises(KeyError):
        vocabulary["Citizen.id"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (SDL.replace('"sensitive"', '"secret"'), "Citizen.birthDate says neither `general` nor `sensitive`"),
        (SDL.replace(', sensitivity: "sensitive"', ""), "Citizen.birthDate says neither `general` nor `sensitive`"),
        (
            SDL.replace('derivedFrom: "Citizen.birthDate"', 'derivedFrom: "Citizen.id"'),
            "Citizen.isAdult is derived from Citizen.id, which is not personal",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(changed: str, said: str) -> None:
    with pytest.raises(VocabularyRefused, match=said):
        Vocabulary.from_sdl(changed)
