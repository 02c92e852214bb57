"""C2SP/wycheproof: AES-GCM, SM4-GCM, AES key wrap and HMAC-SM3, by the very classes that seal, wrap and find.

What a suite refuses by rule is counted apart: keys that it does not take, and nonces that are not 96 bits (SP 800-38D
§8.3: others are hashed, which costs GCM its bound on forgery; shorter ones repeat sooner).
"""

from __future__ import annotations

import hmac
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gov_services.crypto.blind_index import hmac_sm3
from gov_services.crypto.suites import Aead, Aes256Gcm, CipherRefused, Sm4Gcm
from gov_services.crypto.wrapping import UnwrapRefused, unwrap, unwrap_aes, wrap, wrap_aes

Case = dict[str, Any]


def cases(vectors: Path, name: str) -> Iterator[tuple[Case, Case]]:
    """Every test of a file, with its group; what is hexadecimal as bytes."""
    content = json.loads((vectors / "wycheproof" / f"{name}_test.json").read_text())
    for group in content["testGroups"]:
        for case in group["tests"]:
            yield (
                group,
                {
                    key: bytes.fromhex(value) if key in ("key", "iv", "aad", "msg", "ct", "tag") else value
                    for key, value in case.items()
                },
            )


@pytest.mark.parametrize(("name", "cipher", "key_bits"), [("aes_gcm", Aes256Gcm, 256), ("sm4_gcm", Sm4Gcm, 128)])
def test_authenticated_encryption(vectors: Path, name: str, cipher: Callable[[bytes], Aead], key_bits: int) -> None:
    seen: Counter[str] = Counter()
    for group, case in cases(vectors, name):
        where, sealed = f"{name} {case['tcId']}", case["ct"] + case["tag"]
        if group["keySize"] != key_bits:
            with pytest.raises(CipherRefused, match="a key is"):
                cipher(case["key"])
            # The library below agrees with the vector all the same.
            if group["ivSize"] == 96 and case["result"] == "valid":
                assert AESGCM(case["key"]).decrypt(case["iv"], sealed, case["aad"]) == case["msg"], where
            seen[f"refused: keys of {group['keySize']} bits"] += 1
        elif group["ivSize"] != 96:
            with pytest.raises(CipherRefused, match="a nonce is 12 bytes"):
                cipher(case["key"]).decrypt(case["iv"], sealed, case["aad"])
            seen[f"refused: nonces of {group['ivSize']} bits"] += 1
        elif case["result"] == "valid":
            assert cipher(case["key"]).encrypt(case["iv"], case["msg"], case["aad"]) == sealed, where
            assert cipher(case["key"]).decrypt(case["iv"], sealed, case["aad"]) == case["msg"], where
            seen["valid"] += 1
        else:
            with pytest.raises(CipherRefused):
                cipher(case["key"]).decrypt(case["iv"], sealed, case["aad"])
            seen["invalid"] += 1
    tell(name, seen)


def test_key_wrap_by_the_library_and_by_the_construction_that_serves_sm4(vectors: Path) -> None:
    seen: Counter[str] = Counter()
    for _, case in cases(vectors, "aes_wrap"):
        where, algorithm = f"aes_wrap {case['tcId']}", algorithms.AES(case["key"])
        if case["result"] == "valid":
            assert wrap_aes(case["key"], case["msg"]) == wrap(algorithm, case["msg"]) == case["ct"], where
            assert unwrap_aes(case["key"], case["ct"]) == unwrap(algorithm, case["ct"]) == case["msg"], where
        else:
            # `acceptable` is a wrapped key of 64 bits, which RFC 3394 does not make: refused.
            with pytest.raises(UnwrapRefused):
                unwrap_aes(case["key"], case["ct"])
            with pytest.raises(UnwrapRefused):
                unwrap(algorithm, case["ct"])
        seen[case["result"]] += 1
    tell("aes_wrap", seen)


def test_hmac_sm3(vectors: Path) -> None:
    seen: Counter[str] = Counter()
    for group, case in cases(vectors, "hmac_sm3"):
        made = hmac_sm3(case["key"], case["msg"])[: group["tagSize"] // 8]
        assert hmac.compare_digest(made, case["tag"]) == (case["result"] == "valid"), f"hmac_sm3 {case['tcId']}"
        seen[case["result"]] += 1
    tell("hmac_sm3", seen)


def tell(name: str, seen: Counter[str]) -> None:
    """A line a kind: how many, and why what was refused was."""
    assert min(seen["valid"], seen["invalid"]) > 0
    print(f"{name}: {seen.total()} tests")
    for kind, count in sorted(seen.items()):
        print(f"    {count:4} {kind}")
