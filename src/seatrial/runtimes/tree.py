"""The whole process tree of one process of the app: who is in it, ending it, freezing it. Nothing escapes it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.clock import NS, Clock
from seatrial.errors import StageFailed
from seatrial.host import cgroups, marks, proc
from seatrial.plan import Process
from seatrial.ports import Ledger
from seatrial.undo import AnyUndo, Continue, KillCgroup, ThawCgroup

KILL_WITHIN_S = 10.0
FREEZE_WITHIN_S = 5.0
_STEP_S = 0.005
_LOOKS = 2


@dataclass(slots=True, kw_only=True)
class Tree:
    """One process's tree. groups: cgroup folders that were made for it; group: the one that can freeze and kill."""

    run: str
    process: str
    clock: Clock
    ledger: Ledger
    groups: list[Path] = field(default_factory=list)
    group: Path | None = None
    unenforced: list[str] = field(default_factory=list)
    main: int = 0
    frozen: bool = False
    _entries: dict[Path, int] = field(default_factory=dict)
    _freeze_entry: int = 0

    def prepare(self, spec: Process, places: cgroups.Parents) -> None:
        """Make the groups that the process needs, each in the ledger before; note limits that cannot be held."""
        self.group = self._make(places.v2) or self._make(places.v1.get("freezer"))
        limits = spec.limits
        if limits.memory is not None and not self._bound_memory(places, limits.memory):
            self._cannot(f"memory limit of {limits.memory} bytes: no writable cgroup with the memory controller")
        if limits.pids is not None and not self._bound_pids(places, limits.pids):
            self._cannot(f"limit of {limits.pids} tasks: no writable cgroup with the pids controller")

    def pids(self) -> dict[int, int]:
        """Return the live members, pid to start ticks, freshly read: by group, mark, environment and descent."""
        found = marks.of_run(self.run, (self.process,))
        for path in self.groups:
            for pid in cgroups.members(path):
                found.setdefault(pid, proc.start_ticks(pid))
        return {pid: ticks for pid, ticks in found.items() if ticks and pid != os.getpid()}

    def strike(self) -> dict[int, int]:
        """Send SIGKILL to all members, frozen or not; return whom it was sent to. Does not wait."""
        hit = self.pids()
        if self.group is not None:
            cgroups.kill(self.group)
        for pid, ticks in hit.items():
            proc.send(pid, ticks, signal.SIGKILL)
        if self.group is not None and self.frozen:
            cgroups.thaw(self.group)  # a frozen member of a v1 group dies only when it is thawed
        return hit

    async def wait_dead(self, within_s: float = KILL_WITHIN_S) -> None:
        """Strike until no member lives. Raises StageFailed when one still does after that long."""
        until = self.clock.now_ns() + int(within_s * NS)
        empty = 0
        while empty < _LOOKS:  # once is not enough: a fork may have been under way while /proc was listed
            left = self.pids()
            if left and self.clock.now_ns() > until:
                words = ", ".join(proc.describe(pid) for pid in sorted(left))
                reason = f"{self.process}: {words} still lives {within_s:g} s after SIGKILL"
                raise StageFailed(reason, outcome="environment")
            empty = 0 if left else empty + 1
            if left:
                self.strike()
            if empty < _LOOKS:
                await self.clock.sleep(_STEP_S)
        self._close_freeze("its processes ended")

    async def freeze(self) -> None:
        """Stop all execution in the tree and wait until the system says so. Raises StageFailed when it does not."""
        if not self.pids():
            raise StageFailed(f"{self.process}: it does not run, so it cannot be frozen", outcome="not-tested")
        undo: AnyUndo = ThawCgroup(path=str(self.group)) if self.group else Continue(tag=self.run)
        self._freeze_entry = self._freeze_entry or self.ledger.open("freeze", f"freeze of {self.process}", undo)
        self.frozen = True
        until = self.clock.now_ns() + int(FREEZE_WITHIN_S * NS)
        while not self._try_freeze():
            if self.clock.now_ns() > until:
                await self.thaw()
                raise StageFailed(
                    f"{self.process}: not frozen {FREEZE_WITHIN_S:g} s after it was asked for", outcome="environment"
                )
            await self.clock.sleep(_STEP_S)

    async def thaw(self) -> None:
        """Let the tree go on and wait until it does. Raises StageFailed when it stays frozen."""
        until = self.clock.now_ns() + int(FREEZE_WITHIN_S * NS)
        while not self._try_thaw():
            if self.clock.now_ns() > until:
                raise StageFailed(
                    f"{self.process}: still frozen {FREEZE_WITHIN_S:g} s after it was thawed", outcome="environment"
                )
            await self.clock.sleep(_STEP_S)
        self._close_freeze("thawed")

    def before_start(self) -> None:
        """End a freeze whose processes are gone: a program started into a frozen group would block its starter."""
        self._close_freeze("its processes ended")

    def remove(self) -> list[str]:
        """Remove the groups of a dead tree and close their ledger entries; return what is still there."""
        left = []
        for path in list(self.groups):
            remains = cgroups.end(path, within_s=2.0)
            left += remains
            if not remains:
                self.groups.remove(path)
                self.ledger.close(self._entries.pop(path), "removed")
        return left

    def oom_kills(self) -> int:
        """Return how many members the kernel killed because of the memory limit."""
        return sum(cgroups.oom_kills(path) for path in self.groups)

    def _make(self, parent: Path | None) -> Path | None:
        if parent is None:
            return None
        path = cgroups.folder(parent, self.run, self.process)
        if path in self._entries:
            return path
        entry = self.ledger.open("cgroup", f"cgroup of {self.process}", KillCgroup(path=str(path)))
        try:
            cgroups.make(path)
        except OSError:
            cgroups.remove(path)
            self.ledger.close(entry, "could not be made")
            return None
        self._entries[path] = entry
        self.groups.append(path)
        return path

    def _bound_memory(self, places: cgroups.Parents, size: int) -> bool:
        return any(path is not None and cgroups.limit_memory(path, size) for path in self._bounding(places, "memory"))

    def _bound_pids(self, places: cgroups.Parents, count: int) -> bool:
        return any(path is not None and cgroups.limit_pids(path, count) for path in self._bounding(places, "pids"))

    def _bounding(self, places: cgroups.Parents, controller: str) -> list[Path | None]:
        return [self.group, self._make(places.v1.get(controller))]

    def _cannot(self, what: str) -> None:
        self.unenforced.append(f"{self.process}: {what}")

    def _try_freeze(self) -> bool:
        if self.group is not None:
            return cgroups.freeze(self.group) and cgroups.is_frozen(self.group)
        running = [pid for pid in self.pids() if not _stopped(pid)]
        for pid in running:  # looked for again after this, since one of them may have forked meanwhile
            proc.send(pid, proc.start_ticks(pid), signal.SIGSTOP)
        return not running

    def _try_thaw(self) -> bool:
        if self.group is not None:
            return cgroups.thaw(self.group) and not cgroups.is_frozen(self.group)
        stopped = [pid for pid in self.pids() if _stopped(pid)]
        for pid in stopped:
            proc.send(pid, proc.start_ticks(pid), signal.SIGCONT)
        return not stopped

    def _close_freeze(self, how: str) -> None:
        if self.group is not None and self.frozen:
            cgroups.thaw(self.group)  # else the next start would be born frozen
        self.frozen = False
        if self._freeze_entry:
            self.ledger.close(self._freeze_entry, how)
            self._freeze_entry = 0


def _stopped(pid: int) -> bool:
    found = proc.stat(pid)
    return found is None or found.dead or found.state in proc.STOPPED_STATES
