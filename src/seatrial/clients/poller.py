"""Tells connections that bytes have come: one epoll of our own inside the event loop, so that a wake-up serves many.

An event loop does much for each socket that is ready. Here it sees one descriptor, the epoll; what is ready in it is
handled in one go. Where there is no epoll, the loop watches each socket itself.
"""

from __future__ import annotations

import asyncio
import select
import threading
from typing import Protocol

_AT_ONCE = 64  # connections handled before the loop sees to its other work
_local = threading.local()


class Ready(Protocol):
    """What is told."""

    def readable(self) -> None:
        """Take what has come."""

    def writable(self) -> None:
        """Send on."""


class Poller:
    """Watches sockets for the connections of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._connections: dict[int, Ready] = {}
        self._epoll = select.epoll() if hasattr(select, "epoll") else None

    def add(self, fd: int, connection: Ready) -> None:
        """Watch for bytes that come."""
        if self._epoll is None:
            self.loop.add_reader(fd, connection.readable)
        else:
            if not self._connections:
                self.loop.add_reader(self._epoll.fileno(), self._drain)
            self._epoll.register(fd, select.EPOLLIN)
        self._connections[fd] = connection

    def remove(self, fd: int) -> None:
        """Watch no more; to be called before the descriptor is closed."""
        connection = self._connections.pop(fd, None)
        if connection is None:
            return
        if self._epoll is None:
            self.loop.remove_reader(fd)
            self.loop.remove_writer(fd)
            return
        self._epoll.unregister(fd)
        if not self._connections and not self.loop.is_closed():
            self.loop.remove_reader(self._epoll.fileno())

    def want_to_write(self, fd: int, wanted: bool) -> None:
        """Watch also for room to write, or no longer."""
        if self._epoll is not None:
            self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))
        elif wanted:
            self.loop.add_writer(fd, self._connections[fd].writable)
        else:
            self.loop.remove_writer(fd)

    def _drain(self) -> None:
        """Serve all that is ready. One of them may close others, and a descriptor may be taken anew: they check."""
        assert self._epoll is not None
        connections = self._connections
        for fd, events in self._epoll.poll(0, _AT_ONCE):
            connection = connections.get(fd)
            if connection is None:
                continue
            if events & select.EPOLLOUT:
                connection.writable()
                if events == select.EPOLLOUT:
                    continue
            connection.readable()


def poller_of(loop: asyncio.AbstractEventLoop) -> Poller:
    """Return the poller of this thread's event loop."""
    found: Poller | None = getattr(_local, "poller", None)
    if found is None or found.loop is not loop:
        found = _local.poller = Poller(loop)
    return found
