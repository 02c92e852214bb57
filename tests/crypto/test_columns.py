"""Sealed columns: what is read out of one is shut, says nothing, and needs no key to be carried about."""

from __future__ import annotations

import copy
import json
import pickle
from uuid import UUID, uuid4

import pytest
from sqlalchemy.dialects import postgresql
from town import Town

from gov_services.crypto import data_keys, envelope
from gov_services.crypto.columns import Sealed, SealedColumn
from gov_services.crypto.data_keys import DataKey
from gov_services.crypto.keys import DataClass
from gov_services.crypto.sealing import Sealer
from gov_services.identity.models import CitizenRow
from gov_services.identity.store import citizens

DIALECT = postgresql.dialect()
NAME = SealedColumn("t.name", coordinate="T.name", data_class=DataClass.IDENTITY, row="row_id")


def test_a_sealed_value_says_nothing_and_equals_only_itself() -> None:
    one, same = Sealed(b"box"), Sealed(b"box")

    assert repr(one) == str(one) == f"{one}" == f"{one!r}" == "Sealed(…)"
    assert one != same
    assert one == one
    assert len({one, same}) == 2
    for spread in (pickle.dumps, json.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            spread(one)
    assert not hasattr(one, "__dict__")


@pytest.mark.parametrize("value", ["in clear", b"in clear", 7, bytearray(b"box"), memoryview(b"box")])
def test_a_column_takes_nothing_that_nobody_sealed(value: object) -> None:
    with pytest.raises(TypeError, match=r"t\.name takes sealed values only"):
        NAME.process_bind_param(value, DIALECT)  # type: ignore[arg-type]


def test_boxes_go_in_and_come_out_as_they_are() -> None:
    assert NAME.process_bind_param(Sealed(b"box"), DIALECT) == b"box"
    assert NAME.process_bind_param(None, DIALECT) is None
    assert NAME.process_result_value(None, DIALECT) is None
    assert NAME.process_result_value(memoryview(b"box"), DIALECT).box == b"box"  # type: ignore[union-attr]


def test_a_sealer_closes_columns_of_its_own_class_only() -> None:
    key = DataKey(bytes(32), citizen_id=uuid4(), data_class=DataClass.IDENTITY, version=1)
    sealer, row_id = Sealer(key), uuid4()
    health = SealedColumn("t.fact", coordinate="T.fact", data_class=DataClass.HEALTH, row="row_id")

    sealed = sealer.seal(NAME, row_id=row_id, value="测试甲")

    place = envelope.Binding(
        column_id="t.name", row_id=row_id, citizen_id=key.citizen_id, data_class=DataClass.IDENTITY
    )
    assert envelope.open_box(key, sealed.box, place).decode() == "测试甲"
    assert "测试甲".encode() not in sealed.box
    assert repr(sealer) == "Sealer(DataKey(data_class='identity', version=1))"
    with pytest.raises(envelope.BoxRefused):
        sealer.seal(health, row_id=row_id, value="测试甲")


async def test_loading_a_row_opens_nothing_and_its_text_tells_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    citizen = await town.register(name="测试甲")
    assert citizen.id is not None

    def unexpected(*_: object, **__: object) -> None:
        raise AssertionError("loading did cryptography")

    monkeypatch.setattr(envelope, "open_box", unexpected)
    monkeypatch.setattr(data_keys.DataKeys, "load_classes", unexpected)
    async with town.database.reading() as session:
        row = (await citizens(session, citizen_ids=[UUID(int=citizen.id.int)]))[citizen.id]

    sealed = [column.name for column in CitizenRow.__table__.columns if isinstance(column.type, SealedColumn)]
    assert len(sealed) >= 5
    assert {type(getattr(row, name)) for name in sealed} == {Sealed}
    assert "测试甲" not in repr({name: getattr(row, name) for name in sealed})
