"""`gov-services staff` and `client`: accounts added, changed and disabled; and samples in development."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import rich_click as click

from gov_services.cli.failing import failing_in_one_line
from gov_services.cli.installation import require_database, require_valkey
from gov_services.identity import store
from gov_services.identity.app import create_room
from gov_services.identity.service import staff
from gov_services.kit.actor import system
from gov_services.kit.clock import SystemClock
from gov_services.kit.context import Entrance, EntranceKind
from gov_services.kit.settings import Settings, load_settings
from gov_services.kit.valkey import create_client
from gov_services.subgraph.composition import Room
from gov_services.subgraph.context import ReadContext
from gov_services.subgraph.entrances import JOBS_CLIENT, entrance_context
from gov_services.subgraph.unit_of_work import Outcome, commit

PURPOSE = "account-administration"

SAMPLE_STAFF = (
    ("lin.officer", "林窗口", ("permit-officer",), "north-counter"),
    ("zhao.approver", "赵审批", ("permit-approver",), "north-counter"),
    ("qian.registrar", "钱登记", ("registrar",), "north-counter"),
    ("sun.finance", "孙财务", ("finance-officer",), "treasury"),
    ("zhou.finance", "周财务", ("finance-officer",), "treasury"),
    ("wu.compliance", "吴合规", ("compliance-officer",), "data-bureau"),
    ("zheng.compliance", "郑合规", ("compliance-officer",), "data-bureau"),
)
"""Plainly invented: user name, name at work, roles, office."""
SAMPLE_CLIENTS = (("riverside-bank", "江畔银行 Riverside Bank"), ("night-market", "夜市 Night Market"))


@dataclass(frozen=True, slots=True)
class SampleAccounts:
    """Accounts of a development system, with passwords made for it alone."""

    staff: dict[str, str] = field(default_factory=dict)
    """User name → password."""
    clients: dict[str, str] = field(default_factory=dict)
    """Client id → secret."""

    def lines(self) -> list[str]:
        """For whoever runs the system."""
        return [
            *(f"  staff  {name:<18} {password}" for name, password in self.staff.items()),
            *(f"  client {name:<18} {secret}" for name, secret in self.clients.items()),
        ]


def administration(room: Room[Any], clock: SystemClock) -> ReadContext[Any]:
    """The context of an administrator at the command line."""
    entrance = Entrance(EntranceKind.JOB, "gov-services", PURPOSE)
    return entrance_context(room.services, entrance, now=clock.now(), actor=system(JOBS_CLIENT))


async def make_sample_accounts(settings: Settings, room: Room[Any]) -> SampleAccounts:
    """Add the sample accounts that are not there yet; passwords are kept beside the other secrets.

    `room` is identity.
    """
    made = SampleAccounts()
    clock = SystemClock()
    directory = settings.secrets_directory / "sample"
    directory.mkdir(mode=0o700, exist_ok=True)
    async with room.services.discloser.database.reading() as session:
        known = {row.username for row in await store.list_staff(session)}
        known |= {row.client_id for row in await store.list_clients(session)}
    for username, name, roles, office in SAMPLE_STAFF:
        password = made.staff[username] = _kept(directory / username)
        if username in known:
            continue
        await commit(
            administration(room, clock),
            staff.add_staff,
            username=username,
            display_name=name,
            password=password,
            roles=frozenset(roles),
            office=office,
        )
    for client_id, title in SAMPLE_CLIENTS:
        secret = made.clients[client_id] = _kept(directory / client_id)
        if client_id in known:
            continue
        await commit(administration(room, clock), staff.add_client, client_id=client_id, title=title, secret=secret)
    return made


def _kept(path: Any) -> str:
    """The secret in the file, made if there is none."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return str(path.read_text())


@contextlib.asynccontextmanager
async def identity_room(settings: Settings) -> AsyncIterator[Room[Any]]:
    """The identity room alone, for a command. Raises NotInstalled."""
    require_database(settings)
    require_valkey(settings)
    valkey = create_client(settings.valkey_url)
    room = await create_room(settings, clock=SystemClock(), valkey=valkey)
    await room.start()
    try:
        yield room
    finally:
        await room.close()
        await valkey.aclose()


@click.group("staff")
def staff_group() -> None:
    """Members of staff."""


@staff_group.command("add")
@click.argument("username")
@click.option("--name", required=True, help="Name at work.")
@click.option("--role", "roles", multiple=True, required=True, help="May be given several times.")
@click.option("--office", required=True, help="Office they serve in.")
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True, help="12 characters or more.")
def staff_add(username: str, name: str, roles: tuple[str, ...], office: str, password: str) -> None:
    """Add a member of staff."""
    _finish(
        _run_use_case(
            staff.add_staff,
            username=username,
            display_name=name,
            password=password,
            roles=frozenset(roles),
            office=office,
        )
    )


@staff_group.command("roles")
@click.argument("username")
@click.argument("roles", nargs=-1, required=True, metavar="ROLE...")
def staff_roles(username: str, roles: tuple[str, ...]) -> None:
    """Give a member of staff these roles and no others; they sign in anew."""
    _finish(_run_use_case(staff.change_roles, username=username, roles=frozenset(roles)), done="changed")


@staff_group.command("disable")
@click.argument("username")
def staff_disable(username: str) -> None:
    """End the sessions of a member of staff, who signs in no more and is given no case."""
    _finish(_run_use_case(staff.disable_staff, username=username), done="disabled")


@staff_group.command("list")
def staff_list() -> None:
    """Who there is."""

    async def read() -> list[str]:
        async with identity_room(load_settings()) as room, room.services.discloser.database.reading() as session:
            rows = await store.list_staff(session)
        return [
            f"{row.username:<20} {','.join(row.roles):<30} {row.office}{' (disabled)' if row.disabled_at else ''}"
            for row in rows
        ]

    with failing_in_one_line():
        lines = asyncio.run(read())
    for line in lines:
        click.echo(line)


@click.group("client")
def client_group() -> None:
    """Relying parties."""


@client_group.command("add")
@click.argument("client_id")
@click.option("--title", required=True, help="What it is called.")
def client_add(client_id: str, title: str) -> None:
    """Add a relying party; prints its secret, once."""
    secret = secrets.token_urlsafe(32)
    _finish(_run_use_case(staff.add_client, client_id=client_id, title=title, secret=secret))
    click.echo(f"client secret (shown once): {secret}")


@client_group.command("list")
def client_list() -> None:
    """Which there are."""

    async def read() -> list[str]:
        async with identity_room(load_settings()) as room, room.services.discloser.database.reading() as session:
            rows = await store.list_clients(session)
        return [f"{row.client_id:<20} {row.title}" for row in rows]

    with failing_in_one_line():
        lines = asyncio.run(read())
    for line in lines:
        click.echo(line)


def _run_use_case(use_case: Any, **arguments: Any) -> Outcome[Any]:
    async def go() -> Outcome[Any]:
        async with identity_room(load_settings()) as room:
            return await commit(administration(room, SystemClock()), use_case, **arguments)

    with failing_in_one_line():
        return asyncio.run(go())


def _finish(outcome: Outcome[Any], *, done: str = "added") -> None:
    for error in outcome.errors:
        click.echo(f"gov-services: {error.message('en')}", err=True)
    if outcome.result is None:
        sys.exit(1)
    click.echo(f"{done} {outcome.result}")
