"""Runs one command and ends everything it started when our end of stdin closes. Started by path: standard library only.

An installer (pip, npm, dpkg) starts programs of its own. When seatrial is killed with SIGKILL, they must not go on
writing into the cache while the next run has begun to fill the same entry. So the command runs under this program:
it adopts orphans, notices the death of seatrial by the closed pipe, kills the whole tree, and only then lets go of
the entry's lock, whose descriptor it inherited.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def parents() -> dict[int, int]:
    """Return pid -> parent pid of every process, or nothing where there is no /proc."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
            found[int(entry.name)] = int(fields[1])
    return found


def descendants() -> list[int]:
    """Return the pids of all our descendants."""
    tree, found = parents(), {os.getpid()}
    grown = True
    while grown:
        more = {pid for pid, parent in tree.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return sorted(found - {os.getpid()})


def end_all(child: subprocess.Popen[bytes]) -> None:
    """Kill everything below us until nothing is left, and reap it."""
    with contextlib.suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)
    while True:
        for pid in descendants():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def wait(child: subprocess.Popen[bytes]) -> int | None:
    """Return the command's exit code, or None when our starter went away first."""
    watched = [0]
    if hasattr(os, "pidfd_open"):
        watched.append(os.pidfd_open(child.pid))
    while child.poll() is None:
        ready, _, _ = select.select(watched, [], [], None if len(watched) == 2 else 0.1)
        if 0 in ready and not os.read(0, 1):
            return None
    return child.returncode


def main(command: list[str]) -> int:
    """Run the command; return its exit code, 128 + signal when one ended it, 127 when it cannot be started."""
    signal.signal(signal.SIGTERM, lambda *_: os.close(0))
    adopt_orphans()
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0, close_fds=False)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    try:
        code = wait(child)
    except OSError:  # stdin was closed by SIGTERM
        code = None
    end_all(child)
    if code is None:
        return 128 + signal.SIGKILL
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
