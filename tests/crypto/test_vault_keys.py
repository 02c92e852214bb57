"""Keys in Vault's transit engine: its documented paths and answers, its refusals, and an absence that is bounded."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from transit_server import Transit, transit_server

from gov_services.crypto.asking import Asking
from gov_services.crypto.keys import DataClass, KeyRefused, KeysUnavailable, Wrapped
from gov_services.crypto.vault_keys import ANSWER_WITHIN_S, VaultKeyProvider

HEALTH, PERMITS = DataClass.HEALTH, DataClass.PERMITS
KEY = bytes(range(32))


@pytest.fixture
def transit() -> Iterator[Transit]:
    """A transit engine of this test's own."""
    with transit_server() as served:
        yield served


def provider(transit: Transit, directory: Path, token: str = "operator") -> VaultKeyProvider:
    """A process that starts now, with this token in its file."""
    path = directory / "a.token"
    path.touch(mode=0o600)
    path.write_text(token)
    return VaultKeyProvider(DataClass, url=transit.url, mount="transit", prefix="gov", token=path)


def test_it_asks_by_the_documented_paths(transit: Transit, tmp_path: Path) -> None:
    keeper = provider(transit, tmp_path)
    assert (keeper.add(HEALTH), keeper.add(HEALTH)) == ("health/0001.vault", "health/0002.vault")
    transit.asked.clear()

    wrapped = keeper.wrap_all(HEALTH, [KEY, KEY[::-1]])
    assert keeper.unwrap_all(HEALTH, wrapped) == [KEY, KEY[::-1]]
    assert keeper.newest(HEALTH) == "health/0002.vault"
    keeper.add(HEALTH)
    keeper.destroy("health/0001.vault")

    assert transit.asked == [
        "POST /v1/transit/encrypt/gov-health",
        "POST /v1/transit/decrypt/gov-health",
        "GET /v1/transit/keys/gov-health",
        "GET /v1/transit/keys/gov-health",
        "POST /v1/transit/keys/gov-health/rotate",
        "GET /v1/transit/keys/gov-health",
        "GET /v1/transit/keys/gov-health",
        "POST /v1/transit/keys/gov-health/config",
        "POST /v1/transit/keys/gov-health/config",
        "POST /v1/transit/keys/gov-health/trim",
    ]
    assert set(transit.keys["gov-health"].versions) == {2, 3}
    assert wrapped[0].blob.startswith(b"vault:v2:")
    assert keeper.unwrap(HEALTH, wrapped[0]) == KEY


def test_with_one_version_go_all_that_are_older(transit: Transit, tmp_path: Path) -> None:
    keeper = provider(transit, tmp_path)
    made = [keeper.add(HEALTH) for _ in range(3)]
    assert keeper.gone_with(made[1]) == made[:2]
    keeper.destroy(made[1])
    assert keeper.held(HEALTH) == made[2:]


def test_the_name_and_the_ciphertext_say_one_version(transit: Transit, tmp_path: Path) -> None:
    keeper = provider(transit, tmp_path)
    for _ in range(2):
        keeper.add(HEALTH)
    wrapped = keeper.wrap(HEALTH, KEY)
    for kek_id, blob in (
        ("health/0001.vault", wrapped.blob),
        ("health/0002.vault", wrapped.blob.replace(b":v2:", b":v1:")),
        ("health/0002.vault", wrapped.blob.replace(b":v2:", b":v02:")),
        ("health/0002.vault", b"vault:v2:"),
        ("health/0002.vault", b"\xff" + wrapped.blob),
    ):
        with pytest.raises(KeyRefused, match=f"was not wrapped under {kek_id}"):
            keeper.unwrap(HEALTH, Wrapped(kek_id, blob))


def test_a_policy_keeps_a_room_to_its_own_keys_whatever_the_room_asks(transit: Transit, tmp_path: Path) -> None:
    provider(transit, tmp_path).add(HEALTH)
    other = provider(transit, tmp_path).wrap(HEALTH, KEY)
    transit.policies["permits"] = ("gov-permits", "gov-audit")
    room = provider(transit, tmp_path, "permits")
    for call in (lambda: room.unwrap(HEALTH, other), lambda: room.wrap(HEALTH, KEY), lambda: room.newest(HEALTH)):
        with pytest.raises(KeyRefused, match="policy does not let this token use gov-health"):
            call()


