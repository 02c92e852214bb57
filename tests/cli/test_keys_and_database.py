"""`gov-services keys`, `db` and `purposes`: what an installation begins with, and what is told when it lacks it."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from gov_services.crypto.keys import DATABASE_ROOMS, QUANTUM_SAFE_NAMES, ROOTS, SIGNING_NAMES, DataClass
from gov_services.crypto.signing import SigningKey, VerifyKeys
from gov_services.kit.settings import Settings


def contents(directory: Path) -> dict[str, bytes]:
    """Every file under a directory."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def execute(url: str, *statements: str) -> None:
    """Run statements as the migrator."""

    async def go() -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(go())


def value(url: str, query: str) -> object:
    """The one value that a query gives, as the migrator sees it."""

    async def go() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(go())


def test_keys_are_made_once_for_their_owner_alone_and_never_overwritten(alone: Callable, tmp_path: Path) -> None:
    first = alone("keys", "init")
    secrets = tmp_path / "secrets"
    made = contents(secrets)
    second = alone("keys", "init")

    expected = len(DataClass) + len(ROOTS) + len(SIGNING_NAMES) + len(DATABASE_ROOMS)
    assert first.out.splitlines()[-1] == f"{expected} made in {secrets}"
    assert len(first.out.splitlines()) == expected + 1
    assert (second.status, second.out, second.err) == (0, f"0 made in {secrets}\n", "")
    assert contents(secrets) == made
    for path in (secrets, *secrets.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o644 if path.suffix == ".pub" else 0o600), path


def test_init_makes_what_is_missing_and_leaves_the_rest(alone: Callable, tmp_path: Path) -> None:
    alone("keys", "init")
    secrets = tmp_path / "secrets"
    (secrets / "db" / "permits").unlink()
    before = contents(secrets)

    again = alone("keys", "init")

    assert again.out == f"made db/permits\n1 made in {secrets}\n"
    after = contents(secrets)
    assert set(after) - set(before) == {"db/permits"}
    assert {name: after[name] for name in before} == before


def test_an_added_key_signs_and_the_older_one_still_verifies(alone: Callable, tmp_path: Path) -> None:
    alone("keys", "init")
    secrets = tmp_path / "secrets"
    older = SigningKey.load(secrets, "licence")
    before = contents(secrets)

    added = alone("keys", "add", "licence")

    assert added.out.strip() == SigningKey.load(secrets, "licence").key_id != older.key_id
    assert {name: contents(secrets)[name] for name in before} == before
    VerifyKeys.load(secrets, "licence").verify(older.key_id, b"message", older.sign(b"message"))


@pytest.mark.parametrize("name", ["../../outside", "license", "", "licence/", "/outside"])
def test_a_signing_key_that_nobody_uses_is_not_made_and_the_names_are_told(
    alone: Callable, tmp_path: Path, name: str
) -> None:
    refused = alone("keys", "add", name)

    assert (
        refused.complaint
        == f"{name!r} is the name of no signing key; they are {', '.join((*SIGNING_NAMES, *QUANTUM_SAFE_NAMES))}"
    )
    assert refused.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_that_holds_no_key_is_named_by_every_command_that_reads_it(
    alone: Callable, nothing_set: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nothing_set.setenv("GOV_ENV", "development")
    alone("keys", "init")
    secrets = tmp_path / "secrets"
    (public,) = (secrets / "signing" / "log").glob("*.pub")
    (private,) = (secrets / "signing" / "manifest-author").glob("*.pem")
    public.write_text("zz\n")
    private.write_text("-----BEGIN PRIVATE KEY-----\n")
    (secrets / "signing" / "licence" / "new.pub").write_text("00" * 32)

    assert alone("audit", "verify").complaint == f"{public} is not 32 bytes in hexadecimal"
    assert alone("documents", "sign", "--as", "author").complaint == f"{private} is no Ed25519 key"
    assert alone("keys", "add", "licence").complaint == (
        f"{secrets / 'signing/licence/new.pub'} does not begin with its place in the order, as 0001 does"
    )


def test_an_upgraded_database_agrees_with_the_models_and_drift_is_named(
    installed: Callable, settings: Settings
) -> None:
    assert installed("db", "upgrade").out == "the database is up to date\n"
    assert installed("db", "check").out == "models and database agree\n"

    execute(
        settings.database_url,
        "ALTER TABLE identity.staff ADD COLUMN nickname text",
        "ALTER TABLE payments.bill DROP COLUMN titles",
    )
    drifted = installed("db", "check")

    assert drifted.status == 1
    *named, last = drifted.err.splitlines()
    assert last == "gov-services: 2 differences between the models and the database"
    assert len(named) == 2
    assert {("nickname" in line, "title" in line) for line in named} == {(True, False), (False, True)}
    assert drifted.out == ""


def test_purposes_are_published_once(installed: Callable, settings: Settings) -> None:
    versions = "SELECT array_agg(version) FROM consent.bundle"
    logged = "SELECT count(*) FROM audit.pending"

    assert installed("purposes", "publish").out == "published\n"
    found = (value(settings.database_url, versions), value(settings.database_url, logged))
    assert found == ([1], 2), "the bundle, and the policy that it goes by"
    again = installed("purposes", "publish")

    assert (again.status, again.out) == (0, "a bundle is in force already: purposes are changed by review\n")
    assert (value(settings.database_url, versions), value(settings.database_url, logged)) == found


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("GOV_ENV", "banana", "GOV_ENV is 'banana'; it is `production` or `development`"),
        ("GOV_POOL_SIZE", "x", "GOV_POOL_SIZE is 'x'; it is a whole number, 1 or more"),
        ("GOV_POOL_SIZE", "", "GOV_POOL_SIZE is ''; it is a whole number, 1 or more"),
        ("GOV_POOL_SIZE", "1.5", "GOV_POOL_SIZE is '1.5'; it is a whole number, 1 or more"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_told_in_one_line_and_nothing_is_done(
    alone: Callable, nothing_set: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str, complaint: str
) -> None:
    nothing_set.setenv(variable, value)
    assert alone("keys", "init").complaint == complaint
    assert not (tmp_path / "secrets").exists()
