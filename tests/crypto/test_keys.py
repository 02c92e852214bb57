"""Key files and what is wrapped under them: laxly kept, malformed, missing or of another class, they are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gov_services.crypto.blind_index import BlindIndex, add_root, exact, phone, resident_number
from gov_services.crypto.keys import (
    ROOTS,
    DataClass,
    KeyRefused,
    LocalKeyProvider,
    Wrapped,
    add_kek,
    init_keys,
    read_root,
    read_secret,
)
from gov_services.crypto.signing import SigningKey
from gov_services.crypto.suites import Suite

KEY = bytes(range(32))


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Keys of an installation of this test's own."""
    directory = tmp_path / "secrets"
    init_keys(directory)
    return directory


def kek(secrets: Path, data_class: DataClass = DataClass.HEALTH) -> Path:
    """The file of a key-encryption key."""
    return secrets / "kek" / data_class.value / "0001.key"


def load(secrets: Path) -> LocalKeyProvider:
    """The provider of one class."""
    return LocalKeyProvider(secrets, [DataClass.HEALTH])


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o640, 0o644, 0o666, 0o610])
def test_a_key_file_that_others_may_open_is_refused(secrets: Path, mode: int) -> None:
    kek(secrets).chmod(mode)
    with pytest.raises(KeyRefused, match="can be read by others: chmod 600"):
        load(secrets)


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o750, 0o755, 0o770])
def test_a_directory_of_keys_that_others_may_enter_is_refused(secrets: Path, mode: int) -> None:
    kek(secrets).parent.chmod(mode)
    (secrets / "signing" / "log").chmod(mode)
    for refused in (lambda: load(secrets), lambda: SigningKey.load(secrets, "log")):
        with pytest.raises(KeyRefused, match="can be entered by others: chmod 700"):
            refused()


