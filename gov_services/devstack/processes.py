"""Server processes that end when we do, whoever ends us, and the account they run under. It knows no server."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WATCHER = Path(__file__).with_name("watcher.py")
LOCK_PATIENCE_S = 15.0
"""How long a start waits for the servers of an owner that was killed to finish stopping."""


class ServerNotStarted(Exception):
    """A development server could not be started; the message is one line for a person."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who a server runs as. PostgreSQL refuses to be root."""

    kind: str
    """`self`, `namespace` (an unprivileged user in a namespace of its own; files stay ours) or `user`."""
    user_id: int
    group_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to start, and how to stop it."""

    command: tuple[str, ...]
    directory: Path
    log: Path
    account: Account
    stop_signal: signal.Signals = signal.SIGTERM
    patience_s: float = 30.0
    standard_input: str = ""
    remove: tuple[Path, ...] = ()
    """Directories that go when the server is stopped; after one that ended by itself they stay."""


def ourselves() -> Account:
    """The account of this process."""
    return Account("self", os.geteuid(), os.getegid())


def unprivileged_account() -> Account:
    """This process's account if PostgreSQL accepts it, else one that it does: it wants a name, and never root's."""
    try:
        pwd.getpwuid(os.geteuid())
        named = True
    except KeyError:
        named = False
    if named and os.geteuid() != 0:
        return ourselves()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise ServerNotStarted("PostgreSQL does not run as root, and there is no user `nobody` to run it as") from None
    for kind in ("namespace", "user"):
        account = Account(kind, nobody.pw_uid, nobody.pw_gid)
        with contextlib.suppress(subprocess.CalledProcessError):
            closed_to(account)
            return account
    raise ServerNotStarted("PostgreSQL does not run as this user, and we may not become another")


def closed_to(account: Account, *paths: Path) -> list[Path]:
    """Those of `paths` that `account` cannot enter or execute. Raises CalledProcessError if we cannot be it."""
    if account.kind == "self":
        return [path for path in paths if not os.access(path, os.X_OK)]
    numbers = (str(account.user_id), str(account.group_id))
    asked = subprocess.run(
        [sys.executable, "-I", "-S", str(WATCHER), "probe", account.kind, *numbers, *map(str, paths)],
        check=True,
        capture_output=True,
    )
    return [Path(path) for path in json.loads(asked.stdout)]


def own(directory: Path, account: Account) -> None:
    """Give `directory` and what is in it to `account`, when it is another's."""
    owner = account.user_id if account.kind == "user" else os.geteuid()
    group = account.group_id if account.kind == "user" else os.getegid()
    if os.geteuid() != 0 or directory.stat().st_uid == owner:
        return
    for path in (*directory.rglob("*"), directory):
        os.chown(path, owner, group, follow_symlinks=False)


class ServerProcess:
    """One running server and its watcher."""

    def __init__(self, order: Order, *, lock: int | None = None) -> None:
        """Start it. The watcher inherits `lock`, so that it is held until the server has ended."""
        self._log = order.log
        self._watcher = subprocess.Popen(
            [sys.executable, "-I", "-S", str(WATCHER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C goes to every process of the terminal's group; the watcher stops the server in its own time.
            start_new_session=True,
            pass_fds=() if lock is None else (lock,),
        )
        assert self._watcher.stdin is not None
        assert self._watcher.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._watcher.stdin.write(_encode(order))
            self._watcher.stdin.flush()
        answer = self._watcher.stdout.readline()
        if not answer.strip():
            complaint = self._close().decode(errors="replace").strip().splitlines()
            raise ServerNotStarted(f"{order.command[0]} did not start: {complaint[-1] if complaint else 'no reason'}")
        self.pid = int(answer)
        """The server's own process id."""

    def running(self) -> bool:
        """Whether the server is there."""
        return self._watcher.poll() is None

    def wait(self) -> int:
        """Wait for the server to end by itself and return its exit code."""
        code = self._watcher.wait()
        self._close()
        return code

    def stop(self) -> None:
        """Stop the server and wait until it has ended. Stopping twice is harmless."""
        if self._watcher.stdin is not None and not self._watcher.stdin.closed:
            self._close()

    def kill(self) -> None:
        """SIGKILL the server, as a crash would."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def complaint(self) -> str:
        """The last line that the server wrote."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote nothing"

    def _close(self) -> bytes:
        with self._watcher:
            assert self._watcher.stdin is not None
            assert self._watcher.stderr is not None
            with contextlib.suppress(BrokenPipeError):
                self._watcher.stdin.close()
            return self._watcher.stderr.read()


def _encode(order: Order) -> bytes:
    account = order.account
    plain = {
        "command": order.command,
        "directory": str(order.directory),
        "log": str(order.log),
        "account": {"kind": account.kind, "user_id": account.user_id, "group_id": account.group_id},
        "stop_signal": int(order.stop_signal),
        "patience_s": order.patience_s,
        "input": order.standard_input,
        "remove": [str(path) for path in order.remove],
        "owner": os.getpid(),
    }
    return json.dumps(plain).encode() + b"\n"


def run_to_end(order: Order) -> None:
    """Run a command that ends by itself. Raises ServerNotStarted with its last line when it fails."""
    process = ServerProcess(order)
    if process.wait() != 0:
        raise ServerNotStarted(f"{Path(order.command[0]).name} failed: {process.complaint()}")


def await_ready(process: ServerProcess, ready: Iterator[bool], *, timeout_s: float) -> None:
    """Return once `ready` yields True. Raises ServerNotStarted when the server ends or time is up, and stops it."""
    deadline = time.monotonic() + timeout_s
    for is_ready in ready:
        if is_ready:
            return
        if not process.running() or time.monotonic() > deadline:
            process.stop()
            raise ServerNotStarted(f"{process.complaint()} (see {process._log})")
        time.sleep(0.01)


def hold(lock_file: Path) -> int:
    """Lock a server's directory, waiting for a former owner's server to end. Close the descriptor to let go."""
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise ServerNotStarted(f"{lock_file.parent} is in use by another `gov-services` command") from None
            time.sleep(0.05)
        else:
            return descriptor


def free_port() -> int:
    """A port on loopback that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def keep_secret(path: Path, secret: str) -> str:
    """The secret in `path`; `secret` is put there first, for the owner's eyes only, if there is none yet."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as new:
            new.write(secret)
        # A link appears whole, and refuses to replace what another process has put there meanwhile.
        with contextlib.suppress(FileExistsError):
            os.link(partial, path)
        partial.unlink()
    return path.read_text().strip()


def copy_tree(source: Path, target: Path) -> None:
    """Copy a directory so that it is there whole or not at all; one that is there already is kept."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copytree(source, partial, symlinks=True)
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            if not target.exists():
                partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
