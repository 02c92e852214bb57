"""`gov-services documents`: a document that reads or collects beyond its purpose is never registered, and says why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gov_services.cli import installation
from gov_services.kit.clock import SystemClock
from gov_services.kit.manifest import Manifest, ManifestRefused
from gov_services.kit.settings import Settings, load_settings

ADULT = (
    'query IsAdult($reference: ID!) @purpose(code: "adult-check") {\n'
    "  consentedCitizen(reference: $reference) { %s }\n}\n"
)


def state_of(graph: Path) -> bytes:
    """The manifest as it lies there."""
    return (graph / "trusted-documents.json").read_bytes()


def test_the_committed_documents_are_within_their_purposes_and_building_them_again_changes_nothing(
    alone: Callable, graph_copy: Path
) -> None:
    committed = state_of(graph_copy)
    manifest = Manifest.parse(committed)

    checked, built = alone("documents", "check"), alone("documents", "build")

    assert checked.out == f"{len(manifest.documents)} documents, each within its purpose\n"
    assert built.out == f"manifest version {manifest.version}: {len(manifest.documents)} documents\n"
    assert state_of(graph_copy) == committed


BEYOND = {
    ("riverside-bank", "IsAdult"): (ADULT % "isAdult birthDate", "adult-check does not grant Citizen.birthDate"),
    ("riverside-bank", "Named"): (
        (ADULT % "... { other: name }").replace("IsAdult", "Named"),
        "adult-check does not grant Citizen.name",
    ),
    ("riverside-bank", "Me"): (
        'query Me @purpose(code: "own-account") { me { name } }',
        "riverside-bank does not act under own-account",
    ),
    ("citizen-app", "Unknown"): (
        'query Unknown @purpose(code: "banana") { me { name } }',
        "its purpose 'banana' is not registered",
    ),
    ("citizen-app", "Purposeless"): ("query Purposeless { me { name } }", 'it says no @purpose(code: "…")'),
    ("citizen-app", "Misnamed"): (
        'query You @purpose(code: "own-account") { me { name } }',
        "the operation is named as its file",
    ),
    ("citizen-app", "SignOut"): (
        'mutation SignOut @purpose(code: "session-upkeep") { a: signOut { signedOut } b: signOut { signedOut } }',
        "a document holds one root mutation",
    ),
    ("citizen-app", "SignIn"): (
        'mutation SignIn($input: SignInInput!) @purpose(code: "session-upkeep") '
        "{ signIn(input: $input) { session { accessToken } } }",
        "session-upkeep does not collect SignInInput.phone",
    ),
    ("citizen-app", "Several"): (
        'query Several @purpose(code: "own-account") { me { id } } query Other { me { id } }',
        "a file holds one operation",
    ),
    ("citizen-app", "Unfit"): (
        'query Unfit @purpose(code: "own-account") { me { banana } }',
        "Cannot query field 'banana' on type 'Citizen'.",
    ),
}
"""(client, name) → an operation that may not be registered, and why."""


def test_documents_beyond_their_purposes_are_refused_by_coordinate_all_at_once_and_nothing_is_written(
    alone: Callable, graph_copy: Path
) -> None:
    committed = state_of(graph_copy)
    for (client, name), (operation, _) in BEYOND.items():
        (graph_copy / "operations" / client / f"{name}.graphql").write_text(operation)

    built = alone("documents", "build")

    assert (built.status, built.out) == (1, "")
    told = built.err.removeprefix("gov-services: ").splitlines()
    assert set(told) == {f"{client}/{name}: {problem}" for (client, name), (_, problem) in BEYOND.items()}
    assert len(told) == len(BEYOND)
    assert state_of(graph_copy) == committed


def test_a_manifest_that_drifted_is_found_and_building_it_makes_the_next_version(
    alone: Callable, graph_copy: Path
) -> None:
    version = Manifest.parse(state_of(graph_copy)).version
    text = 'query Me @purpose(code: "own-account") { me { name } }\n'
    (graph_copy / "operations" / "citizen-app" / "Me.graphql").write_text(text)

    complaint = alone("documents", "check").complaint
    built = alone("documents", "build")

    assert complaint == "trusted-documents.json is not what the operation files say: gov-services documents build"
    assert built.status == 0
    manifest = Manifest.parse(state_of(graph_copy))
    assert manifest.version == version + 1
    assert manifest.named("citizen-app", "Me").reads == {"Citizen.name"}
    assert "@purpose" not in state_of(graph_copy).decode()
    assert alone("documents", "check").status == 0


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"format": "another"}, "not apollo-persisted-query-manifest version 1"),
        ({"version": 2}, "not apollo-persisted-query-manifest version 1"),
        ({"operations": [{"name": "Me", "body": "{ me { name } }", "id": "0" * 64}]}, "type is no text"),
        ({"operations": [{}]}, "id is no text"),
        ({"operations": 7}, "operations is no list"),
        ({"manifestVersion": "x"}, "manifestVersion is no number from 1"),
    ],
)
def test_a_manifest_that_is_none_is_refused(
    alone: Callable, graph_copy: Path, tmp_path: Path, changed: dict[str, object], complaint: str
) -> None:
    assert alone("keys", "init").status == 0
    path = graph_copy / "trusted-documents.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))

    for command in (("changes",), ("build",)):
        assert alone("documents", *command).complaint.startswith(complaint)
    assert not (tmp_path / "runtime").exists()


def test_an_older_manifest_than_the_log_knows_of_is_neither_announced_nor_served(
    installed: Callable,
    graph_copy: Path,
    settings: Settings,
    integrate: Callable[[], None],
    sign_documents: Callable[[], None],
) -> None:
    def announce(version: int) -> Any:
        path = graph_copy / "trusted-documents.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"manifestVersion": version}))
        sign_documents()
        return installed("documents", "announce")

    assert installed("purposes", "publish").status == 0
    assert announce(7).out == "manifest version 7 is in the log\n"
    assert announce(7).status == 0
    integrate()

    newer = "gov-services documents build --above 7 makes a newer one"
    assert announce(6).complaint == f"manifest version 6 is older than 7, which is in force: {newer}"
    with pytest.raises(ManifestRefused, match="version 6 is older than 7"):
        asyncio.run(installation.require_newest_manifest(load_settings(), clock=SystemClock()))
    integrate()
    assert announce(8).out == "manifest version 8 is in the log\n"
    # It counts from then on, though the integrator has not come to it yet.
    assert announce(7).complaint.startswith("manifest version 7 is older than 8")
    assert announce(8).status == 0
    assert asyncio.run(installation.require_newest_manifest(load_settings(), clock=SystemClock())).version == 8
    integrate()
    assert asyncio.run(announced(settings)) == [7, 7, 8, 8]


async def announced(settings: Settings) -> list[int]:
    """Versions that the log says were trusted, oldest first."""
    connection = await asyncpg.connect(settings.database_url)
    try:
        rows = await connection.fetch("SELECT object FROM audit.described WHERE kind = 'manifest' ORDER BY seq")
    finally:
        await connection.close()
    return [int(row[0].split(":")[1]) for row in rows]
