"""Exports, composes and checks the graph. Composing needs Node; seeing whether it has drifted does not."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from gov_services.cli.rooms import SUBGRAPHS, create_schema

INPUTS = "# inputs sha256:"
"""First line of the supergraph: the hash of the subgraph schemas that it was composed from."""


class GraphRefused(Exception):
    """The graph does not compose, or what is committed is not what the code says."""


def export(graph_directory: Path) -> list[str]:
    """Write every subgraph's SDL; returns the names of those that changed."""
    directory = graph_directory / "subgraphs"
    directory.mkdir(parents=True, exist_ok=True)
    changed = []
    for name in SUBGRAPHS:
        path, sdl = directory / f"{name}.graphql", sdl_of(name)
        if not path.exists() or path.read_text() != sdl:
            path.write_text(sdl)
            changed.append(name)
    return changed


def sdl_of(name: str) -> str:
    """A subgraph's SDL, as it is committed."""
    return create_schema(name).as_str().strip() + "\n"


def compose(graph_directory: Path) -> None:
    """Compose the committed SDLs into the committed supergraph. Raises GraphRefused, also where Node is missing."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise GraphRefused("composing needs Node.js 20 or newer with npm; everything else works without")
    if not (graph_directory / "node_modules").is_dir():
        _run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], graph_directory)
    composed = _run([node, "compose.mjs"], graph_directory)
    header = f"{INPUTS}{inputs_hash(graph_directory)}\n"
    (graph_directory / "supergraph.graphql").write_text(header + composed)


def drift(graph_directory: Path) -> list[str]:
    """What of the committed graph is not what the code says; empty when nothing."""
    found = []
    for name in SUBGRAPHS:
        path = graph_directory / "subgraphs" / f"{name}.graphql"
        if not path.exists() or path.read_text() != sdl_of(name):
            found.append(f"subgraphs/{name}.graphql is not what gov_services/{name}/graph says: graph export")
    first_line = (graph_directory / "supergraph.graphql").read_text().partition("\n")[0]
    if first_line != f"{INPUTS}{inputs_hash(graph_directory)}":
        found.append("supergraph.graphql was composed from other schemas: graph compose")
    return found


def inputs_hash(graph_directory: Path) -> str:
    """SHA-256 over the committed subgraph SDLs, name by name."""
    digest = hashlib.sha256()
    for path in sorted((graph_directory / "subgraphs").glob("*.graphql")):
        content = path.read_bytes()
        digest.update(f"{path.stem}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def _run(command: list[str], directory: Path) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)  # noqa: S603  our own
    if done.returncode != 0:
        raise GraphRefused(done.stderr.strip() or f"{command[0]} failed")
    return done.stdout
