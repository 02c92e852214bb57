"""Every mutation of every subgraph leaves an entry in the log: refused, always; done, or the change is rolled back.

Generated from the schemas, so that a new mutation cannot be forgotten. Of what is refused, the test asks; of what
succeeds, the one commit vouches: a use-case that recorded nothing is undone, and no resolver has another way to write.
"""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import hashlib
import inspect
import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from town import Town

from gov_services.audit.entry import Entry
from gov_services.cli.rooms import SUBGRAPHS, create_schema
from gov_services.devstack.payment_channel_keys import make_keys
from gov_services.kit.actor import ANONYMOUS, Actor
from gov_services.kit.clock import FrozenClock
from gov_services.kit.context import Entrance, EntranceKind
from gov_services.kit.manifest import Manifest, TrustedDocument
from gov_services.kit.settings import PROJECT_ROOT, Settings
from gov_services.payments.app import MERCHANT_DIRECTORY, create_room
from gov_services.subgraph.context import UnrecordedChange, WriteContext
from gov_services.subgraph.entrances import entrance_context
from gov_services.subgraph.unit_of_work import commit
from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
)

pytestmark = pytest.mark.untraced

MANIFEST = Manifest.parse((PROJECT_ROOT / "graphql" / "trusted-documents.json").read_bytes())
NOTHING = "00000000-0000-7000-8000-000000000000"
INVENTED = {
    **{"Boolean": False, "Int": 1, "String": "invented", "ID": NOTHING},
    **{"DateTime": "2026-03-01T00:00:00Z", "Date": "2026-03-01"},
}
PERSONAL_STATE = ("identity", "permits", "payments", "healthcode", "consent", "privacy", "keys", "events")
LOGGED_AS: Mapping[str, frozenset[str]] = {"NOT_FOUND": frozenset({"NOT_FOUND", "NOT_RELATED"})}
"""What stands in the log where the client is told less: nobody learns whether there is such a thing."""

DONE = frozenset(
    {
        *(("makeRightRequest", "citizen"), ("restrictProcessing", "citizen"), ("leaveDirective", "citizen")),
        ("enterBreach", "staff"),
    }
)
"""What anybody may do who is asked here, whatever they write: it is done, and logged as done."""
WITHHELD = frozenset({"CONSENT_REQUIRED", "PURPOSE_NARROWED"})
"""What an entry says of a coordinate instead of its form: the decision is logged, with what it withheld."""

NOT_LOGGED_YET: Mapping[tuple[str, str], str] = {}
"""(mutation, code) of refusals that leave no entry. It only shrinks."""

