"""The fault proxies of a run: one process a link, in the ledger, driven over its pipes, missed when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from seatrial.clock import Clock
from seatrial.errors import EnvironmentTrouble, InternalError, StageFailed, UsageError
from seatrial.history import FaultEvent
from seatrial.host import proc
from seatrial.plan import Link
from seatrial.ports import Address, Emit, Ledger
from seatrial.undo import KillPid, KillTagged

ANSWER_S = 10.0  # an order is obeyed in microseconds; a proxy that takes this long hangs
START_S = 20.0
END_S = 3.0
DIAL_S = 10.0
ANSWER_MOST = 1024 * 1024


class ProxyLink:
    """ports.LinkControl: the fault proxy of one link."""

    def __init__(self, name: str, run: str, seed: str, ledger: Ledger, clock: Clock, emit: Emit) -> None:
        """Name it; `start` makes it. seed: decides which connections a toxic hits."""
        self.name = name
        self._run, self._seed, self._ledger, self._clock, self._emit = run, seed, ledger, clock, emit
        self._process: asyncio.subprocess.Process | None = None
        self._entry: int | None = None
        self._address: Address | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._count = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._said = b""  # the end of its stderr
        self._dead = ""
        self._broken: StageFailed | InternalError | None = None
        self._closing = False

    # -- life

    async def start(self) -> None:
        """Start the process and wait until it listens. Raises EnvironmentTrouble or StageFailed."""
        # The pid is known only after the start, so two entries: first everything that carries the run's tag, then,
        # when the pid is known, that process alone. In between a killed conductor leaves the first one open.
        first = self._ledger.open("proxy", f"fault proxy of link {self.name}, starting", KillTagged(tag=self._run))
        try:
            self._process = await self._spawn()
            stat = proc.stat(self._process.pid)
            undo = KillPid(pid=self._process.pid, start_ticks=stat.start_ticks if stat else 0)
            self._entry = self._ledger.open("proxy", f"fault proxy of link {self.name}", undo)
        finally:
            self._ledger.close(first, "has an entry of its own" if self._entry is not None else "did not start")
        hello: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[0] = hello
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._overhear())]
        said = await self._bounded(hello, "start", START_S)
        self._address = Address(host=said["host"], port=said["port"])

    async def _spawn(self) -> asyncio.subprocess.Process:
        words = ["-P", "-m", "seatrial.faults.proxy", self._seed, str(DIAL_S), str(os.getpid())]
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=ANSWER_MOST,
                env={**os.environ, "SEATRIAL_RUN": self._run, "SEATRIAL_HELPER": "proxy"},
            )
        except OSError as trouble:
            raise EnvironmentTrouble(
                f"the fault proxy of link {self.name!r} cannot be started: {trouble}; free processes or memory"
            ) from trouble

    async def close(self) -> None:
        """End the process, see that it is gone, and close its ledger entry. Safe to call twice."""
        self._closing = True
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        how = "ended"
        try:
            await asyncio.wait_for(process.wait(), END_S)
        except TimeoutError:
            how = "killed"
            process.kill()
            await process.wait()
        await asyncio.gather(*self._tasks)
        with contextlib.suppress(OSError):
            await process.stdin.wait_closed()
        if self._entry is not None:
            self._ledger.close(self._entry, self._dead or how)

    # -- talk

    async def _listen(self) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                self._hear(line)
        except (ValueError, msgspec.DecodeError) as wrong:
            self._lose(InternalError(f"the fault proxy of link {self.name!r} answered what we cannot read: {wrong}"))
            process.kill()
        code = await process.wait()
        if not self._closing and not self._dead:
            self._lose(StageFailed(self._obituary(process.pid, code), outcome="inconclusive"))

    def _hear(self, line: bytes) -> None:
        answer = msgspec.json.decode(line)
        if not isinstance(answer, dict):
            raise ValueError(f"{line[:80]!r} is not a JSON object")
        future = self._waiting.pop(answer.get("id", -1), None)
        if future is None or future.done():
            return
        if "error" in answer:
            future.set_exception(UsageError(f"link {self.name!r}: {answer['error']}"))
        else:
            future.set_result(answer.get("ok"))

    async def _overhear(self) -> None:
        process = self._process
        assert process is not None
        assert process.stderr is not None
        while chunk := await process.stderr.read(4096):
            self._said = (self._said + chunk)[-4096:]

    def _obituary(self, pid: int, code: int) -> str:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        last = self._said.decode(errors="replace").strip().rsplit("\n", 1)[-1]
        return (
            f"the fault proxy of link {self.name!r} (pid {pid}) {how} during the run"
            f"{f': {last}' if last else ''}; what went through the link since says nothing about the app"
        )

    def _lose(self, why: StageFailed | InternalError) -> None:
        self._dead = str(why)
        self._broken = why
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(_again(why))
        target = f"link:{self.name}"
        reason = self._dead
        event = FaultEvent(
            t_ns=self._clock.now_ns(),
            id=f"proxy:{self.name}",
            kind="proxy",
            target=target,
            what="failed",
            reason=reason,
        )
        self._emit(event)

    async def _order(self, op: str, **what: Any) -> Any:
        if self._broken is not None:
            raise _again(self._broken)
        if self._process is None or self._process.stdin is None:
            raise InternalError(f"link {self.name!r} was asked to {op}, but its proxy is not running")
        self._count += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[self._count] = future
        self._process.stdin.write(msgspec.json.encode({"id": self._count, "op": op, **what}) + b"\n")
        return await self._bounded(future, op, ANSWER_S)

    async def _bounded(self, future: asyncio.Future[Any], op: str, within_s: float) -> Any:
        try:
            return await asyncio.wait_for(future, within_s)
        except TimeoutError:
            said = self._said.decode(errors="replace").strip()[-200:]
            raise StageFailed(
                f"the fault proxy of link {self.name!r} did not answer {op!r} within {within_s:g} s {said}".rstrip(),
                outcome="inconclusive",
            ) from None

    # -- ports.LinkControl

    @property
    def address(self) -> Address:
        """Return the near end. Raises InternalError before `start`."""
        if self._address is None:
            raise InternalError(f"the proxy of link {self.name!r} was not started")
        return self._address

    async def aim(self, upstream: Address) -> None:
        """Dial there from now on. Raises EnvironmentTrouble when the name of the host cannot be resolved."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                upstream.host, upstream.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
            )
        except OSError as trouble:
            raise EnvironmentTrouble(
                f"link {self.name!r}: {upstream.host!r} cannot be resolved: {trouble}; check the name and DNS"
            ) from trouble
        await self._order("aim", host=found[0][4][0], port=upstream.port)

    async def add(self, toxic: str, kind: str, params: Mapping[str, Any]) -> None:
        """Put a toxic into force for new and live connections. Raises UsageError for what the proxy refuses."""
        await self._order("add", name=toxic, kind=kind, params=dict(params))

    async def remove(self, toxic: str) -> None:
        """Take a toxic out of force. Raises UsageError when it is not in force."""
        await self._order("remove", name=toxic)

    async def stats(self) -> dict[str, Any]:
        """Return counters of the users' connections; probers are not counted.

        accepted, open; refused: the far end refused or did not answer (connects to a closed near end are refused by
        the kernel and cannot be counted); reset: by toxics; bytes_up, bytes_down: delivered; held_bytes: read or
        readable here but not delivered; toxics: name -> kind and the number of connections hit.
        """
        found: dict[str, Any] = await self._order("stats")
        return found

    async def admit(self, port: int, far: Address | None) -> None:
        """Expect a prober from that local port; see ports.LinkControl."""
        where = None if far is None else {"host": far.host, "port": far.port}
        await self._order("admit", port=port, far=where)

    async def seen(self, port: int) -> str:
        """Return what became of the prober's connection."""
        return str(await self._order("seen", port=port))


