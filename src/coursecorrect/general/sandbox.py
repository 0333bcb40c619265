"""Runs one program that a model wrote, apart from the rest of the machine.

Linux's namespaces give it no network, no other process to see, a read-only file system but for an
empty folder in memory, and an empty environment; limits bound its time, memory and files. It still
reads what the user may read, and a fault of the kernel is a way out: a hedge against careless code,
no prison for hostile code. Where the machine does not allow it, nothing is run.
"""

from __future__ import annotations

import resource
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from coursecorrect.errors import UserError

SECONDS: Final = 10
_MEMORY: Final = 2 << 30
_OUTPUT: Final = 1 << 20

_UNSHARE: Final = ("unshare", "--user", "--map-root-user", "--net", "--ipc", "--mount")
_OWN_PROCESSES: Final = ("--pid", "--fork", "--kill-child", "--mount-proc")
# Every mount but the folder for the program becomes read-only; the program comes by stdin.
_SETUP: Final = """
mount --make-rprivate / && mount -t tmpfs -o size=64m tmpfs "$0" || exit 125
while read -r _ place _; do
  case "$place" in /proc|/proc/*|"$0") ;; *) mount -o remount,bind,ro "$place" 2>/dev/null ;; esac
done < /proc/mounts
cd "$0" && exec "$1" -I -c "$2"
"""
# A program that leaves early, with whatever status, has not come to its end.
_MAIN: Final = """
import sys
exec(compile(sys.stdin.read(), "program", "exec"), {"__name__": "program"})
print("\\n" + END)
"""
_PROBE: Final = """
import pathlib, socket, sys
try:
    pathlib.Path({outside!r}).write_text("x")
    sys.exit("the file system can be written")
except OSError:
    pass
try:
    socket.create_connection(("127.0.0.1", {port}), timeout=2)
    sys.exit("the network can be reached")
except OSError:
    pass
pathlib.Path("inside").write_text("x")
"""


def check() -> None:
    """Prove that a program is held: no network, no writing outside its folder.

    Raises:
        UserError: this machine cannot hold it; nothing that a model wrote has been run.
    """
    import socket

    with tempfile.TemporaryDirectory() as scratch, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        probe = _PROBE.format(outside=str(Path(scratch) / "outside"), port=port)
        try:
            done = _run(probe)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _refusal(str(error)) from error
    if done.returncode != 0:
        raise _refusal((done.stderr.strip().splitlines() or ["no reason given"])[-1])


def _refusal(reason: str) -> UserError:
    return UserError(
        f"model code is not run: this machine allows no sandbox ({reason}); it needs Linux with "
        "user namespaces and the command unshare"
    )


def passes(program: str) -> bool:
    """Does the program come to its end without an error, in time?"""
    try:
        done = _run(program)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _run(program: str) -> subprocess.CompletedProcess[str]:
    """The finished process; its status is 0 only where the end was reached."""
    end = secrets.token_hex(16)
    main = f"END = {end!r}\n{_MAIN}"
    with tempfile.TemporaryDirectory(prefix="c2-sandbox-") as folder:
        inside = ["sh", "-c", _SETUP, folder, sys.executable, main]
        done = subprocess.run(
            [*_UNSHARE, *_OWN_PROCESSES, *inside],
            input=program,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            preexec_fn=_limit,
            start_new_session=True,  # else the program could signal our process group
            check=False,
        )
    if done.returncode == 0 and not done.stdout.endswith(f"\n{end}\n"):
        done.returncode = 1
    return done


def _limit() -> None:
    """In the child, before anything else runs."""
    for what, most in (
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_FSIZE, _OUTPUT),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
