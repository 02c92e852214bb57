"""A process takes documents that two people signed and whose term runs, and says in time that it ends."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gov_services.cli.manifest_signing import propose, sign_both
from gov_services.crypto.keys import init_keys
from gov_services.crypto.signing import SignatureRefused
from gov_services.kit.clock import FrozenClock
from gov_services.kit.logging import configure_logging
from gov_services.kit.manifest import ManifestRefused
from gov_services.kit.manifest_statement import Office, Signature, Statement
from gov_services.kit.settings import Settings
from gov_services.subgraph.manifests import MANIFEST_SIGNATURE, EndWarning, load_manifest

START = dt.datetime(2026, 5, 4, 9, 30, 0, 250, tzinfo=dt.UTC)
YEAR = dt.timedelta(days=365)


@pytest.fixture
def signed(tmp_path: Path) -> Settings:
    """Settings with the committed manifest, signed by two keys."""
    settings = Settings(runtime_directory=tmp_path / "runtime", secrets_directory=tmp_path / "secrets")
    init_keys(settings.secrets_directory)
    sign_both(settings, now=START)
    return settings


def statement(settings: Settings) -> Statement:
    return Statement.parse((settings.runtime_directory / MANIFEST_SIGNATURE).read_text())


def write(settings: Settings, changed: Statement) -> None:
    (settings.runtime_directory / MANIFEST_SIGNATURE).write_text(changed.encode())


def test_what_two_signed_is_in_force_until_its_end(signed: Settings) -> None:
    assert load_manifest(signed, now=START).until == (START + YEAR).replace(microsecond=0)
    assert load_manifest(signed, now=START + YEAR - dt.timedelta(seconds=1)).version >= 1
    with pytest.raises(ManifestRefused, match="ended 2027-05-04 09:30 UTC: author and officer sign it anew"):
        load_manifest(signed, now=START + YEAR)


Tamper = Callable[[Statement], Statement]


def without(office: Office) -> Tamper:
    return lambda one: dataclasses.replace(one, signatures={k: v for k, v in one.signatures.items() if k != office})


def swapped(one: Statement) -> Statement:
    author, officer = (one.signatures[office] for office in Office)
    return dataclasses.replace(one, signatures={Office.AUTHOR: officer, Office.OFFICER: author})


def flipped(office: Office) -> Tamper:
    def flip(one: Statement) -> Statement:
        key, raw = one.signatures[office].key_id, one.signatures[office].raw
        return dataclasses.replace(
            one, signatures={**one.signatures, office: Signature(key, bytes([raw[0] ^ 1]) + raw[1:])}
        )

    return flip


def author_as_officer(one: Statement) -> Statement:
    return dataclasses.replace(one, signatures={office: one.signatures[Office.AUTHOR] for office in Office})


@pytest.mark.parametrize(
    "tamper",
    [
        *(without(office) for office in Office),
        *(flipped(office) for office in Office),
        *(swapped, author_as_officer),
        lambda one: dataclasses.replace(one, until=one.until + dt.timedelta(seconds=1)),
    ],
)
def test_a_missing_a_foreign_and_a_moved_signature_are_refused(signed: Settings, tamper: Tamper) -> None:
    write(signed, tamper(statement(signed)))

    with pytest.raises(SignatureRefused):
        load_manifest(signed, now=START)


def test_one_key_in_both_offices_is_refused_though_each_signature_is_good(signed: Settings) -> None:
    folder = signed.secrets_directory / "signing"
    for path in (folder / "manifest-officer").iterdir():
        path.unlink()
    for path in (folder / "manifest-author").iterdir():
        copy = folder / "manifest-officer" / path.name
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o600)

    with pytest.raises(SignatureRefused, match="one key signed as author and as officer"):
        sign_both(signed, now=START)


def test_signatures_of_another_manifest_and_for_too_long_are_refused(signed: Settings) -> None:
    write(signed, dataclasses.replace(statement(signed), version=1_000_000))
    with pytest.raises(ManifestRefused, match="what was signed is manifest version 1000000"):
        load_manifest(signed, now=START)
    with pytest.raises(ManifestRefused, match="1 to 366 days"):
        propose(signed, days=367, now=START)
    sign_both(signed, now=START + YEAR)
    with pytest.raises(ManifestRefused, match="signed for more than 366 days"):
        load_manifest(signed, now=START)


@pytest.fixture
def warnings() -> Iterator[None]:
    """Warnings are said, as an installation says them; tests are silent below errors."""
    configure_logging("warning")
    yield
    configure_logging("error")


@pytest.mark.usefixtures("warnings")
def test_the_end_is_told_of_once_a_day_from_thirty_days_before(signed: Settings) -> None:
    clock = FrozenClock(START)
    warning = EndWarning(signed, clock)

    def told(after: dt.timedelta) -> list[str]:
        clock.advance(after)
        with capture_logs() as lines:
            for _ in range(3):
                warning.look()
        return [line["log_level"] for line in lines]

    assert told(dt.timedelta(0)) == told(dt.timedelta(days=334)) == []
    assert told(dt.timedelta(days=1)) == ["warning"]
    assert told(dt.timedelta(hours=23)) == []
    assert told(dt.timedelta(hours=1)) == ["warning"]
    assert told(dt.timedelta(days=29)) == ["critical"]
    sign_both(signed, now=clock.now())
    assert told(dt.timedelta(days=1)) == []
