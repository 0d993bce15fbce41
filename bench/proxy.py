"""Measure the fault proxy: round trip, throughput, connections per second, accuracy of a latency toxic.

    python bench/proxy.py [ROUNDS]

Direct, ours, and Toxiproxy (when toxiproxy-server is on PATH, or TOXIPROXY names it) take turns in the same run, each
with the same client and the same server process; the table shows medians over the rounds and ratios to direct.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ECHOES, CONNECTS, STREAM_BYTES, DELAY_S = 3000, 600, 512 * 1024 * 1024, 0.1
Target = tuple[str, int]


def serve(out: object) -> None:
    """Answer 'e': echo. 's': swallow 8-byte length and that many bytes, then say 'k'. 'c': say 'k'."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    out.send(listener.getsockname())  # type: ignore[attr-defined]
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=answer, args=(sock,), daemon=True).start()


def answer(sock: socket.socket) -> None:
    """Serve one connection."""
    with sock:
        mode = sock.recv(1)
        if mode == b"c":
            sock.sendall(b"k")
        elif mode == b"e":
            while data := sock.recv(65536):
                sock.sendall(data)
        elif mode == b"s":
            left, buffer = int.from_bytes(sock.recv(8, socket.MSG_WAITALL), "big"), bytearray(1 << 20)
            while left > 0:
                left -= sock.recv_into(buffer)
            sock.sendall(b"k")


def dial(target: Target, mode: bytes) -> socket.socket:
    """Connect and say what is wanted."""
    sock = socket.create_connection(target)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(mode)
    return sock


def round_trips(target: Target, count: int) -> list[float]:
    """Return round trips of 64 bytes in microseconds."""
    found, message = [], b"x" * 64
    with dial(target, b"e") as sock:
        for _ in range(count):
            begin = time.perf_counter_ns()
            sock.sendall(message)
            sock.recv(64, socket.MSG_WAITALL)
            found.append((time.perf_counter_ns() - begin) / 1000)
    return found


def throughput(target: Target) -> float:
    """Return MB/s of one stream of 64 KiB writes."""
    chunk = b"x" * 65536
    with dial(target, b"s") as sock:
        sock.sendall(STREAM_BYTES.to_bytes(8, "big"))
        begin = time.perf_counter()
        for _ in range(STREAM_BYTES // len(chunk)):
            sock.sendall(chunk)
        sock.recv(1)
        return STREAM_BYTES / 1e6 / (time.perf_counter() - begin)


def connects(target: Target) -> float:
    """Return connect + one byte + close, per second, one after the other."""
    begin = time.perf_counter()
    for _ in range(CONNECTS):
        with dial(target, b"c") as sock:
            sock.recv(1)
    return CONNECTS / (time.perf_counter() - begin)


class Ours:
    """Our proxy, driven over its pipes."""

    def __init__(self, upstream: Target) -> None:
        """Start and aim."""
        words = [sys.executable, "-m", "seatrial.faults.proxy", "bench", "10", str(os.getpid())]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        where = self._read()
        self.target = (where["host"], where["port"])
        self.order(op="aim", host=upstream[0], port=upstream[1])

    def _read(self) -> dict:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())["ok"]

    def order(self, **order: object) -> None:
        """Send one order and wait for its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"id": 1, **order}).encode() + b"\n")
        self.process.stdin.flush()
        self._read()

    @contextmanager
    def delayed(self) -> Iterator[None]:
        """Delay answers."""
        self.order(op="add", name="l", kind="latency", params={"latency": DELAY_S, "direction": "down"})
        yield
        self.order(op="remove", name="l")

    def close(self) -> None:
        """End it."""
        self.process.communicate()


class Toxiproxy:
    """toxiproxy-server, driven over HTTP."""

    def __init__(self, upstream: Target, program: str) -> None:
        """Start and aim."""
        self.api, self.target = free(), free()
        quiet = {**os.environ, "LOG_LEVEL": "error"}
        words = [program, "-host", self.api[0], "-port", str(self.api[1])]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=quiet)
        self._until_up()
        listen, far = ("{}:{}".format(*a) for a in (self.target, upstream))
        self._call("POST", "/proxies", {"name": "p", "listen": listen, "upstream": far})

    def _until_up(self) -> None:
        for _ in range(100):
            try:
                self._call("GET", "/version")
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("toxiproxy-server did not answer within 5 s")

    def _call(self, method: str, path: str, body: object = None) -> None:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.api[0]}:{self.api[1]}{path}", data=data, method=method)
        urllib.request.urlopen(request, timeout=5).read()

    @contextmanager
    def delayed(self) -> Iterator[None]:
        """Delay answers."""
        toxic = {
            "name": "l",
            "type": "latency",
            "stream": "downstream",
            "attributes": {"latency": round(DELAY_S * 1000)},
        }
        self._call("POST", "/proxies/p/toxics", toxic)
        yield
        self._call("DELETE", "/proxies/p/toxics/l")

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


def free() -> Target:
    """Return an address that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[:2]


def measure(target: Target, delayed: Callable | None) -> dict[str, float]:
    """Measure one subject once."""
    trips = sorted(round_trips(target, ECHOES))
    found = {
        "RTT p50 us": trips[len(trips) // 2],
        "RTT p99 us": trips[len(trips) * 99 // 100],
        "MB/s": throughput(target),
        "connections/s": connects(target),
    }
    if delayed:
        with delayed():
            slow = [t / 1000 - DELAY_S * 1000 for t in round_trips(target, 10)[1:]]
        found["latency error p50 ms"] = statistics.median(slow) - found["RTT p50 us"] / 1000
        found["latency error max ms"] = max(slow)
    return found


def table(rounds: dict[str, list[dict[str, float]]]) -> None:
    """Print medians, and each ratio to direct."""
    names = list(next(iter(reversed(rounds.values())))[0])
    print(f"{'':22}" + "".join(f"{subject:>24}" for subject in rounds))
    for name in names:
        line, base = f"{name:22}", None
        for found in rounds.values():
            if name not in found[0]:
                line += f"{'-':>24}"
                continue
            value = statistics.median(f[name] for f in found)
            base = base or value
            ratio = "" if "error" in name else f" ({value / base:5.2f}x)"
            line += f"{f'{value:.2f}{ratio}':>24}"
        print(line)


def main() -> None:
    """Run the rounds."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    receiver, sender = multiprocessing.Pipe(False)
    server = multiprocessing.get_context("fork").Process(target=serve, args=(sender,), daemon=True)
    server.start()
    upstream = receiver.recv()
    program = os.environ.get("TOXIPROXY") or shutil.which("toxiproxy-server")
    peers = {"ours": Ours(upstream), **({"toxiproxy": Toxiproxy(upstream, program)} if program else {})}
    rounds: dict[str, list[dict[str, float]]] = {"direct": [], **{name: [] for name in peers}}
    try:
        for number in range(count):
            print(f"round {number + 1} of {count}", file=sys.stderr)
            rounds["direct"].append(measure(upstream, None))
            for name, peer in peers.items():
                rounds[name].append(measure(peer.target, peer.delayed))
    finally:
        for peer in peers.values():
            peer.close()
        server.kill()
    table(rounds)
    if not program:
        print("toxiproxy-server is not on PATH (and TOXIPROXY is not set): no peer in this table")


if __name__ == "__main__":
    main()
