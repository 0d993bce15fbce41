"""One supervised process of the app: start, readiness, exit and who caused it, restart policy, stop with grace."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from seatrial.clock import NS
from seatrial.errors import StageFailed
from seatrial.history import ProcessEvent
from seatrial.host import proc, sockets
from seatrial.ports import Emit, Stopped
from seatrial.runtimes import commands, logs, readiness, spawn
from seatrial.runtimes.subject import Subject
from seatrial.runtimes.tree import Tree

SETUP_WITHIN_S = 300.0
POLICY = "restart-policy"
_STEP_S = 0.01
_LOOKS = 3


@dataclass(slots=True, kw_only=True)
class Supervised:
    """A process under supervision. by: who caused what happens next; "" is nobody of ours."""

    subject: Subject
    tree: Tree
    emit: Emit
    child: spawn.Child | None = None
    log_from: int = 0
    _setup_done: bool = False
    _down_by: str | None = None
    _blame: str = ""
    _stopping: bool = False
    _started_by: str = ""
    _last_code: int | None = None
    _ended_words: str = ""
    _life: asyncio.Task[None] | None = None
    _announcing: asyncio.Task[None] | None = None
    _up: bool = False
    _announced: bool = False
    _killing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _verbs: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        """Return the name of the process."""
        return self.subject.name

    @property
    def up(self) -> bool:
        """Return whether it runs: started, and its exit not yet seen."""
        return self._up

    async def start(self, by: str) -> None:
        """Start it, unless it runs, and wait until it is ready. Raises StageFailed or NotReady."""
        async with self._verbs:
            self._down_by = None
            if not self._up:
                await self._cancel()
                await self._clear_leftovers()
                await self._setup()
                self._begin(self._spawn(by))
            elif self._announcing is not None:
                await self._drop_announcing()
            await self._wait_ready()

    async def stop(self, by: str) -> Stopped:
        """Send the stop signal, wait for the grace, then SIGKILL whatever is left of the tree."""
        async with self._verbs:
            self._down_by = by
            if not self._up or self.child is None:
                await self._cancel()
                return Stopped(process=self.name, how="was-down", took_s=0.0, code=self._last_code)
            self._stopping = True
            try:
                return await self._stop(self.child, by)
            finally:
                self._stopping = False

    def expect_down(self, by: str) -> None:
        """Suspend the restart policy; exits from now on are caused by `by`, until the next start."""
        self._down_by = by

    def blame(self, by: str) -> None:
        """Say who causes the exit that is about to happen."""
        self._blame = by

    async def killed(self) -> None:
        """Wait until nothing of the tree lives and the exit is on record; no policy starts it again before that."""
        async with self._killing:
            await self.tree.wait_dead()
            await self._until(lambda: not self._up, 5.0)

    async def end(self) -> None:
        """Stop supervising, after the tree was struck; remove its groups. What survives is said, and found again."""
        try:
            await self.killed()
        except StageFailed as error:
            self._event("survived-teardown", by="engine", reason=error.reason)
        try:
            await self._cancel()
        finally:
            if self.child is not None:
                self.child.forget()
            self.tree.remove()

    # -- starting ---------------------------------------------------------------------------------------------------

    def _spawn(self, by: str) -> spawn.Child:
        self._refuse_taken_ports()
        self.tree.before_start()
        subject, spec = self.subject, self.subject.spec
        order = subject.order(
            subject.fill_all(spec.command, "command"), groups=tuple(self.tree.groups), files=spec.limits.files
        )
        self.log_from = logs.size(subject.place.log)
        self.child = spawn.start(order)
        self.tree.main = self.child.pid
        self._up, self._blame, self._started_by, self._ended_words = True, "", by, ""
        self._announced = False
        self._event("start", pid=self.child.pid, by=by)
        return self.child

    def _begin(self, child: spawn.Child) -> None:
        self._life = asyncio.create_task(self._live(child), name=f"supervise {self.name}")

    def _refuse_taken_ports(self) -> None:
        for port, number in self.subject.ports.items():
            found = sockets.listeners(number, self.subject.address(port).host)
            if found:
                where = f"port {self.subject.address(port)} ({port})"
                reason = f"{self.name}: {where} is already taken by {found[0].owner()}; end it or start the run again"
                raise StageFailed(reason, outcome="environment")

    async def _clear_leftovers(self) -> None:
        if self.tree.pids():
            self.tree.strike()
            await self.tree.wait_dead()

    async def _setup(self) -> None:
        if self._setup_done:
            return
        for n, command in enumerate(self.subject.spec.setup):
            words = self.subject.fill_all(command, f"setup[{n}]")
            since = logs.size(self.subject.place.log)
            result = await commands.run(self.subject.order(words, role="setup"), SETUP_WITHIN_S)
            if result.code != 0:
                how = f"exited with {result.code}" if result.code is not None else f"took over {SETUP_WITHIN_S:g} s"
                ending = logs.ending(self.subject.place.log, since)
                raise StageFailed(f"{self.name}: setup command {' '.join(words)!r} {how}{ending}")
        self._setup_done = True

    async def _wait_ready(self) -> None:
        took_s = await readiness.wait(self.subject, self.tree.pids, self._gave_up, self.log_from)
        if not self._announced:  # once a start, however often it is asked
            self._announced = True
            self._event("ready", pid=self.tree.main, by=self._started_by, took_s=took_s)

    def _gave_up(self) -> str:
        """A text when it is down and no policy will bring it up again."""
        if self._up or (self._policy_wants(self._last_code) and self._down_by is None):
            return ""
        return f"{self.name}: {self._ended_words or 'was stopped'} before it was ready" + logs.ending(
            self.subject.place.log, self.log_from
        )

    # -- living -----------------------------------------------------------------------------------------------------

    async def _live(self, child: spawn.Child) -> None:
        """From a start to the exit that no policy follows."""
        while True:
            began = self.subject.clock.now_ns()
            code = await self._end_of(child)
            await self._record_exit(child, code, (self.subject.clock.now_ns() - began) / NS)
            if self._stopping or self._down_by is not None or not self._policy_wants(code):
                return
            child = await self._restart()

    async def _end_of(self, child: spawn.Child) -> int | None:
        """Wait for the end of a process; of its heir, when it was the starter of a daemon."""
        while True:
            code = await child.ended
            heir = await self._heir() if code == 0 and not self._stopping and not self._blame else None
            if heir is None:
                return code
            child = self.child = spawn.watch(heir)
            self.tree.main = heir
            self._event("start", pid=heir, by=self._started_by, reason="went on as a daemon")

    async def _heir(self) -> int | None:
        """The oldest member whose parent is not in the tree, once it has lived for a moment.

        More than one look: a fork may be under way, and the one in the middle of a double fork is about to end.
        """
        empty = 0
        while empty < _LOOKS:
            members = self.tree.pids()
            tops = [pid for pid in members if (found := proc.stat(pid)) is not None and found.ppid not in members]
            await self.subject.clock.sleep(_STEP_S if not tops else 2 * _STEP_S)
            settled = [pid for pid in tops if proc.alive(pid, members[pid])]
            if settled:
                return min(settled, key=lambda pid: members[pid])
            empty = empty + 1 if not members else 0
        return None

    async def _record_exit(self, child: spawn.Child, code: int | None, lived_s: float) -> None:
        by = self._blame or self._down_by or ""
        reason = ""
        left = {} if by else self.tree.pids()
        if left:  # as a supervisor does: what a dead process leaves behind would hold its port and files
            reason = f"left {len(left)} processes behind, which were ended"
            await self._clear_leftovers()
        if code == -signal.SIGKILL and not by and self.tree.oom_kills():
            reason = "the kernel killed it: its memory limit was reached"
        self._last_code, self._up = code, False
        self._ended_words = f"{_ending_words(code)} after {lived_s:.1f} s"
        self._event("exit", pid=child.pid, code=code, by=by, took_s=lived_s, reason=reason)

    def _policy_wants(self, code: int | None) -> bool:
        policy = self.subject.spec.restart
        return policy == "always" or (policy == "on-failure" and code != 0)

    async def _restart(self) -> spawn.Child:
        """Start it again as a supervisor would, as often as it takes."""
        while True:
            await self.subject.clock.sleep(self.subject.spec.restart_delay_s)
            async with self._killing:
                pass
            try:
                child = self._spawn(POLICY)
            except StageFailed as error:
                self._event("start-failed", by=POLICY, reason=f"could not be started again: {error.reason}")
                await self.subject.clock.sleep(_STEP_S)
                continue
            await self._drop_announcing()
            if not self._verbs.locked():  # else a start() waits for readiness already, and says so
                self._announcing = asyncio.create_task(self._announce(), name=f"ready {self.name}")
            return child

    async def _announce(self) -> None:
        try:
            await self._wait_ready()
        except StageFailed as error:
            self._event("not-ready", by=POLICY, reason=error.reason)

    # -- stopping ---------------------------------------------------------------------------------------------------

    async def _stop(self, child: spawn.Child, by: str) -> Stopped:
        spec, clock = self.subject.spec, self.subject.clock
        number = signal.Signals[f"SIG{spec.stop_signal.removeprefix('SIG')}"]
        began = clock.now_ns()
        proc.send(child.pid, child.ticks, number)
        await asyncio.wait({child.ended}, timeout=spec.stop_grace_s)
        alone = child.ended.done()
        if alone and self.tree.pids():  # workers that outlive their master are asked, too
            for pid, ticks in self.tree.pids().items():
                proc.send(pid, ticks, number)
            await self._until(lambda: not self.tree.pids(), spec.stop_grace_s - (clock.now_ns() - began) / NS)
        left = self.tree.pids()
        if left:
            self._say_killed(number, left, alone, (clock.now_ns() - began) / NS)
        self.tree.strike()
        await self.killed()
        took_s = (clock.now_ns() - began) / NS
        return Stopped(process=self.name, how="killed" if left else "exited", took_s=took_s, code=self._last_code)

    def _say_killed(self, number: signal.Signals, left: dict[int, int], alone: bool, took_s: float) -> None:
        grace = self.subject.spec.stop_grace_s
        reason = f"{number.name} was ignored for {grace:g} s; SIGKILL used"
        if alone:
            who = ", ".join(proc.describe(pid) for pid in sorted(left)[:3])
            reason = f"it ended after {number.name}, but left {who} behind for {grace:g} s; SIGKILL used"
        pid = self.child.pid if self.child else 0
        self._event("killed-after-grace", pid=pid, by=self._down_by or "", took_s=took_s, reason=reason)

    # -- small things -----------------------------------------------------------------------------------------------

    async def _until(self, holds: Callable[[], bool], within_s: float) -> bool:
        until = self.subject.clock.now_ns() + int(within_s * NS)
        while not holds():
            if self.subject.clock.now_ns() >= until:
                return False
            await self.subject.clock.sleep(_STEP_S)
        return True

    async def _cancel(self) -> None:
        await self._drop_announcing()
        life, self._life = self._life, None
        await _end_task(life)

    async def _drop_announcing(self) -> None:
        announcing, self._announcing = self._announcing, None
        await _end_task(announcing)

    def _event(
        self,
        what: str,
        *,
        pid: int = 0,
        code: int | None = None,
        by: str,
        took_s: float | None = None,
        reason: str = "",
    ) -> None:
        t_ns = self.subject.clock.now_ns()
        event = ProcessEvent(
            t_ns=t_ns, process=self.name, what=what, pid=pid, code=code, by=by, took_s=took_s, reason=reason
        )
        self.emit(event)


async def _end_task(task: asyncio.Task[None] | None) -> None:
    if task is None:
        return
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and task.exception() is not None:
        raise task.exception()  # type: ignore[misc]  # a bug of ours must not be swallowed


def _ending_words(code: int | None) -> str:
    if code is None:
        return "ended"
    return f"exited with code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
