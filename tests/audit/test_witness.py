"""The witness: it cosigns what continues, says what it knows otherwise, and never goes back."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from httpx import ASGITransport, AsyncClient

from gov_services.audit.checkpoint import Checkpoint, sign_checkpoint, verifier_key
from gov_services.audit.cosignature import (
    CosignatureRefused,
    Ed25519Cosigner,
    MlDsa44Cosigner,
    cosigned_at,
)
from gov_services.audit.merkle import EMPTY_ROOT, consistency_proof, leaf_hash, root
from gov_services.audit.note import NoteKey, NoteRefused, Signature, divide, signature_lines
from gov_services.audit.witness import Answer, Witness, create_witness_app, logs_of, request_body
from gov_services.audit.witnesses import PolicyRefused, WitnessPolicy
from gov_services.crypto.signing import SigningKey
from gov_services.kit.canonical import sha256
from gov_services.kit.clock import FrozenClock

NOW = dt.datetime(2026, 3, 2, 9, 30, 15, tzinfo=dt.UTC)
LEAVES = [leaf_hash(str(number).encode()) for number in range(40)]
ED25519 = Ed25519Cosigner("witness.example/w1", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
MLDSA = MlDsa44Cosigner("witness.example/w1", MLDSA44PrivateKey.generate())
Submit = Callable[..., Answer]


@pytest.fixture
def witness(tmp_path: Path, log_key: SigningKey, origin: str) -> Witness:
    logs = logs_of([NoteKey.parse(verifier_key(origin, log_key.public_bytes))])
    return Witness([ED25519, MLDSA], logs, tmp_path / "witness", FrozenClock(NOW))


@pytest.fixture
def submit(witness: Witness, log_key: SigningKey, origin: str) -> Submit:
    """Submit a log's tree of some size, as it is or as it is said to be."""

    def submitted(
        old: int,
        size: int,
        *,
        leaves: Sequence[bytes] = LEAVES,
        proof: Sequence[bytes] | None = None,
        key: SigningKey = log_key,
        name: str = origin,
    ) -> Answer:
        note = sign_checkpoint(Checkpoint(name, size, root(leaves[:size])), key)
        if proof is None:
            proof = consistency_proof(leaves[:size], old) if 0 < old <= size else []
        return witness.add_checkpoint(request_body(old, proof, note))

    return submitted


def test_a_log_is_followed_from_its_first_checkpoint_on(submit: Submit, origin: str) -> None:
    for old, size in ((0, 0), (0, 1), (1, 1), (1, 7), (7, 8), (8, 40)):
        answer = submit(old, size)
        assert answer.status == 200, (old, size, answer)
        checkpoint = Checkpoint(origin, size, root(LEAVES[:size]))
        classical, quantum_safe = signature_lines(answer.text)
        assert cosigned_at(classical, ED25519.key, checkpoint) == NOW
        assert cosigned_at(quantum_safe, MLDSA.key, checkpoint) == NOW


def test_a_log_whose_entries_were_found_wrong_is_cosigned_no_more_by_whichever_process(
    submit: Submit, witness: Witness, tmp_path: Path, origin: str
) -> None:
    assert submit(0, 7).status == 200
    Witness([], {}, tmp_path / "witness", FrozenClock(NOW)).give_up(origin, "MAP_CONTRADICTED entry 6")
    assert submit(7, 8) == Answer(403, "the entries of this log were found to be wrong\n")
    # Another log is another matter, and a person may take it back.
    assert submit(0, 1, name="gov.example/other").status == 404
    (left,) = (tmp_path / "witness").glob("*.given-up")
    assert left.read_text() == "MAP_CONTRADICTED entry 6"
    left.unlink()
    assert submit(7, 8).status == 200


def test_whoever_does_not_know_what_it_knows_is_told_and_asks_again(submit: Submit) -> None:
    assert submit(0, 7).status == 200
    for old in (0, 3):
        assert submit(old, 20) == Answer(409, "7\n", "text/x.tlog.size")
    assert submit(7, 20).status == 200
    assert submit(7, 30) == Answer(409, "20\n", "text/x.tlog.size")


