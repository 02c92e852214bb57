"""`gov-services documents`: a document that reads or collects beyond its purpose is never registered, and says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gov_services.kit.manifest import Manifest

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


@pytest.mark.parametrize(
    ("client", "name", "text", "problem"),
    [
        (
            "riverside-bank",
            "IsAdult",
            ADULT % "isAdult birthDate",
            "riverside-bank/IsAdult: adult-check does not grant Citizen.birthDate",
        ),
        (
            "riverside-bank",
            "IsAdult",
            ADULT % "... { other: name }",
            "riverside-bank/IsAdult: adult-check does not grant Citizen.name",
        ),
        (
            "riverside-bank",
            "Me",
            'query Me @purpose(code: "own-account") { me { name } }',
            "riverside-bank/Me: riverside-bank does not act under own-account",
        ),
        (
            "citizen-app",
            "Me",
            'query Me @purpose(code: "banana") { me { name } }',
            "citizen-app/Me: its purpose 'banana' is not registered",
        ),
        ("citizen-app", "Me", "query Me { me { name } }", 'citizen-app/Me: it says no @purpose(code: "…")'),
        (
            "citizen-app",
            "Me",
            'query You @purpose(code: "own-account") { me { name } }',
            "citizen-app/Me: the operation is named as its file",
        ),
        (
            "citizen-app",
            "SignOut",
            'mutation SignOut @purpose(code: "session-upkeep") { a: signOut { signedOut } b: signOut { signedOut } }',
            "citizen-app/SignOut: a document holds one root mutation",
        ),
        (
            "citizen-app",
            "Register",
            'mutation Register($input: RegisterInput!) @purpose(code: "session-upkeep") '
            "{ register(input: $input) { registered } }",
            "citizen-app/Register: session-upkeep does not collect RegisterInput.address",
        ),
    ],
)
def test_a_document_beyond_its_purpose_is_refused_with_its_coordinate_and_nothing_is_written(
    alone: Callable, graph_copy: Path, client: str, name: str, text: str, problem: str
) -> None:
    committed = state_of(graph_copy)
    (graph_copy / "operations" / client / f"{name}.graphql").write_text(text)

    built = alone("documents", "build")

    assert built.status == 1
    assert built.err.removeprefix("gov-services: ").splitlines()[0] == problem
    assert built.out == ""
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
        ({"operations": [{"name": "Me", "body": "{ me { name } }", "id": "0" * 64}]}, "the id of Me is not the hash"),
        ({"operations": [{}]}, "not a manifest: KeyError: 'body'"),
        ({"operations": 7}, "not a manifest: TypeError"),
        ({"manifestVersion": "x"}, "not a manifest: ValueError"),
    ],
)
def test_a_manifest_that_is_none_is_refused_and_not_signed(
    alone: Callable, graph_copy: Path, tmp_path: Path, changed: dict[str, object], complaint: str
) -> None:
    assert alone("keys", "init").status == 0
    path = graph_copy / "trusted-documents.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))

    for command in ("sign", "build"):
        assert alone("documents", command).complaint.startswith(complaint)
    assert not (tmp_path / "runtime").exists()


def test_signing_needs_a_key_and_is_told_so(alone: Callable, graph_copy: Path, tmp_path: Path) -> None:
    assert alone("documents", "sign").complaint == "manifest is not there or not readable"
    assert not (tmp_path / "runtime").exists()

    alone("keys", "init")
    signed = alone("documents", "sign")

    assert signed.out == f"signed manifest version {Manifest.parse(state_of(graph_copy)).version}\n"
    key_id, signature = (tmp_path / "runtime" / "trusted-documents.sig").read_text().split()
    assert (tmp_path / "secrets" / "signing" / "manifest" / f"{key_id}.pem").exists()
    assert len(bytes.fromhex(signature)) == 64
