"""The log file of a process: appended to by the process itself, bounded from outside, read from its end."""

from __future__ import annotations

import os
from pathlib import Path

TAIL_LINES = 12
_LINE_MOST = 400


def size(path: Path) -> int:
    """Return the size of a log in bytes, 0 when there is none yet."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def tail(path: Path, lines: int = TAIL_LINES, since: int = 0) -> list[str]:
    """Return the last lines, of what was written after byte `since`; long lines are cut."""
    end = size(path)
    since = 0 if since > end else since
    start = max(since, end - 64 * 1024)
    try:
        with path.open("rb") as file:
            file.seek(start)
            text = file.read(end - start).decode("utf-8", "replace")
    except OSError:
        return []
    return [line[:_LINE_MOST] for line in text.splitlines() if line.strip()][-lines:]


def last_words(path: Path, since: int = 0) -> str:
    """Return the last log line for a message: `; last log line: "..."`, or that there is none."""
    found = tail(path, 1, since)
    return f'; last log line: "{found[0]}"' if found else "; it logged nothing"


def ending(path: Path, since: int = 0) -> str:
    """Return the end of the log for a message, each line indented."""
    found = tail(path, TAIL_LINES, since)
    return "; end of its log:\n" + "\n".join(f"  | {line}" for line in found) if found else "; it logged nothing"


def trim(path: Path, limit: int) -> int:
    """Cut a log that is over its limit down to its first and last quarter. Return how many bytes were dropped.

    The writer holds the file open with O_APPEND, so it goes on at the new end. What it writes between our reading of
    the tail and the cut is dropped too; the line in the middle says how much went.
    """
    if size(path) <= limit:
        return 0
    keep = max(limit // 4, 1)
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    try:
        before = os.fstat(fd).st_size
        last = os.pread(fd, keep, max(0, before - keep))
        last = last[last.find(b"\n") + 1 :]
        before = os.fstat(fd).st_size
        os.ftruncate(fd, keep)
        dropped = before - keep - len(last)
        os.write(fd, f"\n[seatrial: {dropped} bytes dropped here, the log's limit is {limit}]\n".encode() + last)
        return dropped
    finally:
        os.close(fd)
