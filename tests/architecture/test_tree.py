"""The tree holds to the house's habits: sizes, first lines, names, what lies where."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from gov_services.kit.settings import PROJECT_ROOT

pytestmark = pytest.mark.untraced

LONGEST_FILE = 400
LONGEST_FUNCTION = 70
PACKAGE = PROJECT_ROOT / "gov_services"
VAGUE = {"utils", "util", "helpers", "common", "misc", "base", "manager", "graphql"}
OURS = ("gov_services", "tests", "migrations")


def python_files() -> list[Path]:
    """Every Python file of ours."""
    return sorted(path for part in OURS for path in (PROJECT_ROOT / part).rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    """What the file says, parsed once."""
    return ast.parse(path.read_text())


def functions_of(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function, nested ones included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_there_is_something_to_hold_to_account() -> None:
    assert len(python_files()) > 250


def test_files_are_short_and_so_are_their_functions() -> None:
    long: dict[str, int] = {}
    for path in python_files():
        name, text = str(path.relative_to(PROJECT_ROOT)), path.read_text()
        if (lines := len(text.splitlines())) > LONGEST_FILE:
            long[name] = lines
        for node in functions_of(tree_of(path)):
            # The tables of a migration are one statement each, in constants; its functions stay short too.
            if (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION:
                long[f"{name}: {node.name}"] = lines
    assert long == {}


def test_a_module_says_first_what_it_is() -> None:
    silent = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = tree_of(path)
        first = (ast.get_docstring(tree) or "").partition("\n")[0]
        # A package re-exports nothing.
        only = path.name != "__init__.py" or len(tree.body) == 1
        if not (first.endswith((".", ":")) and len(first) > 20 and path.stem not in VAGUE and only):
            silent.append(str(path.relative_to(PACKAGE)))
    assert silent == []


def test_the_graph_folder_holds_no_python() -> None:
    found = [path for path in (PROJECT_ROOT / "graphql").rglob("*.py") if "node_modules" not in path.parts]
    assert found == []


def test_nothing_reads_the_environment_but_the_settings() -> None:
    readers = [
        path.relative_to(PACKAGE)
        for path in sorted(PACKAGE.rglob("*.py"))
        if "os.environ" in path.read_text() or "getenv(" in path.read_text()
    ]
    # A child process inherits what its parent was given.
    assert [path for path in readers if path.parts[0] != "devstack"] == [Path("kit/settings.py")]


def test_no_clock_is_read_but_by_the_clock() -> None:
    readers = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in ("devstack", "cli")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func) in ("dt.datetime.now", "dt.datetime.utcnow", "dt.date.today", "time.time")
    ]
    assert readers == ["kit/clock.py"]


def test_lock_files_hold_hashes_and_no_address() -> None:
    for part in ("run", "keys", "test", "check"):
        lines = (PROJECT_ROOT / "requirements" / f"{part}.txt").read_text().splitlines()
        assert any("--hash=sha256:" in line for line in lines)
        assert [line for line in lines if "://" in line or line.startswith("-i")] == []
    for folder in ("graphql", "tests/clients"):
        npm = (PROJECT_ROOT / folder / "package-lock.json").read_text()
        assert "resolved" not in npm
        assert "integrity" in npm


def test_what_running_needs_is_used() -> None:
    files = [path for part in ("gov_services", "migrations") for path in (PROJECT_ROOT / part).rglob("*.py")]
    sources = "".join(path.read_text() for path in files)
    modules: dict[str, set[str]] = {}
    for module, distributions in packages_distributions().items():
        for distribution in distributions:
            modules.setdefault(distribution.lower().replace("_", "-"), set()).add(module)
    lines = (PROJECT_ROOT / "requirements" / "run.in").read_text().splitlines()
    wanted = [line.partition("[")[0].strip() for line in lines if line.strip() and not line.startswith("#")]

    assert len(wanted) >= 20
    unused = [name for name in wanted if not any(module in sources for module in modules[name])]
    assert unused == []
