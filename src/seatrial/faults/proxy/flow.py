"""One direction of one connection: bytes keep their order, and so do the FIN or RST behind them."""

from __future__ import annotations

import socket
from collections import deque
from typing import Final, Protocol

from seatrial.clock import NS
from seatrial.faults.proxy.loop import GONE, IN, OUT, Loop
from seatrial.faults.proxy.toxics import Effect

FIN: Final = b"FIN"  # marks in a queue, known by identity, never by value
RST: Final = b"RST"
KEPT_MOST = 4 * 1024 * 1024  # bytes of a delayed flow that we keep; then the sender meets back-pressure
SLICE_NS = 5_000_000  # a limited rate is let out in slices of this length
CATCH_UP_NS = 20_000_000  # after a stall of the reader, no more than this is made up for
_PAST = -1


class Owner(Protocol):
    """The connection that an end or a flow belongs to."""

    def other(self, flow: Flow) -> Flow:
        """Return the opposite direction."""
        ...

    def hung(self, end: End) -> None:
        """Hear that the peer of an end is gone while nothing is read from it."""
        ...

    def dialled(self) -> None:
        """Hear that the dial came to its end."""
        ...

    def half_done(self) -> None:
        """Hear that a FIN went through."""
        ...

    def abort(self) -> None:
        """Reset both ends."""
        ...


class End:
    """One socket of a pair, with what epoll is asked about it."""

    __slots__ = ("dead", "hung", "inflow", "loop", "mask", "outflow", "sock")

    def __init__(self, loop: Loop, sock: socket.socket, inflow: Flow, outflow: Flow) -> None:
        self.loop, self.sock, self.inflow, self.outflow = loop, sock, inflow, outflow
        self.mask = 0
        self.hung = self.dead = False
        loop.watch(sock.fileno(), self, 0)

    def ready(self, mask: int) -> None:
        """Write what waits, then read."""
        if mask & (OUT | GONE) and self.mask & OUT:
            self.outflow.unblock()
        if mask & (IN | GONE) and not self.dead:
            if self.mask & IN:
                self.inflow.readable()
            elif mask & GONE:
                self._hang()

    def want(self, bit: int, wanted: bool) -> None:
        """Ask epoll for an event, or no longer."""
        mask = self.mask | bit if wanted else self.mask & ~bit
        if mask == self.mask or self.dead:
            return
        self.mask = mask
        if not self.hung:
            self.loop.change(self.sock.fileno(), mask)
        elif mask:
            self.loop.at(0, self._hung_ready)

    def _hang(self) -> None:
        # The peer is gone while we do not read: epoll would report that without end, so it is no longer asked.
        self.hung = True
        self.loop.unwatch(self.sock.fileno())
        self.inflow.pair.hung(self)
        if self.mask & OUT:
            self._hung_ready()

    def _hung_ready(self) -> None:
        if not self.dead and self.mask:
            self.ready(self.mask)
            if self.mask & IN and not self.dead:
                self.loop.at(0, self._hung_ready)

    def close(self, *, reset: bool) -> None:
        """Close at the end of the round; with `reset` the peer gets a RST instead of a FIN."""
        if self.dead:
            return
        self.dead = True
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.loop.bury(self.sock)


