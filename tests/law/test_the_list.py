"""The page on the law says of every requirement either a test, or why there is none."""

from __future__ import annotations

import re
from pathlib import Path

from gov_services.kit.settings import PROJECT_ROOT

NUMBERS = set(range(1, 44))
HERE = Path(__file__).parent


def test_every_requirement_is_shown_or_says_why_not() -> None:
    tests = "\n".join(path.read_text() for path in HERE.glob("test_*.py"))
    shown = {int(number) for names in re.findall(r"def test((?:_r\d\d)+)", tests) for number in names.split("_r")[1:]}
    page = (PROJECT_ROOT / "docs" / "law.md").read_text()
    tested, _, rest = page.partition("## Outside")
    told = {int(number) for number in re.findall(r"^\| R(\d\d) \|", tested, re.MULTILINE)}
    untested = [int(number) for number in re.findall(r"^\| R(\d\d) \|", rest, re.MULTILINE)]
    assert told == shown
    assert len(untested) == len(set(untested))
    assert told.isdisjoint(untested)
    assert told | set(untested) == NUMBERS
