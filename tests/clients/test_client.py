"""A client that others wrote, against `gov-services serve` as somebody would run it. Skipped where Node is missing.

What it relies on is tested without Node in tests/gateway/test_contract.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gov_services.kit.settings import PROJECT_ROOT

pytestmark = pytest.mark.untraced

HERE = Path(__file__).parent
STARTS_WITHIN_S = 60


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, installed from its lock file."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        pytest.skip("Node.js is not here; the client tests need it")
    folder = tmp_path_factory.mktemp("client")
    for name in ("package.json", "package-lock.json", "client.mjs", "audit.mjs"):
        shutil.copy(HERE / name, folder / name)
    command = [npm, "ci", "--silent", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        pytest.skip(f"the client's packages cannot be fetched: {done.stderr.strip()[:200]}")
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `gov-services serve`, in a process of its own."""
    data = tmp_path_factory.mktemp("serve")
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "GOV_RUNTIME_DIR": str(data / "run"),
        "GOV_SECRETS_DIR": str(data / "run" / "secrets"),
    }
    command = [sys.executable, "-c", "from gov_services.cli.main import main; main()", "serve", "--port", "0"]
    output = data / "output"
    with output.open("w") as file:
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield _address(process, output)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, output.read_text()


def _address(process: subprocess.Popen[bytes], output: Path) -> str:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"serving on (http://[0-9.:]+)/graphql", output.read_text())
        if found:
            return found[1]
        time.sleep(0.1)
    raise AssertionError(output.read_text())


def test_a_client_of_the_field_works_against_the_served_city(packages: Path, served: str) -> None:
    manifest = PROJECT_ROOT / "graphql" / "trusted-documents.json"
    command = [shutil.which("node") or "node", "client.mjs", served, str(manifest)]

    done = subprocess.run(command, cwd=packages, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "byDocumentId": "individual-business-licence",
        "byPersistedQuery": "individual-business-licence",
        "byGet": "individual-business-licence",
        "byGetPersistedQuery": "individual-business-licence",
        "mediaType": "application/graphql-response+json; charset=utf-8",
        "refusal": "UNAUTHENTICATED",
        "refusalStatus": 401,
        "refusalMessage": "Please sign in.",
        "userError": "PHONE_INVALID",
    }


def test_every_audit_of_graphql_over_http_is_passed(packages: Path, served: str) -> None:
    command = [shutil.which("node") or "node", "audit.mjs", f"{served}/graphql"]

    done = subprocess.run(command, cwd=packages, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"passed": 61, "of": 61}
