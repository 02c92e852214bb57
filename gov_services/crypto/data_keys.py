"""A citizen's data keys: made at registration, unwrapped when needed, destroyed once. It seals nothing itself."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from gov_services.crypto import store
from gov_services.crypto.asking import Asking
from gov_services.crypto.keys import KEY_BYTES, DataClass, KeyProvider, KeyRefused, Wrapped
from gov_services.crypto.models import DataKeyRow
from gov_services.crypto.suites import SUITES, Aead, Suite
from gov_services.kit.database import ReadSession, Session

LONGEST_CACHE_S = 60
"""A key lies unwrapped in memory no longer than this, also where no notice of its end arrived."""
FIRST_VERSION = 1


class DataKey:
    """One citizen's key of one class, unwrapped. It shows itself to nobody."""

    __slots__ = ("_ciphers", "_key", "_reference", "citizen_id", "data_class", "frames", "suite", "version")

    def __init__(
        self,
        key: bytes,
        *,
        citizen_id: UUID,
        data_class: DataClass,
        version: int,
        suite: Suite = Suite.AES_256_GCM,
    ) -> None:
        """`suite` is the one to seal by; what another suite has sealed opens as well."""
        if len(key) != KEY_BYTES:
            raise KeyRefused(f"a data key is {KEY_BYTES} bytes")
        self._key = key
        self._ciphers: dict[int, Aead] = {}
        self._reference: bytes | None = None
        self.frames: dict[str, Any] = {}
        """By column, for crypto.envelope."""
        self.suite = suite
        self.citizen_id = citizen_id
        self.data_class = data_class
        self.version = version

    def __repr__(self) -> str:
        return f"DataKey(data_class={self.data_class.value!r}, version={self.version})"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a data key does not leave the process")

    def derive(self, label: bytes, length: int = KEY_BYTES, *, by: HashAlgorithm | None = None) -> bytes:
        """A key of its own for each use (HKDF-Expand, RFC 5869, with SHA-256 or `by`)."""
        return HKDFExpand(algorithm=by or SHA256(), length=length, info=b"gov-data-key/1 " + label).derive(self._key)

    def cipher(self, suite: int) -> Aead:
        """The cipher of that suite under this key, made once. Raises KeyRefused for a suite that is not known here."""
        cipher = self._ciphers.get(suite)
        if cipher is None:
            kind = SUITES.get(suite)
            if kind is None:
                raise KeyRefused(f"suite {suite} is not known here")
            cipher = self._ciphers[suite] = kind.cipher(self.derive(kind.label, kind.key_bytes, by=kind.by()))
        return cipher

    @property
    def reference(self) -> bytes:
        """8 bytes that tell keys apart, without telling citizens apart to who has not the key."""
        if self._reference is None:
            self._reference = self.tag(b"key-reference")[:8]
        return self._reference

    def tag(self, label: bytes) -> bytes:
        """16 bytes that stand for the citizen under `label`; without the key they tell nothing and match nothing."""
        return hmac.digest(self.derive(b"tag"), label, hashlib.sha256)[:16]

    @property
    def commitment(self) -> bytes:
        """Commits to the key: GCM alone does not, and one ciphertext could be made to open under two keys."""
        return self.derive(b"commitment")