THROUGH_A_USE_CASE = {
    "approveRefund": "payments.service.refunding.approve_refund",
    "payBill": "payments.service.paying.pay_bill",
    "refreshSession": "identity.service.sessions.refresh_session",
    "replacePhone": "identity.service.citizens.replace_phone",
    "linkGuardian": "identity.service.guardians.link_guardian",
    "endGuardian": "identity.service.guardians.end_guardian",
    "breakGlass": "identity.service.citizens.break_glass",
    "requestSignInCode": "identity.service.accounts.request_sign_in_code",
    "verifyIdentity": "identity.service.accounts.verify_identity",
}
"""Mutations whose resolver does not commit itself → the use-case that does: each asks somebody outside in between."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mutation:
    """One mutation of one subgraph, and a document that holds it."""

    room: str
    name: str
    document: TrustedDocument
    arguments: Mapping[str, Any]

    def text(self) -> str:
        """The mutation alone; a payload is asked for nothing but its type."""
        if not self.arguments:
            return f"mutation {{ {self.name} {{ __typename {self.errors()} }} }}"
        declared = ", ".join(f"${name}: {argument.type}" for name, argument in self.arguments.items())
        passed = ", ".join(f"{name}: ${name}" for name in self.arguments)
        return f"mutation({declared}) {{ {self.name}({passed}) {{ __typename {self.errors()} }} }}"

    @staticmethod
    def errors() -> str:
        """What every payload has."""
        return "userErrors { code }"

    def variables(self, *, everything: bool) -> dict[str, Any]:
        """An input of the right types; `everything`: optional fields too."""
        return {name: invented(argument.type, everything=everything) for name, argument in self.arguments.items()}


def invented(type_: Any, *, everything: bool) -> Any:
    """Something that the type takes."""
    if isinstance(type_, GraphQLNonNull):
        return invented(type_.of_type, everything=everything)
    if isinstance(type_, GraphQLList):
        return [invented(type_.of_type, everything=everything)] if everything else []
    if isinstance(type_, GraphQLInputObjectType):
        return {
            name: invented(field.type, everything=everything)
            for name, field in type_.fields.items()
            if everything or isinstance(field.type, GraphQLNonNull)
        }
    if isinstance(type_, GraphQLEnumType):
        return next(iter(type_.values))
    return INVENTED[type_.name]


def documents_by_root() -> dict[str, TrustedDocument]:
    """Root mutation field → a trusted document that holds it."""
    found = {}
    for document in MANIFEST.documents.values():
        (operation,) = (node for node in parse(document.body).definitions if isinstance(node, OperationDefinitionNode))
        (root, *_) = operation.selection_set.selections
        assert isinstance(root, FieldNode)
        if document.kind == "mutation":
            found[root.name.value] = document
    return found


def mutations() -> Iterator[Mutation]:
    """Every mutation field of the five subgraphs."""
    documents = documents_by_root()
    for room in SUBGRAPHS:
        schema: GraphQLSchema = create_schema(room)._schema
        assert schema.mutation_type is not None, room
        for name, field in schema.mutation_type.fields.items():
            yield Mutation(room, name, documents[name], field.args)


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, clock: FrozenClock) -> Settings:
    """An installation with a payment channel, whose keys no other test looks into."""
    secrets = tmp_path / "secrets"
    shutil.copytree(settings.secrets_directory, secrets, ignore=shutil.ignore_patterns("payment-channel*"))
    make_keys(channel=tmp_path / "channel", merchant=secrets / MERCHANT_DIRECTORY, now=clock.now())
    return dataclasses.replace(settings, secrets_directory=secrets, payment_channel_url="http://channel.test")


@pytest.fixture
async def whole_town(town: Town, clock: FrozenClock, valkey: Redis) -> Town:
    """All five rooms. The channel is not there: nothing here comes as far as asking it."""

    async def unexpected(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.method} {request.url}")

    room = await create_room(town.settings, clock=clock, valkey=valkey, transport=httpx.MockTransport(unexpected))
    await room.start()
    town.rooms["payments"] = room
    return town


def actors_of(town: Town, mutation: Mutation, citizen: Actor) -> dict[str, Actor]:
    """Nobody; a citizen, a clerk with every role and no case, and a party, none of whom the ids are of."""
    client = min(mutation.document.clients)
    roles = ("permit-officer", "permit-approver", "registrar", "finance-officer", "supervisor", "compliance-officer")
    return {
        "anonymous": ANONYMOUS,
        "citizen": dataclasses.replace(citizen, authenticated_at=town.clock.now().replace(microsecond=0)),
        "staff": town.staff(*roles, client=client if client in ("counter", "compliance") else "counter"),
        "party": town.party("riverside-bank" if client != "night-market" else client),
    }


def codes_of(answer: Mapping[str, Any], field: str) -> set[str]:
    """Codes of errors and of user errors."""
    payload = (answer["data"] or {}).get(field) or {"userErrors": []}
    errors = {error["extensions"]["code"] for error in answer.get("errors", ())}
    return errors | {error["code"] for error in payload["userErrors"]}


async def test_every_mutation_leaves_an_entry_whoever_asks_and_whatever_comes_of_it(whole_town: Town) -> None:
    town = whole_town
    citizen = await town.register()
    refused, done, missing = 0, 0, set()
    for mutation in mutations():
        for filled, name in itertools.product(("required", "all"), ("anonymous", "citizen", "staff", "party")):
            # Refusals of strangers are counted by the minute: each is the first of its own.
            town.clock.advance(dt.timedelta(minutes=1))
            before, last = await state_of(town), await last_entries(town)
            actor = actors_of(town, mutation, citizen)[name]
            answer = await town.ask(
                mutation.room,
                mutation.text(),
                mutation.variables(everything=filled == "all"),
                purpose=mutation.document.purpose,
                actor=actor,
                reason="invented",
            )
            entries = await entries_since(town, last)
            changes = [entry for entry in entries if entry.kind == "change" and entry.outcome == "allowed"]
            codes = codes_of(answer, mutation.name)
            where = f"{mutation.room}.{mutation.name} by {name} ({filled}): {answer}"
            if (mutation.name, name) in DONE:
                assert (codes, bool(changes)) == (set(), True), where
                done += 1
                continue
            assert codes, where
            assert (changes, await state_of(town)) == ([], before), where
            missing |= {(mutation.name, code) for code in codes - logged_codes(entries, actor)}
            refused += 1

    assert missing == set(NOT_LOGGED_YET)
    assert done == 2 * len(DONE)
    assert refused + done == 8 * len(list(mutations())) > 250


def logged_codes(entries: list[Entry], actor: Actor) -> set[str]:
    """Codes of the refusals of `actor` among the entries, as the client was told them."""
    found = {
        entry.code or ""
        for entry in entries
        if entry.outcome == "refused" and entry.actor == actor.ref and entry.count == 1
    }
    withheld = {form for entry in entries for _, form in entry.coordinates if form in WITHHELD}
    return found | withheld | {told for told, logged in LOGGED_AS.items() if found & logged}


async def last_entries(town: Town) -> dict[str, Any]:
    """The newest of each of the log's two ways in."""
    return {
        "seq": await town.value("SELECT coalesce(max(seq), -1) FROM audit.entry"),
        "ids": [row["id"] for row in await town.rows("SELECT id FROM audit.pending")],
    }


