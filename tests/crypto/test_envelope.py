"""The envelope: a box opens in its own place under its own key, unaltered, and nowhere else."""

from __future__ import annotations

import dataclasses
import gc
import os
from types import FrameType
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from gov_services.crypto.data_keys import DataKey
from gov_services.crypto.envelope import Binding, BoxRefused, close_box, open_box, pack, pad, unpad
from gov_services.crypto.keys import DataClass, KeyRefused
from gov_services.crypto.suites import SUITES, Suite

CITIZEN, OTHER = UUID(int=1), UUID(int=2)
SECRET = b"\x07" * 32
HEADER_BYTES, NONCE_BYTES, TAG_BYTES = 12, 12, 16


def a_key(secret: bytes = SECRET, **changes: object) -> DataKey:
    """The citizen's key of the class `identity`, with `changes`."""
    given = {"citizen_id": CITIZEN, "data_class": DataClass.IDENTITY, "version": 1, **changes}
    return DataKey(secret, **given)  # type: ignore[arg-type]


KEY = a_key()
PLACE = Binding(column_id="identity.name", row_id=UUID(int=3), citizen_id=CITIZEN, data_class=DataClass.IDENTITY)


@given(st.binary(max_size=200), st.sampled_from((1, 16, 32, 64)), st.sampled_from(Suite))
def test_what_was_closed_opens_in_its_place(plaintext: bytes, pad_to: int, suite: Suite) -> None:
    box = close_box(a_key(suite=suite), plaintext, PLACE, pad_to=pad_to)

    # The key may seal by another suite today: a box opens by its own.
    assert {open_box(a_key(suite=today), box, PLACE) for today in Suite} == {plaintext}
    assert box[1] == suite


@pytest.mark.parametrize(
    "place",
    [
        dataclasses.replace(PLACE, column_id="identity.address"),
        dataclasses.replace(PLACE, row_id=UUID(int=4)),
        dataclasses.replace(PLACE, citizen_id=OTHER),
        dataclasses.replace(PLACE, data_class=DataClass.HEALTH),
    ],
    ids=["column", "row", "citizen", "class"],
)
def test_a_box_that_was_moved_does_not_open_even_under_the_same_secret(place: Binding) -> None:
    box = close_box(KEY, b"value", PLACE)
    same_secret = a_key(citizen_id=place.citizen_id, data_class=place.data_class)

    for key in (KEY, same_secret):
        with pytest.raises(BoxRefused):
            open_box(key, box, place)


@pytest.mark.parametrize(
    "key",
    [
        a_key(b"\x08" * 32),
        a_key(version=2),
        a_key(citizen_id=OTHER),
        a_key(data_class=DataClass.AUDIT),
    ],
    ids=["secret", "version", "citizen", "class"],
)
def test_another_key_opens_nothing(key: DataKey) -> None:
    with pytest.raises(BoxRefused):
        open_box(key, close_box(KEY, b"value", PLACE), PLACE)


@pytest.mark.parametrize(
    ("citizen_id", "data_class"), [(OTHER, DataClass.IDENTITY), (CITIZEN, DataClass.PERMITS)], ids=["citizen", "class"]
)
def test_nothing_is_closed_for_a_place_that_is_not_the_keys(citizen_id: UUID, data_class: DataClass) -> None:
    place = dataclasses.replace(PLACE, citizen_id=citizen_id, data_class=data_class)
    with pytest.raises(BoxRefused, match="own citizen's key of its own class"):
        close_box(KEY, b"value", place)