class DataKeys:
    """Data keys of all citizens, for one composition. Unwrapped ones are remembered for a minute at most."""

    def __init__(
        self, provider: KeyProvider, *, cache_seconds: int = LONGEST_CACHE_S, cache_size: int = 10_000
    ) -> None:
        if cache_seconds > LONGEST_CACHE_S:
            raise ValueError(f"unwrapped keys are remembered for {LONGEST_CACHE_S} s at most")
        self._provider = provider
        self._asking = Asking(provider)
        self._lifetime = dt.timedelta(seconds=cache_seconds)
        self._size = cache_size
        self._checked = False
        self._cache: OrderedDict[tuple[UUID, DataClass], tuple[DataKey, dt.datetime]] = OrderedDict()

    async def require_right_files(self, session: ReadSession, *, now: dt.datetime) -> None:
        """Refuse key files that are not those which citizens' keys were wrapped under.

        Raises KeyRefused, and KeysUnavailable where keys are elsewhere and do not answer.
        With others of the same names nothing would open, and whoever registered meanwhile could not be opened later.
        """
        if self._checked:
            return
        for data_class in sorted(self._provider.classes):
            await self._unwrap(await store.at_the_ends(session, data_class=data_class.value), data_class, now=now)
        self._checked = True

    async def state_holding(self, session: Session, *, holder: str, now: dt.datetime) -> None:
        """Say by which key-encryption keys this process wraps: the calendar waits until all do by the newest.

        Raises KeyRefused, KeysUnavailable.
        """
        for data_class in sorted(self._provider.classes):
            kek_id = await self._asking.of(self._provider.newest, data_class)
            await store.state_holding(session, holder=holder, data_class=data_class.value, kek_id=kek_id, now=now)

    async def create(
        self, session: Session, *, citizen_id: UUID, classes: Iterable[DataClass], now: dt.datetime
    ) -> None:
        """Make a new citizen's keys, in the transaction of their registration. A tombstone refuses it.

        Raises KeyRefused where the key files are not the ones that the database knows, and KeysUnavailable.
        """
        await self.require_right_files(session, now=now)
        for data_class in classes:
            key = DataKey(os.urandom(KEY_BYTES), citizen_id=citizen_id, data_class=data_class, version=FIRST_VERSION)
            wrapped = await self._asking.of(self._provider.wrap, data_class, key._key)
            session.add(
                DataKeyRow(
                    citizen_id=citizen_id,
                    data_class=data_class.value,
                    version=key.version,
                    kek_id=wrapped.kek_id,
                    wrapped=wrapped.blob,
                    commitment=key.commitment,
                    created_at=now,
                    destroyed_at=None,
                    reason=None,
                )
            )
        await session.flush()

    async def load(
        self, session: ReadSession, *, citizen_ids: Iterable[UUID], data_class: DataClass, now: dt.datetime
    ) -> dict[UUID, DataKey]:
        """The keys of these citizens. One whose key is destroyed, or was never made, is absent.

        Raises KeyRefused, and KeysUnavailable where keys are elsewhere and do not answer.
        """
        return (await self.load_classes(session, wanted={data_class: citizen_ids}, now=now))[data_class]

    async def load_classes(
        self, session: ReadSession, *, wanted: Mapping[DataClass, Iterable[UUID]], now: dt.datetime
    ) -> dict[DataClass, dict[UUID, DataKey]]:
        """Keys of several classes, in one statement. What is remembered spares unwrapping, never the question."""
        pairs = [(citizen_id, kind.value) for kind, citizen_ids in wanted.items() for citizen_id in citizen_ids]
        found: dict[DataClass, dict[UUID, DataKey]] = {data_class: {} for data_class in wanted}
        unknown: dict[DataClass, list[DataKeyRow]] = {}
        for row in await store.standing(session, pairs=pairs) if pairs else ():
            data_class = DataClass(row.data_class)
            remembered = self._remembered(row, now=now)
            if remembered is None:
                unknown.setdefault(data_class, []).append(row)
            else:
                found[data_class][row.citizen_id] = remembered
        for data_class, rows in unknown.items():
            found[data_class] |= {key.citizen_id: key for key in await self._unwrap(rows, data_class, now=now)}
        return found

    async def shred(
        self, session: Session, *, citizen_id: UUID, data_class: DataClass, reason: str, now: dt.datetime
    ) -> None:
        """Destroy the key. What was sealed under it is unreadable from the commit on, whoever remembers the key."""
        await store.destroy(session, citizen_id=citizen_id, data_class=data_class.value, reason=reason, now=now)
        self._cache.pop((citizen_id, data_class), None)

    def forget(self, citizen_id: UUID) -> None:
        """Drop what is remembered of a citizen, on a notice that a key was destroyed."""
        for data_class in DataClass:
            self._cache.pop((citizen_id, data_class), None)

    def _remembered(self, row: DataKeyRow, *, now: dt.datetime) -> DataKey | None:
        key, until = self._cache.get((row.citizen_id, DataClass(row.data_class)), (None, now))
        return key if key is not None and key.version == row.version and now < until else None

    async def _unwrap(self, rows: Sequence[DataKeyRow], data_class: DataClass, *, now: dt.datetime) -> list[DataKey]:
        wrapped = [Wrapped(row.kek_id, row.wrapped) for row in rows if row.wrapped is not None]
        if len(wrapped) < len(rows):
            raise KeyRefused("a key that is not destroyed has no wrapped form")
        plain = await self._asking.of(self._provider.unwrap_all, data_class, wrapped)
        keys = []
        for row, secret in zip(rows, plain, strict=True):
            suite = self._provider.suite(row.kek_id)
            key = DataKey(secret, citizen_id=row.citizen_id, data_class=data_class, version=row.version, suite=suite)
            if not hmac.compare_digest(key.commitment, row.commitment):
                raise KeyRefused("the key is not the one that was committed to")
            self._remember(key, now=now)
            keys.append(key)
        return keys

    def _remember(self, key: DataKey, *, now: dt.datetime) -> None:
        self._cache[key.citizen_id, key.data_class] = (key, now + self._lifetime)
        self._cache.move_to_end((key.citizen_id, key.data_class))
        while len(self._cache) > self._size:
            self._cache.popitem(last=False)
