"""One connection through the proxy: the near end, the bounded dial, the far end, and how both come to their end."""

from __future__ import annotations

import errno
import socket
import struct
from typing import Protocol

from seatrial.faults.proxy.flow import End, Flow
from seatrial.faults.proxy.loop import OUT, Loop
from seatrial.faults.proxy.toxics import Delay, Effect, Toxic

Far = tuple[str, int]
CLOSED_BY_PEER = {7, 8, 9}  # TCP_CLOSE, TCP_CLOSE_WAIT, TCP_LAST_ACK of tcp_info


class Dials(Protocol):
    """Bounds the dials under way."""

    def add(self, pair: Pair) -> None:
        """Bound a dial that begins now."""
        ...

    def drop(self, pair: Pair) -> None:
        """The dial came to its end."""
        ...


class Home(Protocol):
    """The proxy, as a connection knows it. unreached counts dials that failed."""

    loop: Loop
    seed: str
    upstream: Far | None
    unreached: int

    @property
    def dials(self) -> Dials:
        """Return what bounds the dials."""
        ...

    def forget(self, pair: Pair) -> None:
        """Hear that a connection is over."""
        ...


class Pair:
    """states: waiting (not dialled yet) -> dialling -> joined -> over. `word` says why it is over."""

    def __init__(self, proxy: Home, sock: socket.socket, index: int, far: Far | None, probe: int) -> None:
        """Take an accepted socket. far: where to dial, None for the upstream; probe: local port of a prober, or 0."""
        self.proxy, self.index, self.far_at, self.probe = proxy, index, far, probe
        self.loop: Loop = proxy.loop
        self.state, self.word = "waiting", ""
        self.parked = False  # accepted while nothing could pass towards the far end
        self.delays: dict[tuple[str, str], Delay] = {}
        self.up, self.down = Flow(self.loop, self), Flow(self.loop, self)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.near = End(self.loop, sock, inflow=self.up, outflow=self.down)
        self.far: End | None = None
        self.dial_at = 0

    def other(self, flow: Flow) -> Flow:
        """Return the opposite direction."""
        return self.down if flow is self.up else self.up

    def hit_by(self, toxic: Toxic) -> bool:
        """Whether the toxic works on this connection. Probers are always in the share that is hit, if there is one."""
        return toxic.toxicity > 0 if self.probe else toxic.hits(self.proxy.seed, self.index)

    # -- toxics

    def apply(self, toxics: list[Toxic]) -> None:
        """Put the toxics that hit this connection into force."""
        mine = [toxic for toxic in toxics if self.hit_by(toxic)]
        up, down = self._effect(mine, "up"), self._effect(mine, "down")
        round_trip = sum(d.latency_ns for d in (*up.delays, *down.delays))
        self.up.apply(up)
        self.down.apply(down)
        if self.state == "waiting":
            # A handshake over a slow line costs a round trip; user space cannot delay connect(), so it delays the dial.
            wanted = self.loop.now() + round_trip if round_trip else 0
            self.dial_at = min(self.dial_at, wanted) if self.dial_at else wanted
            self.try_dial()

    def _effect(self, mine: list[Toxic], direction: str) -> Effect:
        effect = Effect()
        for toxic in mine:
            if not toxic.flows(direction):
                continue
            if toxic.kind == "latency":
                effect.delays.append(self._delay(toxic, direction))
            elif toxic.kind == "bandwidth":
                effect.rate = min(effect.rate or toxic.rate, toxic.rate)
            elif toxic.kind == "blackhole":
                effect.hold = True
        return effect

    def _delay(self, toxic: Toxic, direction: str) -> Delay:
        key = (toxic.name, direction)
        if key not in self.delays:
            rng = toxic.rng(self.proxy.seed, self.index, direction)
            self.delays[key] = Delay(toxic.latency_ns, toxic.jitter_ns, rng)
        return self.delays[key]

    # -- dial

    def try_dial(self) -> None:
        """Dial the far end, unless it is too early or nothing can pass."""
        if self.state != "waiting":
            return
        if self.up.effect.hold:
            self.parked = True
            return
        if self.dial_at > self.loop.now():
            self.loop.at(self.dial_at, self.try_dial)
            return
        if self.parked and self._near_left():
            # A client that gave up before the line was healed never had a connection on a real network.
            self.abort("given up")
            return
        self._dial()

    def _near_left(self) -> bool:
        state: int = struct.unpack("B", self.near.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1))[0]
        return state in CLOSED_BY_PEER

    def _dial(self) -> None:
        target = self.far_at or self.proxy.upstream
        if target is None:
            self.proxy.unreached += 0 if self.probe else 1
            self.abort("not aimed")
            return
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as trouble:  # no descriptors left
            self._unreached(errno.errorcode.get(trouble.errno or 0, str(trouble)))
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.state = "dialling"
        self.far = End(self.loop, sock, inflow=self.down, outflow=self.up)
        code = sock.connect_ex(target)
        if code not in (0, errno.EINPROGRESS):
            self._unreached(errno.errorcode.get(code, str(code)))
            return
        self.proxy.dials.add(self)
        self.up.blocked = True  # until the far end is there
        self.far.want(OUT, True)

    def dial_expired(self) -> None:
        """The far end did not answer in time."""
        if self.state == "dialling":
            self._unreached("no answer")

    def dialled(self) -> None:
        """The dial came to its end, well or not."""
        assert self.far is not None
        self.proxy.dials.drop(self)
        code = self.far.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._unreached(errno.errorcode.get(code, str(code)))
            return
        self.state = "joined"
        self.up.blocked = False
        self.far.want(OUT, False)
        self.up.join(self.near, self.far)
        self.down.join(self.far, self.near)

    def _unreached(self, word: str) -> None:
        self.proxy.unreached += 0 if self.probe else 1
        self.abort(f"far end: {word}")

    # -- the end

    def hung(self, end: End) -> None:
        """The peer of an end is gone while nothing is read from it."""
        if self.state != "joined":
            if end is self.near:
                self.abort("near end left")
            else:
                self.dialled()
        elif end.inflow.ended and not end.outflow.done:
            end.outflow.undeliverable()

    def half_done(self) -> None:
        """A FIN went through; when both did, the connection is over."""
        if self.up.done and self.down.done:
            self.close("ended")

    def abort(self, word: str = "reset") -> None:
        """Reset both ends."""
        self._over(word, reset=True)

    def close(self, word: str) -> None:
        """Close both ends as an ending process does."""
        self._over(word, reset=False)

    def _over(self, word: str, *, reset: bool) -> None:
        if self.state == "over":
            return
        self.state, self.word = "over", word
        self.near.close(reset=reset)
        if self.far is not None:
            self.far.close(reset=reset)
        self.proxy.forget(self)

    def describe(self) -> str:
        """Return the state, for a prober: waiting, dialling, joined, or why it is over."""
        return self.word if self.state == "over" else self.state
