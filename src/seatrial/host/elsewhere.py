"""What /proc tells, where there is no /proc (macOS, BSD): through psutil, slower and with less detail."""

from __future__ import annotations

import psutil

TICKS_PER_S = 100
_DEAD, _STOPPED = psutil.STATUS_ZOMBIE, psutil.STATUS_STOPPED
_GONE = (psutil.Error, OSError)


def pids() -> list[int]:
    """Return all pids."""
    return psutil.pids()


def stat(pid: int) -> tuple[int, str, int, int] | None:
    """Return parent, state letter, ticks of processor time, start in ticks since the epoch; None when it is gone."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            status = process.status()
            begun = round(process.create_time() * TICKS_PER_S)
            letter = "Z" if status == _DEAD else "T" if status == _STOPPED else "S"
            times = process.cpu_times() if letter != "Z" else None
            used = round((times.user + times.system) * TICKS_PER_S) if times else 0
            return process.ppid(), letter, used, begun
    except _GONE:
        return None


def environ(pid: int) -> dict[str, str]:
    """Return the environment of a process; empty when it may not be read."""
    try:
        return dict(psutil.Process(pid).environ())
    except _GONE:
        return {}


def command(pid: int) -> list[str]:
    """Return the command line of a process; empty when it may not be read."""
    try:
        return list(psutil.Process(pid).cmdline())
    except _GONE:
        return []


def exe(pid: int) -> str:
    """Return the file that a process executes, or ""."""
    try:
        return str(psutil.Process(pid).exe())
    except _GONE:
        return ""
