"""Ids of somebody else, on every root field that takes one: generated from the schema, so that none is forgotten.

Played over HTTP against a whole city, in which one citizen has an application, a bill, a licence and a consent. Asked
with their ids, with ids of nothing and with what is no id, strangers of every kind get one and the same answer, and
nothing changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest

from gov_services.cli.accounts import administration, identity_room
from gov_services.cli.running import system
from gov_services.devstack.journey import account_steps, permit_steps
from gov_services.devstack.journey.town import Party, Town, invent_person
from gov_services.federation.public_schema import public_schema
from gov_services.federation.supergraph_reader import read_supergraph
from gov_services.identity.service.staff import add_staff
from gov_services.kit.clock import SystemClock
from gov_services.kit.manifest import Manifest, TrustedDocument
from gov_services.kit.settings import Settings
from gov_services.subgraph.unit_of_work import commit
from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    parse,
    type_from_ast,
)

pytestmark = pytest.mark.untraced

NOTHING = "00000000-0000-7000-8000-000000000000"
MALFORMED = "no-such-id'; --"
PASSWORD = "an invented password"
STRANGER_ROLES = (
    *("permit-officer", "permit-approver", "registrar", "finance-officer", "supervisor"),
    *("rights-officer", "health-officer"),
)

VICTIMS: Mapping[str, str] = {
    "Query.application.id": "application",
    "Query.bill.id": "bill",
    "Query.licence.id": "licence",
    "Query.accessProof.entryId": "entry",
    "Query.logEntryProof.entryId": "entry",
    "Query.consentedCitizen.reference": "consent",
    "Query.consentReceipt.consentId": "consent",
    "Query.consentRequest.id": "nothing",
    **{
        f"{name}Input.applicationId": "application"
        for name in (
            "RequestUpload",
            "SubmitApplication",
            "CorrectApplication",
            "WithdrawApplication",
            "AcceptApplication",
            "RequestCorrection",
            "AssessFee",
            "RecommendApproval",
            "ApproveApplication",
            "RejectApplication",
        )
    },
    "SurrenderLicenceInput.licenceId": "licence",
    "PayBillInput.billId": "bill",
    "RequestRefundInput.billId": "bill",
    "ApproveRefundInput.refundId": "nothing",
    "RejectRefundInput.refundId": "nothing",
    "WithdrawConsentInput.consentId": "consent",
    "ConsentInput.consentId": "consent",
    **{
        f"{name}.forChild": "nothing"
        for name in (
            *("GiveConsentInput", "RefuseConsentInput", "WithdrawConsentInput", "ConsentInput"),
            *("ReceiveConsentRequestInput", "AnswerConsentRequestInput", "ConsentRequestInput"),
        )
    },
    "Query.consentsOfChild.child": "nothing",
    "Query.requestedConsentsOfChild.child": "nothing",
    "Query.rightRequest.id": "nothing",
    "Query.healthReview.requestId": "nothing",
    "ProposeHealthStrikeInput.requestId": "nothing",
    "DecideHealthStrikeInput.strikeId": "nothing",
    "RightRequestInput.requestId": "nothing",
    "AnswerRightRequestInput.requestId": "nothing",
    "AnswerRightRequestInput.deceased": "nothing",
    "Query.narrowingReplay.narrowingId": "nothing",
    "ReviewFindingInput.findingId": "nothing",
    "BreachInput.breachId": "nothing",
    "AssessDraftInput.draftId": "nothing",
    "DecideDraftInput.draftId": "nothing",
    "PurposeDraftInput.draftId": "nothing",
    "ReportBreachInput.breachId": "nothing",
    "WaiveBreachNoticeInput.breachId": "nothing",
    "OpenConsentRequestInput.reference": "consent",
    "AttestDeletionInput.reference": "consent",
    "AnswerConsentRequestInput.requestId": "nothing",
    "ConsentRequestInput.requestId": "nothing",
    "DecideNarrowingInput.narrowingId": "nothing",
}
"""Every coordinate that takes an id → what of the victim's it is asked with. A new one is to be added here."""

BY_DESIGN: Mapping[tuple[str, str], str] = {
    ("counter", "bill"): "a payer showed the number of the bill; under a budget, with a reason",
    ("counter", "requestRefund"): "a payer showed the number of the bill; under a budget, with a reason",
    ("compliance", "logEntryProof"): "compliance officers read the log; their reading is logged",
}
"""Where a stranger's question is what the field is for. Ids of nothing are asked all the same."""

ELSEWHERE: Mapping[tuple[str, str], str] = {
    ("riverside-bank", "openConsentRequest"): "answers alike whomever it points at, and keeps a request: "
    "tests/privacy/test_consent_requests.py",
}
"""What is shown by a test of its own, since it is answered by a success."""