class Flow:
    """Reads from `src`, waits as the effect says, writes to `dst`. Lives before its ends are there."""

    __slots__ = (
        "blocked",
        "broken",
        "done",
        "dst",
        "effect",
        "ended",
        "free_at",
        "limit",
        "loop",
        "pair",
        "passed",
        "plain",
        "queue",
        "queued",
        "src",
        "wake_at",
    )

    def __init__(self, loop: Loop, pair: Owner) -> None:
        self.loop, self.pair = loop, pair
        self.src: End | None = None
        self.dst: End | None = None
        self.queue: deque[tuple[int, bytes | memoryview]] = deque()
        self.effect = Effect()
        self.plain, self.limit = True, 1
        self.queued = self.passed = 0
        self.blocked = self.ended = self.done = self.broken = False
        self.free_at = self.wake_at = 0

    # -- in

    def readable(self) -> None:
        """Read one chunk, and pass it on at once when nothing stands in its way."""
        assert self.src is not None
        loop = self.loop
        try:
            count = self.src.sock.recv_into(loop.buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._end(RST)
            return
        if not count:
            self._end(RST if self.broken else FIN)
        elif self.plain and not self.queue:
            self._pass(count)
        else:
            self._keep(bytes(loop.view[:count]))

    def _pass(self, count: int) -> None:
        assert self.dst is not None
        view = self.loop.view
        try:
            sent = self.dst.sock.send(view[:count])
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.undeliverable()
            return
        self.passed += sent
        if sent < count:
            self.queue.append((_PAST, memoryview(bytes(view[sent:count]))))
            self.queued += count - sent
            self._block()
            self._ask()

    def _keep(self, item: bytes) -> None:
        due = _PAST
        if self.effect.delays:
            # One queue keeps the order: a chunk that drew less waits behind the one before it.
            due = self.loop.now() + sum(delay.draw() for delay in self.effect.delays)
        elif self.effect.rate:
            due = self.loop.now()
        mark = item is FIN or item is RST
        self.queue.append((due, item if mark else memoryview(item)))
        self.queued += 0 if mark else len(item)
        self.pump()

    def _end(self, mark: bytes) -> None:
        if not self.ended:
            self.ended = True
            self._ask()
            self._keep(mark)

    # -- out

    def pump(self) -> None:
        """Write what is due, and ask to be woken for what is not."""
        queue = self.queue
        if self.dst is None or self.effect.hold or self.done:
            return
        while queue and not self.blocked and not self.dst.dead:
            due, item = queue[0]
            if item is FIN or item is RST:
                if self._wait_until(due):
                    break
                self._conclude(item)
                return
            start, size = (due, len(item)) if not self.effect.rate else self._slice(due, len(item))
            if self._wait_until(start):
                break
            if not self._send(item, size, start):
                return
        self._ask()

    def _wait_until(self, due: int) -> bool:
        if due <= 0 or due <= self.loop.now():
            return False
        if not self.wake_at or due < self.wake_at:
            self.wake_at = due
            self.loop.at(due, self._wake)
        return True

    def _wake(self) -> None:
        if self.loop.now() >= self.wake_at:
            self.wake_at = 0
            self.pump()

    def _slice(self, due: int, size: int) -> tuple[int, int]:
        """Return when the next slice has gone over a line of the limited rate, and its size."""
        rate = self.effect.rate
        size = min(size, max(1, rate * SLICE_NS // NS))
        begin = max(due, self.free_at, self._floor())
        return begin + size * NS // rate, size

    def _floor(self) -> int:
        """Return the earliest instant from which an idle or stalled line may make up for lost time."""
        return self.loop.now() - CATCH_UP_NS - NS // self.effect.rate

    def _send(self, item: bytes | memoryview, size: int, over: int) -> bool:
        assert self.dst is not None
        try:
            sent = self.dst.sock.send(item[:size])
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.undeliverable()
            return False
        self.passed += sent
        self.queued -= sent
        self.free_at = over
        if sent == len(item):
            self.queue.popleft()
        else:
            self.queue[0] = (self.queue[0][0], item[sent:])
        if sent < size:
            self._block()
        return True

    def _conclude(self, mark: bytes | memoryview) -> None:
        assert self.dst is not None
        self.queue.clear()
        self.done = True
        if mark is RST:
            self.pair.abort()
            return
        try:
            self.dst.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the peer is gone already; the other direction reads that
        self.pair.half_done()

    def undeliverable(self) -> None:
        """The peer of `dst` takes no more. What it sent before still goes back; then our sender is reset."""
        self.ended = self.done = True
        self.queue.clear()
        self.queued = 0
        self._ask()
        self.pair.other(self).sender_is_gone()

    def sender_is_gone(self) -> None:
        """Whatever ends this direction now, ends it as a reset."""
        self.broken = True
        if self.done:
            self.pair.abort()
        elif self.ended and self.queue:
            self.queue[-1] = (self.queue[-1][0], RST)

    # -- in and out

    def _block(self) -> None:
        assert self.dst is not None
        self.blocked = True
        self.dst.want(OUT, True)

    def join(self, src: End, dst: End) -> None:
        """Both ends are there: begin."""
        self.src, self.dst = src, dst
        self.pump()
        self._ask()

    def unblock(self) -> None:
        """The peer takes bytes again, or the dial came to its end."""
        if self.dst is None:
            self.pair.dialled()
            return
        self.blocked = False
        self.dst.want(OUT, False)
        self.pump()

    def _ask(self) -> None:
        if self.src is not None and self.dst is not None:
            self.src.want(IN, not self.ended and not self.effect.hold and self.queued < self.limit)

    def apply(self, effect: Effect) -> None:
        """Put other toxics into force, also on what is under way: nothing waits longer than a new chunk would."""
        self.effect, self.plain = effect, effect.nothing
        self.limit = KEPT_MOST if effect.delays or effect.rate else 1
        if self.queue:
            latest = self.loop.now() + sum(d.latency_ns + d.jitter_ns for d in effect.delays)
            self.queue = deque((min(due, latest), item) for due, item in self.queue)
        self.free_at = 0
        self.pump()
        self._ask()
