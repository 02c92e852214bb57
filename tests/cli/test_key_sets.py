"""Each deployable gets the key files that it needs and no others, and they are private where they are put."""

from __future__ import annotations

import errno
import shutil
import stat
from pathlib import Path
from typing import IO

import pytest
from town import Town

from gov_services.audit.app import create_audit
from gov_services.cli.deployables import PUBLIC_PATHS
from gov_services.cli.key_sets import KEY_SETS, export_keys, files_of, place_keys
from gov_services.crypto.keys import KeyRefused, init_keys

PRIVATE = {
    "gateway": {"signing/assertion"},
    "identity": {
        *("kek/identity", "kek/permits", "kek/payments", "kek/health", "kek/audit"),
        *(
            "blind-index",
            "one-time-code",
            "refresh-token",
            "signing/access-token",
            "signing/writer-identity",
            "db/identity",
        ),
    },
    "permits": {
        "kek/permits",
        "kek/audit",
        "signing/upload",
        "signing/licence",
        "signing/writer-permits",
        "db/permits",
    },
    "payments": {"kek/payments", "kek/audit", "payment-channel", "signing/writer-payments", "db/payments"},
    "healthcode": {"kek/health", "kek/audit", "signing/health-code", "signing/writer-healthcode", "db/healthcode"},
    "privacy": {
        "kek/audit",
        "signing/bundle",
        "signing/consent-receipt",
        "signing/writer-privacy",
        "webhook",
        "db/privacy",
    },
    "log": {"signing/log", "signing/writer-audit", "db/audit"},
    "worker": {"signing/worker", "db/worker"},
    "migration": {
        *("db/identity", "db/permits", "db/payments", "db/healthcode", "db/privacy", "db/audit", "db/worker"),
        *("signing/bundle", "signing/writer-privacy"),
    },
    "author": {"signing/manifest-author"},
    "officer": {"signing/manifest-officer"},
}
"""What each could do harm with. A line that grows here is a decision."""


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Key files as `keys init` makes them, and a merchant's."""
    directory = tmp_path / "secrets"
    init_keys(directory)
    for name in ("payment-channel/apiv3.key", "payment-channel/platform/1.pem"):
        (directory / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / name).write_text("invented")
    return directory


def holder_of(path: str) -> str:
    """`signing/log` of `signing/log/0001-….pem`."""
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] in ("signing", "kek", "db") else parts[0]


@pytest.mark.parametrize("deployable", sorted(KEY_SETS))
def test_a_deployable_holds_these_private_keys_and_no_others(secrets: Path, deployable: str) -> None:
    files = [str(path.relative_to(secrets)) for path in files_of(secrets, deployable)]

    assert {holder_of(path) for path in files if not path.endswith(".pub")} == PRIVATE[deployable]


def test_the_log_key_is_the_logs_alone_and_nobody_serving_signs_documents() -> None:
    holders = {name for name, held in PRIVATE.items() if "signing/log" in held}
    assert holders == {"log"}
    signers = {name for name, held in PRIVATE.items() if any("manifest" in key for key in held)}
    assert signers == {"author", "officer"}
    assert PRIVATE["author"].isdisjoint(PRIVATE["officer"])


@pytest.mark.parametrize("deployable", sorted(KEY_SETS))
def test_what_is_exported_is_placed_as_it_was_and_for_its_owner_alone(
    secrets: Path, tmp_path: Path, deployable: str
) -> None:
    exported, placed = tmp_path / "exported", tmp_path / "placed"
    names = export_keys(secrets, deployable, exported)
    for path in exported.iterdir():
        path.chmod(0o440)  # as a cluster mounts a Secret for a group

    paths = place_keys(exported, placed)
    place_keys(exported, placed)

    assert len(names) == len(paths) == len(files_of(secrets, deployable))
    for name in paths:
        assert (placed / name).read_bytes() == (secrets / name).read_bytes()
        assert stat.S_IMODE((placed / name).stat().st_mode) == 0o600
        assert stat.S_IMODE((placed / name).parent.stat().st_mode) == 0o700


def test_nothing_is_exported_over_what_is_there_and_a_missing_key_is_named(secrets: Path, tmp_path: Path) -> None:
    export_keys(secrets, "log", tmp_path / "one")
    with pytest.raises(KeyRefused, match="is not empty"):
        export_keys(secrets, "worker", tmp_path / "one")
    for path in (secrets / "signing" / "worker").iterdir():
        path.unlink()
    with pytest.raises(KeyRefused, match=r"signing/worker/\*\.pem"):
        export_keys(secrets, "worker", tmp_path / "two" / "deeper")
    assert not (tmp_path / "two").exists()


def test_an_export_that_fails_on_the_way_leaves_nothing_that_it_made(
    secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, copied = shutil.copyfileobj, []

    def full_after_three(source: IO[bytes], target: IO[bytes]) -> None:
        copied.append(copy(source, target))
        if len(copied) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full_after_three)
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "new" / "deeper", tmp_path / "empty"):
        copied.clear()
        with pytest.raises(OSError, match="No space left"):
            export_keys(secrets, "identity", target)
        assert len(copied) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "secrets"]
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize("name", ["..__outside", "signing__..__..__outside", "__absolute", "a____b", "."])
def test_a_name_that_leads_elsewhere_is_not_placed(tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    if name != ".":
        (source / name).write_text("x")

    with pytest.raises(KeyRefused):
        place_keys(source, tmp_path / "placed")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


async def test_every_public_route_is_routed_to_its_room_and_no_inner_one_is(town: Town) -> None:
    def routed(path: str) -> str | None:
        found = [
            name
            for prefix, name in PUBLIC_PATHS.items()
            if path == prefix or (prefix.endswith("/") and path.startswith(prefix))
        ]
        return found[0] if found else None

    for room in town.rooms.values():
        for route in room.routes:
            assert routed(route.path) == room.name, route.path
    audit = create_audit(town.settings)
    assert {routed(f"{audit.router.path}{route.path}") for route in audit.router.routes} <= {"log", None}
    assert routed("/log/checkpoint") == "log"
    for inner in ("/events", "/jobs/findings", "/refusals", "/work", "/readyz", "/healthz", "/graphql/"):
        assert routed(inner) is None
    await audit.close()
