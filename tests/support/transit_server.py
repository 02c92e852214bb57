"""A transit engine on loopback that really encrypts, with the paths, answers and errors that Vault documents. No test.

After https://developer.hashicorp.com/vault/api-docs/secret/transit and what its client expects; no running Vault was
asked. Errors are {"errors": […]}: an unknown key is 404 on read and 400 on decrypt, a wrong tag 400, a version below
the minimum 400, a bad token 403.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Refused(Exception):
    """A status and what Vault says beside it."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(*errors)
        self.status, self.errors = status, errors


@dataclass
class TransitKey:
    """One named key and its versions."""

    versions: dict[int, bytes] = field(default_factory=dict)
    min_decryption: int = 1
    min_encryption: int = 0
    min_available: int = 0
    exportable: bool = False

    @property
    def latest(self) -> int:
        """The version that encrypts."""
        return max(self.versions)


@dataclass
class Transit:
    """What the server holds, and what a test changes about it."""

    url: str = ""
    keys: dict[str, TransitKey] = field(default_factory=dict)
    policies: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"operator": ("",)})
    """Token → beginnings of the key names that its policy allows."""
    asked: list[str] = field(default_factory=list)
    status: int | None = None
    """Answer everything with this status."""
    wait_s: float = 0.0
    nonsense: bytes | None = None
    """Answer everything with these bytes."""

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """What Vault would say. Raises Refused."""
        action, _, name = path.removeprefix("/v1/transit/").partition("/")
        name, _, verb = name.partition("/")
        if not any(name.startswith(allowed) for allowed in self.policies.get(token, ())) or token not in self.policies:
            raise Refused(403, "1 error occurred:\n\t* permission denied\n\n")
        if action in ("encrypt", "decrypt", "rewrap"):
            if name not in self.keys:
                raise Refused(400, "encryption key not found")
            return {"data": self._many(action, self.keys[name], body)}
        return self._upkeep(method, name, verb, body)

    def _upkeep(self, method: str, name: str, verb: str, body: dict[str, Any]) -> dict[str, Any] | None:
        key = self.keys.get(name)
        if method == "GET":
            if key is None:
                raise Refused(404)
            return {"data": self._described(name, key)}
        if not verb:
            if body.get("type", "aes256-gcm96") != "aes256-gcm96":
                raise Refused(400, f"unknown key type {body['type']}")
            self.keys.setdefault(name, TransitKey({1: os.urandom(32)}, exportable=bool(body.get("exportable"))))
            return {"data": self._described(name, self.keys[name])}
        if key is None:
            raise Refused(400, f"no existing key named {name} could be found")
        if verb == "rotate":
            key.versions[key.latest + 1] = os.urandom(32)
            return {"data": self._described(name, key)}
        if verb == "config":
            decryption = int(body.get("min_decryption_version", key.min_decryption))
            encryption = int(body.get("min_encryption_version", key.min_encryption))
            if (encryption and encryption < decryption) or max(encryption, decryption) > key.latest:
                raise Refused(400, "cannot set min encryption/decryption values")
            key.min_decryption, key.min_encryption = decryption, encryption
            return {"data": self._described(name, key)}
        assert verb == "trim", verb
        wanted = int(body["min_available_version"])
        if not key.min_encryption or wanted > min(key.min_encryption, key.min_decryption):
            raise Refused(400, "cannot trim key: minimum available version is above another minimum")
        key.min_available = wanted
        key.versions = {version: secret for version, secret in key.versions.items() if version >= wanted}
        return None

    def _described(self, name: str, key: TransitKey) -> dict[str, Any]:
        return {
            "name": name,
            "type": "aes256-gcm96",
            "keys": {str(version): 1_442_851_412 for version in key.versions if version >= key.min_decryption},
            "latest_version": key.latest,
            "min_available_version": key.min_available,
            "min_decryption_version": key.min_decryption,
            "min_encryption_version": key.min_encryption,
            "exportable": key.exportable,
            "allow_plaintext_backup": False,
            "deletion_allowed": False,
            "derived": False,
        }

    def _many(self, action: str, key: TransitKey, body: dict[str, Any]) -> dict[str, Any]:
        one = {"encrypt": self._encrypt, "decrypt": self._decrypt, "rewrap": self._rewrap}[action]
        if "batch_input" not in body:
            return one(key, body)
        results = []
        for item in body["batch_input"]:
            try:
                results.append(one(key, item))
            except Refused as refused:
                results.append({"error": refused.errors[0]})
        if any("error" in result for result in results):
            raise Refused(400, json.dumps({"data": {"batch_results": results}}))
        return {"batch_results": results}

    def _encrypt(self, key: TransitKey, item: dict[str, Any]) -> dict[str, Any]:
        version, nonce = int(item.get("key_version") or key.latest), os.urandom(12)
        sealed = nonce + AESGCM(key.versions[version]).encrypt(nonce, base64.b64decode(item["plaintext"]), None)
        return {"ciphertext": f"vault:v{version}:{base64.b64encode(sealed).decode()}", "key_version": version}

    def _decrypt(self, key: TransitKey, item: dict[str, Any]) -> dict[str, Any]:
        _, said, text = item["ciphertext"].split(":")
        version = int(said[1:])
        if version < key.min_decryption:
            raise Refused(400, "ciphertext or signature version is disallowed by policy (too old)")
        if version not in key.versions:
            raise Refused(400, "invalid ciphertext: version is too new")
        try:
            sealed = base64.b64decode(text, validate=True)
        except binascii.Error:
            raise Refused(400, "invalid ciphertext: could not decode base64") from None
        try:
            plain = AESGCM(key.versions[version]).decrypt(sealed[:12], sealed[12:], None)
        except InvalidTag:
            raise Refused(400, "cipher: message authentication failed") from None
        return {"plaintext": base64.b64encode(plain).decode()}

    def _rewrap(self, key: TransitKey, item: dict[str, Any]) -> dict[str, Any]:
        return self._encrypt(key, self._decrypt(key, item))


@contextlib.contextmanager
def transit_server() -> Iterator[Transit]:
    """A transit engine that answers on loopback until the block ends."""
    transit, lock = Transit(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        do_POST = do_PUT = do_GET  # noqa: N815  as http.server calls them

        def log_message(self, format: str, *args: object) -> None:
            return

        def _serve(self) -> None:
            text = self.rfile.read(int(self.headers.get("content-length") or 0))
            time.sleep(transit.wait_s)
            try:
                if transit.status is not None:
                    raise Refused(transit.status, "Vault is sealed")
                with lock:
                    transit.asked.append(f"{self.command} {self.path}")
                    token = self.headers.get("x-vault-token") or ""
                    answer = transit.answer(self.command, self.path, token, json.loads(text or b"{}"))
                self._send(200 if answer is not None else 204, answer)
            except Refused as refused:
                batch = refused.errors and refused.errors[0].startswith("{")
                self._send(refused.status, json.loads(refused.errors[0]) if batch else {"errors": refused.errors})

        def _send(self, status: int, answer: object) -> None:
            content = b"" if answer is None else json.dumps(answer).encode()
            content = content if transit.nonsense is None else transit.nonsense
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    transit.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield transit
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
