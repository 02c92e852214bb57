"""The engine beside one schema that resolves everything itself: chosen queries over five subgraphs."""

import json

import pytest

from gov_services.federation.compiled_projection import Irregular
from gov_services.federation.projection import Projector

QUERIES = [
    "{ me { id name number } }",
    "{ me { office { name address { postcode city { name district } } } address { street postcode city { name district } } } }",  # noqa: E501  one query a line
    "{ people { label balance { amount } permits { id fee { amount { amount } } } } }",
    "{ permits { discount receipt(copies: 2) summary shelf } }",
    "{ permits { holder { name address { street } } } }",
    "{ permits { holder { name label birthYear } previous { previous { discount } } } }",
    "{ subjects { __typename id label notes { text about { label } } badge contact { phone } ... on Person { name } } }",  # noqa: E501  one query a line
    "{ noted { id label badge notes { text } } }",
    "{ noted { __typename ... on Company { owner { name } } ... on Person { balance { amount } } } }",
    "{ search { ... on Person { name } ... on Company { label owner { label badge } notes { text } } __typename } }",
    "{ permits { attachments { ... on Scan { pages of { name } } ... on Letter { count: pages from { label } } } } }",
    '{ bill(id: "b2") { payer { name permits(status: OPEN) { title(language: "en") } } permit { kind } lines { cost { amount } } } }',  # noqa: E501  one query a line
    "{ offices { account head { friends { office { account } employer { notes { text } } } } } }",
    "{ version a: version me { label } }",
    "{ id: me { id: name number: id name: number balance { amount } permits { id: kind kind: id fee { id } discount } } }",  # noqa: E501  one query a line
    '{ __typename me { __typename } subject(id: "c1") { __typename } }',
    'mutation { renamePerson(input: {id: "p1"}) { person { name label } } touch submitPermit(kind: SHOP) { discount } again: touch }',  # noqa: E501  one query a line
    'mutation { addNote(subject: "c2", text: "x") { id label badge ... on Company { owner { name } } } }',
]


@pytest.mark.parametrize("document", QUERIES)
async def test_answers_as_one_schema_does(town, document):
    await town.compare(document)


@pytest.mark.parametrize("document", QUERIES)
async def test_the_straight_projection_says_what_the_careful_one_says(town, document, monkeypatch):
    straight = await town.run(document)

    def refuse(*_: object) -> None:
        raise Irregular

    monkeypatch.setattr(Projector, "_compile", refuse)
    careful = await town.run(document)
    assert json.dumps(straight.data) == json.dumps(careful.data)
