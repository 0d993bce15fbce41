"""The proxy of one link: its listener, its connections, the toxics in force, and its counters."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import termios
from collections.abc import Mapping
from typing import Any

from seatrial.clock import NS
from seatrial.faults.proxy.flow import Flow
from seatrial.faults.proxy.loop import IN, Loop
from seatrial.faults.proxy.pair import Far, Pair
from seatrial.faults.proxy.toxics import Toxic, parse

ACCEPTS_A_ROUND = 64
REST_NS = 20_000_000
WORDS_KEPT = 256  # of probers whose connections are over


class Listener:
    """A port of 127.0.0.1 that can stop to listen (connects are refused by the kernel) and listen again.

    The port stays ours while it does not listen: a second socket is bound to it that never listens.
    """

    def __init__(self) -> None:
        """Take a free port; do not listen yet."""
        self._keeper = self._bound(0)
        self.port: int = self._keeper.getsockname()[1]
        self.sock: socket.socket | None = None

    def _bound(self, port: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        return sock

    def listen(self) -> socket.socket:
        """Begin to listen."""
        self.sock = self._bound(self.port)
        self.sock.listen(4096)
        return self.sock

    def refuse(self) -> None:
        """Listen no longer."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None


class BoundDials:
    """The dials under way, oldest first; all have the same bound, so one timer serves."""

    def __init__(self, loop: Loop, bound_ns: int) -> None:
        """Begin with none."""
        self._loop, self._bound_ns = loop, bound_ns
        self._due: dict[Pair, int] = {}
        self._waking = False

    def add(self, pair: Pair) -> None:
        """Bound a dial that begins now."""
        self._due[pair] = self._loop.now() + self._bound_ns
        self._wake()

    def drop(self, pair: Pair) -> None:
        """The dial came to its end."""
        self._due.pop(pair, None)

    def _wake(self) -> None:
        if self._due and not self._waking:
            self._waking = True
            self._loop.at(next(iter(self._due.values())), self._sweep)

    def _sweep(self) -> None:
        self._waking = False
        now = self._loop.now()
        for pair in [pair for pair, due in self._due.items() if due <= now]:
            self.drop(pair)
            pair.dial_expired()
        self._wake()


