"""The page docs/settings.md, made from what the code says of each setting. It writes no file."""

from __future__ import annotations

from gov_services.kit.settings import describe_settings

_TOP = """\
# Settings

Every variable that an installation reads, from the environment and from nowhere else. This page is printed from
`gov_services/kit/settings.py`; a test holds it to that. A `…_FILE` names a file that holds the value, so that no
environment holds a password: set it instead of the variable, not beside it. Paths are told relative to the checkout.

| variable | default | meaning |
|---|---|---|
"""


def settings_page() -> str:
    """The whole page, a row a setting."""
    rows = [
        f"| {_names(variable)} | {f'`{default}`' if default else '–'} | {meaning.replace('|', '&#124;')} |"
        for variable, default, meaning in describe_settings()
    ]
    return _TOP + "\n".join(rows) + "\n"


def _names(variables: str) -> str:
    return " or ".join(f"`{name}`" for name in variables.split(", "))
