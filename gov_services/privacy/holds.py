"""Which classes of data outlive an erasure, by what law and for how long. Pure: it destroys nothing."""

from __future__ import annotations

import datetime as dt
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

    def ends_at(self, since: dt.datetime) -> dt.datetime:
        """When the term that began at a moment is over."""
        try:
            return since.replace(year=since.year + self.years)
        except ValueError:  # the 29th of February, in a year that has none
            return since.replace(year=since.year + self.years, month=3, day=1)


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
            "zh-CN": "访问记录保存至其他信息销毁后满三年,以证明您的信息被谁查看过。",
            "en": "The record of who saw your data is kept for three years after the rest is gone, as proof.",
        },
    ),
}


def log_kept_until(since: dt.datetime) -> dt.datetime:
    """Until when the record of accesses is kept of whom nothing else was left to read from that moment on."""
    return HOLDS[DataClass.AUDIT].ends_at(since)


def terms_of(held: Mapping[DataClass, dt.datetime]) -> dict[DataClass, dt.datetime]:
    """Until when each class is kept of which it is known since when: what an erasure tells.

    As long as a file or a voucher of somebody is kept it can be read, and each reading needs its line in the log: the
    record of accesses outlives what can be accessed by its own term.
    """
    terms: dict[DataClass, dt.datetime] = {}
    for kind in held:
        if kind is not DataClass.AUDIT:
            terms[kind] = HOLDS[kind].ends_at(held[kind])
    if DataClass.AUDIT in held:
        terms[DataClass.AUDIT] = log_kept_until(max([held[DataClass.AUDIT], *terms.values()]))
    return terms


def held_since(
    facts: Mapping[DataClass, dt.datetime], *, latest_case: dt.datetime | None, is_case_open: bool, now: dt.datetime
) -> dict[DataClass, dt.datetime]:
    """The classes that an erasure leaves, and since when their terms run. All others are destroyed at once.

    An open case is a file, and may yet bring a bill. The log goes on until now.
    """
    held = {**facts, DataClass.AUDIT: now}
    if latest_case is not None:
        held[DataClass.PERMITS] = max(latest_case, held.get(DataClass.PERMITS, latest_case))
    if is_case_open:
        held[DataClass.PERMITS] = held[DataClass.PAYMENTS] = now
    return {data_class: held[data_class] for data_class in HOLDS if data_class in held}
