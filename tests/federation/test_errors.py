"""Partial errors: where an error is told, and what is not computed from it."""

from __future__ import annotations

from graphql import GraphQLError


def break_field(town, name):
    """Have a field of every record end in an error."""
    for record in town._world["records"]:
        if name in record:
            record[name] = GraphQLError(f"{name} cannot be had")


async def test_a_service_that_is_away_is_told_at_the_fields_that_were_asked_for_and_no_others(town, unavailable):
    town.subgraphs["people"].answer = unavailable
    result = await town.run(
        'query($no: Boolean!) { me @include(if: $no) { id } them: me @skip(if: $no) { id } subject(id: "c1") { id } }',
        no=False,
    )
    assert result.data == {"them": None, "subject": None}
    assert [error["path"] for error in result.errors] == [["them"], ["subject"]]


async def test_what_is_required_and_ended_in_an_error_is_not_had(town):
    break_field(town, "label")
    result = await town.run('{ subject(id: "c1") { id badge } }')
    assert result.data == {"subject": {"id": "c1", "badge": None}}
    assert [(error["message"], error["path"]) for error in result.errors] == [("label cannot be had", ["subject"])]
    assert town.subgraphs["notes"].requests == []


async def test_a_null_that_is_no_error_is_had(town):
    for record in town._world["records"]:
        if "label" in record:
            record["label"] = None
    await town.compare('{ subject(id: "c1") { id badge } }')
    assert len(town.subgraphs["notes"].requests) == 1


async def test_what_ended_in_an_error_far_inside_of_what_is_required_is_not_had(town):
    break_field(town, "birthYear")
    result = await town.run("{ permits { id discount } }")
    assert {item["discount"] for item in result.data["permits"] if item["id"] == "m1"} == {None}
    sent = [item for request in town.subgraphs["payments"].requests for item in request.variables["representations"]]
    assert [item for item in sent if (item.get("holder") or {}).get("birthYear", "") is None] == []


async def test_an_error_of_a_field_that_the_answer_lacks_points_to_what_it_has(town):
    break_field(town, "label")
    result = await town.run(
        'query($no: Boolean!) { subject(id: "c1") { badge label @include(if: $no) } }',
        no=False,
    )
    assert result.data == {"subject": {"badge": None}}
    assert [error["path"] for error in result.errors] == [["subject"]]
