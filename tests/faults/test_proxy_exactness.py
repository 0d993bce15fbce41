"""Whatever delays a link, and whenever that changes: every byte arrives once and in order, and so do the ends."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from linkkit import Driver, driving

DIRECTION = st.sampled_from(["up", "down", "both"])
LATENCY = st.tuples(st.floats(0, 0.02), st.floats(0, 1), DIRECTION).map(
    lambda v: ("latency", {"latency": v[0], "jitter": v[0] * v[1], "direction": v[2]})
)
BANDWIDTH = st.tuples(st.integers(500_000, 20_000_000), DIRECTION).map(
    lambda v: ("bandwidth", {"rate": v[0], "direction": v[1]})
)
HOLE = DIRECTION.map(lambda v: ("blackhole", {"direction": v}))
TOXIC = st.tuples(st.sampled_from("abc"), st.one_of(LATENCY, BANDWIDTH, HOLE), st.sampled_from([0.0, 1.0, 1.0]))
STEP = st.one_of(
    st.tuples(st.just("up"), st.integers(1, 60_000)),
    st.tuples(st.just("down"), st.integers(1, 60_000)),
    st.tuples(st.just("toxic"), TOXIC),
    st.tuples(st.just("heal"), st.sampled_from("abc")),
)


@pytest.fixture(scope="module")
def proxy() -> Iterator[Driver]:
    with driving() as driver:
        yield driver


def content(count: int, salt: int) -> bytes:
    return bytes((k * 31 + salt * 17) % 251 for k in range(count))


class Talk:
    """Writes and reads both ends without blocking."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.out = {near: bytearray(), far: bytearray()}
        self.came = {near: bytearray(), far: bytearray()}
        self.ended: dict[socket.socket, bool] = {near: False, far: False}
        for sock in self.out:
            sock.setblocking(False)

    def turn(self, seconds: float) -> None:
        writers = [sock for sock, data in self.out.items() if data]
        readers = [sock for sock, ended in self.ended.items() if not ended]
        for sock in select.select(readers, writers, [], seconds)[1]:
            del self.out[sock][: sock.send(self.out[sock])]
        for sock in readers:
            try:
                data = sock.recv(1 << 16)
            except BlockingIOError:
                continue
            self.came[sock] += data
            self.ended[sock] = not data

    def run(self, seconds: float, *, done: Any) -> None:
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            self.turn(0.01)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=14))
def test_every_byte_arrives_once_in_order_and_then_the_end(proxy: Driver, steps: list[tuple[str, Any]]) -> None:
    near, far = proxy.join()
    talk, sent, force = Talk(near, far), {near: b"", far: b""}, set()
    for number, (what, value) in enumerate(steps):
        if what in ("up", "down"):
            sock, data = (near if what == "up" else far), content(value, number)
            sent[sock] += data
            talk.out[sock] += data
        elif what == "toxic" and value[0] not in force:
            proxy.add(value[1][0], value[0], toxicity=value[2], **value[1][1])
            force.add(value[0])
        elif what == "heal" and value in force:
            proxy.remove(value)
            force.remove(value)
        talk.turn(0.001)
    for name in [n for n, t in proxy.order("stats")["toxics"].items() if t["kind"] == "blackhole"]:
        proxy.remove(name)
        force.remove(name)
    talk.run(10, done=lambda: not any(talk.out.values()))
    near.shutdown(socket.SHUT_WR)
    talk.run(10, done=lambda: talk.ended[far])
    far.shutdown(socket.SHUT_WR)
    talk.run(10, done=lambda: talk.ended[near])
    assert talk.came[far] == sent[near]
    assert talk.came[near] == sent[far]
    assert all(talk.ended.values())
    for name in force:
        proxy.remove(name)
    proxy.clean()
