"""Follows logs: exact counts of declared patterns at bounded cost, through rotation, truncation, garbage and floods."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

from seatrial.clock import NS
from seatrial.history import LogCount, LogMatch, ObserverEvent
from seatrial.observe.lines import Lines
from seatrial.observe.literals import literal
from seatrial.plan import LogPattern

READ_BYTES = 256 * 1024
LINE_MOST = 64 * 1024  # the rest of a longer line is passed over
STORED_MOST = 2000  # characters of a line in a LogMatch
BURST, PER_S = 1000, 10  # matches stored at once, and per second after that; the rest is only counted


class Matcher:
    """Counts and stores the matches of one pattern in one log."""

    def __init__(self, process: str, pattern: LogPattern, lines: Lines) -> None:
        """Write matches to these lines."""
        self.name, self._process, self._lines = pattern.name, process, lines
        self._search = re.compile(pattern.pattern).search
        self._literal = literal(pattern.pattern).encode()
        self._credit, self._credited = float(BURST), time.monotonic_ns()
        self.count = 0

    def feed(self, block: bytes) -> None:
        """Look at a block of whole lines (each ends with a newline)."""
        if self._literal and self._literal not in block:
            return
        for line in block.split(b"\n")[:-1]:
            if self._literal in line:
                self._look(line[:LINE_MOST].removesuffix(b"\r").decode(errors="replace"))

    def _look(self, line: str) -> None:
        found = self._search(line)
        if found is None:
            return
        self.count += 1
        now = time.monotonic_ns()
        self._credit = min(BURST, self._credit + (now - self._credited) / NS * PER_S)
        self._credited = now
        if self._credit >= 1:
            self._credit -= 1
            self._lines.write(
                LogMatch(
                    t_ns=now,
                    process=self._process,
                    pattern=self.name,
                    line=line[:STORED_MOST],
                    groups=_groups(found),
                )
            )


def _groups(found: re.Match[str]) -> dict[str, str]:
    """Return named groups by name, others by number."""
    names = {number: name for name, number in found.re.groupindex.items()}
    return {
        names.get(number, str(number)): text[:STORED_MOST]
        for number, text in enumerate(found.groups(), 1)
        if text is not None
    }


class Follower:
    """Follows the log of one process."""

    def __init__(self, process: str, path: Path, patterns: Sequence[LogPattern], lines: Lines) -> None:
        """The log need not be there yet."""
        self.process, self._path, self._lines = process, path, lines
        self._matchers = [Matcher(process, p, lines) for p in patterns if p.process in ("", process)]
        self._handle = -1
        self._rest = b""
        self._cutting = False  # inside a line that was longer than is looked at
        self._earlier = 0  # bytes of files before this one
        self._place = 0
        self.count = 0

    def grown(self) -> int:
        """Return how much was logged in all, also before rotations and truncations; -1 when there is no log yet."""
        if self._handle < 0 and not self._open():
            return -1
        return self._earlier + max(self._place, os.fstat(self._handle).st_size)

    def step(self) -> bool:
        """Read a bounded piece; return whether there may be more at once."""
        if self._handle < 0 and not self._open():
            return False
        data = os.read(self._handle, READ_BYTES)
        if data:
            self._place += len(data)
            self._feed(data)
            return True
        return self._notice_change()

    def _open(self) -> bool:
        with contextlib.suppress(OSError):
            self._handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            self._place = 0
        return self._handle >= 0

    def _notice_change(self) -> bool:
        """At the end of what is there: was the file cut, or is there another one by that name?"""
        here = os.fstat(self._handle)
        if here.st_size < self._place:
            self._finish_line()
            self._note("truncated", self._place)
            os.lseek(self._handle, 0, os.SEEK_SET)
            self._earlier, self._place = self._earlier + self._place, 0
            return True
        try:
            there = self._path.stat()
        except OSError:
            return False
        if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
            return False
        self._finish_line()
        self._note("rotated", self._place)
        os.close(self._handle)
        self._handle = -1
        self._earlier += self._place
        return self._open()

    def _note(self, what: str, place: int) -> None:
        detail = {"process": self.process, "bytes": place}
        self._lines.write(ObserverEvent(t_ns=time.monotonic_ns(), what=f"log-{what}", detail=detail))

    def _feed(self, data: bytes) -> None:
        if self._cutting:
            _, newline, data = data.partition(b"\n")
            self._cutting = not newline
        head, newline, rest = data.rpartition(b"\n")
        if newline:
            self._whole_lines(self._rest + head + newline)
            self._rest = rest
        else:
            self._rest += rest
        if len(self._rest) >= LINE_MOST:
            self._finish_line()
            self._cutting = True

    def _whole_lines(self, block: bytes) -> None:
        self.count += block.count(b"\n")
        for matcher in self._matchers:
            matcher.feed(block)

    def _finish_line(self) -> None:
        if self._rest:
            self._whole_lines(self._rest[:LINE_MOST] + b"\n")
        self._rest, self._cutting = b"", False

    def close(self) -> None:
        """Count the last, unended line, and write the count of every pattern, zero too."""
        self._finish_line()
        for matcher in self._matchers:
            self._lines.write(
                LogCount(
                    t_ns=time.monotonic_ns(),
                    process=self.process,
                    pattern=matcher.name,
                    count=matcher.count,
                    lines=self.count,
                )
            )
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
