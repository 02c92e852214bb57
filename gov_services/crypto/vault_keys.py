"""Key-encryption keys in the transit engine of Vault or OpenBao, which they never leave. It decides nothing.

One transit key a class, `<prefix>-<class>`; its versions are the epochs. Which of them a process may use is the policy
of its token. https://developer.hashicorp.com/vault/api-docs/secret/transit, https://openbao.org/api-docs/secret/transit
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gov_services.crypto.keys import KEY_BYTES, DataClass, KeyRefused, KeysUnavailable, Wrapped, read_secret
from gov_services.crypto.suites import Suite

VAULT_SUFFIX = ".vault"
"""Ends the name of a key-encryption key that is a version of a transit key."""
TYPE = "aes256-gcm96"
ANSWER_WITHIN_S = 1.5
"""To connect, and again to answer. Nothing is asked twice: whoever waits is told, and asks again."""
_CIPHERTEXT = re.compile(r"vault:v([1-9][0-9]{0,8}):[A-Za-z0-9+/]+={0,2}", re.ASCII)
_KEK_ID = re.compile(r"([a-z]+)/([0-9]{4,9})\.vault", re.ASCII)

T = TypeVar("T")


class VaultKeyProvider:
    """Transit keys `<prefix>-<class>` under `mount`, by the token in a file."""

    name = "vault"
    waits = True

    def __init__(
        self,
        classes: Iterable[DataClass],
        *,
        url: str,
        mount: str,
        prefix: str,
        token: Path,
        authorities: Path | None = None,
    ) -> None:
        """`authorities`: certificates to know the server by, instead of the usual ones. Raises KeyRefused.

        Nothing is asked yet; the token is read anew when it was refused, as whoever renews it puts it there.
        """
        self._hvac, self._requests = _libraries()
        self._classes = tuple(classes)
        self._mount = mount
        self._prefix = prefix
        self._token = token
        session = self._requests.Session()
        # Neither a proxy nor a ~/.netrc of the environment has a part in it.
        session.trust_env = False
        self._client = self._hvac.Client(
            url=url,
            token=read_secret(token).strip(),
            verify=str(authorities) if authorities else True,
            timeout=ANSWER_WITHIN_S,
            allow_redirects=False,
            session=session,
        )

    def __repr__(self) -> str:
        return f"VaultKeyProvider(classes={sorted(self._classes)})"

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
        """See KeyProvider. Which version wrapped is what the answer says."""
        if not keys:
            return []
        items = [{"plaintext": base64.b64encode(key).decode()} for key in keys]
        results = self._batch(data_class, lambda name: self._transit.encrypt_data(name, batch_input=items, **self._at))
        made = []
        for ciphertext in (_text(one, "ciphertext") for one in _as_many(results, keys)):
            found = _CIPHERTEXT.fullmatch(ciphertext)
            if found is None:
                raise KeyRefused("Vault answered what is no ciphertext of transit")
            made.append(Wrapped(_kek_id(data_class, int(found[1])), ciphertext.encode()))
        return made

    def unwrap_all(self, data_class: DataClass, wrapped: Sequence[Wrapped]) -> list[bytes]:
        """See KeyProvider. The version in the ciphertext must be the one that the name says."""
        for one in wrapped:
            found = _CIPHERTEXT.fullmatch(one.blob.decode("ascii", errors="replace"))
            if one.kek_id.partition("/")[0] != data_class.value or not one.kek_id.endswith(VAULT_SUFFIX):
                raise KeyRefused(f"key-encryption key {one.kek_id} is not held here")
            if found is None or one.kek_id != _kek_id(data_class, int(found[1])):
                raise KeyRefused(f"the key was not wrapped under {one.kek_id}")
        if not wrapped:
            return []
        items = [{"ciphertext": one.blob.decode("ascii")} for one in wrapped]
        results = self._batch(data_class, lambda name: self._transit.decrypt_data(name, batch_input=items, **self._at))
        return [_key(one) for one in _as_many(results, wrapped)]

    def newest(self, data_class: DataClass) -> str:
        """See KeyProvider."""
        held = self.held(data_class)
        if not held:
            raise KeyRefused(f"Vault has no transit key {self._name(data_class)}: keys add kek/{data_class.value}")
        return held[-1]

    def suite(self, kek_id: str) -> Suite:
        """See KeyProvider."""
        return Suite.AES_256_GCM

    def held(self, data_class: DataClass) -> list[str]:
        """See KekKeeper. Refused for a transit key that could be taken out of Vault, or of another kind."""
        try:
            read = self._asked(data_class, lambda name: self._transit.read_key(name, **self._at))
        except _NotThere:
            return []
        if read.get("type") != TYPE or read.get("exportable") or read.get("allow_plaintext_backup"):
            raise KeyRefused(f"transit key {self._name(data_class)} is not {TYPE}, or could be taken out of Vault")
        lowest = max(int(read.get("min_decryption_version") or 1), int(read.get("min_available_version") or 1))
        versions = sorted(int(version) for version in read.get("keys") or ())
        return [_kek_id(data_class, version) for version in versions if version >= lowest]

    def add(self, data_class: DataClass, *, sm: bool = False, above: int = 0) -> str:
        """See KekKeeper. It wraps at once, in every process. Vault counts for itself, and no version comes twice."""
        if sm:
            raise KeyRefused("Vault's keys do not serve by SM4 here")
        if self.held(data_class):
            self._asked(data_class, lambda name: self._transit.rotate_key(name, mount_point=self._mount))
        else:
            self._asked(
                data_class, lambda name: self._transit.create_key(name, key_type=TYPE, exportable=False, **self._at)
            )
        return self.newest(data_class)

    def gone_with(self, kek_id: str) -> list[str]:
        """See KekKeeper. Vault trims from the oldest version on."""
        data_class, version = _parsed(kek_id)
        return [one for one in self.held(data_class) if _parsed(one)[1] <= version]

    def destroy(self, kek_id: str) -> None:
        """See KekKeeper."""
        data_class, version = _parsed(kek_id)
        if not self.gone_with(kek_id):
            return
        # In this order: Vault never has the lowest version that encrypts below the lowest that decrypts.
        for lowest in ("min_encryption_version", "min_decryption_version"):
            self._configure(data_class, **{lowest: version + 1})
        self._asked(data_class, lambda name: self._transit.trim_key(name, min_version=version + 1, **self._at))

    def _configure(self, data_class: DataClass, **lowest: int) -> None:
        self._asked(data_class, lambda name: self._transit.update_key_configuration(name, **lowest, **self._at))

    @property
    def _transit(self) -> Any:
        return self._client.secrets.transit

    @property
    def _at(self) -> dict[str, Any]:
        return {"mount_point": self._mount}

    def _name(self, data_class: DataClass) -> str:
        return f"{self._prefix}-{data_class.value}"

    def _batch(self, data_class: DataClass, call: Callable[[str], Any]) -> list[dict[str, Any]]:
        try:
            results = self._asked(data_class, call).get("batch_results")
        except _NotThere as missing:
            raise KeyRefused(f"Vault has no transit key {self._name(data_class)}") from missing
        if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):
            raise KeysUnavailable
        if any(one.get("error") for one in results):
            raise KeyRefused(f"Vault refuses a key of class {data_class.value}: it was not wrapped there, or altered")
        return results

    def _asked(self, data_class: DataClass, call: Callable[[str], Any]) -> dict[str, Any]:
        """The data that Vault answers; none where it says that it is done.

        Each of its statuses is either a refusal or its absence; none is passed over.
        """
        if data_class not in self._classes:
            raise KeyRefused(f"keys of class {data_class.value} are not held here")
        wrong = self._hvac.exceptions
        try:
            return _data_of(self._with_newer_token(lambda: call(self._name(data_class))))
        except wrong.InvalidPath as missing:
            raise _NotThere from missing
        except (wrong.Forbidden, wrong.Unauthorized) as forbidden:
            raise KeyRefused(f"Vault's policy does not let this token use {self._name(data_class)}") from forbidden
        except wrong.InvalidRequest as refused:
            said = "; ".join(map(str, refused.errors or ["it was not wrapped there, or altered"]))[:200]
            raise KeyRefused(f"Vault refuses a key of class {data_class.value}: {said}") from refused
        except (wrong.VaultError, self._requests.RequestException, OSError, KeyError, TypeError, ValueError) as away:
            raise KeysUnavailable from away

    def _with_newer_token(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except self._hvac.exceptions.Forbidden:
            token = read_secret(self._token).strip()
            if token == self._client.token:
                raise
            self._client.token = token
            return call()


def _data_of(answer: object) -> dict[str, Any]:
    """The data of an answer; hvac gives the response itself where it has no content. Raises ValueError."""
    if getattr(answer, "status_code", None) == 204:
        return {}
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise ValueError("Vault does not answer so")
    return data


class _NotThere(Exception):
    """There is no such transit key."""


def _kek_id(data_class: DataClass, version: int) -> str:
    return f"{data_class.value}/{version:04d}{VAULT_SUFFIX}"


def _parsed(kek_id: str) -> tuple[DataClass, int]:
    found = _KEK_ID.fullmatch(kek_id)
    if found is None or found[1] not in tuple(DataClass):
        raise KeyRefused(f"{kek_id} is no key-encryption key of Vault")
    return DataClass(found[1]), int(found[2])


def _as_many(results: list[dict[str, Any]], asked: Sequence[object]) -> list[dict[str, Any]]:
    if len(results) != len(asked):
        raise KeyRefused("Vault answered for another number of keys than it was asked for")
    return results


def _text(result: dict[str, Any], name: str) -> str:
    value = result.get(name)
    if not isinstance(value, str):
        raise KeyRefused(f"Vault answered no {name}")
    return value


def _key(result: dict[str, Any]) -> bytes:
    try:
        key = base64.b64decode(_text(result, "plaintext"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyRefused("Vault answered what is no data key")
    return key


def _libraries() -> tuple[Any, Any]:
    try:
        import hvac
        import requests
    except ImportError as missing:
        raise KeyRefused("Vault needs hvac: pip install -r requirements/keys.txt") from missing
    return hvac, requests
