"""What the tests of links share: a real proxy process driven over its pipes, and real far ends."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from seatrial.undo import AnyUndo

RESET = b"\x01\0\0\0\0\0\0\0"
LONG_S = 10.0


class Refused(Exception):
    """The proxy answered an order with an error."""


class Driver:
    """A proxy process and one far end, both ends of every connection in the test's hands."""

    def __init__(self, seed: str = "seed", dial_s: float = 5.0, before: tuple[str, ...] = ()) -> None:
        words = [*before, sys.executable, "-m", "seatrial.faults.proxy", seed, str(dial_s), str(os.getpid())]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        hello = self.answer()["ok"]
        self.target = (hello["host"], hello["port"])
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.aim(self.listener)
        self.socks: list[socket.socket] = []

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def raw(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def order(self, op: str, **what: Any) -> Any:
        self.raw(json.dumps({"id": 1, "op": op, **what}).encode() + b"\n")
        answer = self.answer()
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["ok"]

    def aim(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        self.order("aim", host=host, port=port)

    def add(self, kind: str, name: str = "t", **params: Any) -> None:
        self.order("add", name=name, kind=kind, params=params)

    def remove(self, name: str = "t") -> None:
        self.order("remove", name=name)

    def connect(self) -> socket.socket:
        sock = socket.create_connection(self.target, LONG_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socks.append(sock)
        return sock

    def accept(self, within_s: float = LONG_S) -> socket.socket:
        self.listener.settimeout(within_s)
        sock, _ = self.listener.accept()
        sock.settimeout(LONG_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socks.append(sock)
        return sock

    def join(self) -> tuple[socket.socket, socket.socket]:
        near = self.connect()
        return near, self.accept()

    def clean(self) -> None:
        for sock in self.socks:
            sock.close()
        self.socks.clear()

    def close(self) -> None:
        self.clean()
        self.listener.close()
        with contextlib.suppress(ValueError):
            self.process.communicate(timeout=LONG_S)


@contextlib.contextmanager
def driving(**how: Any) -> Iterator[Driver]:
    driver = Driver(**how)
    try:
        yield driver
    finally:
        driver.close()


def exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        assert chunk, f"ended after {len(data)} of {count} bytes"
        data += chunk
    return data


def rest(sock: socket.socket) -> bytes:
    data = b""
    while chunk := sock.recv(65536):
        data += chunk
    return data


def quiet(sock: socket.socket, seconds: float = 0.15) -> bool:
    return not select.select([sock], [], [], seconds)[0]


def end_of(sock: socket.socket) -> str:
    """How the peer ended it: "closed" (FIN) or "reset" (RST)."""
    try:
        rest(sock)
    except ConnectionResetError:
        return "reset"
    return "closed"


def slam(sock: socket.socket) -> None:
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


def until(true: Callable[[], bool], within_s: float = LONG_S) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.005)


class MemoryLedger:
    """A ledger that keeps its lines."""

    def __init__(self) -> None:
        self.entries: dict[int, tuple[str, str, AnyUndo]] = {}
        self.closed: dict[int, str] = {}

    def open(self, kind: str, name: str, undo: AnyUndo) -> int:
        number = len(self.entries) + 1
        self.entries[number] = (kind, name, undo)
        return number

    def close(self, entry: int, how: str = "") -> None:
        assert entry in self.entries
        assert entry not in self.closed
        self.closed[entry] = how

    @property
    def still_open(self) -> list[tuple[str, str, AnyUndo]]:
        return [line for number, line in self.entries.items() if number not in self.closed]
