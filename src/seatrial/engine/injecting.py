"""The faults of a trial: when each begins, within the blast radius, never two on one target; and all are healed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

from seatrial.clock import NS
from seatrial.engine.bounding import quietly_ended, words
from seatrial.engine.fault_life import FaultLife
from seatrial.plan import PlannedFault
from seatrial.ports import Fault, FaultWorld

TRIGGER_POLL_S = 0.02
BREAK_OFF_S = 5.0  # for a step to end once it was cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Unhealed:
    """A fault that is not known to be gone. outcome: fail when the app itself did not come back, else inconclusive."""

    fault: str
    outcome: str
    reason: str


@dataclass(slots=True)
class Injector:
    """Runs every planned fault as a task. `calm` ends the waiting and the holding; the healing is never broken off."""

    faults: dict[str, type[Fault]]
    world: Callable[[Random], FaultWorld]
    seed: int
    completed: Callable[[], int]
    step_bound_s: float
    base: FaultWorld = field(init=False)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _lives: dict[str, FaultLife] = field(default_factory=dict)
    _stages: dict[str, asyncio.Event] = field(default_factory=dict)
    _targets: dict[str, asyncio.Lock] = field(default_factory=dict)
    _calmed: asyncio.Event = field(default_factory=asyncio.Event)
    _slots: asyncio.Semaphore = field(init=False)
    _in_all: int = 0

    def __post_init__(self) -> None:
        """Take the blast radius from the plan of the world."""
        self.base = self.world(Random(self.seed))
        self._slots = asyncio.Semaphore(max(1, self.base.plan.blast_radius.at_once))

    def begin(self, drive_ns: int) -> None:
        """Write down every planned fault, due from the moment that drive began, and start waiting for the triggers."""
        for planned in self.base.plan.faults:
            life = FaultLife(planned, self.base, self.step_bound_s, self._calmed.is_set)
            due_s = planned.trigger.at_s if planned.trigger.kind == "at" else 0.0
            life.say("planned", t_ns=drive_ns + int(due_s * NS), params=planned.params)
            self._lives[planned.id] = life
            task = asyncio.create_task(self._live(life, drive_ns), name=f"{planned.id} ({planned.kind})")
            self._tasks[planned.id] = task

    def stage_began(self, stage: str) -> None:
        """Let the faults go on that wait for this stage."""
        self._stages.setdefault(stage, asyncio.Event()).set()

    async def calm(self, within_s: float) -> list[Unhealed]:
        """End all waiting and holding, let every fault heal, and return those that are not known to be gone.

        Safe to call again: then it waits for those that still heal.
        """
        self._calmed.set()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=within_s)
        return [found for planned in self.base.plan.faults if (found := self._unhealed(planned, within_s))]

    async def close(self) -> None:
        """End what calm could not, so that nothing is started again while the deployment is torn down."""
        self._calmed.set()
        await asyncio.gather(*(quietly_ended(task, BREAK_OFF_S) for task in self._tasks.values()))

    def _unhealed(self, planned: PlannedFault, within_s: float) -> Unhealed | None:
        task, life = self._tasks.get(planned.id), self._lives.get(planned.id)
        if task is None or life is None:
            return None
        name = f"{planned.id} ({planned.kind})"
        if not task.done():
            return Unhealed(fault=name, outcome="inconclusive", reason=f"still in {life.step} after {within_s:g} s")
        return Unhealed(fault=name, outcome=life.outcome, reason=life.unhealed) if life.unhealed else None

    async def _live(self, life: FaultLife, drive_ns: int) -> None:
        planned = life.planned
        try:
            async with AsyncExitStack() as stack:
                if not await self._until_calm(self._wait_turn(planned, drive_ns, stack)):
                    life.say("failed", reason="did not begin before the faults were called off")
                elif refused := self._refused(planned):
                    life.say("failed", reason=refused)
                else:
                    await self._harm(life)
        except Exception as error:  # a bug, in a fault or here: the other faults, and the healing, go on
            life.broke(error)

    async def _harm(self, life: FaultLife) -> None:
        """Put the fault in and hold it, until its time is over or all is called off; then take it out in any case."""
        planned = life.planned
        self._in_all += 1
        try:
            fault = self.faults[planned.kind](planned, self.world(Random(f"{self.seed}/{planned.id}")))
        except Exception as error:
            life.say("failed", reason=f"a bug of the fault: {words(error)}")
            return
        try:
            if not await self._until_calm(life.put_in(fault)):
                life.broken_off()
        finally:
            if life.touched:
                await life.take_out(fault)

    async def _until_calm(self, step: Coroutine[Any, Any, None]) -> bool:
        """Run a step, which is broken off when `calm` is called. Return whether it came to its own end."""
        task, calm = asyncio.create_task(step), asyncio.create_task(self._calmed.wait())
        try:
            await asyncio.wait({task, calm}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
                return True
            task.cancel()
            await asyncio.wait({task})  # however long it takes: nothing is healed while it may still be put in
            return False
        finally:
            calm.cancel()
            task.cancel()

    async def _wait_turn(self, planned: PlannedFault, drive_ns: int, stack: AsyncExitStack) -> None:
        """Wait for the trigger, then for the targets, then for a place: who waits for a target holds no place."""
        await self._wait_trigger(planned, drive_ns)
        for name in self._held_by(planned):
            await stack.enter_async_context(self._targets.setdefault(name, asyncio.Lock()))
        await stack.enter_async_context(self._slots)

    async def _wait_trigger(self, planned: PlannedFault, drive_ns: int) -> None:
        trigger, clock = planned.trigger, self.base.clock
        begin_ns = drive_ns
        if trigger.kind == "ops":
            while self.completed() < trigger.ops:
                await clock.sleep(TRIGGER_POLL_S)
            return
        if trigger.kind == "stage":
            await self._stages.setdefault(trigger.stage, asyncio.Event()).wait()
            begin_ns = clock.now_ns()
        await clock.sleep(max(0.0, (begin_ns - clock.now_ns()) / NS + trigger.at_s))

    def _held_by(self, planned: PlannedFault) -> list[str]:
        """Return what the fault holds alone; always in the same order, so that two never wait for each other."""
        return sorted(self.base.deployment.names()) if planned.target == "all" else [planned.target]

    def _refused(self, planned: PlannedFault) -> str:
        radius = self.base.plan.blast_radius
        if radius.targets and planned.target not in radius.targets:
            return f"blast radius: {planned.target!r} is not one of {', '.join(radius.targets)}"
        if self._in_all >= radius.in_all:
            return f"blast radius: {radius.in_all} faults in all were already injected"
        return ""