def _again(why: StageFailed | InternalError) -> StageFailed | InternalError:
    """Return a new exception of the same words: every caller raises its own."""
    return StageFailed(why.reason, outcome=why.outcome) if isinstance(why, StageFailed) else InternalError(str(why))


class ProxyLinks:
    """ports.Links: all fault proxies of a run."""

    def __init__(self, run_tag: str, seed: int, ledger: Ledger, clock: Clock, emit: Emit) -> None:
        """Take the run's tag (in the environment of every proxy), its seed, and where to write down."""
        self._run, self._seed, self._ledger, self._clock, self._emit = run_tag, seed, ledger, clock, emit
        self._open: dict[str, ProxyLink] = {}

    async def open(self, link: Link) -> ProxyLink:
        """Start the proxy of a link. It listens; until it is aimed, its connections are reset."""
        if link.name in self._open:
            raise InternalError(f"link {link.name!r} is open already")
        seed = f"{self._seed}/{link.name}"
        control = ProxyLink(link.name, self._run, seed, self._ledger, self._clock, self._emit)
        self._open[link.name] = control
        await control.start()
        return control

    async def close(self) -> None:
        """End all proxies. Safe to call twice."""
        await asyncio.gather(*(control.close() for control in self._open.values()))
        self._open.clear()
