"""Holds what the kernel does not hold for us, the size of logs and of data; and reaps orphans. Five looks a second."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.clock import Clock
from seatrial.history import ProcessEvent
from seatrial.host import marks
from seatrial.params import Kind, show
from seatrial.ports import Emit
from seatrial.runtimes import logs, spawn
from seatrial.runtimes.supervise import Supervised

EVERY_S = 0.2
DISK_EVERY = 5  # looks; walking a data folder costs more than a stat
_BY = "limits"


@dataclass(slots=True, kw_only=True)
class Bounds:
    """The housekeeping task of a deployment."""

    clock: Clock
    emit: Emit
    processes: Sequence[Supervised]
    _task: asyncio.Task[None] | None = None
    _dropped: dict[str, int] = field(default_factory=dict)

    def begin(self) -> None:
        """Start looking, unless that was done before."""
        if self._task is None:
            self._task = asyncio.create_task(self._look_on(), name="bounds of logs and data")

    async def close(self) -> None:
        """Stop looking; say how much of each log was dropped."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.wait({task})
        for one in self.processes:
            self._bound_log(one)

    async def _look_on(self) -> None:
        looks = 0
        while True:
            await self.clock.sleep(EVERY_S)
            looks += 1
            for one in self.processes:
                self._bound_log(one)
                if one.subject.spec.limits.disk is not None and looks % DISK_EVERY == 0:
                    await self._bound_disk(one, one.subject.spec.limits.disk)
            if self.processes:
                names = [f"{one.name}{role}" for one in self.processes for role in spawn.ROLES]
                spawn.reap(marks.orphans(self.processes[0].subject.run, names))

    def _bound_log(self, one: Supervised) -> None:
        limit = one.subject.spec.limits.log
        dropped = logs.trim(one.subject.place.log, limit)
        if not dropped:
            return
        first = one.name not in self._dropped
        self._dropped[one.name] = self._dropped.get(one.name, 0) + dropped
        if first:  # once; the log itself says the rest
            reason = f"its log reached its limit of {show(Kind.SIZE, limit)}: only its beginning and its end are kept"
            self._event(one, "log-limit", reason)

    async def _bound_disk(self, one: Supervised, limit: int) -> None:
        if not one.up:
            return
        used = await asyncio.to_thread(folder_size, (one.subject.place.data, one.subject.place.work))
        if used <= limit:
            return
        reason = f"its files take {show(Kind.SIZE, used)}, its limit is {show(Kind.SIZE, limit)}: it was ended"
        self._event(one, "disk-limit", reason)
        one.expect_down(_BY)
        one.blame(_BY)
        one.tree.strike()
        await one.killed()

    def _event(self, one: Supervised, what: str, reason: str) -> None:
        pid = one.child.pid if one.child else 0
        event = ProcessEvent(t_ns=self.clock.now_ns(), process=one.name, what=what, pid=pid, by=_BY, reason=reason)
        self.emit(event)


def folder_size(folders: Sequence[Path]) -> int:
    """Return the bytes that the files in these folders take; what vanishes meanwhile counts nothing."""
    total = 0
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                try:
                    total += os.lstat(os.path.join(place, name)).st_blocks * 512  # noqa: PTH118
                except OSError:
                    continue
    return total
