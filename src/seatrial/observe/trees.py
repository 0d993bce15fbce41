"""Finds every member of every process tree of the app, freshly, from the system."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seatrial.host import marks
from seatrial.observe.wire import WatchTask

PAGE = os.sysconf("SC_PAGE_SIZE")
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
LOOK_AGAIN = 10  # scans after which a process that was none of ours is looked at again: it may have called exec


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One live process: what /proc/PID/stat says. cpu_ns includes children that it has waited for."""

    pid: int
    parent: int
    start_ticks: int
    cpu_ns: int
    threads: int
    rss: int


def read_member(pid: int) -> Member | None:
    """Return what /proc says of a process, or None when it is gone or dead (a zombie)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    field = text[text.rindex(b")") + 2 :].split()
    if field[0] in (b"Z", b"X"):
        return None
    cpu = sum(int(value) for value in field[11:15]) * TICK_NS
    return Member(
        pid=pid,
        parent=int(field[1]),
        start_ticks=int(field[19]),
        cpu_ns=cpu,
        threads=int(field[17]),
        rss=int(field[21]) * PAGE,
    )


def all_pids() -> list[int]:
    """Return the pids of all processes."""
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]


def cgroup_pids(folder: Path) -> set[int]:
    """Return the pids in a cgroup and in all below it."""
    found: set[int] = set()
    for path, _, _ in os.walk(folder):
        try:
            found.update(map(int, Path(path, "cgroup.procs").read_text().split()))
        except OSError:
            continue
    return found


class Trees:
    """Says which processes belong to which process of the app.

    By cgroup where there is one. Otherwise by the marks of the run, by what the runtime told, and by descent.
    """

    def __init__(self, run: str, watched: Sequence[WatchTask]) -> None:
        """Look for processes of this run."""
        self._watched = tuple(watched)
        self._run = run
        self._names = [task.process for task in self._watched]
        self._known: dict[int, tuple[int, str, int]] = {}  # pid -> start ticks, process ("" none of ours), scan
        self._scans = 0

    def tell(self, process: str, pid: int) -> None:
        """Note that a pid is the first of a process of the app."""
        if member := read_member(pid):
            self._known[pid] = (member.start_ticks, process, self._scans)

    def scan(self) -> dict[str, list[Member]]:
        """Return the live members of every watched process."""
        self._scans += 1
        found: dict[str, list[Member]] = {task.process: [] for task in self._watched}
        by_tag = [task.process for task in self._watched if not task.cgroup]
        for task in self._watched:
            if task.cgroup:
                found[task.process] = _alive(cgroup_pids(Path(task.cgroup)))
        if by_tag:
            members = {member.pid: member for member in _alive(all_pids())}
            for process, some in self._by_tag(members).items():
                if process in by_tag:
                    found[process] = some
        return found

    def _by_tag(self, members: dict[int, Member]) -> dict[str, list[Member]]:
        self._known = {pid: known for pid, known in self._known.items() if pid in members}
        owner = {pid: self._owner(member) for pid, member in members.items()}
        result: dict[str, list[Member]] = {}
        for pid, member in members.items():
            process = _inherited(pid, owner, members)
            if process:
                result.setdefault(process, []).append(member)
                self._known[pid] = (member.start_ticks, process, self._scans)  # also when its parent dies
        return result

    def _owner(self, member: Member) -> str:
        ticks, process, scan = self._known.get(member.pid, (-1, "", 0))
        if ticks == member.start_ticks and (process or self._scans - scan < LOOK_AGAIN):
            return process
        process = marks.owner(member.pid, self._run, self._names)
        self._known[member.pid] = (member.start_ticks, process, self._scans)
        return process


def _alive(pids: Iterable[int]) -> list[Member]:
    return [member for pid in sorted(pids) if (member := read_member(pid))]


def _inherited(pid: int, owner: dict[int, str], members: dict[int, Member]) -> str:
    """Return the process of the nearest ancestor that has one."""
    steps = 0
    while pid in members and steps < 1000:
        if owner[pid]:
            return owner[pid]
        pid, steps = members[pid].parent, steps + 1
    return ""
