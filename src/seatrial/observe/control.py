"""The conductor's end of the observer: starts its processes, knows whether they live, ends them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from seatrial.clock import NS, Clock
from seatrial.errors import Mistake, StageFailed, UsageError
from seatrial.history import ObserverEvent
from seatrial.observe.wire import Beat, Config, Order, ProbeTask, WatchTask
from seatrial.plan import Plan
from seatrial.ports import Address, Emit, Watched

START_S = 20.0
STOP_S = 35.0
LOOK_S = 0.5
DATA_SPARSE = 5  # a data folder is walked once in so many samples
SILENT_S = 3.0
STDERR_KEPT = 4000


class Part:
    """One observer process: its pipes, and the last state it told."""

    def __init__(self, role: str, process: asyncio.subprocess.Process) -> None:
        """Begin to read what it prints."""
        self.role, self.process = role, process
        self.state = Beat(t_ns=0)
        self.heard = asyncio.Event()
        self.silent = self.ended = False
        self.errors = ""
        self.readers = [asyncio.create_task(self._read()), asyncio.create_task(self._read_errors())]

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            with contextlib.suppress(msgspec.MsgspecError):  # a line that was cut because we did not read in time
                self.state = msgspec.json.decode(line, type=Beat)
                self.ended = self.ended or self.state.last
                self.heard.set()

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None
        while data := await self.process.stderr.read(4096):
            self.errors = (self.errors + data.decode(errors="replace"))[-STDERR_KEPT:]

    def send(self, line: msgspec.Struct) -> None:
        """Write a line to it; nothing happens when it is gone."""
        assert self.process.stdin is not None
        if self.process.returncode is None and not self.process.stdin.is_closing():
            self.process.stdin.write(msgspec.json.encode(line) + b"\n")

    def complaint(self) -> str:
        """Return the last line of its stderr."""
        return next((line for line in reversed(self.errors.splitlines()) if line.strip()), "no message")

    async def close(self) -> None:
        """Make sure that it is gone, and its pipes closed."""
        if self.process.returncode is None:
            self.process.kill()
        assert self.process.stdin is not None
        self.process.stdin.close()
        await asyncio.gather(*self.readers, self.process.wait(), return_exceptions=True)
        with contextlib.suppress(OSError):
            await self.process.stdin.wait_closed()


class Observer:
    """The observer of a run (ports.ObserverControl)."""

    def __init__(self, plan: Plan, run_tag: str, folder: Path, clock: Clock, emit: Emit) -> None:
        """folder: the run folder, where journal/probes.jsonl, samples.jsonl and logs.jsonl are written.

        Raises UsageError with every log pattern that is no regular expression.
        """
        self._plan, self._tag, self._folder, self._clock, self._emit = plan, run_tag, folder, clock, emit
        self._parts: list[Part] = []
        self._monitor: asyncio.Task[None] | None = None
        mistakes = [mistake for pattern in plan.logs if (mistake := _bad_pattern(pattern.name, pattern.pattern))]
        if mistakes:
            raise UsageError(mistakes)

    async def start(self, addresses: Mapping[str, Address], watched: Sequence[Watched]) -> None:
        """Start it and wait for its first sign of life. addresses: by probe name.

        Raises StageFailed (inconclusive) with its own words when it does not start.
        """
        configs = [self._watch_config(watched)]
        if self._plan.probes:
            configs.append(self._probe_config(addresses))
        try:
            for config in configs:
                self._parts.append(await self._start_part(config))
            await asyncio.gather(*(self._first_sign(part) for part in self._parts))
        except BaseException:
            await self._close()
            raise
        self._say("started", detail={part.role: part.process.pid for part in self._parts})
        self._monitor = asyncio.create_task(self._watch_over())

    async def stop(self) -> None:
        """End it; every line it wrote is on disk and log counts are written. Safe to call twice, or before start."""
        if self._monitor is not None:
            self._monitor.cancel()
            await asyncio.gather(self._monitor, return_exceptions=True)
            self._monitor = None
        if not self._parts:
            return
        parts = list(self._parts)
        try:
            for part in sorted(
                parts, key=lambda part: part.role
            ):  # probes first: what they made the app log is counted
                part.send(Order(stop=True))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(part.process.wait(), STOP_S)
        finally:
            await self._close()
        self._report_end(parts)

    def dead_for_s(self, probe: str) -> float:
        """Return for how long the probe has been failing, 0.0 when the last answer was good; for early abort.

        Counts only up to the observer's last sign of life: an observer that is gone proves nothing about the app.
        """
        for part in self._parts:
            if probe in part.state.failing:
                return max(0.0, (part.state.t_ns - part.state.failing[probe]) / NS)
        return 0.0

    def hint(self, process: str, pid: int) -> None:
        """Say that a process of the app was started with this pid; for programs that overwrite their environment."""
        for part in self._parts:
            if part.role == "watch":
                part.send(Order(process=process, pid=pid))

    @property
    def pids(self) -> list[int]:
        """Return the pids of its live processes."""
        return [part.process.pid for part in self._parts if part.process.returncode is None]

    def _probe_config(self, addresses: Mapping[str, Address]) -> Config:
        tasks = []
        for probe in self._plan.probes:
            address = addresses[probe.name]
            fixed = {name: getattr(probe, name) for name in ("name", "kind", "path", "codes", "contains")}
            fixed |= {"every_s": probe.every_s, "timeout_s": probe.timeout_s}
            tasks.append(ProbeTask(host=address.host, port=address.port, **fixed))
        return Config(role="probes", run=self._tag, folder=str(self._folder), probes=tuple(tasks))

    def _watch_config(self, watched: Sequence[Watched]) -> Config:
        tasks = tuple(
            WatchTask(
                process=one.process,
                log=str(one.log),
                data=tuple(map(str, one.data)),
                cgroup=str(one.cgroup) if one.cgroup else "",
            )
            for one in watched
        )
        return Config(
            role="watch",
            run=self._tag,
            folder=str(self._folder),
            watched=tasks,
            patterns=tuple(self._plan.logs),
            sample_every_s=self._plan.sample_every_s,
            data_every_s=DATA_SPARSE * self._plan.sample_every_s,
        )

    async def _start_part(self, config: Config) -> Part:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "seatrial.observe.main"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "SEATRIAL_RUN": self._tag, "SEATRIAL_HELPER": "observer"},
            start_new_session=True,  # a Ctrl-C in the terminal is for the conductor alone
        )
        part = Part(config.role, process)
        part.send(config)
        return part

    async def _first_sign(self, part: Part) -> None:
        heard, gone = asyncio.create_task(part.heard.wait()), asyncio.create_task(part.process.wait())
        await asyncio.wait([heard, gone], timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        heard.cancel()
        gone.cancel()
        if not part.heard.is_set():
            await asyncio.wait(part.readers, timeout=1.0)
            raise StageFailed(f"the observer ({part.role}) did not start: {part.complaint()}", outcome="inconclusive")

    async def _watch_over(self) -> None:
        """Notice, twice in a row, that a part is gone or says nothing; once alone it may be ourselves who slept."""
        while True:
            await self._clock.sleep(LOOK_S)
            for part in self._parts:
                quiet_s = (self._clock.now_ns() - part.state.t_ns) / NS
                if part.process.returncode is not None and not part.ended:
                    part.ended = True
                    self._crashed(part)
                elif quiet_s < SILENT_S or part.ended:
                    part.silent = False
                elif not part.silent:
                    await self._clock.sleep(LOOK_S)
                    self._silent(part)

    def _silent(self, part: Part) -> None:
        gap = self._clock.now_ns() - part.state.t_ns
        if gap >= SILENT_S * NS and part.process.returncode is None:
            part.silent = True
            detail = {"part": part.role, "gap_ns": gap, "seen_by": "conductor"}
            self._say("silent", reason=f"no sign of life for {gap / NS:.1f} s", detail=detail)

    def _crashed(self, part: Part) -> None:
        detail = {"part": part.role, "code": part.process.returncode}
        self._say("crashed", reason=f"{part.role}: {part.complaint()}", detail=detail)

    def _report_end(self, parts: Sequence[Part]) -> None:
        for part in parts:
            if not part.ended:
                self._crashed(part)
            if part.state.lost:
                detail = {"part": part.role, "lines": part.state.lost}
                self._say("lost-lines", reason=part.state.why, detail=detail)
        self._say("stopped")

    async def _close(self) -> None:
        parts, self._parts = self._parts, []
        for part in parts:
            await asyncio.shield(part.close())

    def _say(self, what: str, reason: str = "", detail: Mapping[str, object] | None = None) -> None:
        self._emit(ObserverEvent(t_ns=self._clock.now_ns(), what=what, reason=reason, detail=dict(detail or {})))


def _bad_pattern(name: str, pattern: str) -> Mistake | None:
    try:
        re.compile(pattern)
    except re.error as error:
        problem = f"is no regular expression ({error})"
        return Mistake(file="app.toml", key=f"logs.{name}", value=pattern, problem=problem)
    return None
