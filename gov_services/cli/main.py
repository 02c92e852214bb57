"""The `gov-services` command: finds a subcommand where it lives and loads that file alone. It does nothing itself."""

from __future__ import annotations

import importlib
from typing import Any

import rich_click as click

from gov_services.cli.failing import failing_in_one_line
from gov_services.kit.logging import configure_logging
from gov_services.kit.settings import load_settings

_COMMANDS = "gov_services.cli.commands"
_SERVING = "gov_services.cli.serving"
SUBCOMMANDS: dict[str, tuple[str, str]] = {
    "audit": ("gov_services.cli.log", "audit_group"),
    "bench": ("gov_services.cli.bench", "bench"),
    "client": ("gov_services.cli.accounts", "client_group"),
    "db": (_COMMANDS, "db"),
    "demo": (_SERVING, "demo"),
    "documents": (_COMMANDS, "documents_group"),
    "gateway": ("gov_services.cli.gateway", "gateway"),
    "graph": (_COMMANDS, "graph_group"),
    "keys": ("gov_services.cli.keys", "keys"),
    "log": (_SERVING, "log"),
    "privacy": ("gov_services.cli.privacy", "privacy_group"),
    "purposes": (_COMMANDS, "purposes_group"),
    "serve": (_SERVING, "serve"),
    "settings": (_COMMANDS, "settings_command"),
    "staff": ("gov_services.cli.accounts", "staff_group"),
    "subgraph": (_SERVING, "subgraph"),
    "worker": (_SERVING, "worker"),
}
"""Name → (module, attribute). What one of them needs is not loaded for another: the gateway is there in a second."""


class Subcommands(click.RichGroup):
    """The subcommands, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them, by name."""
        return sorted(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them; None where there is none of that name."""
        if cmd_name not in SUBCOMMANDS:
            return None
        module, attribute = SUBCOMMANDS[cmd_name]
        command: Any = getattr(importlib.import_module(module), attribute)
        return command  # type: ignore[no-any-return]


@click.group(cls=Subcommands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """One backend for everything a citizen does with a city."""


def main() -> None:
    """Entry point."""
    with failing_in_one_line():
        configure_logging(load_settings().log_level)
        cli()