def test_a_token_that_was_renewed_in_its_file_is_taken_up(transit: Transit, tmp_path: Path) -> None:
    keeper = provider(transit, tmp_path)
    keeper.add(HEALTH)
    transit.policies = {"renewed": ("",)}
    with pytest.raises(KeyRefused, match="policy"):
        keeper.wrap(HEALTH, KEY)
    (tmp_path / "a.token").write_text("renewed\n")
    assert keeper.unwrap(HEALTH, keeper.wrap(HEALTH, KEY)) == KEY


@pytest.mark.parametrize("status", [429, 472, 473, 500, 501, 502, 503])
def test_a_server_that_cannot_is_away(transit: Transit, tmp_path: Path, status: int) -> None:
    keeper = provider(transit, tmp_path)
    keeper.add(HEALTH)
    wrapped = keeper.wrap(HEALTH, KEY)
    transit.status = status
    for call in (lambda: keeper.unwrap(HEALTH, wrapped), lambda: keeper.wrap(HEALTH, KEY), lambda: keeper.held(HEALTH)):
        with pytest.raises(KeysUnavailable):
            call()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"data": null}',
        b'{"data": {"batch_results": null}}',
        b'{"data": {"batch_results": []}}',
        b'{"data": {"batch_results": [{}]}}',
        b'{"data": {"batch_results": [null]}}',
        b'{"data": {"batch_results": [{"plaintext": "AAAA", "ciphertext": "AAAA"}]}}',
        b'{"data": {"batch_results": [{"plaintext": 7, "ciphertext": 7}]}}',
        b'{"data": {"batch_results": [{"plaintext": "%%", "ciphertext": "vault:v0:AAAA"}]}}',
    ],
)
def test_an_answer_that_is_none_gives_no_key(transit: Transit, tmp_path: Path, nonsense: bytes) -> None:
    keeper = provider(transit, tmp_path)
    keeper.add(HEALTH)
    wrapped = keeper.wrap(HEALTH, KEY)
    transit.nonsense = nonsense
    for call in (lambda: keeper.unwrap(HEALTH, wrapped), lambda: keeper.wrap(HEALTH, KEY)):
        with pytest.raises((KeyRefused, KeysUnavailable)):
            call()


async def test_who_does_not_answer_is_waited_for_so_long(transit: Transit, tmp_path: Path) -> None:
    keeper = provider(transit, tmp_path)
    keeper.add(HEALTH)
    transit.wait_s = ANSWER_WITHIN_S + 1.5
    begun = time.monotonic()
    with pytest.raises(KeysUnavailable):
        await Asking(keeper, wait_s=0.2).of(keeper.wrap, HEALTH, KEY)
    assert time.monotonic() - begun < 1.0
    begun = time.monotonic()
    with pytest.raises(KeysUnavailable):
        keeper.wrap(HEALTH, KEY)
    assert time.monotonic() - begun < transit.wait_s


def test_nobody_there_is_away_and_a_closed_file_is_refused(
    transit: Transit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.token"
    keeper = provider(transit, tmp_path)
    away = VaultKeyProvider([HEALTH], url="http://127.0.0.1:1", mount="transit", prefix="gov", token=path)
    with pytest.raises(KeysUnavailable):
        away.newest(HEALTH)
    with pytest.raises(KeyRefused, match="Vault has no transit key gov-health: keys add kek/health"):
        keeper.newest(HEALTH)
    with pytest.raises(KeyRefused, match="encryption key not found"):
        keeper.wrap(HEALTH, KEY)
    with pytest.raises(KeyRefused, match="do not serve by SM4"):
        keeper.add(HEALTH, sm=True)
    path.chmod(0o644)
    with pytest.raises(KeyRefused, match="can be read by others"):
        provider(transit, tmp_path)
    path.chmod(0o600)
    monkeypatch.setitem(sys.modules, "hvac", None)
    with pytest.raises(KeyRefused, match=r"Vault needs hvac: pip install -r requirements/keys\.txt"):
        provider(transit, tmp_path)


def test_a_transit_key_that_could_be_taken_out_is_refused(transit: Transit, tmp_path: Path) -> None:
    keeper = provider(transit, tmp_path)
    keeper.add(HEALTH)
    transit.keys["gov-health"].exportable = True
    with pytest.raises(KeyRefused, match="or could be taken out of Vault"):
        keeper.newest(HEALTH)
