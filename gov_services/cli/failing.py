"""How a command fails: in one line on standard error, and with exit code 1. It handles nothing that is a defect."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import NoReturn

import asyncpg
import rich_click as click
from sqlalchemy.exc import DBAPIError

from gov_services.cli.documents import DocumentsRefused
from gov_services.cli.graph import GraphRefused
from gov_services.cli.installation import NotInstalled
from gov_services.crypto.keys import KeyRefused
from gov_services.crypto.signing import SignatureRefused
from gov_services.devstack.processes import ServerNotStarted
from gov_services.kit.errors import ServiceError
from gov_services.kit.manifest import ManifestRefused
from gov_services.kit.settings import SettingsRefused
from gov_services.payments.wechat_files import MerchantFilesRefused
from gov_services.permits.catalogue import CatalogueRefused

EXPECTED = (
    CatalogueRefused,
    DocumentsRefused,
    GraphRefused,
    KeyRefused,
    ManifestRefused,
    MerchantFilesRefused,
    NotInstalled,
    ServerNotStarted,
    SettingsRefused,
    SignatureRefused,
)


def fail(message: str) -> NoReturn:
    """Say what went wrong in one line, and exit 1."""
    click.echo(f"gov-services: {message}", err=True)
    sys.exit(1)


@contextlib.contextmanager
def failing_in_one_line() -> Iterator[None]:
    """Tell what we know can go wrong in one line; a defect keeps its traceback."""
    try:
        yield
    except EXPECTED as refused:
        fail(str(refused))
    except ServiceError as refused:
        fail(refused.message("en"))
    except DBAPIError as refused:
        fail(f"PostgreSQL: {refused.orig}")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as refused:
        fail(f"{type(refused).__name__}: {refused}")
