"""Every command that ends by itself, where what it needs is missing: one line, exit code 1, and nothing made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
import rich_click as click

from gov_services.cli.main import cli

ENTRY = str(UUID(int=1))
COMMANDS: dict[str, tuple[str, ...]] = {
    "audit export": ("{directory}/exported",),
    "audit prove": (ENTRY,),
    "audit prove-history": ("00" * 16,),
    "audit verify": (),
    "client add": ("west-bank", "--title", "x"),
    "client list": (),
    "db check": (),
    "db upgrade": (),
    "documents announce": (),
    "documents build": (),
    "documents check": (),
    "documents changes": (),
    "documents sign": ("--as", "officer"),
    "graph check": (),
    "graph compose": (),
    "graph explain": ("{file}",),
    "keys retire": ("health",),
    "keys rotate": ("health",),
    "keys shred": ("health/0001",),
    "keys status": (),
    "keys export": ("{directory}/exported", "--for", "gateway"),
    "privacy audits": (),
    "privacy lint": (),
    "privacy map": (),
    "privacy narrow": (),
    "purposes publish": (),
    "staff add": (*("w.x", "--name", "x", "--role", "registrar", "--office", "x"), "--password", "an invented one"),
    "staff disable": ("w.x",),
    "staff list": (),
    "staff roles": ("w.x", "registrar"),
}
WITHOUT_NEED = {
    "audit adopt-log": "writes down which log is meant",
    "audit witness": "needs nothing of ours; test_witness",
    "settings": "prints what could be set",
    "keys init": "makes what is missing",
    "keys add": "makes its key where there is none",
    "keys place": "puts in place what is there to put",
    "graph export": "writes what the code says",
    "demo": "starts what it needs",
    "serve": "starts what it needs; test_serving asks it in production",
    "gateway": "serves; test_serving and test_standalone",
    "bench audit": "starts what it measures; test_bench",
    "bench citizens": "starts what it measures; test_bench",
    "bench gateway": "starts what it measures",
    "bench policy": "needs nothing; test_bench",
    "bench sealed": "needs nothing; test_bench",
    "bench subjects": "starts what it measures; test_bench",
    "subgraph": "serves; test_serving",
    "log": "serves; test_serving",
    "worker": "serves; test_serving",
}
"""Commands that are not asked here, each with its reason."""

NEEDS_SERVERS = (
    *(
        "audit",
        "client",
        "staff",
        "db",
        "documents announce",
        "keys rotate",
        "keys shred",
        "keys status",
        "privacy",
        "purposes",
    ),
)


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> set[str]:
    """Every command that does something."""
    found: set[str] = set()
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found |= leaves(command, (*path, name)) if isinstance(command, click.Group) else {" ".join((*path, name))}
    return found


def test_every_command_is_asked_or_says_why_not() -> None:
    assert leaves(cli) == set(COMMANDS) | set(WITHOUT_NEED)


def test_every_command_tells_in_one_line_what_is_not_installed(
    alone: Callable, nothing_set: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "graph").mkdir()
    document = tmp_path / "Me.graphql"
    document.write_text("query Me { me { name } }")
    nothing_set.setenv("GOV_GRAPH_DIR", str(tmp_path / "graph"))

    assert escaping(alone, COMMANDS, file=document, directory=tmp_path) == {}
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")} == {"graph", "Me.graphql"}


def test_every_command_tells_in_one_line_that_a_server_does_not_answer(
    alone: Callable, nothing_set: pytest.MonkeyPatch, tmp_path: Path, sign_documents: Callable[[], None]
) -> None:
    assert alone("keys", "init").status == 0
    sign_documents()
    nothing_set.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    nothing_set.setenv("VALKEY_URL", "redis://127.0.0.1:1/0")

    asked = {name: given for name, given in COMMANDS.items() if name.startswith(NEEDS_SERVERS)}
    assert escaping(alone, asked, directory=tmp_path) == {}
    assert not (tmp_path / "exported").exists()


def test_what_needs_an_address_says_which_is_not_set(alone: Callable, nothing_set: pytest.MonkeyPatch) -> None:
    assert alone("db", "check").complaint == "DATABASE_URL is not set"
    assert alone("purposes", "publish").complaint == "DATABASE_URL is not set"
    assert alone("staff", "list").complaint == "DATABASE_URL is not set"
    assert alone("keys", "init").status == 0
    assert alone("audit", "verify").complaint == "DATABASE_URL is not set"
    nothing_set.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    assert alone("staff", "list").complaint == "VALKEY_URL is not set"
    assert alone("client", "add", "west-bank", "--title", "x").complaint == "VALKEY_URL is not set"


def escaping(alone: Callable, commands: dict[str, tuple[str, ...]], **places: Path) -> dict[str, str]:
    """Of each command that ends in a traceback what escapes; the others fail in one line."""
    escaped = {}
    for command, arguments in commands.items():
        try:
            done = alone(*command.split(), *(argument.format(**places) for argument in arguments))
        except Exception as error:  # noqa: BLE001  whatever escapes is what we look for
            escaped[command] = type(error).__name__
            continue
        assert (done.status, done.out) == (1, ""), (command, done)
        assert done.err.startswith("gov-services: "), (command, done)
        assert len(done.err.splitlines()) == 1, (command, done)
    return escaped
