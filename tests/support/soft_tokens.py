"""PKCS#11 tokens of Debian's softhsm2 in a folder of the tests' own. It holds no test."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from gov_services.crypto.keys import DataClass

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so")
PIN = "472913"
# The library reads its folder of tokens once a process: all tokens that a worker wants are made at first.
_PREFIXES = tuple(f"city{number}" for number in range(20))
_unused = iter(_PREFIXES)


def module() -> str:
    """The library. Skips where it is not installed, and says how to get it."""
    found = next((path for path in MODULES if Path(path).exists()), None)
    if found is None or shutil.which("softhsm2-util") is None:
        pytest.skip("softhsm2 is not installed: apt-get install softhsm2")
    return found


@cache
def _made() -> str:
    folder = Path(tempfile.mkdtemp(prefix="gov-services-tokens-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    for prefix, data_class in itertools.product(_PREFIXES, DataClass):
        subprocess.run(
            [
                *("softhsm2-util", "--init-token", "--free", "--label", f"{prefix}-{data_class.value}"),
                *("--pin", PIN, "--so-pin", "90817263"),
            ],
            check=True,
            capture_output=True,
        )
    return str(configuration)


def fresh_prefix() -> str:
    """The prefix of five tokens, one a class, that nothing has used yet."""
    module()
    _made()
    prefix = next(_unused, None)
    assert prefix is not None, "more tests use tokens than there are: make more"
    return prefix


def write_pins(directory: Path, *, pin: str = PIN) -> Path:
    """`<class>.pin` of every class in `directory`, as an installation keeps them."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for data_class in DataClass:
        path = directory / f"{data_class.value}.pin"
        path.write_text(pin + "\n")
        path.chmod(0o600)
    return directory
