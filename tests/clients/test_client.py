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
from typing import Any

import httpx
import pytest
from town import sample_number

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
    for name in ("package.json", "package-lock.json", "client.mjs", "audit.mjs", "live.mjs"):
        shutil.copy(HERE / name, folder / name)
    command = [npm, "ci", "--silent", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        pytest.skip(f"the client's packages cannot be fetched: {done.stderr.strip()[:200]}")
    return folder


class Served:
    """`gov-services serve`, in a process of its own, which can be stopped and started again."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._output = data / "output"
        self._process: subprocess.Popen[bytes] | None = None
        self.address = self.messages = ""

    def start(self) -> None:
        """Start it, on the port that it had before; returns once it serves."""
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "GOV_RUNTIME_DIR": str(self._data / "run"),
            "GOV_SECRETS_DIR": str(self._data / "run" / "secrets"),
        }
        port = self.address.rpartition(":")[2] or "0"
        command = [sys.executable, "-c", "from gov_services.cli.main import main; main()", "serve", "--port", port]
        with self._output.open("w") as file:
            self._process = subprocess.Popen(
                command, cwd=PROJECT_ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT
            )
        self.address = self._said(r"serving on (http://[0-9.:]+)/graphql")
        self.messages = self._said(r"text messages to a phone: (http://[0-9.:]+/sms)/")

    def stop(self) -> None:
        """Tell it to stop, and wait until it has, in good order."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(timeout=30) == 0, self._output.read_text()

    def _said(self, pattern: str) -> str:
        assert self._process is not None
        deadline = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            found = re.search(pattern, self._output.read_text())
            if found:
                return found[1]
            time.sleep(0.1)
        raise AssertionError(self._output.read_text())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """What is served."""
    started = Served(tmp_path_factory.mktemp("serve"))
    started.start()
    yield started
    started.stop()


@pytest.fixture
def served(server: Served) -> str:
    """The address that it is served at."""
    return server.address


def test_a_client_of_the_field_works_against_the_served_city(packages: Path, served: str) -> None:
    manifest = PROJECT_ROOT / "graphql" / "trusted-documents.json"
    command = [shutil.which("node") or "node", "client.mjs", served, str(manifest)]

    done = subprocess.run(command, cwd=packages, capture_output=True, text=True, timeout=150, check=False)

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

    done = subprocess.run(command, cwd=packages, capture_output=True, text=True, timeout=150, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [json.dumps({"passed": 61, "of": 61}, separators=(",", ":"))]


def test_clients_of_the_field_listen_and_listen_again_after_a_restart(packages: Path, server: Served) -> None:
    manifest = PROJECT_ROOT / "graphql" / "trusted-documents.json"
    token = _sign_up(server, manifest)
    command = [shutil.which("node") or "node", "live.mjs", server.address, str(manifest), token]
    client = subprocess.Popen(
        command, cwd=packages, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert client.stdout is not None
        assert json.loads(client.stdout.readline()) == {"withoutToken": {"socket": [4403, "Forbidden"], "stream": 401}}
        assert json.loads(client.stdout.readline()) == {"heard": ["consent.changed"] * 2}
        server.stop()
        server.start()

        out, err = client.communicate("go on\n", timeout=150)

        assert client.returncode == 0, err
        assert json.loads(out.splitlines()[-1]) == {"again": ["consent.changed"] * 2, "connections": 2}
    finally:
        client.kill()
        client.communicate()


def _sign_up(server: Served, manifest: Path) -> str:
    """The access token of an invented citizen who has just registered."""
    documents = {item["name"]: item["id"] for item in json.loads(manifest.read_text())["operations"]}

    def ask(name: str, values: dict[str, str]) -> Any:
        body = {"documentId": documents[name], "variables": {"input": values}}
        answer = httpx.post(f"{server.address}/graphql", json=body, timeout=10, trust_env=False).json()
        assert "errors" not in answer, answer
        return answer["data"]

    phone = "13900000077"
    person = {"name": "钱测试", "nationalId": sample_number(sequence=77), "phone": phone, "address": "云海市示例路7号"}
    assert ask("Register", person)["register"]["registered"]
    ask("RequestSignInCode", {"phone": phone})
    for _ in range(50):
        sent = httpx.get(f"{server.messages}/+86{phone}", timeout=10, trust_env=False).json()
        if sent:
            break
        time.sleep(0.1)
    code = re.search(r"[0-9]{6}", sent[-1])
    assert code is not None
    token: str = ask("SignIn", {"phone": phone, "code": code[0]})["signIn"]["session"]["accessToken"]
    return token
