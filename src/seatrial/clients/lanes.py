"""The two ways bytes of a connection travel: our own socket (plain), and a transport of the event loop (TLS)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from seatrial.clients.connection import RECEIVE, Connection
from seatrial.clients.poller import Poller, poller_of
from seatrial.errors import ClientError


class PlainConnection(Connection):
    """A connection over a socket of our own, without a transport in between."""

    __slots__ = ("_fd", "_poller", "_recv", "_sock", "_write")

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], int], sock: socket.socket) -> None:
        super().__init__(loop, now)
        self._sock, self._fd = sock, sock.fileno()
        self._recv, self._write = sock.recv, sock.send
        self._poller: Poller = poller_of(loop)
        self._poller.add(self._fd, self)

    def _send(self, data: bytes) -> None:
        try:
            sent = self._write(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:  # the kernel took nothing of this request
            self.abort()
            raise ClientError("reset-before-send", certain=True, detail=str(error)) from None
        if sent < len(data):
            self._left = memoryview(data)[sent:]
            self._poller.want_to_write(self._fd, True)

    def _close(self) -> None:
        self._poller.remove(self._fd)
        self._sock.close()

    def readable(self) -> None:
        """Take what has come, or the end."""
        try:
            data = self._recv(RECEIVE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._ended(error)
            return
        if data:
            self._received_data(data)
        else:
            self._ended(None)

    def writable(self) -> None:
        """Send on."""
        if self._left is None or self.closed:
            return
        try:
            self._left = self._left[self._write(self._left) :]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            return  # the reader learns more: perhaps the server has answered before it closed
        if not self._left:
            self._left = None
            self._poller.want_to_write(self._fd, False)


class TlsConnection(Connection, asyncio.Protocol):
    """A connection over a transport of the event loop."""

    __slots__ = ("_transport",)

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], int]) -> None:
        super().__init__(loop, now)
        self._transport: asyncio.Transport | None = None

    @property
    def usable(self) -> bool:
        """Whether a request may be sent."""
        return not self.closed and self._transport is not None and not self._transport.is_closing()

    def _send(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise ClientError("reset-before-send", certain=True, detail="the server closed a new connection")
        self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._received_data(bytes(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the one who waits."""
        self._transport = None
        if not self.closed:
            self._ended(exc)


async def connect_plain(
    loop: asyncio.AbstractEventLoop, now: Callable[[], int], host: str, port: int
) -> PlainConnection:
    """Open a connection to the first address that takes it. Raises OSError: of the last address that was tried."""
    trouble: OSError | None = None
    for family, address in await _addresses(loop, host, port):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, address)
            return PlainConnection(loop, now, sock)
        except OSError as error:
            sock.close()
            trouble = error
        except BaseException:
            sock.close()
            raise
    raise trouble or OSError(f"no address for {host}")


async def _addresses(
    loop: asyncio.AbstractEventLoop, host: str, port: int
) -> list[tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]]:
    """Return the addresses of a host in the order to try; a name is looked up each time, outside of this thread."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return [(family, (host, port) if family == socket.AF_INET else (host, port, 0, 0))]
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in infos]  # type: ignore[misc]
