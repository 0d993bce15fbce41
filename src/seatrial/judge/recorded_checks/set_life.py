"""The life of each element of a set over all reads: known since, last shown, last missing. Linear in what was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seatrial.history.recorded import RecordedOp
from seatrial.judge.recorded_checks.elements import Seen


@dataclass(slots=True)
class Life:
    """known: the op by whose end the element was in. present, absent: the latest-begun reads with and without it."""

    known: RecordedOp | None = None
    present: RecordedOp | None = None
    absent: RecordedOp | None = None

    @property
    def stable(self) -> bool:
        """Return True when the latest-begun read that tells of the element shows it."""
        if self.present is None:
            return False
        return self.absent is None or self.absent.start < self.present.start

    @property
    def lost(self) -> bool:
        """Return True when a read that began after the element was known lacks it, and no later-begun read shows it."""
        if self.known is None or self.known.end is None or self.absent is None or self.stable:
            return False
        return self.known.end < self.absent.start

    @property
    def timed(self) -> bool:
        """Return True when staleness is in seconds and not in positions."""
        times = [op.start_ns for op in (self.absent,) if op] + [op.end_ns for op in (self.known,) if op]
        return all(t is not None for t in times)

    @property
    def stale_by(self) -> float:
        """Return how long after it was known the element was still missing: seconds, or positions without times."""
        if self.known is None or self.absent is None or self.known.end is None:
            return 0.0
        if self.absent.start <= self.known.end:
            return 0.0
        if self.absent.start_ns is not None and self.known.end_ns is not None:
            return max(0.0, (self.absent.start_ns - self.known.end_ns) / 1e9)
        return float(self.absent.start - self.known.end)


def live(seen: Seen) -> dict[Any, Life]:
    """Return the life of every element that somebody tried to add."""
    lives = {value: Life(known=element.acked) for value, element in seen.elements.items()}
    _known_by_reads(seen, lives)
    _last_reads(seen, lives)
    return lives


def _known_by_reads(seen: Seen, lives: dict[Any, Life]) -> None:
    waiting = set(lives)  # not yet shown by a read; reads come in order of completion
    for read in seen.reads:
        shown = waiting & read.held
        for value in shown:
            life = lives[value]
            if life.known is None or (life.known.end or 0) > (read.op.end or 0):
                life.known = read.op
        waiting -= shown


def _last_reads(seen: Seen, lives: dict[Any, Life]) -> None:
    """Backwards from the read that began last: the first that shows an element, and the first that lacks it.

    What every read so far showed is no more than the smallest of them held, so this is linear in what was read.
    """
    unshown = set(lives)
    always: set[Any] | None = None  # shown by every read looked at; None before the first
    for read in sorted(seen.reads, key=lambda r: r.op.start, reverse=True):
        shown = unshown & read.held
        for value in shown:
            lives[value].present = read.op
        unshown -= shown
        before = set(lives) if always is None else always
        always = before & read.held
        for value in before - always:
            lives[value].absent = read.op