PERSONAL_STATE = ("identity", "permits", "payments", "healthcode", "consent", "privacy", "keys")
"""Schemas in which a refused question changes nothing."""
FINDINGS = ("privacy.finding", "privacy.field_use", "privacy.watermark")
"""What is made of the log meanwhile: that somebody asked too often is to be found."""


@dataclass(frozen=True, slots=True)
class Case:
    """One id of one document."""

    client: str
    document: TrustedDocument
    field: str
    coordinate: str
    path: tuple[str, ...]
    variables: Mapping[str, Any]

    def asking(self, value: str) -> dict[str, Any]:
        """Variables with `value` for the id."""
        filled = _copy(self.variables)
        at = filled
        for name in self.path[:-1]:
            at = at[name]
        at[self.path[-1]] = value
        return filled


def test_every_id_of_the_schema_is_asked_about(settings: Settings) -> None:
    schema = schema_of(settings)
    found = {coordinate for _, coordinate, _ in ids_of(schema)}

    assert found == set(VICTIMS)
    assert {field for field, _, _ in ids_of(schema)} == {
        case.field for case in cases_of(schema, documents_of(settings))
    }


async def test_strangers_learn_and_change_nothing_whatever_the_id(settings: Settings) -> None:
    async with a_victim(settings) as (town, victim):
        cases = list(cases_of(schema_of(settings), town.manifest.documents.values()))
        strangers = await strangers_of(town, victim["application"])
        connection = await asyncpg.connect(settings.database_url)
        try:
            await quiet(connection)
            for case, stranger in itertools.product(cases, strangers):
                if stranger.client != case.client or (case.client, case.field) in ELSEWHERE:
                    continue
                before = await state_of(connection)
                values = [NOTHING, MALFORMED]
                if (case.client, case.field) not in BY_DESIGN:
                    values.append(victim[VICTIMS[case.coordinate]])
                answers = [await answer_of(town, stranger, case, value) for value in values]
                where = f"{case.client}/{case.document.name} {case.coordinate}"
                assert all(answer == answers[0] for answer in answers), f"{where}: {answers}"
                status, codes, data = answers[0]
                assert codes, f"{where}: {answers}"
                assert set(codes) <= {"NOT_FOUND", "CONSENT_REQUIRED"}, f"{where}: {answers}"
                assert set(leaves(data)) <= {None}, f"{where}: {answers}"
                assert status == 200, f"{where}: {answers}"
                assert await state_of(connection) == before, where
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def a_victim(settings: Settings) -> AsyncIterator[tuple[Town, dict[str, str]]]:
    """A running city, and the ids of a citizen who went through it up to their licence."""
    async with system(settings) as running, httpx.AsyncClient(base_url=running.url, timeout=15) as http:
        await _add_stranger(running.settings)
        town = Town(
            http,
            running.manifest,
            {**running.accounts.staff, "stranger": PASSWORD},
            running.accounts.clients,
            running.sandboxes.providers_url,
            running.sandboxes.channel_url,
            invent_person("测试甲"),
        )
        for step in (*account_steps.STEPS, *permit_steps.STEPS):
            await step.play(town)
        consents = (await town.ask(town.citizen, "Consents"))["consents"]
        history = (await town.ask(town.citizen, "AccessHistory", {"first": 1}))["accessHistory"]["edges"]
        application = town.memory["application"]
        found = (await town.ask(town.citizen, "MyApplication", {"id": application}))["application"]
        yield (
            town,
            {
                "application": await permit_steps.open_case(town),
                "bill": found["fee"]["id"],
                "licence": found["licence"]["id"],
                "consent": _first_id(consents),
                "entry": history[0]["node"]["id"],
                "nothing": NOTHING,
            },
        )


async def strangers_of(town: Town, application_id: str) -> list[Party]:
    """One of each kind; the clerk once states the victim's case as if it were theirs."""
    other = Town(
        town.http,
        town.manifest,
        town.staff,
        town.clients,
        town.providers_url,
        town.channel_url,
        invent_person("测试乙"),
    )
    for step in account_steps.STEPS[:3]:
        await step.play(other)
    clerk = await town.staff_member("stranger")
    clerk.reason = "invented"
    claiming = Party("counter", token=clerk.token, case=application_id, reason="invented")
    return [
        other.citizen,
        clerk,
        claiming,
        await town.relying_party("riverside-bank"),
        await town.relying_party("night-market"),
        await town.staff_member("wu.compliance"),
    ]


async def answer_of(town: Town, stranger: Party, case: Case, value: str) -> tuple[int, tuple[str, ...], Any]:
    """Status, codes and data."""
    headers = {"accept": "application/graphql-response+json", "authorization": f"Bearer {stranger.token}"}
    if stranger.case:
        headers["gov-case"] = stranger.case
    if stranger.reason:
        headers["gov-reason"] = stranger.reason
    body = {"documentId": case.document.id, "variables": case.asking(value)}
    response = await town.http.post("/graphql", json=body, headers=headers)
    answer = response.json()
    codes = tuple(sorted(error["extensions"]["code"] for error in answer.get("errors", ())))
    return response.status_code, codes, answer.get("data")


