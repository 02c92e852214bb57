"""Others' API specifications, with their own suites, over TLS: GovStack's consent API, Estonia's usage service."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib.util
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from bank_consents import ask_adult, give
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from litestar import Litestar
from town import Town

from gov_services.devstack.processes import free_port
from gov_services.kit.actor import Actor
from gov_services.privacy.consent_bb.operations import PREFIX

pytestmark = pytest.mark.untraced
EXAMPLES = 100
"""Of each operation, beside those that the coverage of its schema asks for."""
TIMEOUT_S = 900


@dataclass(frozen=True)
class Served:
    """The privacy room's routes over HTTPS, and what is asked as whom."""

    town: Town
    port: int
    citizen: Actor
    scratch: Path

    def bearer(self, actor: Actor) -> str:
        return f"Bearer {self.town.bearer(actor)}"


@pytest.fixture
async def served(town: Town, tmp_path: Path) -> AsyncIterator[Served]:
    """With a citizen of whom a bank has read by their consent."""
    citizen = await town.register()
    await ask_adult(town, (await give(town, citizen))["consent"]["id"])
    await town.integrate()
    certificate, key = self_signed(tmp_path)
    port = free_port()
    app = Litestar([route.handler for route in town.rooms["privacy"].routes], openapi_config=None)
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_config=None, access_log=False, ssl_certfile=certificate, ssl_keyfile=key
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  it has no event for that
        await asyncio.sleep(0.05)
    signing = asyncio.create_task(sign_the_log(town))
    yield Served(town, port, citizen, tmp_path)
    signing.cancel()
    server.should_exit = True
    await running


async def sign_the_log(town: Town) -> None:
    """What the log's own process does: nothing is disclosed once entries wait unsigned for a minute."""
    while True:
        await town.integrate()
        await asyncio.sleep(5)


def self_signed(folder: Path) -> tuple[str, str]:
    """A certificate for this machine alone, as the suites allow."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "tls.pem", folder / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, none))
    return str(paths[0]), str(paths[1])


async def run(*command: str, cwd: Path, **more: str) -> tuple[int, str]:
    """A command's exit code and output."""
    kept = {name: value for name, value in os.environ.items() if name not in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env={**kept, **more}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    return process.returncode or 0, output.decode()


async def test_govstacks_own_suite(served: Served, consent_bb: Path) -> None:
    if importlib.util.find_spec("behave") is None:
        pytest.skip("pip install 'behave<1.3' requests")
    code, output = await run(
        *(sys.executable, "-m", "behave", "--no-capture", "features"),
        cwd=consent_bb / "test" / "gherkin",
        CONSENTBB_API_HOST=f"localhost:{served.port}",
        CONSENTBB_API_PATH=PREFIX,
    )
    print(output)
    assert code == 0
    assert "4 scenarios passed, 0 failed" in output


async def test_whatever_govstacks_specification_allows_is_answered_as_it_says(served: Served, consent_bb: Path) -> None:
    town = served.town
    officer = served.bearer(town.staff("compliance-officer", client="compliance"))
    bank, citizen = served.bearer(town.party("riverside-bank")), served.bearer(served.citizen)
    # Each part of the API is asked by whom it is for.
    config = _config(
        ("^/config/webhook", bank),
        ("^/service/verification/", bank),
        ("^/service/", citizen),
        ("^/(config|audit)/", officer),
    )
    code, output = await ask_everything(served, consent_bb / "api" / "consent-openapi.yaml", PREFIX, config)
    assert code == 0, output[-8000:]
    assert "Operations:        42 selected / 42 total" in output or "42" in output


async def test_whatever_the_usage_specification_allows_is_answered_as_it_says(served: Served, usage: Path) -> None:
    path = usage / "doc" / "spetsifikatsioonid" / "dumonitor-openapi.yaml"
    code, output = await ask_everything(served, path, "", _config((".*", served.bearer(served.citizen))))
    assert code == 0, output[-8000:]


async def ask_everything(served: Served, specification: Path, prefix: str, config: str) -> tuple[int, str]:
    """Schemathesis over every operation of a specification."""
    path = served.scratch / "schemathesis.toml"
    path.write_text(config)
    code, output = await run(
        str(Path(sys.executable).parent / "schemathesis"),
        *("--no-color", "--config-file", str(path), "run", str(specification)),
        *("--url", f"https://localhost:{served.port}{prefix}", "--tls-verify", "false"),
        *("--max-examples", str(EXAMPLES), "--seed", "1", "--continue-on-failure"),
        cwd=served.scratch,
    )
    print(output)
    return code, output


def _config(*bearers: tuple[str, str]) -> str:
    """Who asks where; the first that matches counts.

    A 400 is an answer to what the schema alone allows: an id that names nothing is a text like any other to it, and
    GovStack's own suite wants a 400 there.
    """
    lines = ["[checks.positive_data_acceptance]", 'expected-statuses = ["2xx", 400]']
    for path, bearer in bearers:
        lines += ["[[operations]]", f'include-path-regex = "{path}"', f'headers = {{ Authorization = "{bearer}" }}']
    return "\n".join(lines) + "\n"
