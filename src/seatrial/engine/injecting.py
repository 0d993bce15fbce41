"""The life of every fault: planned, injected, verified, held, healed, verified gone; within its blast radius."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

from seatrial.clock import NS
from seatrial.errors import SeatrialError
from seatrial.history import FaultEvent
from seatrial.plan import PlannedFault
from seatrial.ports import Fault, FaultWorld, NotBitten

PREFLIGHT_BOUND_S = 10.0
TRIGGER_POLL_S = 0.02


@dataclass(slots=True)
class Injector:
    """Runs the planned faults of a trial as tasks of one group, and heals all of them when told to."""

    faults: dict[str, type[Fault]]
    world: Callable[[Random], FaultWorld]
    seed: int
    completed: Callable[[], int]
    step_bound_s: float
    stage_begun: dict[str, asyncio.Event] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    _in_all: int = 0
    base: FaultWorld = field(init=False)

    def begin(self, drive_ns: int) -> None:
        """Plan every fault from the moment that drive began, and start waiting for their triggers."""
        self.base = self.world(Random(self.seed))
        radius = self.base.plan.blast_radius
        self._slots = asyncio.Semaphore(max(1, radius.at_once))
        for planned in self.base.plan.faults:
            due_ns = drive_ns + int(planned.trigger.at_s * NS) if planned.trigger.kind == "at" else drive_ns
            self._emit(planned, "planned", t_ns=due_ns, params=planned.params)
            self._tasks.append(asyncio.create_task(self._life(planned, drive_ns), name=f"fault {planned.id}"))

    async def calm(self, within_s: float) -> list[str]:
        """Stop waiting for triggers, heal what is in force, and return the names of faults that did not get healed."""
        for task in self._tasks:
            if not task.done() and not task.cancelling():  # one cancel each: a second would break off the healing
                task.cancel()
        if not self._tasks:
            return []
        _done, pending = await asyncio.wait(self._tasks, timeout=within_s)
        return sorted(task.get_name() for task in pending)

    async def _life(self, planned: PlannedFault, drive_ns: int) -> None:
        begun = False
        try:
            await self._wait_trigger(planned, drive_ns)
            async with AsyncExitStack() as stack:
                await self._wait_turn(planned, stack)
                begun = True
                await self._inject_and_heal(planned)
        except asyncio.CancelledError:
            if not begun:  # checks that needed it were not tested, so it must be in the record
                self._emit(planned, "failed", reason="did not begin before the end of the drive stage")

    async def _wait_trigger(self, planned: PlannedFault, drive_ns: int) -> None:
        trigger, clock = planned.trigger, self.base.clock
        if trigger.kind == "ops":
            while self.completed() < trigger.ops:
                await clock.sleep(TRIGGER_POLL_S)
            return
        begin_ns = drive_ns
        if trigger.kind == "stage":
            await self.stage_begun.setdefault(trigger.stage, asyncio.Event()).wait()
            begin_ns = clock.now_ns()
        await clock.sleep(max(0.0, (begin_ns - clock.now_ns()) / NS + trigger.at_s))

    async def _wait_turn(self, planned: PlannedFault, stack: AsyncExitStack) -> None:
        """Take a place in the blast radius, and the target itself, so that two faults never fight over a process."""
        await stack.enter_async_context(self._slots)
        for name in self._held_by(planned):
            await stack.enter_async_context(self._locks.setdefault(name, asyncio.Lock()))

    def _held_by(self, planned: PlannedFault) -> list[str]:
        if planned.target == "all":
            return sorted(self.base.deployment.names())
        return [] if planned.target.startswith("link:") else [planned.target]

    async def _inject_and_heal(self, planned: PlannedFault) -> None:
        refused = self._refused(planned)
        if refused:
            self._emit(planned, "failed", reason=refused)
            return
        self._in_all += 1
        fault = self.faults[planned.kind](planned, self.world(Random(f"{self.seed}/{planned.id}")))
        try:
            await self._put_in(planned, fault)
        except asyncio.CancelledError:  # calm: heal now
            asyncio.current_task().uncancel()  # type: ignore[union-attr]
        await self._take_out(planned, fault)

    def _refused(self, planned: PlannedFault) -> str:
        radius = self.base.plan.blast_radius
        if radius.targets and planned.target not in radius.targets:
            return f"blast radius: {planned.target!r} is not one of {', '.join(radius.targets)}"
        if self._in_all >= radius.in_all:
            return f"blast radius: {radius.in_all} faults in all were already injected"
        return ""

    async def _put_in(self, planned: PlannedFault, fault: Fault) -> None:
        clock = self.base.clock
        steps: list[tuple[str, str, Callable[[], Awaitable[Any]]]] = [
            ("preflight", "", fault.preflight),
            ("injecting", "injected", fault.inject),
            ("verify", "verified", fault.verify),
        ]
        injected_ns = clock.now_ns()
        for step, after, call in steps:
            if step == "injecting":
                self._emit(planned, "injecting")
            if not await self._step(planned, step, after, call):
                return
            if after == "injected":
                injected_ns = clock.now_ns()
        if fault.HOLDS:
            await clock.sleep(max(0.0, planned.hold_s - (clock.now_ns() - injected_ns) / NS))

    async def _take_out(self, planned: PlannedFault, fault: Fault) -> None:
        self._emit(planned, "healing")
        if await self._step(planned, "heal", "healed", fault.heal):
            await self._step(planned, "verify gone", "gone", fault.verify_gone)

    async def _step(self, planned: PlannedFault, step: str, after: str, call: Callable[[], Awaitable[Any]]) -> bool:
        bound_s = PREFLIGHT_BOUND_S if step == "preflight" else self.step_bound_s
        try:
            async with asyncio.timeout(bound_s):
                detail = await call()
        except TimeoutError:
            self._emit(planned, "failed", reason=f"{step}: not done within {bound_s:g} s")
            return False
        except (NotBitten, SeatrialError, OSError) as error:
            self._emit(planned, "failed", reason=f"{step}: {error}")
            return False
        except Exception as error:  # a bug in a fault must not keep the others, or this one's healing, from running
            self._emit(planned, "failed", reason=f"{step}: a bug of the fault: {type(error).__name__}: {error}")
            return False
        if after:
            self._emit(planned, after, detail=detail if isinstance(detail, dict) else {})
        return True

    def _emit(
        self,
        planned: PlannedFault,
        what: str,
        *,
        t_ns: int | None = None,
        params: dict[str, Any] | None = None,
        detail: dict[str, Any] | None = None,
        reason: str = "",
    ) -> None:
        self.base.emit(
            FaultEvent(
                t_ns=self.base.clock.now_ns() if t_ns is None else t_ns,
                id=planned.id,
                kind=planned.kind,
                target=planned.target,
                what=what,
                params=params or {},
                detail=detail or {},
                reason=reason,
            )
        )
