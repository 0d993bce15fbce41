"""Pressure of the machine itself: without it nobody can tell a slow app from a starved one."""

from __future__ import annotations

import os
import time
from pathlib import Path

from seatrial.history import HostSample


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _value(text: str, name: str, scale: int = 1) -> int:
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * scale
    return -1


def pressure(kind: str) -> float:
    """Return the share of time, in percent over 10 s, in which something waited for cpu, io or memory; else -1."""
    first = _read(f"/proc/pressure/{kind}").partition("\n")[0]
    return next((float(word[6:]) for word in first.split() if word.startswith("avg10=")), -1.0)


class Host:
    """Takes one sample of the machine at a time; shares are over the time since the sample before."""

    def __init__(self, folder: Path) -> None:
        """folder: whose disk is looked at."""
        self._folder = folder
        self._cpu = self._cpu_times()
        self._offset = time.time_ns() - time.monotonic_ns()

    @staticmethod
    def _cpu_times() -> tuple[int, int, int]:
        """Return ticks since boot: all, not idle, stolen."""
        ticks = [int(word) for word in _read("/proc/stat").partition("\n")[0].split()[1:9]]
        if len(ticks) < 8:
            return 0, 0, 0
        return sum(ticks), sum(ticks) - ticks[3] - ticks[4], ticks[7]

    def sample(self, now: int) -> HostSample:
        """Return a sample."""
        before, self._cpu = self._cpu, self._cpu_times()
        total, busy, stolen = (new - old for new, old in zip(self._cpu, before, strict=True))
        return HostSample(
            t_ns=now,
            cpu_percent=round(100 * busy / total, 2) if total > 0 else -1,
            steal_percent=round(100 * stolen / total, 2) if total > 0 else -1,
            load1=os.getloadavg()[0],
            mem_available=_value(_read("/proc/meminfo"), "MemAvailable:", 1024),
            disk_free=self._disk_free(),
            oom_kills=_value(_read("/proc/vmstat"), "oom_kill "),
            psi_cpu=pressure("cpu"),
            psi_io=pressure("io"),
            psi_memory=pressure("memory"),
            clock_jump_ns=self._clock_jump(),
        )

    def _disk_free(self) -> int:
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            return -1
        return disk.f_bavail * disk.f_frsize

    def _clock_jump(self) -> int:
        before, self._offset = self._offset, time.time_ns() - time.monotonic_ns()
        return self._offset - before
