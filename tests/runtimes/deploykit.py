"""Deploys small real programs with the process runtime for tests, and proves at the end that nothing is left."""

from __future__ import annotations

import itertools
import os
import sys
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seatrial.clock import SystemClock
from seatrial.history import AnyEvent, ProcessEvent
from seatrial.plan import Plan, Process, Ready
from seatrial.ports import Address, Installed, Site
from seatrial.runtimes.process import ProcessDeployment, ProcessRuntime
from seatrial.store.ledger import FileLedger, read_ledger

PYTHON = sys.executable
_numbers = itertools.count(1)

SERVER = """
    import http.server, os, socketserver, sys, threading
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            code, body = (200, b"hello 1.2.3") if self.path != "/busy" else (503, b"busy")
            self.send_response(code); self.send_header("Content-Length", str(len(body))); self.end_headers()
            self.wfile.write(body)
    class Server(http.server.ThreadingHTTPServer):
        allow_reuse_address = True
    print("listening", flush=True)
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@dataclass
class Rig:
    """A run folder with a real ledger, and the events that a deployment emitted."""

    folder: Path
    events: list[AnyEvent] = field(default_factory=list)
    keep: bool = False
    run: str = field(default_factory=lambda: f"t{os.getpid()}x{next(_numbers)}")
    app: Path = field(init=False)
    site: Site = field(init=False)
    ledger: FileLedger = field(init=False)

    def __post_init__(self) -> None:
        self.app = self.folder / "app"
        run = self.folder / "run"
        for path in (self.app, run / "work", run / "logs"):
            path.mkdir(parents=True, exist_ok=True)
        clock = SystemClock()
        self.ledger = FileLedger(run / "ledger.jsonl", clock)
        self.site = Site(
            run=self.run,
            folder=run,
            work=run / "work",
            logs=run / "logs",
            ledger=self.ledger,
            clock=clock,
            emit=self.events.append,
            say=lambda _: None,
            keep=self.keep,
        )

    def script(self, name: str, text: str) -> str:
        """Write a program and return its path."""
        path = self.app / name
        path.write_text(textwrap.dedent(text))
        return str(path)

    def process(self, name: str, script: str, *args: str, **more: Any) -> Process:
        """Return a process that runs a Python program unbuffered."""
        return Process(name=name, command=(PYTHON, "-u", self.script(f"{name}.py", script), *args), **more)

    def server(self, name: str = "web", **more: Any) -> Process:
        """Return a small HTTP server with readiness by HTTP."""
        settings: dict[str, Any] = {
            "ports": ("http",),
            "ready": Ready(kind="http", port="http", within_s=10.0),
            "stop_grace_s": 2.0,
        }
        return self.process(name, SERVER, "{{ port.http }}", **{**settings, **more})

    def plan(self, *processes: Process, **more: Any) -> Plan:
        """Return a plan of these processes."""
        return Plan(
            seatrial="0",
            app="app",
            app_dir=str(self.app),
            scenario="s",
            runtime="process",
            seed=7,
            processes=processes,
            **more,
        )

    async def prepare(
        self, *processes: Process, installed: Mapping[str, Installed] | None = None, **more: Any
    ) -> ProcessDeployment:
        """Prepare a deployment."""
        links: dict[str, Address] = more.pop("links", {})
        return await ProcessRuntime().prepare(self.plan(*processes, **more), installed or {}, links, self.site)

    @asynccontextmanager
    async def deployed(self, *processes: Process, **more: Any) -> AsyncIterator[ProcessDeployment]:
        """Prepare; at the end tear down and prove by listing that nothing is left and the ledger is closed."""
        deployment = await self.prepare(*processes, **more)
        try:
            yield deployment
        finally:
            await deployment.teardown()
            await deployment.teardown()
            left = await deployment.residue()
            self.ledger.dispose()
        assert left == []
        assert read_ledger(self.site.folder / "ledger.jsonl") == []

    def of(self, what: str, process: str = "") -> list[ProcessEvent]:
        """Return the process events of one kind."""
        found = [e for e in self.events if isinstance(e, ProcessEvent)]
        return [e for e in found if e.what == what and process in ("", e.process)]

    def log(self, process: str) -> str:
        """Return the log of a process."""
        return (self.site.logs / f"{process}.log").read_text()