class Proxy:
    """Takes connections and carries them to the upstream, through the toxics in force."""

    def __init__(self, loop: Loop, seed: str, dial_s: float) -> None:
        """Listen. seed: decides which connections a toxic hits; dial_s: how long the far end may take to answer."""
        self.loop, self.seed = loop, seed
        self.dials = BoundDials(loop, round(dial_s * NS))
        self.upstream: Far | None = None
        self.toxics: dict[str, Toxic] = {}
        self.hits: dict[str, int] = {}
        self.pairs: dict[Pair, None] = {}
        self.accepted = self.unreached = self.resets = 0
        self._gone_up = self._gone_down = 0
        self._expected: dict[int, Far | None] = {}
        self._probes: dict[int, Pair] = {}
        self.listener = Listener()
        self._listen()

    # -- connections

    def _listen(self) -> None:
        if self.listener.sock is None:
            self.loop.watch(self.listener.listen().fileno(), self, IN)

    def _refuse(self) -> None:
        if self.listener.sock is not None:
            self.ready(IN)  # who is connected already was not refused
            self.loop.unwatch(self.listener.sock.fileno())
            self.listener.refuse()

    def ready(self, mask: int) -> None:
        """Take the connections that wait."""
        sock = self.listener.sock
        for _ in range(ACCEPTS_A_ROUND):
            try:
                if sock is None:
                    return
                near, peer = sock.accept()
            except OSError as trouble:  # most often: none waits any more
                if trouble.errno in (errno.EMFILE, errno.ENFILE):
                    self._rest()
                return
            near.setblocking(False)
            self._take(near, peer[1])

    def _rest(self) -> None:
        """No descriptors are left: look again a little later, instead of without end."""
        if self.listener.sock is not None:
            self.loop.unwatch(self.listener.sock.fileno())
            self.loop.at(self.loop.now() + REST_NS, self._wake_up)

    def _wake_up(self) -> None:
        sock = self.listener.sock
        if sock is not None and not self.loop.watches(sock.fileno()):
            self.loop.watch(sock.fileno(), self, IN)

    def _take(self, near: socket.socket, port: int) -> None:
        probe = port if port in self._expected else 0
        pair = Pair(self, near, -1 if probe else self.accepted, self._expected.pop(port, None), probe)
        self.pairs[pair] = None
        if probe:
            self._remember(port, pair)
        else:
            self.accepted += 1
        toxics = list(self.toxics.values())
        hitting = [toxic for toxic in toxics if pair.hit_by(toxic)]
        self._count(pair, hitting)
        if any(toxic.kind == "reset" and toxic.new for toxic in hitting):
            self._reset(pair)
        else:
            pair.apply(toxics)

    def _remember(self, port: int, pair: Pair) -> None:
        while len(self._probes) >= WORDS_KEPT:
            del self._probes[next(iter(self._probes))]
        self._probes[port] = pair

    def _count(self, pair: Pair, hitting: list[Toxic]) -> None:
        if not pair.probe:
            for toxic in hitting:
                self.hits[toxic.name] += 1

    def _reset(self, pair: Pair) -> None:
        self.resets += 0 if pair.probe else 1
        pair.abort("reset by toxic")

    def forget(self, pair: Pair) -> None:
        """A connection is over."""
        self.pairs.pop(pair, None)
        self.dials.drop(pair)
        if not pair.probe:
            self._gone_up += pair.up.passed
            self._gone_down += pair.down.passed

    # -- orders

    def aim(self, host: str, port: int) -> None:
        """Dial there from now on; live connections stay where they are."""
        self.upstream = (host, port)

    def admit(self, port: int, far: Far | None) -> None:
        """Expect one uncounted connection from that local port; carry it to `far`, None for the upstream."""
        self._probes.pop(port, None)
        self._expected[port] = far

    def seen(self, port: int) -> str:
        """Return what became of the connection from that local port: expected, waiting, joined ... or unknown."""
        if port in self._expected:
            return "expected"
        pair = self._probes.get(port)
        return pair.describe() if pair else "unknown"

    def add(self, name: str, kind: str, params: Mapping[str, Any]) -> None:
        """Put a toxic into force. Raises ValueError."""
        if name in self.toxics:
            raise ValueError(f"a toxic named {name!r} is in force already; remove it first")
        toxic = parse(name, kind, params)
        self.toxics[name] = toxic
        hit = [pair for pair in self.pairs if pair.hit_by(toxic)]
        self.hits[name] = sum(1 for pair in hit if not pair.probe)
        if kind in ("cut", "refuse"):
            self._refuse()
        if kind == "cut":
            for pair in list(self.pairs):
                pair.close("cut")
        elif kind == "reset":
            for pair in hit:
                self._reset(pair)
        else:
            self._apply()

    def remove(self, name: str) -> None:
        """Take a toxic out of force. Raises ValueError."""
        if name not in self.toxics:
            raise ValueError(f"no toxic named {name!r} is in force; in force: {', '.join(self.toxics) or 'none'}")
        toxic = self.toxics.pop(name)
        del self.hits[name]
        if toxic.kind == "blackhole" and toxic.after == "reset":
            for pair in [p for p in self.pairs if p.hit_by(toxic)]:
                self._reset(pair)
        for pair in self.pairs:
            pair.delays = {key: delay for key, delay in pair.delays.items() if key[0] != name}
        self._apply()
        if not any(t.kind in ("cut", "refuse") for t in self.toxics.values()):
            self._listen()

    def _apply(self) -> None:
        toxics = list(self.toxics.values())
        for pair in list(self.pairs):
            pair.apply(toxics)

    # -- counters

    def stats(self) -> dict[str, Any]:
        """Return the counters. Probers are not counted."""
        real = [pair for pair in self.pairs if not pair.probe]
        return {
            "accepted": self.accepted,
            "open": len(real),
            "refused": self.unreached,
            "reset": self.resets,
            "bytes_up": self._gone_up + sum(pair.up.passed for pair in real),
            "bytes_down": self._gone_down + sum(pair.down.passed for pair in real),
            "held_bytes": sum(_held(pair.up, pair.near.sock) + _held(pair.down) for pair in real),
            "toxics": {name: {"kind": t.kind, "hit": self.hits[name]} for name, t in self.toxics.items()},
        }


def _held(flow: Flow, early: socket.socket | None = None) -> int:
    """Return the bytes that we keep, and those that wait in the kernel because we do not read.

    early: the socket that the flow will read from when the dial is done.
    """
    kept = flow.queued
    sock = flow.src.sock if flow.src else early
    if sock is None or sock.fileno() < 0:
        return kept
    waiting: int = struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, b"\0\0\0\0"))[0]
    return kept + waiting
