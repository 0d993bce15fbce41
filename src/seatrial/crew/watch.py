"""One worker as the conductor sees it: its process, its reports, and whether it still gives signs of life."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from asyncio.subprocess import Process
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import msgspec

from seatrial.clock import NS, Clock
from seatrial.crew import messages as say
from seatrial.history import CrewStats
from seatrial.ports import Emit

R = TypeVar("R", bound=say.Report)
_LOOK_S = 0.25
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker that cannot go on. what: crashed | hung | garbage | error, as in CrewEvent."""

    worker: int
    what: str
    reason: str
    outcome: str = "inconclusive"


class Hand:
    """A running worker. Tells `lost` once when it is lost."""

    def __init__(
        self,
        worker: int,
        process: Process,
        clock: Clock,
        emit: Emit,
        lost: Callable[[WorkerLost], None],
        silent_s: float,
    ) -> None:
        self.worker, self.leaving, self.completed = worker, False, 0
        self._process, self._clock, self._emit, self._lost = process, clock, emit, lost
        self._silent_ns = int(silent_s * NS)
        self._reports: dict[type[say.Report], asyncio.Future[say.Report]] = {}
        self._heard_ns = clock.now_ns()
        self._beats = False
        loop = asyncio.get_running_loop()
        self._tasks = (loop.create_task(self._read()), loop.create_task(self._listen()))

    def tell(self, command: say.AnyCommand) -> None:
        """Write a command; a worker that has ended is noticed by its reader."""
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(say.encode(command) + b"\n")

    def report(self, kind: type[say.Report]) -> asyncio.Future[say.Report]:
        """Return the future of the report of this kind."""
        return self._reports.setdefault(kind, asyncio.get_running_loop().create_future())

    def has(self, kind: type[say.Report]) -> bool:
        """Whether the report has come."""
        return kind in self._reports and self._reports[kind].done() and not self._reports[kind].cancelled()

    def last(self, kind: type[R]) -> R:
        """Return the report of this kind, which has come."""
        return cast(R, self._reports[kind].result())

    async def end(self, grace_s: float) -> int:
        """Close stdin, wait for the worker to end, kill it after the grace; return its exit code."""
        self.leaving = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), grace_s)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self._process.returncode or 0

    async def _read(self) -> None:
        assert self._process.stdout is not None
        line = b""
        try:
            while line := await self._process.stdout.readline():
                self._heard_ns = self._clock.now_ns()
                self._take(say.decode_report(line))
        except (msgspec.MsgspecError, ValueError):
            shown = line[:_SHOWN].decode("utf-8", "replace").rstrip("\n")
            self._tell_lost("garbage", f"crew worker {self.worker} printed what is no report: {shown!r}")
            return
        code = await self._process.wait()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        text = f"crew worker {self.worker} {how} while it was at work; see logs/crew-{self.worker}.log"
        self._tell_lost("crashed", text)

    def _take(self, report: say.AnyReport) -> None:
        self._beats = True
        if isinstance(report, say.Stats):
            self.completed = report.completed
            self._emit(
                CrewStats(
                    t_ns=report.t_ns,
                    worker=self.worker,
                    arrivals=report.arrivals,
                    lag_p50_ns=report.lag_p50_ns,
                    lag_p99_ns=report.lag_p99_ns,
                    lag_max_ns=report.lag_max_ns,
                    busy=report.busy,
                    waiting=report.waiting,
                )
            )
        elif isinstance(report, say.Trouble):
            self._tell_lost("error", report.reason, report.outcome)
        else:
            waiter = self.report(type(report))
            if not waiter.done():
                waiter.set_result(report)

    async def _listen(self) -> None:
        """Notice a worker that is alive and silent; look twice, in case it was this process that stood still."""
        before = False
        while True:
            await asyncio.sleep(_LOOK_S)
            silent_ns = self._clock.now_ns() - self._heard_ns
            silent = self._beats and silent_ns > self._silent_ns
            if silent and before:
                text = f"crew worker {self.worker} gave no sign of life for {silent_ns / NS:.1f} s: it hangs"
                self._tell_lost("hung", f"{text}; a user may block the event loop (see the users module)")
                return
            before = silent

    def _tell_lost(self, what: str, reason: str, outcome: str = "inconclusive") -> None:
        if not self.leaving:
            self.leaving = True
            self._lost(WorkerLost(self.worker, what, reason, outcome))
