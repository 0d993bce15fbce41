"""Measures a link from outside: a connection of our own through its proxy, both of whose ends are in our hands.

The proxy is told the local port beforehand and carries that one connection to our own listener instead of the app,
through the very same toxics. So bytes, times, FINs and RSTs are measured at the sockets, the app sees nothing of it,
and nothing is taken from the proxy's word.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from seatrial.clock import NS, Clock
from seatrial.ports import Address, LinkControl

CHUNK = 64 * 1024


class ProbeFailed(Exception):
    """A probing connection did not come through. word: refused | reset | closed | not joined."""

    def __init__(self, word: str, detail: str = "") -> None:
        super().__init__(f"{word}{f' ({detail})' if detail else ''}")
        self.word = word


@dataclass(slots=True)
class Probe:
    """A probing connection: the near end, as a client has it, and the far end, as the app would have it."""

    clock: Clock
    near: socket.socket
    far: socket.socket

    def _ends(self, direction: str) -> tuple[socket.socket, socket.socket]:
        return (self.near, self.far) if direction == "up" else (self.far, self.near)

    async def passes(self, direction: str, within_s: float) -> float:
        """Send one byte and return the seconds until it arrived. Raises ProbeFailed when it did not in time."""
        begin = self.clock.now_ns()
        await self.send(direction, b"x")
        await self.arrives(direction, within_s)
        return (self.clock.now_ns() - begin) / NS

    async def send(self, direction: str, data: bytes) -> None:
        """Send bytes that the sender's buffers surely take. Raises ProbeFailed when the connection is gone."""
        try:
            await asyncio.get_running_loop().sock_sendall(self._ends(direction)[0], data)
        except OSError as trouble:
            raise ProbeFailed(_word(trouble)) from None

    async def arrives(self, direction: str, within_s: float) -> bytes:
        """Return the next bytes at the other end. Raises ProbeFailed: closed, reset, or "silent" in that time."""
        loop = asyncio.get_running_loop()
        try:
            data = await asyncio.wait_for(loop.sock_recv(self._ends(direction)[1], CHUNK), within_s)
        except TimeoutError:
            raise ProbeFailed("silent", f"nothing arrived {direction} within {within_s:g} s") from None
        except OSError as trouble:
            raise ProbeFailed(_word(trouble)) from None
        if not data:
            raise ProbeFailed("closed")
        return data

    async def delays(self, direction: str, count: int, within_s: float, every_s: float = 0.02) -> list[float]:
        """Send `count` single bytes, one every `every_s`, and return for each the seconds that it took."""
        sent: list[int] = []

        async def talk() -> None:
            for number in range(count):
                sent.append(self.clock.now_ns())
                await self.send(direction, bytes([number % 256]))
                await self.clock.sleep(every_s)

        talking = asyncio.create_task(talk())
        found: list[float] = []
        try:
            while len(found) < count:
                data = await self.arrives(direction, within_s)
                now = self.clock.now_ns()
                found += [(now - sent[len(found) + k]) / NS for k in range(len(data))]
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
        return found

    async def rate(self, direction: str, window_s: float, most: int) -> float:
        """Send up to `most` bytes as fast as it goes; return the bytes per second that arrived within the window.

        `most` keeps the measurement from crowding out the users: it ends when so many bytes arrived.
        """
        loop = asyncio.get_running_loop()
        source, sink = self._ends(direction)

        async def push() -> None:
            left = most
            while left > 0:
                await loop.sock_sendall(source, bytes(min(CHUNK, left)))
                left -= CHUNK

        pushing = asyncio.create_task(push())
        begin, arrived = self.clock.now_ns(), 0
        try:
            while arrived < most and (spent := (self.clock.now_ns() - begin) / NS) < window_s:
                arrived += len(await asyncio.wait_for(loop.sock_recv(sink, CHUNK), window_s - spent))
        except TimeoutError:
            pass
        finally:
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
        return arrived * NS / (self.clock.now_ns() - begin)

    async def end(self, within_s: float) -> str:
        """Return how the near end was ended from outside: "reset", "closed", or "open" when it was not in time."""
        try:
            while True:
                await self.arrives("down", within_s)
        except ProbeFailed as failed:
            return "open" if failed.word == "silent" else failed.word

    def close(self) -> None:
        """Close both ends; with a RST, so that nothing of the probe is kept anywhere."""
        for sock in (self.near, self.far):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            sock.close()


def _word(trouble: OSError) -> str:
    if isinstance(trouble, ConnectionRefusedError):
        return "refused"
    if isinstance(trouble, (ConnectionResetError, BrokenPipeError)):
        return "reset"
    return type(trouble).__name__


def _near_end() -> socket.socket:
    near = socket.socket()
    near.setblocking(False)
    near.bind(("127.0.0.1", 0))
    return near


async def connect(link: LinkControl, near: socket.socket, far: Address | None, within_s: float) -> None:
    """Connect an already bound socket through the link. Raises ProbeFailed."""
    await link.admit(near.getsockname()[1], far)
    where = (link.address.host, link.address.port)
    try:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(near, where), within_s)
    except TimeoutError:
        raise ProbeFailed("not connected", f"within {within_s:g} s") from None
    except OSError as trouble:
        raise ProbeFailed(_word(trouble)) from None


async def open_probe(link: LinkControl, clock: Clock, within_s: float) -> Probe:
    """Return a probing connection that came through to our own far end. Raises ProbeFailed, word "not joined" too."""
    near = _near_end()
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            far_at = Address(host="127.0.0.1", port=listener.getsockname()[1])
            await connect(link, near, far_at, within_s)
            far = await _joined(near, listener, within_s)
    except BaseException:
        near.close()
        raise
    far.setblocking(False)
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Probe(clock, near, far)


async def _joined(near: socket.socket, listener: socket.socket, within_s: float) -> socket.socket:
    """Wait until the connection arrives at our listener, or its near end is ended."""
    loop = asyncio.get_running_loop()
    arriving = asyncio.ensure_future(loop.sock_accept(listener))
    ending = asyncio.ensure_future(loop.sock_recv(near, 1))
    try:
        await asyncio.wait({arriving, ending}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if arriving.done():
            return arriving.result()[0]
        if not ending.done():
            raise ProbeFailed("not joined", f"connected, but did not reach the far end within {within_s:g} s")
        wrong = ending.exception()
        raise ProbeFailed(_word(wrong) if isinstance(wrong, OSError) else "closed")
    finally:
        for task in (arriving, ending):
            task.cancel()
        await asyncio.gather(arriving, ending, return_exceptions=True)


@asynccontextmanager
async def probing(link: LinkControl, clock: Clock, within_s: float) -> AsyncIterator[Probe]:
    """Give a probing connection and close it."""
    probe = await open_probe(link, clock, within_s)
    try:
        yield probe
    finally:
        probe.close()


async def reaches(link: LinkControl, clock: Clock, within_s: float) -> str:
    """Connect to the real upstream through the link, send nothing, and return "joined" or why it was not."""
    near = _near_end()
    deadline = clock.now_ns() + round(within_s * NS)
    try:
        try:
            await connect(link, near, None, within_s)
        except ProbeFailed as failed:
            if failed.word != "reset":  # a reset may come from a far end that is down: the proxy knows
                return failed.word
        while True:
            word = await link.seen(near.getsockname()[1])
            if word not in ("expected", "waiting", "dialling") or clock.now_ns() >= deadline:
                return word
            await clock.sleep(0.005)
    finally:
        near.close()
