"""How a command fails: in one line on standard error, and with exit code 1. It handles nothing that is a defect."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import NoReturn

import rich_click as click

EXPECTED = (
    "gov_services.audit.verify_export:ExportRefused",
    "gov_services.cli.documents:DocumentsRefused",
    "gov_services.cli.graph:GraphRefused",
    "gov_services.cli.installation:NotInstalled",
    "gov_services.cli.listening:NotListening",
    "gov_services.crypto.keys:KeyRefused",
    "gov_services.crypto.signing:SignatureRefused",
    "gov_services.devstack.processes:ServerNotStarted",
    "gov_services.federation.supergraph:SupergraphInvalid",
    "gov_services.devstack.bench.contestants:PeersMissing",
    "gov_services.devstack.bench.load:WrongAnswer",
    "gov_services.gateway.headers:RulesRefused",
    "gov_services.crypto.jwk_sets:KeySetRefused",
    "gov_services.kit.manifest:ManifestRefused",
    "gov_services.kit.settings:SettingsRefused",
    "gov_services.payments.wechat_files:MerchantFilesRefused",
    "gov_services.permits.catalogue:CatalogueRefused",
    "asyncpg:PostgresError",
    "asyncpg:InterfaceError",
)
"""Where what can go wrong is defined. Nothing is imported for it: what was raised is loaded already."""


def fail(message: str) -> NoReturn:
    """Say what went wrong in one line, and exit 1."""
    click.echo(f"gov-services: {message}", err=True)
    sys.exit(1)


@contextlib.contextmanager
def failing_in_one_line() -> Iterator[None]:
    """Tell what we know can go wrong in one line; a defect keeps its traceback."""
    try:
        yield
    except Exception as refused:
        line = _line(refused)
        if line is None:
            raise
        fail(line)


def _line(refused: Exception) -> str | None:
    """What is said of it; None for a defect."""
    if _is("sqlalchemy.exc:DBAPIError", refused):
        return f"PostgreSQL: {refused.orig}"  # type: ignore[attr-defined]
    if _is("gov_services.kit.errors:ServiceError", refused):
        return str(refused.message("en"))  # type: ignore[attr-defined]
    if isinstance(refused, OSError) or any(_is(name, refused) for name in EXPECTED if name.startswith("asyncpg:")):
        return f"{type(refused).__name__}: {refused}"
    return str(refused) if any(_is(name, refused) for name in EXPECTED) else None


def _is(name: str, refused: Exception) -> bool:
    module, _, attribute = name.partition(":")
    return module in sys.modules and isinstance(refused, getattr(sys.modules[module], attribute))