@pytest.mark.parametrize(
    "how",
    [
        {"proof": []},
        {"proof": [bytes(32)] * 3},
        {"leaves": [leaf_hash(b"other"), *LEAVES[1:]]},
    ],
)
def test_what_does_not_continue_is_not_cosigned(submit: Submit, witness: Witness, origin: str, how: dict) -> None:
    assert submit(0, 7).status == 200
    kept = witness.latest(origin)
    answer = submit(7, 20, **how)
    assert (answer.status, witness.latest(origin)) == (422, kept)
    assert "\u2014" not in answer.text


def test_two_histories_of_one_size_are_not_both_cosigned(submit: Submit) -> None:
    assert submit(0, 7).status == 200
    assert submit(7, 7).status == 200
    assert submit(7, 7, leaves=[leaf_hash(b"x"), *LEAVES[1:]], proof=[]).status == 422


def test_a_proof_of_the_empty_tree_is_none(submit: Submit, log_key: SigningKey, witness: Witness, origin: str) -> None:
    assert submit(0, 7, proof=[bytes(32)]).status == 422
    note = sign_checkpoint(Checkpoint(origin, 0, bytes(32)), log_key)
    assert witness.add_checkpoint(request_body(0, [], note)).status == 422
    note = sign_checkpoint(Checkpoint(origin, 0, EMPTY_ROOT), log_key)
    assert witness.add_checkpoint(request_body(0, [], note)).status == 200


def test_strangers_are_told_apart(submit: Submit, strangers_key: SigningKey) -> None:
    assert submit(0, 7, name="other.example/log").status == 404
    assert submit(0, 7, key=strangers_key).status == 403
    assert submit(9, 7).status == 400


@pytest.mark.parametrize(
    "body",
    [
        "",
        "old 0",
        "old 0\n\n",
        "old 01\n\nx\n1\ny\n",
        "old -1\n\n",
        "new 0\n\nx",
        "old 0\n!!\n\nx\n1\ny\n\n\u2014 x AAAA\n",
        "old 0\n" + "AAAA\n" * 64 + "\nx\n",
    ],
)
def test_what_is_no_submission_is_refused(witness: Witness, body: str) -> None:
    assert witness.add_checkpoint(body).status == 400


def test_of_many_at_once_one_is_first_and_nothing_goes_back(submit: Submit, witness: Witness, origin: str) -> None:
    assert submit(0, 1).status == 200
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda size=size: answers.append(submit(1, size).status)) for size in range(2, 22)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [409] * 19
    size = int(divide(witness.latest(origin) or "")[0].split("\n")[1])
    assert submit(1, 2).text == f"{size}\n"


