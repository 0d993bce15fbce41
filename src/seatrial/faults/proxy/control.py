"""The orders of a proxy: JSON lines on stdin, one answer a line on stdout. When stdin ends, so does the proxy.

{"id": 1, "op": "add", "name": "f1", "kind": "latency", "params": {"latency": 0.1}}  ->  {"id": 1, "ok": null}
{"id": 2, "op": "stats"} -> {"id": 2, "ok": {...}}       a mistake -> {"id": 3, "error": "..."}
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import msgspec

from seatrial.faults.proxy.loop import Loop
from seatrial.faults.proxy.server import Proxy

LINE_MOST = 1024 * 1024


class Control:
    """Reads orders from a pipe, obeys, and answers when what was ordered is in force."""

    def __init__(self, loop: Loop, proxy: Proxy, orders: int, answers: int) -> None:
        """Take the two descriptors. `orders` becomes non-blocking."""
        self.loop, self.proxy, self.fd, self.answers = loop, proxy, orders, answers
        self._rest = b""
        os.set_blocking(orders, False)
        self._ops: dict[str, Callable[[dict[str, Any]], Any]] = {
            "aim": lambda o: proxy.aim(_text(o, "host"), _port(o)),
            "admit": lambda o: proxy.admit(_port(o), _far(o)),
            "seen": lambda o: proxy.seen(_port(o)),
            "add": lambda o: proxy.add(_text(o, "name"), _text(o, "kind"), _table(o, "params")),
            "remove": lambda o: proxy.remove(_text(o, "name")),
            "stats": lambda o: proxy.stats(),
        }

    def ready(self, mask: int) -> None:
        """Obey the lines that are there."""
        try:
            chunk = os.read(self.fd, 65536)
        except BlockingIOError:
            return
        if not chunk:
            self.loop.stop()
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._obey(line)
        if len(self._rest) > LINE_MOST:
            self._rest = b""
            self.answer({"id": None, "error": f"an order is longer than {LINE_MOST} bytes"})

    def _obey(self, line: bytes) -> None:
        number = None
        try:
            order = msgspec.json.decode(line)
            if not isinstance(order, dict):
                raise ValueError("an order is a JSON object")
            number = order.get("id")
            op = self._ops.get(str(order.get("op")))
            if op is None:
                raise ValueError(f"no order is called {order.get('op')!r}; known: {', '.join(self._ops)}")
            answer = {"id": number, "ok": op(order)}
        except (ValueError, msgspec.DecodeError) as wrong:
            answer = {"id": number, "error": str(wrong)}
        self.loop.after_round(lambda: self.answer(answer))

    def answer(self, value: dict[str, Any]) -> None:
        """Write one line. When nobody reads any more, the proxy ends."""
        data = msgspec.json.encode(value) + b"\n"
        try:
            while data:
                data = data[os.write(self.answers, data) :]
        except BrokenPipeError:
            self.loop.stop()


def _text(order: dict[str, Any], key: str) -> str:
    value = order.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} = {value!r}: a text is wanted")
    return value


def _port(order: dict[str, Any]) -> int:
    value = order.get("port")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        raise ValueError(f"port = {value!r}: a number from 1 to 65535 is wanted")
    return value


def _table(order: dict[str, Any], key: str) -> dict[str, Any]:
    value = order.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"{key} = {value!r}: an object is wanted")
    return value


def _far(order: dict[str, Any]) -> tuple[str, int] | None:
    far = order.get("far")
    if far is None:
        return None
    if not isinstance(far, dict):
        raise ValueError(f"far = {far!r}: an object with host and port is wanted")
    return _text(far, "host"), _port(far)
