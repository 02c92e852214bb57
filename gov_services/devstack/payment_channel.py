"""A sandbox payment channel in a process of its own that speaks WeChat Pay's API v3. Development only; no money moves.

python -m gov_services.devstack.payment_channel --port 9100 --keys <its directory> --merchant <the merchant's directory>
"""

from __future__ import annotations

import argparse
import http.client
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn

from gov_services.devstack.payment_channel_http import PaymentChannel
from gov_services.devstack.payment_channel_keys import load_channel_keys, make_keys
from gov_services.devstack.processes import Order, ServerProcess, await_ready, free_port, ourselves
from gov_services.kit.clock import SystemClock

READY_TIMEOUT_S = 15.0


class PaymentChannelServer:
    """Starts and stops the process. Files of both sides are made first, so that the merchant can start beside it."""

    def __init__(self, directory: Path, *, merchant: Path, port: int = 0) -> None:
        """`directory` is the channel's own; `merchant` is where payments reads its files, see payments.wechat_files."""
        self._directory = directory
        self._merchant = merchant
        self._port = port
        self._process: ServerProcess | None = None

    @property
    def url(self) -> str:
        """Where it answers, once started."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and return when it answers. Raises ServerNotStarted."""
        self._port = self._port or free_port()
        make_keys(channel=self._directory, merchant=self._merchant, now=SystemClock().now())
        log = self._directory / "log"
        command = (
            sys.executable,
            "-m",
            "gov_services.devstack.payment_channel",
            *("--port", str(self._port)),
            *("--keys", str(self._directory)),
            *("--merchant", str(self._merchant)),
        )
        process = ServerProcess(
            Order(
                command=command,
                directory=Path(__file__).resolve().parents[2],
                log=log,
                account=ourselves(),
                patience_s=5.0,
            )
        )
        await_ready(process, self._answers(), timeout_s=READY_TIMEOUT_S)
        self._process = process

    def stop(self) -> None:
        """Stop it. Stopping twice is harmless."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _answers(self) -> Iterator[bool]:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=1)
            try:
                connection.request("GET", "/healthz")
                yield connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                yield False
            finally:
                connection.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description="sandbox payment channel")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--keys", type=Path, required=True, help="the channel's own directory")
    parser.add_argument("--merchant", type=Path, required=True, help="where the merchant's files are made")
    given = parser.parse_args(arguments)
    clock = SystemClock()
    make_keys(channel=given.keys, merchant=given.merchant, now=clock.now())
    application = PaymentChannel(load_channel_keys(given.keys), clock=clock)
    uvicorn.run(application, host="127.0.0.1", port=given.port, log_level="warning", ws="none")


if __name__ == "__main__":
    main()