async def test_it_speaks_http(witness: Witness, log_key: SigningKey, origin: str) -> None:
    note = sign_checkpoint(Checkpoint(origin, 7, root(LEAVES[:7])), log_key)
    transport = ASGITransport(create_witness_app(witness))  # type: ignore[arg-type]
    async with AsyncClient(transport=transport, base_url="http://witness.example") as http:
        first = await http.post("/add-checkpoint", content=request_body(0, [], note))
        again = await http.post("/add-checkpoint", content=request_body(0, [], note))
        broken = await http.post("/add-checkpoint", content=b"\xff\xfe")
        long = await http.post("/add-checkpoint", content="old 0\n" + "A" * 100_000)
        other = await http.get("/add-checkpoint")
    assert (first.status_code, first.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert (again.status_code, again.text) == (409, "7\n")
    assert again.headers["content-type"].startswith("text/x.tlog.size")
    assert [broken.status_code, long.status_code, other.status_code] == [400, 413, 405]


def test_what_it_knows_outlives_it(submit: Submit, tmp_path: Path, log_key: SigningKey, origin: str) -> None:
    assert submit(0, 7).status == 200
    logs = logs_of([NoteKey.parse(verifier_key(origin, log_key.public_bytes))])
    anew = Witness([ED25519], logs, tmp_path / "witness", FrozenClock(NOW))
    note = sign_checkpoint(Checkpoint(origin, 3, root(LEAVES[:3])), log_key)
    assert anew.add_checkpoint(request_body(0, [], note)).status == 409


@pytest.mark.parametrize("cosigner", [ED25519, MLDSA])
def test_a_cosignature_is_of_one_checkpoint_at_one_time_by_one_witness(
    cosigner: Ed25519Cosigner | MlDsa44Cosigner, origin: str
) -> None:
    checkpoint = Checkpoint(origin, 7, root(LEAVES[:7]))
    signed = cosigner.cosign(checkpoint, NOW)
    for spoiled, of in (
        (signed, Checkpoint(origin, 8, checkpoint.root)),
        (signed, Checkpoint(origin, 7, bytes(32))),
        (signed, Checkpoint("other.example/log", 7, checkpoint.root)),
        (Signature(signed.name, signed.key_hash, (1).to_bytes(8, "big") + signed.value[8:]), checkpoint),
        (Signature(signed.name, signed.key_hash, signed.value[:-1]), checkpoint),
        (Signature(signed.name, signed.key_hash, signed.value[:8]), checkpoint),
        (Signature("witness.example/w2", signed.key_hash, signed.value), checkpoint),
        (Signature(signed.name, bytes(4), signed.value), checkpoint),
    ):
        with pytest.raises(CosignatureRefused):
            cosigned_at(spoiled, cosigner.key, of)
    assert cosigned_at(signed, cosigner.key, checkpoint) == NOW


def test_keys_are_read_as_they_are_written() -> None:
    for key in (ED25519.key, MLDSA.key):
        assert NoteKey.parse(str(key)) == key
    for spoiled in ("", "x", "a+b+c", str(ED25519.key).replace("w1", "w2"), "name+00000000+"):
        with pytest.raises(NoteRefused):
            NoteKey.parse(spoiled)


def vkey(name: str) -> str:
    return str(Ed25519Cosigner(name, Ed25519PrivateKey.from_private_bytes(sha256(name.encode()))).key)


def test_a_policy_counts_groups_of_groups() -> None:
    """The example of C2SP tlog-policy: two of three here, and any of three there."""
    lines = [f"witness {name} {vkey(name)}" for name in ("X1", "X2", "X3", "Y1", "Y2", "Y3")]
    policy = WitnessPolicy.parse(
        "\n".join(
            [
                "# who must have seen it",
                *lines,
                "",
                "group X-witnesses 2 X1 X2 X3",
                "\tgroup  Y-witnesses any Y1 Y2 Y3 ",
                "group X-and-Y all X-witnesses Y-witnesses",
                "quorum X-and-Y",
            ]
        )
    )
    assert policy.is_met({"X1", "X3", "Y2"})
    assert policy.is_met({"X1", "X2", "X3", "Y1", "Y2", "Y3"})
    for few in (set(), {"X1", "X2"}, {"X1", "Y1", "Y2", "Y3"}, {"Y1"}):
        assert not policy.is_met(few)
    assert WitnessPolicy.parse("quorum none\n").is_met(())


ONE = f"witness W {vkey('w.example/1')}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ONE,
        "quorum W",
        f"{ONE}\nquorum none\nquorum W",
        f"{ONE}\n{ONE}\nquorum W",
        f"{ONE}\n{ONE.replace('witness W', 'witness V')}\nquorum W",
        f"{ONE}\ngroup G 2 W\nquorum G",
        f"{ONE}\ngroup G 0 W\nquorum G",
        f"{ONE}\ngroup G any\nquorum G",
        f"{ONE}\ngroup G any H\nquorum G",
        f"{ONE}\ngroup none any W\nquorum none",
        f"{ONE}\nwitnesses\nquorum W",
        f"witness W {str(ED25519.key)[:-3]}\nquorum W",
        "group G any none\nquorum G",
    ],
)
def test_what_is_no_policy_is_refused_by_its_line(text: str) -> None:
    with pytest.raises(PolicyRefused):
        WitnessPolicy.parse(text)
