"""Key-encryption keys on a PKCS#11 token, which they never leave: the token encrypts and decrypts data keys itself.

One token a class, called `<prefix>-<class>`, with a PIN of its own: whoever holds one PIN uses the keys of one class.
AES-256-GCM rather than AES key wrap: a key that may only encrypt and decrypt cannot be made to wrap other keys out of
the token, and a token that would not take a data key in as an object does this all the same.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gov_services.crypto.keys import KEY_BYTES, DataClass, KeyRefused, KeysUnavailable, Wrapped, read_secret
from gov_services.crypto.suites import GCM_NONCE_BYTES, TAG_BYTES, Suite

PKCS11_SUFFIX = ".p11"
"""Ends the name of a key-encryption key that is on a token."""
LABEL = "gov-kek/"
FORMAT = b"\x01"
BLOB_BYTES = 1 + GCM_NONCE_BYTES + KEY_BYTES + TAG_BYTES

T = TypeVar("T")

_one_at_a_time = threading.RLock()
# A process logs in to a token once, whoever in it asks (PKCS #11 v2.40 §5.6): sessions are the process's, by nature.
_sessions: dict[tuple[str, str], Any] = {}
# A token locks itself after a few wrong PINs: one that was wrong is not tried again.
_wrong_pins: set[tuple[str, str, str]] = set()


class Pkcs11KeyProvider:
    """Keys labelled `gov-kek/<class>/<epoch>` on the tokens `<prefix>-<class>` behind the library `module`."""

    name = "pkcs11"
    waits = True

    def __init__(self, classes: Iterable[DataClass], *, module: str, prefix: str, pins: Path) -> None:
        """`pins` is the directory of `<class>.pin`. No token is asked yet. Raises KeyRefused."""
        self._classes = tuple(classes)
        self._module = module
        self._prefix = prefix
        self._pins = {data_class: read_secret(pins / f"{data_class.value}.pin").strip() for data_class in self._classes}
        self._pkcs11 = _library()

    def __repr__(self) -> str:
        return f"Pkcs11KeyProvider(classes={sorted(self._classes)})"

    @property
    def classes(self) -> Collection[DataClass]:
        """See KeyProvider."""
        return self._classes

    def wrap(self, data_class: DataClass, key: bytes) -> Wrapped:
        """See KeyProvider."""
        return self.wrap_all(data_class, [key])[0]

    def unwrap(self, data_class: DataClass, wrapped: Wrapped) -> bytes:
        """See KeyProvider."""
        return self.unwrap_all(data_class, [wrapped])[0]

    def wrap_all(self, data_class: DataClass, keys: Sequence[bytes]) -> list[Wrapped]:
        """See KeyProvider."""

        def wrap(session: Any) -> list[Wrapped]:
            kek_id = self._newest(session, data_class)
            kek = self._kek(session, kek_id)
            made = []
            for key in keys:
                nonce = os.urandom(GCM_NONCE_BYTES)
                made.append(Wrapped(kek_id, FORMAT + nonce + kek.encrypt(key, **self._gcm(kek_id, nonce))))
            return made

        return self._on_token(data_class, wrap)

    def unwrap_all(self, data_class: DataClass, wrapped: Sequence[Wrapped]) -> list[bytes]:
        """See KeyProvider."""
        for one in wrapped:
            if one.kek_id.partition("/")[0] != data_class.value or not one.kek_id.endswith(PKCS11_SUFFIX):
                raise KeyRefused(f"key-encryption key {one.kek_id} is not held here")
            if len(one.blob) != BLOB_BYTES or not one.blob.startswith(FORMAT):
                raise KeyRefused(f"the key was not wrapped under {one.kek_id}")

        def unwrap(session: Any) -> list[bytes]:
            keks = {kek_id: self._kek(session, kek_id) for kek_id in {one.kek_id for one in wrapped}}
            return [self._decrypted(keks[one.kek_id], one) for one in wrapped]

        return self._on_token(data_class, unwrap)

    def newest(self, data_class: DataClass) -> str:
        """See KeyProvider."""
        return self._on_token(data_class, lambda session: self._newest(session, data_class))

    def suite(self, kek_id: str) -> Suite:
        """See KeyProvider."""
        return Suite.AES_256_GCM

    def held(self, data_class: DataClass) -> list[str]:
        """See KekKeeper."""
        return self._on_token(data_class, lambda session: self._held(session, data_class))

    def add(self, data_class: DataClass, *, sm: bool = False, above: int = 0) -> str:
        """See KekKeeper. It wraps at once. It cannot be read or taken out, and takes no other out."""
        if sm:
            raise KeyRefused("a token's keys do not serve by SM4 here")
        attribute, flag = self._pkcs11.Attribute, self._pkcs11.MechanismFlag

        def add(session: Any) -> str:
            places = [_place_of(kek_id) for kek_id in self._held(session, data_class)]
            kek_id = f"{data_class.value}/{max([*places, above]) + 1:04d}{PKCS11_SUFFIX}"
            session.generate_key(
                self._pkcs11.KeyType.AES,
                KEY_BYTES * 8,
                label=f"{LABEL}{kek_id}",
                store=True,
                capabilities=flag.ENCRYPT | flag.DECRYPT,
                template={
                    attribute.PRIVATE: True,
                    attribute.SENSITIVE: True,
                    attribute.EXTRACTABLE: False,
                    attribute.WRAP: False,
                    attribute.UNWRAP: False,
                },
            )
            return kek_id

        return self._on_token(data_class, add, rw=True)

    def gone_with(self, kek_id: str) -> list[str]:
        """See KekKeeper."""
        return [kek_id]

    def destroy(self, kek_id: str) -> None:
        """See KekKeeper."""
        data_class = DataClass(kek_id.partition("/")[0])

        def destroy(session: Any) -> None:
            if kek_id in self._held(session, data_class):
                self._kek(session, kek_id).destroy()

        self._on_token(data_class, destroy, rw=True)

    def _newest(self, session: Any, data_class: DataClass) -> str:
        held = self._held(session, data_class)
        if not held:
            raise KeyRefused(
                f"token {self._token(data_class)} has no key-encryption key: keys add kek/{data_class.value}"
            )
        return held[-1]

    def _held(self, session: Any, data_class: DataClass) -> list[str]:
        secret = {self._pkcs11.Attribute.CLASS: self._pkcs11.ObjectClass.SECRET_KEY}
        labels = [str(key.label) for key in session.get_objects(secret)]
        mine = f"{LABEL}{data_class.value}/"
        found = [
            label.removeprefix(LABEL) for label in labels if label.startswith(mine) and label.endswith(PKCS11_SUFFIX)
        ]
        if len(set(found)) < len(found):
            raise KeyRefused(f"two keys of token {self._token(data_class)} bear one label")
        return sorted(found, key=_place_of)

    def _kek(self, session: Any, kek_id: str) -> Any:
        try:
            return session.get_key(object_class=self._pkcs11.ObjectClass.SECRET_KEY, label=f"{LABEL}{kek_id}")
        except (self._pkcs11.NoSuchKey, self._pkcs11.MultipleObjectsReturned) as missing:
            raise KeyRefused(f"key-encryption key {kek_id} is not held here") from missing

    def _gcm(self, kek_id: str, nonce: bytes) -> dict[str, Any]:
        # Bound to the key's own name: what is under one epoch or class passes for no other's.
        parameters = self._pkcs11.GCMParams(nonce, b"gov-data-key/1 " + kek_id.encode(), TAG_BYTES * 8)
        return {"mechanism": self._pkcs11.Mechanism.AES_GCM, "mechanism_param": parameters}

    def _decrypted(self, kek: Any, wrapped: Wrapped) -> bytes:
        nonce, sealed = wrapped.blob[1 : 1 + GCM_NONCE_BYTES], wrapped.blob[1 + GCM_NONCE_BYTES :]
        parameters = self._gcm(wrapped.kek_id, nonce)
        try:
            return bytes(kek.decrypt(sealed, **parameters))
        except self._pkcs11.PKCS11Error as failed:
            # Some tokens answer a wrong tag as they answer a defect of theirs: one that still encrypts has no defect.
            kek.encrypt(bytes(KEY_BYTES), **self._gcm(wrapped.kek_id, os.urandom(GCM_NONCE_BYTES)))
            raise KeyRefused(f"the key was not wrapped under {wrapped.kek_id}") from failed

    def _token(self, data_class: DataClass) -> str:
        return f"{self._prefix}-{data_class.value}"

    def _on_token(self, data_class: DataClass, call: Callable[[Any], T], *, rw: bool = False) -> T:
        """Do it in the process's session with the class's token. What fails ends that session; the next opens anew.

        A session to write is opened for the one call: a process that serves has none.
        """
        if data_class not in self._pins:
            raise KeyRefused(f"keys of class {data_class.value} are not held here")
        place = (self._module, self._token(data_class))
        with _one_at_a_time:
            try:
                session = self._session(data_class)
                if not rw:
                    return call(session)
                with session.token.open(rw=True) as writing:
                    return call(writing)
            except KeyRefused:
                raise
            except (self._pkcs11.PKCS11Error, OSError) as away:
                _sessions.pop(place, None)
                raise KeysUnavailable from away

    def _session(self, data_class: DataClass) -> Any:
        token, pin = self._token(data_class), self._pins[data_class]
        place = (self._module, token)
        if place in _sessions:
            return _sessions[place]
        if (*place, pin) in _wrong_pins:
            raise KeyRefused(f"the PIN of token {token} was wrong; it is not tried again before a restart")
        try:
            found = self._pkcs11.lib(self._module).get_token(token_label=token)
            try:
                _sessions[place] = found.open(user_pin=pin)
            except self._pkcs11.UserAlreadyLoggedIn:
                # Its session failed, its login stands.
                _sessions[place] = found.open()
        except self._pkcs11.NoSuchToken as missing:
            raise KeyRefused(f"there is no token {token} behind {self._module}") from missing
        except (self._pkcs11.PinIncorrect, self._pkcs11.PinInvalid, self._pkcs11.PinLenRange) as wrong:
            _wrong_pins.add((*place, pin))
            raise KeyRefused(f"the PIN of token {token} is wrong") from wrong
        except self._pkcs11.PinLocked as locked:
            raise KeyRefused(f"the PIN of token {token} is locked") from locked
        return _sessions[place]


def _place_of(kek_id: str) -> int:
    place = kek_id.partition("/")[2].removesuffix(PKCS11_SUFFIX)
    if not (place.isascii() and place.isdigit()):
        raise KeyRefused(f"{kek_id} has no place in the order, as 0001 is")
    return int(place)


def _library() -> Any:
    try:
        import pkcs11
    except ImportError as missing:
        raise KeyRefused("PKCS#11 needs python-pkcs11: pip install -r requirements/keys.txt") from missing
    return pkcs11
