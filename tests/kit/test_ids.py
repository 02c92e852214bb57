"""Ids that sort by time."""

from __future__ import annotations

import datetime as dt
from uuid import RFC_4122, UUID

from gov_services.kit.ids import new_request_id


def test_a_request_id_is_a_uuid_of_version_7_for_its_moment() -> None:
    now = dt.datetime(2026, 11, 26, 12, 0, 0, 5000, tzinfo=dt.UTC)

    found = [UUID(new_request_id(now)) for _ in range(1_000)]

    assert {item.version for item in found} == {7}
    assert {item.variant for item in found} == {RFC_4122}
    assert {item.int >> 80 for item in found} == {int(now.timestamp() * 1000)}
    assert len(set(found)) == 1_000
