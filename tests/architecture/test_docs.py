"""The pages say what is there: their links lead somewhere, the files and commands that they name exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import rich_click as click

from gov_services.cli.main import cli
from gov_services.cli.settings_page import settings_page
from gov_services.kit.settings import PROJECT_ROOT

DOCS = PROJECT_ROOT / "docs"
PAGES = (PROJECT_ROOT / "README.md", PROJECT_ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")))
MAPS = ("life-of-a-request.md", "threat-model.md", "adding-a-field.md")
"""Pages that say which file to look in."""
PACKAGE = PROJECT_ROOT / "gov_services"
ROOMS = ("identity", "permits", "payments", "healthcode", "privacy")
ANNOUNCED: set[tuple[str, ...]] = set()
"""What ARCHITECTURE.md §5 announces and nobody has built yet. It only shrinks."""


def relative(path: Path) -> str:
    """A page as a test's id."""
    return str(path.relative_to(PROJECT_ROOT))


def in_backticks(text: str) -> Iterator[str]:
    """Each span of code in the running text, blocks left out, line breaks made spaces."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for found in re.findall(r"`([^`]+)`", prose):
        yield " ".join(found.split())


def command_of(words: list[str]) -> tuple[str, ...] | None:
    """The command of the click tree that `words` begin with; None where there is none."""
    group: click.Command = cli
    path: list[str] = []
    for word in words:
        if not isinstance(group, click.Group):
            break
        found = group.get_command(click.Context(group), word)
        if found is None:
            return None
        group = found
        path.append(word)
    return tuple(path) if path else None


def named_commands(text: str) -> Iterator[list[str]]:
    """The words after `gov-services` wherever a page names a command: in code spans, and in lines of blocks."""
    for block in re.findall(r"^```sh\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        yield from (found.split() for found in re.findall(r"^\s*gov-services (.*)$", block, flags=re.MULTILINE))
    for span in in_backticks(text):
        if span.startswith("gov-services "):
            yield span.split()[1:]


def announced_commands() -> set[tuple[str, ...]]:
    """The commands that ARCHITECTURE.md lists in its paragraph "The command"."""
    paragraph = re.search(r"^\*\*The command\.\*\*(.*?)\n\n", (DOCS / "ARCHITECTURE.md").read_text(), re.DOTALL | re.M)
    assert paragraph is not None
    found: set[tuple[str, ...]] = set()
    for span in in_backticks(paragraph[1]):
        words = span.split()
        if words[0] == "gov-services" or words[0].startswith("-"):
            continue
        if len(words) > 1 and "|" in words[1]:
            found |= {(words[0], name) for name in words[1].split("|")}
        else:
            found.add(tuple(word for word in words[:2] if word.islower() and not word.startswith(("-", "["))))
    return found


def test_the_page_of_settings_is_what_the_code_says() -> None:
    assert (DOCS / "settings.md").read_text() == settings_page()


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    lost = [
        target
        for target in targets
        if not re.match(r"[a-z]+:", target) and not (page.parent / target.partition("#")[0]).exists()
    ]
    assert lost == []


@pytest.mark.parametrize("name", MAPS)
def test_every_file_that_a_map_names_exists(name: str) -> None:
    named = {span for span in in_backticks((DOCS / name).read_text()) if re.fullmatch(r"[\w<>/-]+\.(py|toml)", span)}
    assert named, "the page names no file"
    missing = set()
    for path in named:
        places = [path.replace("<room>", room) for room in ROOMS]
        if not any((root / place).exists() for place in places for root in (PACKAGE, PROJECT_ROOT)):
            missing.add(path)
    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    unknown = [words for words in named_commands(page.read_text()) if command_of(words) is None]
    assert [words for words in unknown if tuple(words[:2]) not in ANNOUNCED and tuple(words[:1]) not in ANNOUNCED] == []


def test_what_the_architecture_announces_is_there_or_is_known_not_to_be() -> None:
    announced = announced_commands()
    assert len(announced) > 20
    assert {words for words in announced if command_of(list(words)) != words} == ANNOUNCED