def test_a_key_file_of_another_user_is_refused(secrets: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives a file away")
    os.chown(kek(secrets), 12345, -1)
    with pytest.raises(KeyRefused, match="belongs to another user"):
        load(secrets)


@pytest.mark.parametrize(
    "text",
    ["", "00", "zz" * 32, "00" * 31, "00" * 33, "秘" * 64, "00" * 32 + " 00"],
    ids=lambda text: text[:6] or "empty",
)
def test_a_malformed_key_is_refused_and_not_shown(secrets: Path, text: str) -> None:
    kek(secrets).write_text(text)
    with pytest.raises(KeyRefused) as refused:
        load(secrets)
    assert str(refused.value) == f"{kek(secrets)} is not 32 bytes in hexadecimal"
    assert refused.value.__cause__ is None


def test_a_key_of_bytes_that_are_no_text_is_refused(secrets: Path) -> None:
    kek(secrets).write_bytes(b"\xff" * 64)
    with pytest.raises(KeyRefused, match="is not 32 bytes in hexadecimal"):
        load(secrets)


def test_what_is_missing_is_named(secrets: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="health is not there or not readable"):
        LocalKeyProvider(tmp_path, [DataClass.HEALTH])
    kek(secrets).unlink()
    with pytest.raises(KeyRefused, match="there is no key-encryption key of class health"):
        load(secrets)
    with pytest.raises(KeyRefused, match="nothing is not there or not readable"):
        read_secret(secrets / "nothing")
    for root in ROOTS:
        (secrets / root / "0001.key").unlink()
        with pytest.raises(KeyRefused, match=f"there is no {root}"):
            read_root(secrets, root)


def test_a_provider_holds_its_own_classes_and_says_nothing_of_their_keys(secrets: Path) -> None:
    provider = load(secrets)

    assert repr(provider) == "LocalKeyProvider(classes=[<DataClass.HEALTH: 'health'>])"
    assert set(provider.classes) == {DataClass.HEALTH}
    wrapped = LocalKeyProvider(secrets, DataClass).wrap(DataClass.PERMITS, KEY)
    with pytest.raises(KeyRefused, match="keys of class permits are not held here"):
        provider.unwrap(DataClass.PERMITS, wrapped)
    with pytest.raises(KeyRefused, match="keys of class permits are not held here"):
        provider.wrap(DataClass.PERMITS, KEY)


def test_what_was_wrapped_under_another_key_or_altered_does_not_unwrap(secrets: Path, tmp_path: Path) -> None:
    provider = load(secrets)
    wrapped = provider.wrap(DataClass.HEALTH, KEY)
    assert provider.unwrap(DataClass.HEALTH, wrapped) == KEY
    assert KEY not in wrapped.blob

    init_keys(tmp_path / "others")
    others = LocalKeyProvider(tmp_path / "others", [DataClass.HEALTH])
    altered = bytes((wrapped.blob[0] ^ 1, *wrapped.blob[1:]))
    for holder, blob in ((others, wrapped.blob), (provider, altered), (provider, b""), (provider, wrapped.blob[:-8])):
        with pytest.raises(KeyRefused, match="was not wrapped under health/0001"):
            holder.unwrap(DataClass.HEALTH, Wrapped("health/0001", blob))
    for kek_id in ("health/0002", "permits/0001", "health", "", "health/0001/x"):
        with pytest.raises(KeyRefused, match="is not held here"):
            provider.unwrap(DataClass.HEALTH, Wrapped(kek_id, wrapped.blob))


def test_the_newest_epoch_wraps_and_all_unwrap(secrets: Path) -> None:
    older = load(secrets).wrap(DataClass.HEALTH, KEY)
    add_kek(secrets, DataClass.HEALTH)

    provider = load(secrets)

    assert provider.wrap(DataClass.HEALTH, KEY).kek_id == "health/0002"
    assert older.kek_id == "health/0001"
    assert provider.unwrap(DataClass.HEALTH, older) == KEY


def test_an_epoch_of_sm_wraps_by_sm4_and_has_what_it_wraps_seal_by_it(secrets: Path) -> None:
    older = load(secrets).wrap(DataClass.HEALTH, KEY)
    add_kek(secrets, DataClass.HEALTH, sm=True)

    provider = load(secrets)
    newer = provider.wrap(DataClass.HEALTH, KEY)

    assert (older.kek_id, newer.kek_id) == ("health/0001", "health/0002.sm")
    assert provider.unwrap(DataClass.HEALTH, older) == provider.unwrap(DataClass.HEALTH, newer) == KEY
    assert [provider.suite(wrapped.kek_id) for wrapped in (older, newer)] == [Suite.AES_256_GCM, Suite.SM4_GCM]
    for wrapped in (Wrapped("health/0002.sm", older.blob), Wrapped("health/0001", newer.blob)):
        with pytest.raises(KeyRefused, match="not wrapped under"):
            provider.unwrap(DataClass.HEALTH, wrapped)


def test_two_key_encryption_keys_of_one_place_are_refused(secrets: Path) -> None:
    second = kek(secrets).with_name("0001.sm.key")
    second.touch(mode=0o600)
    second.write_text("ab" * 32)
    with pytest.raises(KeyRefused, match="one place in their order"):
        load(secrets)


def test_an_installation_of_sm_wraps_seals_and_finds_by_it(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    init_keys(secrets, sm=True)

    wrapped = LocalKeyProvider(secrets, DataClass).wrap(DataClass.IDENTITY, KEY)
    index = BlindIndex.load(secrets)

    assert wrapped.kek_id == "identity/0001.sm"
    assert repr(index) == "BlindIndex(version=1, sm=True)"
    assert index.of("x", "v", normalize=exact) != BlindIndex(read_root(secrets, "blind-index")).of(
        "x", "v", normalize=exact
    )
    assert init_keys(secrets) == [], "what is there is neither made again nor doubled"


def test_a_blind_index_is_keyed_by_installation_index_and_version() -> None:
    def of(root: bytes, index_id: str, value: str, version: int = 1) -> bytes:
        return BlindIndex(root, version=version).of(index_id, value, normalize=exact)

    found = {
        of(KEY, "phone", "+8613900000001"),
        of(KEY[::-1], "phone", "+8613900000001"),
        of(KEY, "number", "+8613900000001"),
        of(KEY, "phone", "+8613900000002"),
        of(KEY, "phone", "+8613900000001", version=2),
    }

    assert len(found) == 5
    assert {len(digest) for digest in found} == {16}
    assert of(KEY, "phone", "+8613900000001") in found
    assert repr(BlindIndex(KEY)) == "BlindIndex(version=1)"


@pytest.mark.parametrize(
    ("normalize", "spellings"),
    [
        (resident_number, ("99999919900307100X", " 999999 19900307 100x\n", "９９９９９９１９９００３０７１００Ｘ")),
        (phone, ("+8613900000001", "+86 139-0000-0001", "＋８６ １３９００００ ０００１")),
        (exact, ("示例(市)", "示例（市）")),
    ],
    ids=["resident number", "phone", "exact"],
)
def test_spellings_of_one_value_are_found_by_each_other(normalize: object, spellings: tuple[str, ...]) -> None:
    index = BlindIndex(KEY)
    digests = {index.of("x", spelling, normalize=normalize) for spelling in spellings}  # type: ignore[arg-type]
    assert len(digests) == 1


def test_a_blind_index_shares_no_root_with_another_use(secrets: Path) -> None:
    roots = {read_root(secrets, name) for name in ROOTS}
    keks = {bytes.fromhex(kek(secrets, item).read_text().strip()) for item in DataClass}
    assert len(roots | keks) == len(ROOTS) + len(DataClass)
    assert BlindIndex.load(secrets).of("x", "v", normalize=exact) == BlindIndex(read_root(secrets, "blind-index")).of(
        "x", "v", normalize=exact
    )


def test_a_root_that_is_added_digests_the_digest_before_and_none_may_be_missing(secrets: Path) -> None:
    before = BlindIndex.load(secrets)
    digest = before.of("x", "v", normalize=exact)
    assert before.layers("x", digest) == (digest,)

    assert [add_root(secrets), add_root(secrets, sm=True)] == ["blind-index/0002", "blind-index/0003.sm"]
    index = BlindIndex.load(secrets)

    assert repr(index) == "BlindIndex(version=1, sm=True, layers=3)"
    assert index.of("x", "v", normalize=exact) == digest
    first, second, third = index.layers("x", digest)
    assert first == digest
    assert len({first, second, third}) == 3
    assert index.followed_up("x", first, layers=1) == index.followed_up("x", second, layers=2) == third
    assert index.followed_up("x", third, layers=3) == third
    assert index.layers("y", digest)[1:] != (second, third)

    (secrets / "blind-index" / "0002.key").unlink()
    with pytest.raises(KeyRefused, match="root 0002 of blind-index is missing"):
        BlindIndex.load(secrets)