async def entries_since(town: Town, last: Mapping[str, Any]) -> list[Entry]:
    """What came after. Refusals and changes are durable before the answer."""
    rows = await town.rows(
        "SELECT body FROM audit.entry WHERE seq > :seq UNION ALL SELECT body FROM audit.pending WHERE id <> ALL(:ids)",
        **last,
    )
    return [Entry.parse(bytes(row["body"])) for row in rows]


async def state_of(town: Town) -> str:
    """A digest of how many rows each table has, and of those that were changed last."""
    tables = await town.rows(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = ANY(:schemas) "
        "ORDER BY 1",
        schemas=list(PERSONAL_STATE),
    )
    rows = " UNION ALL ".join(
        f"SELECT '{table['name']}' AS name, count(*) AS rows, max(xmin::text::bigint) AS changed FROM {table['name']}"
        for table in tables
    )
    return hashlib.sha256(repr(await town.rows(rows)).encode()).hexdigest()


async def test_a_change_that_nobody_recorded_is_undone(town: Town) -> None:
    room = town.rooms["identity"]
    entrance = Entrance(EntranceKind.DOCUMENT, "adhoc", "registration")
    before = [await state_of(town), await town.entries()]

    async def change_quietly(ctx: WriteContext[Any]) -> bool:
        await ctx.session.execute(
            text("INSERT INTO identity.client VALUES ('quiet', 'quiet', 'x', :now)"), {"now": ctx.now}
        )
        return True

    context = entrance_context(room.services, entrance, now=town.clock.now())
    with pytest.raises(UnrecordedChange):
        await commit(context, change_quietly)

    assert [await state_of(town), await town.entries()] == before


def test_no_mutation_has_another_way_to_write_than_the_one_commit() -> None:
    through = {}
    for room in SUBGRAPHS:
        for name, resolver in resolvers_of(room).items():
            called = calls_of(resolver)
            if "commit" in called:
                continue
            use_cases = [found for call in called if (found := service_function(resolver, call)) is not None]
            through[name] = ",".join(
                f"{found.__module__.removeprefix('gov_services.')}.{found.__name__}"
                for found in use_cases
                if "commit" in calls_of(found)
            )

    assert through == THROUGH_A_USE_CASE


def resolvers_of(room: str) -> dict[str, Callable[..., Any]]:
    """Mutation field → the function that resolves it."""
    strawberry_schema = create_schema(room)
    mutation = strawberry_schema.get_type_by_name("Mutation")
    assert mutation is not None
    found = {}
    for field in mutation.fields:  # type: ignore[union-attr]
        graphql_name = strawberry_schema.config.name_converter.from_field(field)
        found[graphql_name] = field.base_resolver.wrapped_func
    assert set(found) == set(strawberry_schema._schema.mutation_type.fields)  # type: ignore[union-attr]
    return found


def calls_of(function: Callable[..., Any]) -> list[str]:
    """What the function calls, as written."""
    tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(function)))
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def service_function(resolver: Callable[..., Any], call: str) -> Callable[..., Any] | None:
    """The function of a service module that `module.function` names in the resolver's module."""
    module_name, _, name = call.partition(".")
    module = inspect.getmodule(resolver)
    imported = getattr(module, module_name, None)
    if not isinstance(imported, ModuleType) or ".service" not in imported.__name__:
        return None
    found = getattr(imported, name, None)
    return found if inspect.isfunction(found) else None
