"""Virtual time: an event loop whose clock jumps to the next timer when nothing else is to be done."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from seatrial.clock import NS

T = TypeVar("T")
START_S = 1000.0
EPOCH_S = 1_800_000_000  # wall time at the start: some day in 2027, so that nobody takes it for today
_GRACE_S = 2.0  # real time that a thread may take before a wait without a timer is taken for an endless one


class WaitsForever(AssertionError):
    """Everything waits, no timer is set, and nothing from outside comes: in real time this would hang."""


class VirtualClock:
    """A `seatrial.clock.Clock` of the running virtual loop. Monotonic time starts at 1000 s."""

    def now_ns(self) -> int:
        """Return the virtual time in nanoseconds."""
        return round(asyncio.get_running_loop().time() * NS)

    def wall_ns(self) -> int:
        """Return a wall time that goes on with the virtual time."""
        return round((EPOCH_S - START_S) * NS) + self.now_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait for that much virtual time."""
        await asyncio.sleep(seconds)


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for the next timer, moves the time to it."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = START_S

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(_GRACE_S if timeout is None else 0)
        if not ready and timeout is None:
            raise WaitsForever("everything waits, and nothing is due: this test would hang in real time")
        if not ready and timeout:
            self.now_s += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine as asyncio.run does, in virtual time. Not for real processes: their time is not virtual.

    Raises WaitsForever when it would hang.
    """
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)
