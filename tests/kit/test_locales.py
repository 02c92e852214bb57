"""A client is answered in the language it likes best among ours, in Chinese where it says nothing that helps."""

from __future__ import annotations

import pytest

from gov_services.kit.locales import negotiate_locale


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("", "zh-CN"),
        ("en", "en"),
        ("fr, en;q=0.5", "en"),
        ("en-GB,en;q=0.9,zh;q=0.1", "en"),
        ("en;q=0, zh-TW", "zh-CN"),
        ("en;q=0", "zh-CN"),
        ("zh;q=0.3, en;q=0.7", "en"),
        ("de", "zh-CN"),
        ("en;q=much", "zh-CN"),
    ],
)
def test_the_language_liked_best_is_taken(header: str, locale: str) -> None:
    assert negotiate_locale(header) == locale