async def quiet(connection: asyncpg.Connection) -> None:
    """Wait until every event has had its effect."""
    for _ in range(100):
        if not await connection.fetchval("SELECT count(*) FROM events.outbox WHERE delivered_at IS NULL"):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("events are still on their way")


async def state_of(connection: asyncpg.Connection) -> dict[str, str]:
    """Of each table that holds something of citizens, a digest."""
    tables = await connection.fetch(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY($1::text[]) ORDER BY 1, 2",
        list(PERSONAL_STATE),
    )
    found = {}
    for table in tables:
        name = f"{table['schemaname']}.{table['tablename']}"
        if name in FINDINGS:
            continue
        rows = await connection.fetch(f"SELECT t::text AS line FROM {name} AS t ORDER BY 1")
        found[name] = hashlib.sha256("\n".join(row["line"] for row in rows).encode()).hexdigest()
    return found


def schema_of(settings: Settings) -> GraphQLSchema:
    """The public schema, as clients see it."""
    return public_schema(read_supergraph((settings.graph_directory / "supergraph.graphql").read_text()))


def documents_of(settings: Settings) -> list[TrustedDocument]:
    """The committed documents."""
    return list(Manifest.parse((settings.graph_directory / "trusted-documents.json").read_bytes()).documents.values())


def ids_of(schema: GraphQLSchema) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Every (root field, coordinate, path) that takes an id."""
    for root in (schema.query_type, schema.mutation_type):
        assert root is not None
        for name, field in root.fields.items():
            for argument, definition in field.args.items():
                yield from (
                    (name, coordinate, path)
                    for coordinate, path in _ids_in(definition.type, f"{root.name}.{name}.{argument}", (argument,))
                )


def _ids_in(type_: GraphQLInputType, coordinate: str, path: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    named = get_named_type(type_)
    if named.name == "ID":
        yield coordinate, path
    if isinstance(named, GraphQLInputObjectType):
        for name, field in named.fields.items():
            yield from _ids_in(field.type, f"{named.name}.{name}", (*path, name))


def cases_of(schema: GraphQLSchema, documents: Any) -> Iterator[Case]:
    """Every id of every root field, in every client's document that asks it."""
    wanted = list(ids_of(schema))
    for document in documents:
        (operation,) = (node for node in parse(document.body).definitions if isinstance(node, OperationDefinitionNode))
        variables = {
            node.variable.name.value: value_of(type_from_ast(schema, node.type))
            for node in operation.variable_definitions or ()
            if isinstance(type_from_ast(schema, node.type), GraphQLNonNull) and node.default_value is None
        }
        for selection in operation.selection_set.selections:
            assert isinstance(selection, FieldNode)
            for field, coordinate, path in wanted:
                if field != selection.name.value:
                    continue
                (given,) = (item for item in selection.arguments or () if item.name.value == path[0])
                variable = given.value.name.value  # type: ignore[union-attr]  # documents pass ids as variables
                for client in document.clients:
                    yield Case(client, document, field, coordinate, (variable, *path[1:]), variables)


def value_of(type_: Any) -> Any:
    """Something that the type takes; required fields only."""
    if isinstance(type_, GraphQLNonNull):
        return value_of(type_.of_type)
    if isinstance(type_, GraphQLList):
        return []
    if isinstance(type_, GraphQLInputObjectType):
        return {
            name: value_of(field.type) for name, field in type_.fields.items() if isinstance(field.type, GraphQLNonNull)
        }
    if isinstance(type_, GraphQLEnumType):
        return next(iter(type_.values))
    invented = {"Boolean": True, "Int": 1, "String": "invented", "ID": NOTHING}
    return {**invented, "DateTime": "2026-03-01T00:00:00Z", "Date": "2026-03-01"}[type_.name]


def leaves(value: Any) -> Iterator[Any]:
    """Every value that is no container."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def _copy(value: Any) -> Any:
    return {name: _copy(inner) for name, inner in value.items()} if isinstance(value, Mapping) else value


def _first_id(found: Any) -> str:
    nodes = [edge["node"] for edge in found["edges"]] if isinstance(found, dict) else found
    return str(nodes[0]["id"])


async def _add_stranger(settings: Settings) -> None:
    async with identity_room(settings) as room:
        outcome = await commit(
            administration(room, SystemClock()),
            add_staff,
            username="stranger",
            display_name="生人",
            password=PASSWORD,
            roles=frozenset(STRANGER_ROLES),
            office="south-counter",
        )
        assert outcome.result is not None
