"""A small event loop for the proxy: epoll for sockets, a heap for timers, sockets closed only between rounds."""

from __future__ import annotations

import heapq
import select
import socket
from collections.abc import Callable
from typing import Protocol

from seatrial.clock import NS, SystemClock

IN, OUT = select.EPOLLIN, select.EPOLLOUT
MS = 1_000_000
GONE = select.EPOLLHUP | select.EPOLLERR


class Ready(Protocol):
    """What is told that its descriptor can be read or written."""

    def ready(self, mask: int) -> None:
        """Handle the events of the mask."""
        ...


class Loop:
    """Runs until `stop`. Everything happens on one thread; nothing in it may block."""

    def __init__(self) -> None:
        """Start with no descriptors and no timers."""
        self.now: Callable[[], int] = SystemClock().now_ns
        self.buffer = bytearray(256 * 1024)
        self.view = memoryview(self.buffer)
        self._poll = select.epoll()
        self._ends: dict[int, Ready] = {}
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._graves: list[socket.socket] = []
        self._after: list[Callable[[], None]] = []
        self._running = True

    def watch(self, fd: int, end: Ready, mask: int) -> None:
        """Begin to watch a descriptor. Hang-up and error are always reported."""
        self._ends[fd] = end
        self._poll.register(fd, mask)

    def change(self, fd: int, mask: int) -> None:
        """Watch for other events."""
        self._poll.modify(fd, mask)

    def unwatch(self, fd: int) -> None:
        """Watch no longer; the descriptor stays open."""
        if self._ends.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def watches(self, fd: int) -> bool:
        """Return whether the descriptor is watched."""
        return fd in self._ends

    def bury(self, sock: socket.socket) -> None:
        """Close a socket at the end of the round, so that its number cannot be used again within the round."""
        self.unwatch(sock.fileno())
        self._graves.append(sock)

    def at(self, when_ns: int, call: Callable[[], None]) -> None:
        """Call at a monotonic instant, or as soon after it as possible."""
        self._count += 1
        heapq.heappush(self._timers, (when_ns, self._count, call))

    def after_round(self, call: Callable[[], None]) -> None:
        """Call when this round is over and its sockets are closed."""
        self._after.append(call)

    def stop(self) -> None:
        """Let `run` return after this round."""
        self._running = False

    def run(self) -> None:
        """Serve until stopped."""
        ends = self._ends
        while self._running:
            for fd, mask in self._wait():
                end = ends.get(fd)
                if end is not None:
                    end.ready(mask)
            if self._timers:
                self._fire()
            if self._graves or self._after:
                self._finish_round()

    def _wait(self) -> list[tuple[int, int]]:
        if not self._timers:
            return self._poll.poll(-1, 256)
        left = self._timers[0][0] - self.now()
        if left > 2 * MS:
            return self._poll.poll((left - MS) / NS, 256)
        if left > 0:
            # epoll_wait counts whole milliseconds; select on the epoll descriptor counts microseconds.
            select.select([self._poll], [], [], left / NS)
        return self._poll.poll(0, 256)

    def _fire(self) -> None:
        timers, now = self._timers, self.now()
        while timers and timers[0][0] <= now:
            heapq.heappop(timers)[2]()

    def _finish_round(self) -> None:
        graves, self._graves = self._graves, []
        for sock in graves:
            sock.close()
        calls, self._after = self._after, []
        for call in calls:
            call()
