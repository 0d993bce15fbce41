"""What an observer process does until it is told to stop: probe, or sample and follow logs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from seatrial.clock import NS
from seatrial.history import ObserverEvent
from seatrial.observe.host import Host
from seatrial.observe.lines import Lines
from seatrial.observe.logs import Follower
from seatrial.observe.probes import Prober, Pulse
from seatrial.observe.samples import Sampler
from seatrial.observe.trees import Trees
from seatrial.observe.wire import Config, Order

LOOK_S = 0.05  # how often logs are looked at
SLICE_S = 0.02  # how long logs are read at a stretch
DRAIN_S = 20.0  # how long a backlog of logs may take at the end


class Role(Protocol):
    """The work of an observer process."""

    def files(self) -> Sequence[Lines]:
        """Return the files that it writes."""
        ...

    def failing(self) -> dict[str, int]:
        """Return since when which probe has been failing."""
        ...

    def take(self, order: Order) -> None:
        """Do what the conductor says, other than to stop."""
        ...

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop."""
        ...


class Probes:
    """All health probes."""

    def __init__(self, config: Config, changed: Callable[[], None]) -> None:
        """changed is called when a probe begins or ends to fail."""
        self._lines = Lines(Path(config.folder) / "journal" / "probes.jsonl")
        self._pulse = Pulse(self._lines)
        self._probers = [Prober(task, self._lines, self._pulse, changed) for task in config.probes]

    def files(self) -> Sequence[Lines]:
        """Return probes.jsonl."""
        return (self._lines,)

    def failing(self) -> dict[str, int]:
        """Return since when which probe has been failing."""
        return {p.task.name: p.failing_since for p in self._probers if p.failing_since is not None}

    def take(self, order: Order) -> None:
        """Nothing is to be told to probes."""

    async def run(self, stop: asyncio.Event) -> None:
        """Probe until told to stop."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pulse.run(stop))
            for prober in self._probers:
                group.create_task(prober.run(stop))


class Watch:
    """Samples of processes and host, and the log followers."""

    def __init__(self, config: Config, changed: Callable[[], None]) -> None:
        """Nothing changes a state here."""
        journal = Path(config.folder) / "journal"
        self._samples, self._logs = Lines(journal / "samples.jsonl"), Lines(journal / "logs.jsonl")
        self._every = max(1, round(config.sample_every_s * NS))
        self._followers = [
            Follower(task.process, Path(task.log), config.patterns, self._logs) for task in config.watched
        ]
        self._trees = Trees(config.run, config.watched)
        by_name = {follower.process: follower for follower in self._followers}
        self._sampler = Sampler(self._trees, config.watched, lambda name: by_name[name].grown(), config.data_every_s)
        self._host = Host(Path(config.folder))

    def files(self) -> Sequence[Lines]:
        """Return samples.jsonl and logs.jsonl."""
        return (self._samples, self._logs)

    def failing(self) -> dict[str, int]:
        """Nothing can fail here."""
        return {}

    def take(self, order: Order) -> None:
        """Note the first pid of a process."""
        if order.process:
            self._trees.tell(order.process, order.pid)

    async def run(self, stop: asyncio.Event) -> None:
        """Sample and follow until told to stop; then read the logs to their end and write the counts."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sample(stop))
            group.create_task(self._follow(stop))
        self._drain()
        for follower in self._followers:
            follower.close()

    async def _sample(self, stop: asyncio.Event) -> None:
        due = time.monotonic_ns()
        while not stop.is_set():
            now = time.monotonic_ns()
            self._samples.write(self._host.sample(now))
            for sample in self._sampler.sample(now):
                self._samples.write(sample)
            due = max(due + self._every, time.monotonic_ns() - self._every)
            await pause(stop, (due - time.monotonic_ns()) / NS)

    async def _follow(self, stop: asyncio.Event) -> None:
        """Look at all logs in turn; in a flood, use at most half of one core."""
        while not stop.is_set():
            started = time.monotonic()
            self._some(started + SLICE_S)
            await pause(stop, max(LOOK_S, time.monotonic() - started))

    def _some(self, end: float) -> bool:
        """Read from every log until all are at their end, or the time is up; return whether all are."""
        waiting = list(self._followers)
        while waiting and time.monotonic() < end:
            waiting = [follower for follower in waiting if follower.step()]
        return not waiting

    def _drain(self) -> None:
        if not self._some(time.monotonic() + DRAIN_S):
            reason = f"logs were still growing faster than they could be read {DRAIN_S:.0f} s after the end"
            self._logs.write(ObserverEvent(t_ns=time.monotonic_ns(), what="log-behind", reason=reason))


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait that long, or until told to stop."""
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await stop.wait()
    except TimeoutError:
        pass


ROLES: dict[str, Callable[[Config, Callable[[], None]], Role]] = {"probes": Probes, "watch": Watch}