@pytest.mark.parametrize("suite", Suite)
def test_every_flipped_bit_is_found(suite: Suite) -> None:
    box = close_box(a_key(suite=suite), b"value", PLACE)
    for place in range(len(box) * 8):
        flipped = bytearray(box)
        flipped[place // 8] ^= 1 << (place % 8)
        with pytest.raises(BoxRefused):
            open_box(KEY, bytes(flipped), PLACE)


@given(st.binary(max_size=120))
def test_what_is_no_box_is_refused_and_nothing_else_is_raised(box: bytes) -> None:
    with pytest.raises(BoxRefused):
        open_box(KEY, box, PLACE)


@pytest.mark.parametrize("suite", Suite)
def test_a_shortened_or_lengthened_box_is_refused(suite: Suite) -> None:
    box = close_box(a_key(suite=suite), b"value", PLACE)
    for other in (*(box[:length] for length in range(len(box))), box + b"\x00"):
        with pytest.raises(BoxRefused):
            open_box(KEY, other, PLACE)


def test_a_box_says_its_version_suite_and_key_version_and_not_whose_it_is() -> None:
    boxes = [close_box(a_key(version=258), b"value", PLACE) for _ in range(2)]

    for box in boxes:
        assert box[:4] == bytes((1, 1, 1, 2))
        assert CITIZEN.bytes not in box
        assert b"value" not in box
    first, second = boxes
    assert first[:HEADER_BYTES] == second[:HEADER_BYTES]
    assert first[HEADER_BYTES:24] != second[HEADER_BYTES:24], "a nonce came twice"
    assert a_key(b"\x08" * 32).tag(b"key-reference")[:8] != first[4:HEADER_BYTES]


@pytest.mark.parametrize(("place", "said"), [(0, "version 3"), (1, "suite 3")])
def test_a_version_or_suite_from_the_future_is_refused_by_name(place: int, said: str) -> None:
    box = bytearray(close_box(KEY, b"value", PLACE))
    box[place] = 3
    with pytest.raises(BoxRefused, match=said):
        open_box(KEY, bytes(box), PLACE)


def test_lengths_tell_the_bucket_only() -> None:
    around = HEADER_BYTES + NONCE_BYTES + TAG_BYTES
    lengths = [len(close_box(KEY, b"x" * count, PLACE, pad_to=32)) - around for count in (0, 1, 31, 32, 63, 64)]
    assert lengths == [32, 32, 32, 64, 64, 96]


def test_a_key_is_gone_from_memory_with_the_last_who_holds_it() -> None:
    gc.disable()
    try:
        key = a_key()
        open_box(key, close_box(key, b"value", PLACE), PLACE)
        assert [held for held in gc.get_referrers(key) if not isinstance(held, FrameType)] == []
    finally:
        gc.enable()


def test_the_additional_data_are_those_of_the_format_whichever_way_they_are_made() -> None:
    box = close_box(KEY, b"value", PLACE)
    padded = AESGCM(KEY.derive(b"seal")).decrypt(box[12:24], box[24:], box[:12] + pack(PLACE, 1))
    assert unpad(padded) == b"value"


def test_no_two_suites_share_a_key() -> None:
    keys = [KEY.derive(kind.label, kind.key_bytes) for kind in SUITES.values()]
    assert len({key[:16] for key in keys}) == len(SUITES) == len(Suite)


@given(st.binary(max_size=100), st.integers(1, 64))
def test_padding_comes_off_as_it_went_on(plaintext: bytes, pad_to: int) -> None:
    padded = pad(plaintext, pad_to)
    assert unpad(padded) == plaintext
    assert len(padded) % pad_to == 0
    assert len(plaintext) < len(padded) <= len(plaintext) + pad_to


@pytest.mark.parametrize("padded", [b"", b"\x00" * 16, b"value\x00", b"\x80\x01"])
def test_what_was_not_padded_is_refused(padded: bytes) -> None:
    with pytest.raises(BoxRefused, match="not padded"):
        unpad(padded)


NAMES = st.text(max_size=8)


@given(NAMES, NAMES, st.sampled_from(DataClass), st.sampled_from(DataClass))
def test_two_places_never_look_alike(one: str, another: str, kind: DataClass, other_kind: DataClass) -> None:
    first = pack(dataclasses.replace(PLACE, column_id=one, data_class=kind), 1)
    second = pack(dataclasses.replace(PLACE, column_id=another, data_class=other_kind), 1)
    assert (first == second) == ((one, kind) == (another, other_kind))


def test_a_key_shows_itself_to_nobody_and_derives_a_different_one_for_each_use() -> None:
    secret = os.urandom(32)
    key = a_key(secret)

    assert repr(key) == str(key) == "DataKey(data_class='identity', version=1)"
    with pytest.raises(TypeError):
        key.__reduce__()
    derived = {key.derive(b"seal"), key.derive(b"tag"), key.commitment, key.tag(b"subject"), key.tag(b"key-reference")}
    assert len(derived | {secret}) == 6
    assert a_key(secret, version=2).commitment == key.commitment
    for short in (b"", b"x" * 31, b"x" * 33):
        with pytest.raises(KeyRefused, match="32 bytes"):
            a_key(short)
