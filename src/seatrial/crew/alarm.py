"""Wakes at absolute monotonic instants: never early, no drift, some 30 microseconds late.

Event loops round their timers to milliseconds, and uvloop fires up to 1 ms early. So on Linux a timerfd is watched
as a file, with the smallest timer slack; elsewhere the loop's own timers, held back until they are due.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import os
import sys
from collections.abc import Callable
from itertools import count

from seatrial.crew.work import now_ns

NS = 1_000_000_000
_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK, _TFD_CLOEXEC, _TFD_TIMER_ABSTIME = 0o4000, 0o2000000, 1
_PR_SET_PDEATHSIG, _PR_SET_TIMERSLACK = 1, 29


class _Itimerspec(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns"))


class Alarm:
    """Calls functions at absolute instants (ns), in order. One for each event loop; close it at the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._armed = 0
        self._handle: asyncio.TimerHandle | None = None
        self._fd = -1
        if sys.platform == "linux":
            self._open_timerfd()

    def at(self, when_ns: int, call: Callable[[], None]) -> None:
        """Call `call` at when_ns, or at once (from the loop) when that is past."""
        heapq.heappush(self._heap, (when_ns, next(self._order), call))
        if not self._armed or when_ns < self._armed:
            self._arm(when_ns)

    async def until(self, when_ns: int) -> None:
        """Wait until when_ns; does not yield when that is past."""
        if now_ns() >= when_ns:
            return
        waiter: asyncio.Future[None] = self._loop.create_future()
        self.at(when_ns, lambda: None if waiter.done() else waiter.set_result(None))
        await waiter

    def flush(self) -> None:
        """Call everything that is still to come, now."""
        waiting, self._heap = sorted(self._heap), []
        for _, _, call in waiting:
            call()

    def close(self) -> None:
        """Forget what is still to come."""
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _open_timerfd(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _Itimerspec(0, 0, 0, 0)
        self._spec_at = ctypes.byref(self._spec)
        self._loop.add_reader(self._fd, self._on_timerfd)

    def _arm(self, when_ns: int) -> None:
        self._armed = when_ns
        if self._fd >= 0:
            self._spec.value_s, self._spec.value_ns = divmod(max(when_ns, 1), NS)
            self._libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, self._spec_at, None)
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_later(max(when_ns - now_ns(), 0) / NS, self._fire)

    def _on_timerfd(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # armed anew since
        self._fire()

    def _fire(self) -> None:
        self._armed = 0
        heap = self._heap
        while heap and heap[0][0] <= now_ns():
            heapq.heappop(heap)[2]()
        if heap and (not self._armed or heap[0][0] < self._armed):
            self._arm(heap[0][0])


def die_with_parent(signal_number: int) -> None:
    """Ask the kernel to send this process a signal when its parent dies (Linux; elsewhere stdin's end does it)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
