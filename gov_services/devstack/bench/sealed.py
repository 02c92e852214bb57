"""What opening and closing a sealed field costs beside the bare cipher, by turns, under keys made for it. No database.

The bare cipher is AES-256-GCM of the library, on the same 32 bytes with additional data of the same length.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from uuid import uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gov_services.crypto.data_keys import DataKey
from gov_services.crypto.envelope import Binding, frame, pack
from gov_services.crypto.keys import DataClass
from gov_services.crypto.suites import GCM_NONCE_BYTES, Suite
from gov_services.crypto.wrapping import unwrap_aes, unwrap_sm4, wrap_aes, wrap_sm4

COLUMN = "identity.citizen.name"
VALUE = b"13900000001"
PAD_TO = 32
OPEN, CLOSE = "bare AES-256-GCM, open", "bare AES-256-GCM, close"
_HEADER_BYTES = 12


def measure(*, rounds: int, repeats: int) -> dict[str, dict[str, float]]:
    """Median microseconds of each, and the median over the rounds of its ratio to the bare cipher's same way."""
    works = _works()
    took: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            took[name].append(_timed(work, repeats))
    return {
        name: {
            "us": round(statistics.median(times), 2),
            "ratio": round(
                statistics.median(
                    ours / bare
                    for ours, bare in zip(times, took[CLOSE if name.endswith("close") else OPEN], strict=True)
                ),
                2,
            ),
        }
        for name, times in took.items()
    }


def _works() -> dict[str, Callable[[], object]]:
    citizen_id, row_id, data_class = uuid4(), uuid4(), DataClass.IDENTITY
    place = Binding(column_id=COLUMN, row_id=row_id, citizen_id=citizen_id, data_class=data_class)
    bare, nonce = AESGCM(os.urandom(32)), os.urandom(GCM_NONCE_BYTES)
    aad = os.urandom(_HEADER_BYTES + len(pack(place, 1)))
    sealed = bare.encrypt(nonce, os.urandom(PAD_TO), aad)
    works: dict[str, Callable[[], object]] = {
        OPEN: lambda: bare.decrypt(nonce, sealed, aad),
        CLOSE: lambda: bare.encrypt(os.urandom(GCM_NONCE_BYTES), sealed[:PAD_TO], aad),
    }
    for suite in Suite:
        key = DataKey(os.urandom(32), citizen_id=citizen_id, data_class=data_class, version=1, suite=suite)
        boxes = frame(key, COLUMN, data_class=data_class)
        box = boxes.close(key, VALUE, row_id, pad_to=PAD_TO)

        def opens(key: DataKey = key, box: bytes = box) -> bytes:
            return frame(key, COLUMN, data_class=data_class).open(key, box, row_id)

        def closes(key: DataKey = key) -> bytes:
            found = frame(key, COLUMN, data_class=data_class)
            return found.close(key, VALUE, row_id, pad_to=PAD_TO)

        works |= {f"field by {suite.name}, open": opens, f"field by {suite.name}, close": closes}
    kek, data_key = os.urandom(32), os.urandom(32)
    by_aes, by_sm4 = wrap_aes(kek, data_key), wrap_sm4(kek[:16], data_key)
    works["data key unwrapped by AES"] = lambda: unwrap_aes(kek, by_aes)
    works["data key unwrapped by SM4"] = lambda: unwrap_sm4(kek[:16], by_sm4)
    return works


def _timed(work: Callable[[], object], repeats: int) -> float:
    """Microseconds of one."""
    begun = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - begun) / repeats * 1e6
