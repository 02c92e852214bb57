"""The gateways that are measured: how each is installed and started. Others come from npm, into a folder of theirs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = {
    "@apollo/gateway": "2.14.4",
    "@apollo/server": "5.5.1",
    "@graphql-hive/gateway": "2.15.1",
    "@graphql-hive/router-runtime": "1.4.23",
    "graphql": "16.13.1",
}
_APOLLO = """
import { readFileSync } from "node:fs";
import { ApolloGateway } from "@apollo/gateway";
import { ApolloServer } from "@apollo/server";
import { startStandaloneServer } from "@apollo/server/standalone";
const gateway = new ApolloGateway({ supergraphSdl: readFileSync(process.argv[2], "utf8") });
const server = new ApolloServer({ gateway });
await startStandaloneServer(server, { listen: { host: "127.0.0.1", port: Number(process.argv[3]) } });
"""


class PeersMissing(Exception):
    """Node or npm is not there, or the packages could not be fetched."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One gateway: a command that serves GraphQL over HTTP on `port` at `path`."""

    name: str
    command: tuple[str, ...]
    port: int
    path: str = "/graphql"
    headers: dict[str, str] = field(default_factory=dict)


def install_peers(folder: Path) -> None:
    """Fetch the other gateways, once. Raises PeersMissing."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise PeersMissing("the other gateways need Node.js 20 or newer with npm")
    folder.mkdir(parents=True, exist_ok=True)
    wanted = json.dumps({"private": True, "dependencies": PACKAGES}, indent=2)
    manifest = folder / "package.json"
    (folder / "apollo.mjs").write_text(_APOLLO)
    if (folder / "node_modules" / ".installed").exists() and manifest.read_text() == wanted:
        return
    manifest.write_text(wanted)
    command = ["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]
    if subprocess.run(command, cwd=folder, check=False).returncode != 0:
        raise PeersMissing("npm could not fetch the other gateways")
    (folder / "node_modules" / ".installed").touch()


def peers(folder: Path, supergraph: Path, ports: list[int]) -> list[Contestant]:
    """The other gateways, each on a port of `ports`."""
    node = shutil.which("node") or "node"
    binary = str(folder / "node_modules" / ".bin" / "hive-gateway")
    hive = (node, binary, "supergraph", str(supergraph), "--host", "127.0.0.1")
    apollo = (node, str(folder / "apollo.mjs"), str(supergraph), str(ports[2]))
    return [
        Contestant("Hive Gateway", (*hive, "--port", str(ports[0])), ports[0]),
        Contestant(
            "Hive Gateway, Rust planner",
            (*hive, "--port", str(ports[1]), "--hive-router-runtime"),
            ports[1],
        ),
        Contestant("Apollo Gateway", apollo, ports[2], path="/"),
    ]


def ours(supergraph: Path, port: int, *options: str, headers: dict[str, str] | None = None) -> Contestant:
    """Our own engine over the same subgraphs."""
    run = "import sys; sys.argv[0] = 'gov-services'; from gov_services.cli.main import main; main()"
    command = (
        sys.executable,
        "-P",
        "-c",
        run,
        "gateway",
        "--supergraph",
        str(supergraph),
        "--port",
        str(port),
        *options,
    )
    return Contestant("gov-services", command, port, headers=headers or {})
