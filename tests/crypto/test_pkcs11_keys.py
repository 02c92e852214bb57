"""Keys on a token: they do not leave it, the PIN is a file of ours alone, and a wrong one is tried once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import soft_tokens

from gov_services.crypto import pkcs11_keys
from gov_services.crypto.keys import DataClass, KeyRefused, KeysUnavailable, Wrapped
from gov_services.crypto.pkcs11_keys import LABEL, Pkcs11KeyProvider

HEALTH, PERMITS = DataClass.HEALTH, DataClass.PERMITS
KEY = bytes(range(32))


@pytest.fixture
def prefix() -> str:
    """Tokens that nothing has used yet."""
    return soft_tokens.fresh_prefix()


def provider(prefix: str, pins: Path) -> Pkcs11KeyProvider:
    """A process that starts now, as far as one process can."""
    return Pkcs11KeyProvider(DataClass, module=soft_tokens.module(), prefix=prefix, pins=pins)


def test_a_key_encryption_key_can_be_neither_read_nor_wrapped_and_wraps_no_other(prefix: str, tmp_path: Path) -> None:
    import pkcs11

    keeper = provider(prefix, soft_tokens.write_pins(tmp_path / "pins"))
    kek_id = keeper.add(HEALTH)

    session = pkcs11_keys._sessions[soft_tokens.module(), f"{prefix}-health"]
    kek = session.get_key(label=f"{LABEL}{kek_id}")
    with pytest.raises(pkcs11.AttributeSensitive):
        kek[pkcs11.Attribute.VALUE]
    flags = ("SENSITIVE", "NEVER_EXTRACTABLE", "ALWAYS_SENSITIVE", "PRIVATE", "EXTRACTABLE", "WRAP", "UNWRAP")
    assert [kek[pkcs11.Attribute[name]] for name in flags] == [True, True, True, True, False, False, False]
    assert not hasattr(kek, "wrap_key")
    assert not hasattr(kek, "unwrap_key")
    assert KEY not in keeper.wrap(HEALTH, KEY).blob
    # A process that serves has no session in which it could make or destroy one.
    assert not session.rw


def test_a_wrong_pin_is_told_and_tried_once(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = provider(prefix, soft_tokens.write_pins(tmp_path / "wrong", pin="000000"))
    with pytest.raises(KeyRefused, match=f"the PIN of token {prefix}-health is wrong") as refused:
        wrong.newest(HEALTH)
    assert "000000" not in str(refused.value) + repr(wrong)

    monkeypatch.setattr(pkcs11_keys._library(), "lib", lambda _: pytest.fail("it is tried again"))
    with pytest.raises(KeyRefused, match="was wrong; it is not tried again"):
        wrong.wrap(HEALTH, KEY)
    monkeypatch.undo()

    right = provider(prefix, soft_tokens.write_pins(tmp_path / "right"))
    right.add(HEALTH)
    assert right.unwrap(HEALTH, right.wrap(HEALTH, KEY)) == KEY


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_pin_that_others_may_read_is_refused(prefix: str, tmp_path: Path, mode: int) -> None:
    pins = soft_tokens.write_pins(tmp_path / "pins")
    (pins / "health.pin").chmod(mode)
    with pytest.raises(KeyRefused, match="can be read by others: chmod 600"):
        provider(prefix, pins)
    (pins / "health.pin").unlink()
    with pytest.raises(KeyRefused, match=r"health\.pin is not there"):
        provider(prefix, pins)


def test_what_is_missing_is_named(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pins = soft_tokens.write_pins(tmp_path / "pins")
    with pytest.raises(KeyRefused, match=f"token {prefix}-health has no key-encryption key: keys add kek/health"):
        provider(prefix, pins).wrap(HEALTH, KEY)
    with pytest.raises(KeyRefused, match="there is no token nobodys-health behind"):
        provider("nobodys", pins).newest(HEALTH)
    elsewhere = Pkcs11KeyProvider([HEALTH], module="/nowhere/at/all.so", prefix=prefix, pins=pins)
    with pytest.raises(KeysUnavailable):
        elsewhere.newest(HEALTH)
    with pytest.raises(KeyRefused, match="do not serve by SM4"):
        provider(prefix, pins).add(HEALTH, sm=True)
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(KeyRefused, match=r"PKCS#11 needs python-pkcs11: pip install -r requirements/keys\.txt"):
        provider(prefix, pins)


def test_what_another_class_or_epoch_wrapped_does_not_pass_under_its_name(prefix: str, tmp_path: Path) -> None:
    keeper = provider(prefix, soft_tokens.write_pins(tmp_path / "pins"))
    keeper.add(PERMITS)
    first = (
        keeper.wrap_all(HEALTH, [KEY]) if keeper.held(HEALTH) else (keeper.add(HEALTH), keeper.wrap(HEALTH, KEY))[1:]
    )
    (health,) = first
    second = keeper.add(HEALTH)
    for name in (second, health.kek_id.replace("health", "permits")):
        with pytest.raises(KeyRefused, match=f"was not wrapped under {name}"):
            keeper.unwrap(DataClass(name.partition("/")[0]), Wrapped(name, health.blob))


def test_a_session_that_fails_is_opened_anew(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pkcs11

    keeper = provider(prefix, soft_tokens.write_pins(tmp_path / "pins"))
    keeper.add(HEALTH)
    wrapped = keeper.wrap(HEALTH, KEY)

    def fails(*_: object, **__: object) -> object:
        raise pkcs11.DeviceRemoved

    with monkeypatch.context() as patched:
        patched.setattr(keeper, "_kek", fails)
        with pytest.raises(KeysUnavailable):
            keeper.unwrap(HEALTH, wrapped)
    assert keeper.unwrap(HEALTH, wrapped) == KEY
