"""Trusted documents come in force by two signatures, of two people, the second with what changes before their eyes."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gov_services.audit.entry import Entry, EntryKind
from gov_services.crypto.keys import add_signing_key
from gov_services.kit.clock import SystemClock
from gov_services.kit.manifest import Manifest
from gov_services.kit.manifest_statement import Office, Statement
from gov_services.kit.settings import Settings, load_settings
from gov_services.subgraph.manifests import load_manifest

NOW = SystemClock()


class Two:
    """An author and an officer, each with a directory of keys; the checkout and the proposal pass between them."""

    def __init__(self, command: Callable, patch: pytest.MonkeyPatch, directory: Path, graph: Path) -> None:
        self._command, self._patch, self._directory = command, patch, directory
        self.graph = graph
        self.runtime = directory / "runtime"
        command("keys", "init")
        for office in Office:
            assert command("keys", "export", "--for", office.value, str(directory / "out" / office)).status == 0
        for office in Office:
            patch.setenv("GOV_SECRETS_DIR", str(directory / office))
            command("keys", "place", str(directory / "out" / office))

    def secrets(self, office: Office) -> Path:
        """Where the office keeps its keys."""
        return self._directory / office

    def sign(self, office: Office, *arguments: str, typed: str = "") -> Any:
        """`documents sign` as that person calls it."""
        self._patch.setenv("GOV_SECRETS_DIR", str(self.secrets(office)))
        return self._command("documents", "sign", "--as", office.value, *arguments, typed=typed)

    def change(self, **operations: Any) -> int:
        """Change operations of the manifest by name (None takes one out), and its version, which is returned."""
        path = self.graph / "trusted-documents.json"
        raw = json.loads(path.read_text())
        raw["manifestVersion"] += 1
        raw["operations"] = [
            {**item, **(operations.get(item["name"]) or {})}
            for item in raw["operations"]
            if operations.get(item["name"], {}) is not None
        ]
        path.write_text(json.dumps(raw))
        return int(raw["manifestVersion"])

    @property
    def hash(self) -> str:
        """Of the manifest as it lies there."""
        return Manifest.parse((self.graph / "trusted-documents.json").read_bytes()).hash

    def files(self) -> set[str]:
        """What lies in the runtime directory."""
        return {path.name for path in self.runtime.glob("*")}


@pytest.fixture
def two(alone: Callable, nothing_set: pytest.MonkeyPatch, tmp_path: Path, graph_copy: Path) -> Two:
    return Two(alone, nothing_set, tmp_path, graph_copy)


def test_two_people_sign_one_after_the_other_and_then_it_is_in_force(two: Two) -> None:
    assert two.sign(Office.OFFICER).complaint.startswith("its author has not signed")

    proposed = two.sign(Office.AUTHOR, "--days", "90")
    assert two.files() == {"trusted-documents.proposed.sig"}
    with pytest.raises(FileNotFoundError):
        load_manifest(load_settings(), now=NOW.now())
    approved = two.sign(Office.OFFICER, typed="y\n")

    manifest = load_manifest(load_settings(), now=NOW.now())
    assert proposed.out == f"signed manifest version {manifest.version} as author; a compliance officer signs next\n"
    assert f"manifest version {manifest.version} ({manifest.hash}); none is in force\n" in approved.out
    assert "  new      riverside-bank/IsAdult: query under adult-check; reads Citizen.isAdult\n" in approved.out
    assert manifest.until is not None
    assert 89 <= (manifest.until - NOW.now()).days <= 90
    assert approved.out.endswith(f"in force until {manifest.until:%Y-%m-%d}\n")
    assert two.files() == {"trusted-documents.sig", "trusted-documents.in-force.json"}


def test_the_officer_is_shown_every_document_that_is_new_gone_or_under_another_purpose(two: Two) -> None:
    two.sign(Office.AUTHOR)
    two.sign(Office.OFFICER, typed="y\n")
    before = (two.runtime / "trusted-documents.sig").read_bytes()
    version = two.change(IsAdult={"purpose": "licence-verification"}, Me={"reads": ["Citizen.birthDate"]}, MyBill=None)
    two.sign(Office.AUTHOR)

    declined = two.sign(Office.OFFICER, typed="n\n")
    of_another = two.sign(Office.OFFICER, "--approve", "0" * 64)
    assert (two.runtime / "trusted-documents.sig").read_bytes() == before
    approved = two.sign(Office.OFFICER, "--approve", two.hash)

    assert (declined.status, of_another.status, approved.status) == (1, 1, 0)
    assert declined.complaint == "not signed"
    shown = approved.out.splitlines()
    assert shown[0] == f"manifest version {version} ({two.hash}); version {version - 1} is in force"
    assert "  changed  riverside-bank/IsAdult: purpose adult-check → licence-verification" in shown
    assert [line.split(":")[0] for line in shown if line.startswith("  gone ")] == ["  gone     citizen-app/MyBill"]
    (me,) = [line for line in shown if line.startswith("  changed  citizen-app/Me: ")]
    assert "reads Citizen.birthDate too; reads " in me
    assert "no more" in me
    assert not [line for line in shown if line.startswith("  new ")]


def test_what_is_held_against_must_be_what_is_in_force(two: Two, tmp_path: Path) -> None:
    two.sign(Office.AUTHOR)
    two.sign(Office.OFFICER, typed="y\n")
    kept = two.runtime / "trusted-documents.in-force.json"
    content = kept.read_bytes()
    two.change(Me=None)
    two.sign(Office.AUTHOR)

    kept.write_bytes((two.graph / "trusted-documents.json").read_bytes())
    hidden = two.sign(Office.OFFICER, typed="y\n")
    kept.unlink()
    missing = two.sign(Office.OFFICER, typed="y\n")
    (tmp_path / "elsewhere.json").write_bytes(content)
    named = two.sign(Office.OFFICER, "--against", str(tmp_path / "elsewhere.json"), typed="y\n")

    for refused in (hidden, missing):
        assert "is not the manifest in force" in refused.complaint
    assert "  gone     citizen-app/Me: " in named.out
    assert named.status == 0


def test_one_person_with_both_keys_or_one_key_in_both_offices_is_refused(two: Two, alone: Callable) -> None:
    author, officer = (two.secrets(office) / "signing" for office in Office)
    shutil.copytree(author / "manifest-author", officer / "manifest-officer", dirs_exist_ok=True)
    for path in (officer / "manifest-officer").glob("*.pem"):
        if not (author / "manifest-author" / path.name).exists():
            path.unlink()
    two.sign(Office.AUTHOR)

    twice = two.sign(Office.OFFICER, typed="y\n")
    assert twice.status == 1
    assert "one key signed as author and as officer" in twice.err
    shutil.copytree(author / "manifest-author", officer / "manifest-author", dirs_exist_ok=True)
    both = two.sign(Office.OFFICER, typed="y\n")

    assert both.complaint.startswith("the private key manifest-author lies here too: author and officer are two people")
    assert two.files() == {"trusted-documents.proposed.sig"}


def test_a_proposal_is_good_for_these_bytes_by_this_author_alone(two: Two) -> None:
    two.sign(Office.AUTHOR)
    two.change(Me=None)
    assert "what was signed is manifest version" in two.sign(Office.OFFICER, typed="y\n").complaint

    add_signing_key(two.secrets(Office.AUTHOR), "manifest-author")  # its public half was handed to nobody
    two.sign(Office.AUTHOR)
    assert two.sign(Office.OFFICER, typed="y\n").complaint == "made by a key that is not known here"

    for path in (two.secrets(Office.OFFICER) / "signing" / "manifest-author").glob("*"):
        path.unlink()
    shutil.copy(*_newest_public(two, Office.AUTHOR, Office.OFFICER))
    assert two.sign(Office.OFFICER, typed="y\n").status == 0
    assert two.files() == {"trusted-documents.sig", "trusted-documents.in-force.json"}


def _newest_public(two: Two, of: Office, to: Office) -> tuple[Path, Path]:
    name = f"manifest-{of.value}"
    newest = sorted((two.secrets(of) / "signing" / name).glob("*.pub"))[-1]
    return newest, two.secrets(to) / "signing" / name / newest.name


def test_nothing_is_signed_for_longer_than_a_year_and_a_day(two: Two) -> None:
    assert two.sign(Office.AUTHOR, "--days", "367").status != 0
    assert not two.files()


def test_the_changes_are_there_for_a_machine_too(two: Two, alone: Callable) -> None:
    two.sign(Office.AUTHOR)
    two.sign(Office.OFFICER, typed="y\n")
    version = two.change(Me=None)

    told = json.loads(alone("documents", "changes", "--json").out)

    assert (told["before"], told["after"], told["hash"]) == (version - 1, version, two.hash)
    assert [line.split(":")[0] for line in told["removed"]] == ["citizen-app/Me"]
    assert told["added"] == told["changed"] == []


def test_the_log_says_until_when_documents_are_trusted(
    governed: Callable, settings: Settings, integrate: Callable[[], None]
) -> None:
    assert governed("documents", "announce").status == 0
    integrate()

    statement = Statement.parse((settings.runtime_directory / "trusted-documents.sig").read_text())

    async def entries() -> list[Entry]:
        connection = await asyncpg.connect(settings.database_url)
        try:
            return [Entry.parse(row["body"]) for row in await connection.fetch("SELECT body FROM audit.entry")]
        finally:
            await connection.close()

    (found,) = [entry for entry in asyncio.run(entries()) if entry.kind is EntryKind.MANIFEST]
    assert found.object == f"manifest:{statement.version}:{statement.hash}"
    assert found.reason == f"until {statement.until:%Y-%m-%dT%H:%M:%SZ}"
