"""Faults on processes of the app: kill, stop, restart, pause, crash-loop, power-cut. Each measures its own effect."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from seatrial.clock import NS
from seatrial.errors import SeatrialError
from seatrial.faults.measure import (
    answers_within,
    cpu_ticks,
    frozen_by,
    living,
    refuses,
    running_threads,
)
from seatrial.params import Kind, Param
from seatrial.plan import PlannedFault
from seatrial.ports import Address, FaultWorld, NotBitten

SETTLE_S = 2.0
SILENCE_S = 0.3
_STEP_S = 0.01
UP_BY = Param(
    name="up_by",
    kind=Kind.TEXT,
    help="who brings it up again: seatrial, after the hold; or policy, the process's own restart policy",
    default="seatrial",
    choices=("seatrial", "policy"),
)


class _Down:
    """What all faults share that take processes down: whom, the proof that they are down, and bringing them up."""

    TARGETS: ClassVar[tuple[str, ...]] = ("process",)
    PARAMS: ClassVar[tuple[Param, ...]] = ()
    NEEDS: ClassVar[tuple[str, ...]] = ()
    HOLDS: ClassVar[bool] = True

    def __init__(self, planned: PlannedFault, world: FaultWorld) -> None:
        """Bind a planned fault to the world of its run."""
        self.planned = planned
        self.world = world
        self.names = list(world.deployment.names()) if planned.target == "all" else [planned.target]
        self.victims: dict[str, dict[int, int]] = {}
        self.begun = False
        self.policy = planned.params.get("up_by", "seatrial") == "policy"

    async def preflight(self) -> None:
        """Raise NotBitten when a target is not there, does not run, or has no policy that would bring it up."""
        known = self.world.deployment.names()
        for name in self.names:
            if name not in known:
                raise NotBitten(f"there is no process {name!r}; there are: {', '.join(known)}")
            if not self.world.deployment.pids(name):
                raise NotBitten(f"{name} does not run, so it cannot be taken down")
            if self.policy and self.world.plan.process(name).restart == "never":
                raise NotBitten(f"up_by = policy, but the restart policy of {name} is never: nothing would start it")

    async def inject(self) -> None:
        """Take the processes down."""
        self.note_victims()
        self.begun = True
        if not self.policy:
            self.world.deployment.expect_down(self.names, self.planned.id)
        await self.take_down()

    async def take_down(self) -> None:
        """Do the harm itself."""
        await self.world.deployment.kill(self.names, by=self.planned.id)

    async def verify(self) -> dict[str, Any]:
        """Measure that none of the processes that ran lives, and that their ports refuse."""
        return await self.prove_down()

    async def heal(self) -> None:
        """Start what was taken down and wait until it is ready; with up_by = policy, wait for the policy to do it."""
        if not self.begun:
            return
        if self.policy:
            await self._wait_for_policy()
        await self.world.deployment.start(self.names, by=self.planned.id)

    async def verify_gone(self) -> dict[str, Any]:
        """Measure that the processes run again, as new processes, and that their ports answer."""
        detail: dict[str, Any] = {}
        for name in self.names:
            pids = self.world.deployment.pids(name)
            if not pids:
                raise NotBitten(f"{name} does not run again")
            old = sorted(set(living(self.victims.get(name, {}))) & set(pids)) if self.begun else []
            if old:
                raise NotBitten(f"{name} still has the processes from before the fault: {old}")
            detail[name] = {"pids": pids, "listening": [str(a) for a in self.addresses(name) if not await refuses(a)]}
        return detail

    def note_victims(self) -> None:
        """Write down who runs now: pids with their start, so that a reused pid is not taken for the old process."""
        self.victims = {name: living(self.world.deployment.pids(name)) for name in self.names}

    def addresses(self, name: str) -> list[Address]:
        """Return where a process is declared to listen."""
        return [self.world.deployment.address(name, port) for port in self.world.plan.process(name).ports]

    async def prove_down(self) -> dict[str, Any]:
        """Raise NotBitten unless every old process is gone and every port refuses (unless a policy is starting it)."""
        detail: dict[str, Any] = {}
        for name in self.names:
            old = self.victims[name]
            if not await self.until(lambda old=old: not living(old), SETTLE_S):
                raise NotBitten(f"{name}: {sorted(living(old))} still live {SETTLE_S:g} s after the fault")
            refused = [] if self.policy else await self._refused(name)
            detail[name] = {"gone": sorted(old), "refused": refused}
        return detail

    async def until(self, holds: Any, within_s: float) -> bool:
        """Wait until something holds, at most that long."""
        clock = self.world.clock
        end = clock.now_ns() + int(within_s * NS)
        while not holds():
            if clock.now_ns() >= end:
                return False
            await clock.sleep(_STEP_S)
        return True

    async def _refused(self, name: str) -> list[str]:
        if left := self.world.deployment.pids(name):
            raise NotBitten(f"{name} runs again already with pids {left}")
        for address in self.addresses(name):
            if not await refuses(address):
                raise NotBitten(f"{name} is down, but {address} still accepts connections")
        return [str(address) for address in self.addresses(name)]

    async def _wait_for_policy(self) -> None:
        for name in self.names:
            bound_s = self.world.plan.process(name).restart_delay_s + SETTLE_S
            if not await self.until(lambda name=name: bool(self.world.deployment.pids(name)), bound_s):
                raise NotBitten(
                    f"the restart policy did not start {name} within {bound_s:g} s; seatrial did not either"
                )


class Kill(_Down):
    """SIGKILL of a whole process tree; started again after the hold."""

    KIND: ClassVar[str] = "kill"
    SUMMARY: ClassVar[str] = "SIGKILL the process and all its children; start it again after the hold"
    PARAMS: ClassVar[tuple[Param, ...]] = (UP_BY,)


class PowerCut(_Down):
    """SIGKILL of all processes at the same moment; started again in their order after the hold."""

    KIND: ClassVar[str] = "power-cut"
    SUMMARY: ClassVar[str] = "SIGKILL all processes of the app at the same moment; start them in order after the hold"
    TARGETS: ClassVar[tuple[str, ...]] = ("all",)


class Stop(_Down):
    """The declared stop signal and grace; started again after the hold."""

    KIND: ClassVar[str] = "stop"
    SUMMARY: ClassVar[str] = "stop with the declared signal and grace; start again after the hold"
    TARGETS: ClassVar[tuple[str, ...]] = ("process", "all")

    def __init__(self, planned: PlannedFault, world: FaultWorld) -> None:
        """Bind a planned fault to the world of its run."""
        super().__init__(planned, world)
        self.stopped: dict[str, dict[str, Any]] = {}

    async def take_down(self) -> None:
        """Stop; how each process took it goes into the record."""
        for one in await self.world.deployment.stop(self.names, by=self.planned.id):
            self.stopped[one.process] = {"how": one.how, "took_s": round(one.took_s, 3), "code": one.code}

    async def verify(self) -> dict[str, Any]:
        """Measure that it is down, and say how it took the signal."""
        detail = await self.prove_down()
        return {name: {**detail[name], **self.stopped.get(name, {})} for name in self.names}


class Restart(Stop):
    """Stop and start at once."""

    KIND: ClassVar[str] = "restart"
    SUMMARY: ClassVar[str] = "stop with the declared signal and grace, and start at once"
    HOLDS: ClassVar[bool] = False


class CrashLoop(_Down):
    """Kill, start, and kill again as soon as it is ready."""

    KIND: ClassVar[str] = "crash-loop"
    SUMMARY: ClassVar[str] = "SIGKILL the process, and again each time as soon as it is ready"
    PARAMS: ClassVar[tuple[Param, ...]] = (
        Param(name="times", kind=Kind.COUNT, help="how often it is killed", default=3, least=1, most=100),
    )
    HOLDS: ClassVar[bool] = False

    async def verify(self) -> dict[str, Any]:
        """Measure the first kill, then go through the other rounds and measure each."""
        times = int(self.planned.params.get("times", 3))
        rounds = [await self.prove_down()]
        for _ in range(times - 1):
            await self.world.deployment.start(self.names, by=self.planned.id)
            self.note_victims()
            self.world.deployment.expect_down(self.names, self.planned.id)
            await self.take_down()
            rounds.append(await self.prove_down())
        return {"kills": len(rounds), "rounds": rounds}


class Pause:
    """Freeze a process tree for the hold; then let it go on."""

    KIND: ClassVar[str] = "pause"
    SUMMARY: ClassVar[str] = "freeze the process tree (no thread runs, connections hang); thaw after the hold"
    TARGETS: ClassVar[tuple[str, ...]] = ("process", "all")
    PARAMS: ClassVar[tuple[Param, ...]] = ()
    NEEDS: ClassVar[tuple[str, ...]] = ()
    HOLDS: ClassVar[bool] = True

    def __init__(self, planned: PlannedFault, world: FaultWorld) -> None:
        """Bind a planned fault to the world of its run."""
        self.planned = planned
        self.world = world
        self.names = list(world.deployment.names()) if planned.target == "all" else [planned.target]
        self.frozen: list[str] = []

    async def preflight(self) -> None:
        """Raise NotBitten when a target is not there or does not run."""
        known = self.world.deployment.names()
        for name in self.names:
            if name not in known:
                raise NotBitten(f"there is no process {name!r}; there are: {', '.join(known)}")
            if not self.world.deployment.pids(name):
                raise NotBitten(f"{name} does not run, so it cannot be paused")

    async def inject(self) -> None:
        """Freeze; the runtime writes the undo to the ledger before."""
        self.frozen = list(self.names)  # before, so that heal also thaws one whose freezing was broken off
        await asyncio.gather(*(self.world.deployment.freeze(name) for name in self.names))

    async def verify(self) -> dict[str, Any]:
        """Measure that no thread can run, that no processor time is used, and that a connection gets no answer."""
        return {name: await self._verify_one(name) for name in self.names}

    async def heal(self) -> None:
        """Thaw all, even when one of them cannot be."""
        results = await asyncio.gather(
            *(self.world.deployment.thaw(name) for name in self.frozen), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def verify_gone(self) -> dict[str, Any]:
        """Measure that every thread may run again, and that it is ready, in its own words of readiness."""
        detail: dict[str, Any] = {}
        for name in self.frozen:
            pids = self.world.deployment.pids(name)
            if not pids:
                raise NotBitten(f"{name} did not survive the pause: none of its processes lives")
            stuck = [pid for pid in pids if frozen_by(pid)]
            if stuck:
                raise NotBitten(f"{name}: {stuck} are still frozen by {frozen_by(stuck[0])}")
            try:
                await self.world.deployment.start([name], by=self.planned.id)
            except SeatrialError as error:
                raise NotBitten(f"{name} goes on, but is not ready again: {error}") from None
            detail[name] = {"pids": pids}
        return detail

    async def _verify_one(self, name: str) -> dict[str, Any]:
        pids = self.world.deployment.pids(name)
        if not pids:
            raise NotBitten(f"{name}: there is no process left that could be frozen")
        loose = [pid for pid in pids if not frozen_by(pid)]
        if loose:
            raise NotBitten(f"{name}: {loose} are not frozen; threads that may run: {running_threads(loose)}")
        before = cpu_ticks(pids)
        addresses = [self.world.deployment.address(name, port) for port in self.world.plan.process(name).ports]
        answered = await asyncio.gather(*(answers_within(address, SILENCE_S) for address in addresses))
        if not addresses:
            await self.world.clock.sleep(SILENCE_S)
        if any(answered):
            raise NotBitten(f"{name}: frozen, but {addresses[answered.index(True)]} gave an answer")
        used = cpu_ticks(pids) - before
        if used:
            raise NotBitten(f"{name}: frozen, but it used {used} ticks of processor time in {SILENCE_S:g} s")
        return {"frozen": pids, "by": frozen_by(pids[0]), "silent": [str(a) for a in addresses], "cpu_ticks": used}
