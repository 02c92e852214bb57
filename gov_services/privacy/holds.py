"""Which classes of data outlive an erasure, by what law and for how long. Pure: it destroys nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gov_services.crypto.keys import DataClass


@dataclass(frozen=True, slots=True)
class Hold:
    """A duty to keep that stands against erasure (PIPL 47)."""

    data_class: DataClass
    law: str
    article: str
    years: int
    reason: Mapping[str, str]


HOLDS: Mapping[DataClass, Hold] = {
    DataClass.PERMITS: Hold(
        DataClass.PERMITS,
        "中华人民共和国行政许可法",
        "第六十一条",
        10,
        {
            "zh-CN": "行政许可档案依法归档保存。",
            "en": "The file of an administrative licence is kept by law.",
        },
    ),
    DataClass.PAYMENTS: Hold(
        DataClass.PAYMENTS,
        "会计档案管理办法",
        "第十四条",
        30,
        {
            "zh-CN": "会计凭证保存三十年。",
            "en": "Accounting vouchers are kept for thirty years.",
        },
    ),
    DataClass.AUDIT: Hold(
        DataClass.AUDIT,
        "中华人民共和国网络安全法",
        "第二十一条",
        3,
        {
            "zh-CN": "访问记录保存,以证明您的信息被谁查看过。",
            "en": "The record of who saw your data is kept, so that it can be proved.",
        },
    ),
}

ERASABLE = tuple(item for item in DataClass if item not in HOLDS)
"""Classes that an erasure destroys at once."""
