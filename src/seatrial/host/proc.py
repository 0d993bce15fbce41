"""Reads /proc: who a process is, whether it lives, who descends from it; and signals it without hitting a stranger."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

DEAD_STATES = "ZXx"  # a zombie runs nothing any more: it counts as dead
STOPPED_STATES = "Tt"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
HAS_PROC = os.path.exists("/proc/self/stat")  # noqa: PTH110 - without it, psutil is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """What /proc/PID/stat says. cpu_ticks is user + system time; start_ticks counts from boot."""

    pid: int
    ppid: int
    session: int
    state: str
    cpu_ticks: int
    start_ticks: int

    @property
    def dead(self) -> bool:
        """Return whether nothing of it can run any more."""
        return self.state in DEAD_STATES


def parse_stat(pid: int, text: str) -> Stat | None:
    """Return the fields of a stat line. The name in parentheses may hold spaces and parentheses itself."""
    fields = text[text.rfind(")") + 2 :].split()
    if len(fields) < 20:
        return None
    return Stat(
        pid=pid,
        ppid=int(fields[1]),
        session=int(fields[3]),
        state=fields[0],
        cpu_ticks=int(fields[11]) + int(fields[12]),
        start_ticks=int(fields[19]),
    )


def stat(pid: int) -> Stat | None:
    """Return what the system says of a pid, or None when there is no such process."""
    if not HAS_PROC:
        return _stat_elsewhere(pid)
    text = _read(f"/proc/{pid}/stat")
    return parse_stat(pid, text.decode("utf-8", "replace")) if text else None


def pids() -> list[int]:
    """Return all pids of this machine (or of this pid namespace)."""
    if not HAS_PROC:
        from seatrial.host import elsewhere

        return elsewhere.pids()
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - the fastest way


def all_stats() -> dict[int, Stat]:
    """Return one snapshot of all processes."""
    return {pid: found for pid in pids() if (found := stat(pid)) is not None}


def start_ticks(pid: int) -> int:
    """Return when a process began, in clock ticks since boot; 0 when there is none."""
    found = stat(pid)
    return found.start_ticks if found else 0


def alive(pid: int, ticks: int = 0) -> bool:
    """Return whether the process lives, and is the one that began at `ticks` when that is given."""
    found = stat(pid)
    return found is not None and not found.dead and ticks in (0, found.start_ticks)


def descendants(roots: Iterable[int], stats: Mapping[int, Stat]) -> set[int]:
    """Return all that descend from the roots in a snapshot, without the roots themselves."""
    children: dict[int, list[int]] = {}
    for one in stats.values():
        children.setdefault(one.ppid, []).append(one.pid)
    wanted = set(roots)
    found: set[int] = set()
    todo = list(wanted)
    while todo:
        for child in children.get(todo.pop(), ()):
            if child not in found and child not in wanted:
                found.add(child)
                todo.append(child)
    return found


def children() -> list[int]:
    """Return the children of the caller, dead ones included; without a look at all processes where the kernel can."""
    try:
        threads_of_us = os.listdir("/proc/self/task")  # noqa: PTH208
        texts = [Path(f"/proc/self/task/{tid}/children").read_text() for tid in threads_of_us]
    except OSError:
        me = os.getpid()
        return [pid for pid, one in all_stats().items() if one.ppid == me]
    return [int(word) for text in texts for word in text.split()]


def environ(pid: int) -> dict[str, str]:
    """Return the environment a process began with; empty when it may not be read or was overwritten by the process."""
    if not HAS_PROC:
        from seatrial.host import elsewhere

        return elsewhere.environ(pid)
    pairs = _read(f"/proc/{pid}/environ").split(b"\0")
    texts = (pair.decode("utf-8", "surrogateescape").partition("=") for pair in pairs if b"=" in pair)
    return {name: value for name, _, value in texts}


def command(pid: int) -> list[str]:
    """Return the command line of a process; empty when it is gone."""
    if not HAS_PROC:
        from seatrial.host import elsewhere

        return elsewhere.command(pid)
    return [part.decode("utf-8", "replace") for part in _read(f"/proc/{pid}/cmdline").split(b"\0") if part]


def exe(pid: int) -> str:
    """Return the file that a process executes, or "" when that may not be read."""
    if not HAS_PROC:
        from seatrial.host import elsewhere

        return elsewhere.exe(pid)
    try:
        return os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115
    except OSError:
        return ""


def describe(pid: int) -> str:
    """Return a process in plain words: pid 12 (redis-server --port 4100)."""
    words = " ".join(command(pid)) or _read(f"/proc/{pid}/comm").decode("utf-8", "replace").strip()
    return f"pid {pid} ({words[:160]})" if words else f"pid {pid}"


def threads(pid: int) -> list[Stat]:
    """Return the threads of a process, each as a Stat of its own."""
    try:
        names = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
    except OSError:
        return []
    texts = ((int(n), _read(f"/proc/{pid}/task/{n}/stat")) for n in names)
    return [found for n, t in texts if t and (found := parse_stat(n, t.decode("utf-8", "replace")))]


def send(pid: int, ticks: int, signum: int) -> bool:
    """Signal the process that began at `ticks`, and no other that has its pid by now. Return whether it was there."""
    if not hasattr(os, "pidfd_open"):
        return _send_plain(pid, ticks, signum)
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return _send_plain(pid, ticks, signum)
    try:  # the descriptor holds this very process, so the look at its age cannot be overtaken
        if not alive(pid, ticks):
            return False
        signal.pidfd_send_signal(fd, signum)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


def wait_gone(wanted: Mapping[int, int], within_s: float, step_s: float = 0.005) -> list[int]:
    """Block until none of the processes (pid to start ticks) lives, at most that long; return those that still do."""
    left = [pid for pid, ticks in wanted.items() if alive(pid, ticks)]
    for _ in range(int(within_s / step_s)):
        if not left:
            break
        time.sleep(step_s)
        left = [pid for pid in left if alive(pid, wanted[pid])]
    return left


def _stat_elsewhere(pid: int) -> Stat | None:
    from seatrial.host import elsewhere

    found = elsewhere.stat(pid)
    if found is None:
        return None
    parent, state, used, begun = found
    return Stat(pid=pid, ppid=parent, session=0, state=state, cpu_ticks=used, start_ticks=begun)


def _send_plain(pid: int, ticks: int, signum: int) -> bool:
    if not alive(pid, ticks):
        return False
    try:
        os.kill(pid, signum)
    except OSError:
        return False
    return True


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return _read_all(fd)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _read_all(fd: int) -> bytes:
    first = os.read(fd, 65536)
    parts = [first]
    while first:
        first = os.read(fd, 65536)
        parts.append(first)
    return b"".join(parts)
