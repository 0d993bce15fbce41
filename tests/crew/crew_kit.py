"""What crew tests share: a raw HTTP server in a process of its own that counts what is on the wire, and a crew run."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from seatrial.clock import SystemClock
from seatrial.crew import messages as say
from seatrial.crew.control import ProcessCrew
from seatrial.history import AnyEvent, Ops
from seatrial.plan import Arrivals, Crew, Load, Plan
from seatrial.ports import Address
from seatrial.store.journal_read import read_segments

SERVER = r'''
"""Keeps keys in memory. Each request on the wire is a line of the log file: monotonic ns, method, path."""
import asyncio, sys, time
log = open(sys.argv[1], "w", buffering=1)
mode = sys.argv[2]
store = {}

class Protocol(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.buffer, self.count = transport, b"", 0
    def data_received(self, data):
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, rest = self.buffer.split(b"\r\n\r\n", 1)
            lines = head.decode().split("\r\n")
            method, path, _ = lines[0].split(" ")
            length = next((int(l.split(":")[1]) for l in lines[1:] if l.lower().startswith("content-length")), 0)
            if len(rest) < length:
                return
            body, self.buffer = rest[:length], rest[length:]
            log.write(f"{time.monotonic_ns()} {method} {path}\n")
            self.count += 1
            if mode == "close-second" and self.count == 2:
                self.transport.close()
                return
            if mode == "close-idle" and self.count == 2:
                asyncio.get_running_loop().call_later(0.02, self.transport.close)
            self.answer(method, path, body)
    def answer(self, method, path, body):
        status, out = 200, b""
        if method == "PUT":
            store[path], status = body, 204
        elif method == "POST":
            store[path], status = store.get(path, b"") + body + b"\n", 204
        elif method == "DELETE":
            store.pop(path, None)
            status = 204
        elif path in store:
            out = store[path]
        else:
            status = 404
        self.transport.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(out)) + out)

async def main():
    server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
'''

USERS = """
from seatrial.crew.users import User, Verb, task

class Keeper(User):
    @task(weight=3)
    async def put(self):
        key, value = self.any_key("item"), self.unique()
        async with self.op("put", Verb.WRITE, key=key, value=value) as op:
            op.expect(await self.http.put(f"/{key}", value), 204)

    @task
    async def get(self):
        key = self.own_key("item", new_share=0)
        async with self.op("get", Verb.READ, key=key) as op:
            response = op.expect(await self.http.get(f"/{key}"), 200, 404)
            op.result(response.text if response.status == 200 else None)

    async def readback(self):
        for key in self.owned_keys():
            async with self.op("read back", Verb.READ, key=key) as op:
                response = op.expect(await self.http.get(f"/{key}"), 200, 404)
                op.result(response.text if response.status == 200 else None)
"""


@dataclass
class Wire:
    """The server: its process, its port, and what it saw."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    def requests(self) -> list[tuple[int, str, str]]:
        rows = (line.split() for line in self.log.read_text().splitlines())
        return [(int(at), method, path) for at, method, path in rows]


@contextmanager
def wire(folder: Path, mode: str = "keep") -> Iterator[Wire]:
    """Run the server while the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    script, log = folder / "server.py", folder / "wire.log"
    script.write_text(SERVER)
    process = subprocess.Popen([sys.executable, str(script), str(log), mode], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield Wire(process, int(process.stdout.readline()), log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class ListLedger:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.closed: list[int] = []

    def open(self, kind: str, name: str, undo: object) -> int:
        self.opened.append(name)
        return len(self.opened)

    def close(self, entry: int, how: str = "") -> None:
        self.closed.append(entry)


@dataclass
class Trip:
    """A crew on a folder, and everything that it emitted."""

    folder: Path
    plan: Plan
    port: int
    events: list[AnyEvent] = field(default_factory=list)
    ledger: ListLedger = field(default_factory=ListLedger)

    def crew(self, **options: Any) -> ProcessCrew:
        return ProcessCrew(
            self.plan, run="trip", folder=self.folder, values={"note": "hello"}, clock=SystemClock(),
            emit=self.events.append, ledger=self.ledger, address=Address(host="127.0.0.1", port=self.port), **options,
        )  # fmt: skip

    def ops(self) -> Ops:
        return read_segments(self.folder / "journal")

    def of(self, kind: type[Any]) -> list[Any]:
        return [e for e in self.events if isinstance(e, kind)]


def trip(folder: Path, port: int, *, module: str = USERS, seed: int = 1, crew: Crew | None = None, **load: Any) -> Trip:
    """Return a crew's plan on a users module (or program) written into the folder."""
    app = folder / "app"
    app.mkdir(parents=True, exist_ok=True)
    (app / "users.py").write_text(textwrap.dedent(module))
    wanted: dict[str, Any] = {"users": 4, "length_s": 1.0, "arrivals": Arrivals(rate=50), "timeout_s": 2.0} | load
    plan = Plan(
        seatrial="0", app="app", app_dir=str(app), scenario="s", runtime="process", seed=seed,
        crew=crew or Crew(module="users.py"), load=Load(**wanted),
    )  # fmt: skip
    return Trip(folder=folder / "run", plan=plan, port=port)


def sail(
    journey: Trip, during: Callable[[ProcessCrew], Any] | None = None, calm_s: float = 5.0, **options: Any
) -> list[str]:
    """Start, drive, calm, read back, close; return what was not calm. `during` is awaited beside the drive."""

    async def go() -> list[str]:
        crew = journey.crew(**options)
        try:
            await crew.start()
            if during is None:
                await crew.drive()
            else:
                await asyncio.gather(crew.drive(), during(crew))
            left = await crew.calm(calm_s)
            await crew.readback(10.0)
            return left
        finally:
            await crew.close()

    return asyncio.run(go())


def worker_config(journey: Trip, loop: str = "") -> Path:
    """Write the config of a single worker, for running it without a conductor."""
    config = say.WorkerConfig(
        run="x", worker=0, plan=journey.plan, journal=str(journey.folder / "journal"), host="127.0.0.1",
        port=journey.port, loop=loop,
    )  # fmt: skip
    path = journey.folder.parent / "worker.json"
    path.write_bytes(msgspec.json.encode(config))
    return path


def children() -> set[int]:
    """Return the pids of this process's children."""
    text = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
    return {int(pid) for pid in text.split()}


_NUMBERS = ("verb", "outcome", "user", "actor", "flags", "status", "intended_ns", "started_ns", "ended_ns")


def rows(ops: Ops) -> list[dict[str, Any]]:
    """Return ops as dicts of plain values, for comparing."""
    out = []
    for i in range(len(ops)):
        texts = {c: ops.text(getattr(ops, c)[i]) for c in ("key", "value", "result")}
        error = int(ops.error[i])
        names = {"name": ops.names[int(ops.name[i])], "error": ops.names[error] if error >= 0 else None}
        numbers = {c: int(getattr(ops, c)[i]) for c in _NUMBERS}
        out.append({**texts, **names, **numbers})
    return out
