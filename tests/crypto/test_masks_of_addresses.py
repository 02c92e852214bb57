"""The mask of addresses: down to the district, and never where in it somebody lives."""

from __future__ import annotations

import pytest

from gov_services.crypto.masks import address


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("浙江省淳安县千岛湖镇阳光小区3幢201室", "浙江省淳安县****"),
        ("北京市东城区东直门社区2号", "北京市东城区****"),
        ("阳光小区3幢", "******"),
        ("北京路1号", "*****"),
        ("幸福社区学院校区宿舍二十一号楼三单元", "幸福社区学院****"),
        ("东莞市南城街道阳光小区3幢201室", "东莞市南城街****"),
        ("山西省大同市矿区新平旺街道1号", "山西省大同市矿区****"),
        ("示例市东区一号", "示例市东区****"),
        ("内蒙古自治区阿拉善左旗1号", "内蒙古自治区****"),
    ],
)
def test_an_address_is_shown_down_to_its_district(value: str, shown: str) -> None:
    assert address(value) == shown
