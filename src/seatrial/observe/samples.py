"""Resources of each process tree of the app: memory, processor, threads, descriptors, data and log volume."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from seatrial.clock import NS
from seatrial.history import ResourceSample
from seatrial.observe.trees import Member, Trees
from seatrial.observe.wire import WatchTask

WALK_S = 0.25  # a data folder whose walk takes longer has no size
SHARE = 0.02  # share of one core that costly readings (PSS, walks) may use


class Slow:
    """A reading that costs: taken every `every_s`, less often when it takes long; None in between."""

    def __init__(self, every_s: float, read: Callable[[], int]) -> None:
        """Wrap a reading."""
        self._every_s, self._read, self._next = every_s, read, 0

    def get(self, now: int) -> int:
        """Return the reading, or -1 when it is not time for it."""
        if now < self._next:
            return -1
        started = time.monotonic_ns()
        value = self._read()
        took = time.monotonic_ns() - started
        self._next = now + max(round(self._every_s * NS) - NS // 10, round(took / SHARE))
        return value


def pss(pid: int) -> int:
    """Return the proportional set size in bytes, -1 when it cannot be read."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_bytes()
        return int(text.partition(b"\nPss:")[2].split(None, 1)[0]) * 1024
    except (OSError, IndexError, ValueError):
        return -1


def descriptors(pid: int) -> int:
    """Return the number of open descriptors, -1 when it cannot be read."""
    try:
        return sum(1 for _ in os.scandir(f"/proc/{pid}/fd"))
    except OSError:
        return -1


def folder_bytes(paths: Sequence[str], within_s: float = WALK_S) -> int:
    """Return the sizes of all files below, added up; -1 when there are too many to look at in time."""
    end, total, waiting = time.monotonic() + within_s, 0, list(paths)
    while waiting:
        path = waiting.pop()
        try:
            info = os.lstat(path)
            if stat.S_ISDIR(info.st_mode):
                waiting.extend(entry.path for entry in os.scandir(path))
            elif stat.S_ISREG(info.st_mode):
                total += info.st_size
        except OSError:
            continue  # gone since it was listed
        if time.monotonic() > end:
            return -1
    return total


def _sum(values: list[int]) -> int:
    """Add up; what cannot be read of a live member makes the sum unknown."""
    return -1 if not values or min(values) < 0 else sum(values)


class Sampler:
    """Takes one sample of every watched process at a time."""

    def __init__(
        self, trees: Trees, watched: Sequence[WatchTask], log_bytes: Callable[[str], int], data_every_s: float
    ) -> None:
        """log_bytes: how much the log of a process has grown in all."""
        self._trees, self._log_bytes = trees, log_bytes
        self._members: dict[str, list[Member]] = {}
        self._pss = {task.process: Slow(1.0, self._pss_of(task.process)) for task in watched}
        self._data = {task.process: Slow(data_every_s, _folder_of(task)) for task in watched if task.data}

    def _pss_of(self, process: str) -> Callable[[], int]:
        return lambda: _sum([pss(member.pid) for member in self._members.get(process, [])])

    def sample(self, now: int) -> list[ResourceSample]:
        """Return a sample of each process; pids is 0 and memory unknown for one that is down."""
        self._members = self._trees.scan()
        return [self._one(now, process, members) for process, members in self._members.items()]

    def _one(self, now: int, process: str, members: list[Member]) -> ResourceSample:
        data = self._data.get(process)
        return ResourceSample(
            t_ns=now,
            process=process,
            rss=_sum([member.rss for member in members]),
            pss=self._pss[process].get(now) if members else -1,
            cpu_ns=_sum([member.cpu_ns for member in members]),
            threads=_sum([member.threads for member in members]),
            fds=_sum([descriptors(member.pid) for member in members]),
            pids=len(members),
            data_bytes=data.get(now) if data else -1,
            log_bytes=self._log_bytes(process),
        )


def _folder_of(task: WatchTask) -> Callable[[], int]:
    return lambda: folder_bytes(task.data)
