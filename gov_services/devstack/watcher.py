"""The watcher: a process of its own that owns one server and ends it when whoever asked for it ends.

It runs as a script under `python -I -S`, reads what to start as one line of JSON on standard input, and takes the end
of that input as the order to stop: the kernel closes the pipe however the owner ended, SIGKILL included. It imports
nothing of ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def enter_user_namespace(user_id: int) -> None:
    """Be `user_id` in a namespace of our own, and stay who we are outside it: files keep their owner."""
    outer_user, outer_group = os.geteuid(), os.getegid()
    if LIBC.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespace")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user_id} {outer_user} 1")
    Path("/proc/self/gid_map").write_text(f"{user_id} {outer_group} 1")


def probe(kind: str, user_id: int, group_id: int, paths: list[str]) -> None:
    """Print which of `paths` this account cannot enter or execute. Ends with an error if we cannot be the account."""
    if kind == "namespace":
        enter_user_namespace(user_id)
    elif kind == "user":
        os.setgroups([])
        os.setgid(group_id)
        os.setuid(user_id)
    sys.stdout.write(json.dumps([path for path in paths if not os.access(path, os.X_OK)]))


def spawn(order: dict[str, Any], stop_signal: int) -> subprocess.Popen[bytes]:
    """Start the server so that it ends with us, even when we are killed."""
    account = order["account"]
    switch: dict[str, Any] = {}
    if account["kind"] == "user":
        switch = {"user": account["user_id"], "group": account["group_id"], "extra_groups": []}
    us = os.getpid()

    def before_exec() -> None:
        if account["kind"] == "namespace":
            enter_user_namespace(account["user_id"])
        # A shell's background job ignores SIGINT, and what is ignored stays ignored through exec.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if sys.platform == "linux":
            LIBC.prctl(PR_SET_PDEATHSIG, stop_signal, 0, 0, 0)
            if os.getppid() != us:
                os._exit(1)

    with open(os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:
        return subprocess.Popen(
            order["command"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=order["directory"],
            start_new_session=True,
            preexec_fn=before_exec,
            **switch,
        )


def outlasts_owner(server: subprocess.Popen[bytes], owner: int) -> bool:
    """Wait: True when the owner has ended or closed the pipe or we are told to end, False when the server has ended."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    waiting = select.poll()
    waiting.register(sys.stdin.fileno(), select.POLLIN)
    waiting.register(woken, select.POLLIN)
    # A process that the owner forked without exec would hold the pipe open beyond the owner's end.
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            waiting.register(os.pidfd_open(owner), select.POLLIN)
        if os.getppid() != owner:
            return True
    while server.poll() is None:
        for descriptor, _ in waiting.poll():
            if descriptor != woken or set(os.read(woken, 64)) - {signal.SIGCHLD}:
                return True
    return False


def stop(server: subprocess.Popen[bytes], stop_signal: int, patience_s: float) -> None:
    """Ask, wait, and then kill."""
    if server.poll() is None:
        server.send_signal(stop_signal)
        try:
            server.wait(patience_s)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def main() -> int:
    """Own one server from start to end; the exit code is the server's own when it ended by itself."""
    if sys.argv[1:2] == ["probe"]:
        probe(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
        return 0
    order = json.loads(sys.stdin.buffer.readline() or b"{}")
    if not order:
        return 1
    stop_signal = int(order["stop_signal"])
    server = spawn(order, stop_signal)
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.flush()
    assert server.stdin is not None
    with contextlib.suppress(BrokenPipeError), server.stdin as standard_input:
        standard_input.write(order["input"].encode())
    if outlasts_owner(server, int(order["owner"])):
        stop(server, stop_signal, float(order["patience_s"]))
        for path in order["remove"]:
            shutil.rmtree(path, ignore_errors=True)
            with contextlib.suppress(OSError):  # the last server to go takes the directory around them with it
                Path(path).parent.rmdir()
    return server.returncode if 0 <= server.returncode < 256 else 1


if __name__ == "__main__":
    sys.exit(main())
