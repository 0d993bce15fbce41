"""Ctrl-C, SIGTERM and a terminal that goes away: the first ends the trial in good order, further ones find patience."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from seatrial.errors import Interrupted
from seatrial.ports import Say

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FIRST = "interrupted: healing faults and tearing down; a verdict will still be written"
AGAIN = "still tearing down; everything it made is in the ledger, `seatrial heal` finishes if you kill this"
JUDGING = "writing the verdict; once more leaves without it, and `seatrial judge` makes it later"


class Asking:
    """Takes the signals that ask to stop, from the start of a run until its verdict is written.

    Outside the main thread it takes none: they are somebody else's there.
    """

    def __init__(self, say: Say, say_at_end: Say) -> None:
        """say: tells the person what is going on; say_at_end: the same when the live view is over."""
        self._say, self._say_at_end = say, say_at_end
        self._interrupt: Callable[[str], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._asked = 0
        self._first = ""
        self._judging = 0

    def __enter__(self) -> Asking:
        """Begin to take the signals."""
        for number in SIGNALS:
            try:
                self._before[number] = signal.signal(number, self._take)
            except ValueError:
                break
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, before in self._before.items():
            signal.signal(number, before)

    def answer_with(self, interrupt: Callable[[str], None]) -> None:
        """Call this in the running loop; `interrupt` is called for the first signal, also for an earlier one."""
        self._loop, self._interrupt = asyncio.get_running_loop(), interrupt
        if self._first:
            self._ask()

    def judging(self) -> None:
        """Say that the trial is over and its verdict is being made. Then the second signal raises Interrupted."""
        self._loop = self._interrupt = None
        self._judging = 1

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self._judging:
            self._judging += 1
            if self._judging > 2:
                raise Interrupted(
                    "stopped before the verdict was written; `seatrial judge` makes it from what is there"
                )
            self._say_at_end(JUDGING)
            return
        self._first = self._first or signal.Signals(number).name
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ask)  # wakes the loop, too

    def _ask(self) -> None:
        self._asked += 1
        if self._asked == 1 and self._interrupt is not None:
            self._interrupt(f"asked to stop by {self._first}")
        self._say(FIRST if self._asked == 1 else AGAIN)
