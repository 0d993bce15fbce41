"""A trial from the first artefact to the last check for residue: stages in order, each with its bound and its undo."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from seatrial.clock import NS
from seatrial.engine.injecting import Injector
from seatrial.engine.parts import Parts
from seatrial.errors import EnvironmentTrouble, SeatrialError, StageFailed
from seatrial.history import ArtefactInstalled, IdentitySeen, Interruption, Residue, StageEvent
from seatrial.plan import Plan, Probe, Stage
from seatrial.ports import (
    Address,
    CrewControl,
    Deployment,
    FaultWorld,
    Installed,
    LinkControl,
    Links,
    ObserverControl,
    Site,
)

FAULT_STEP_BOUND_S = 30.0  # on top of the slowest declared readiness, because healing a kill waits for ready
WATCH_EVERY_S = 0.2
CLEANUP_BOUND_S = 60.0
ALWAYS = ("heal", "quiesce", "teardown")  # these run whatever happened before


@dataclass(slots=True)
class Trial:
    """One execution of a plan. Call `run` once; everything that happened is in the events that it emitted."""

    plan: Plan
    parts: Parts
    site: Site
    hold_open: Callable[[Deployment], Awaitable[None]] | None = None  # before teardown, for --keep-on-fail
    installed: dict[str, Installed] = field(default_factory=dict)
    links: Links | None = None
    controls: dict[str, LinkControl] = field(default_factory=dict)
    deployment: Deployment | None = None
    crew: CrewControl | None = None
    observer: ObserverControl | None = None
    injector: Injector | None = None
    failed: str = ""

    async def run(self) -> None:
        """Run all stages. Raises only what is a bug of ours; a failed stage is an event."""
        try:
            for stage in self._stages():
                await self._stage(stage)
        except asyncio.CancelledError:
            self.failed = "interrupted"
            self.site.emit(Interruption(t_ns=self._now(), by="signal", reason="the user asked to stop"))
            asyncio.current_task().uncancel()  # type: ignore[union-attr]
            for name in ALWAYS[:-1]:
                await self._stage(Stage(name=name, within_s=CLEANUP_BOUND_S))
        finally:
            await self._end()

    def _stages(self) -> list[Stage]:
        return [stage for stage in self.plan.stages if stage.name != "teardown"]

    def _now(self) -> int:
        return self.site.clock.now_ns()

    # ---- stages ---------------------------------------------------------------------------------------------

    async def _stage(self, stage: Stage) -> None:
        if self.failed and stage.name not in ALWAYS:
            self._stage_event(stage.name, "end", outcome="not-tested", reason=f"skipped: {self.failed}")
            return
        if stage.name in ALWAYS and not self._has_work(stage.name):
            return
        action = getattr(self, f"_do_{stage.name.replace('-', '_')}")
        self._stage_event(stage.name, "begin")
        outcome, reason = await self._bounded(stage, action)
        self._stage_event(stage.name, "end", outcome=outcome, reason=reason)
        if outcome != "pass" and not self.failed:
            self.failed = f"{stage.name}: {reason}"

    async def _bounded(self, stage: Stage, action: Callable[[Stage], Awaitable[str]]) -> tuple[str, str]:
        try:
            async with asyncio.timeout(stage.within_s or None):
                return "pass", await action(stage) or ""
        except TimeoutError:
            return "fail", f"not done within {stage.within_s:g} s"
        except StageFailed as error:
            return error.outcome, error.reason
        except EnvironmentTrouble as error:
            return "environment", str(error)
        except SeatrialError as error:
            return "inconclusive", str(error)

    def _stage_event(self, name: str, what: str, *, outcome: str = "", reason: str = "") -> None:
        if what == "begin" and self.injector:
            self.injector.stage_begun.setdefault(name, asyncio.Event()).set()
        self.site.emit(StageEvent(t_ns=self._now(), stage=name, what=what, outcome=outcome, reason=reason))

    def _has_work(self, name: str) -> bool:
        return self.injector is not None if name == "heal" else self.crew is not None

    async def _do_install(self, _stage: Stage) -> str:
        for artefact in self.plan.artefacts:
            found = await self.parts.providers[artefact.provider].install(artefact, self.site.say)
            self.installed[artefact.name] = found
            self.site.emit(
                ArtefactInstalled(
                    t_ns=self._now(),
                    artefact=artefact.name,
                    provider=artefact.provider,
                    version=found.version,
                    digest=found.digest,
                )
            )
        self.links = self.parts.links(self.plan, self.site)
        for link in self.plan.links:
            self.controls[link.name] = await self.links.open(link)
        near = {name: control.address for name, control in self.controls.items()}
        self.deployment = await self.parts.runtime.prepare(self.plan, self.installed, near, self.site)
        for link in self.plan.links:
            await self.controls[link.name].aim(self._address(link.to))
        return ", ".join(f"{i.artefact.name} {i.version}" for i in self.installed.values())

    async def _do_ready(self, _stage: Stage) -> str:
        assert self.deployment
        await self.deployment.start()
        await self._identity("ready")
        self.observer = self.parts.observer(self.plan, self.site)
        addresses = {probe.name: self._probe_address(probe) for probe in self.plan.probes}
        await self.observer.start(addresses, self.deployment.watched())
        return ""

    async def _do_drive(self, _stage: Stage) -> str:
        assert self.deployment
        if self.plan.load and self.plan.crew:
            self.crew = self.parts.crew(self.plan, self.site, self.deployment.template_values())
            await self.crew.start()
        self.injector = self._injector()
        self.injector.begin(self._now())
        tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._watch_dead())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return ""

    async def _work(self) -> None:
        if self.crew:
            await self.crew.drive()
        elif self.plan.load:
            await self.site.clock.sleep(self.plan.load.length_s)

    async def _watch_dead(self) -> None:
        abort = self.plan.early_abort
        while True:
            await self.site.clock.sleep(WATCH_EVERY_S)
            dead_s = self.observer.dead_for_s(abort.probe) if abort.dead_s and self.observer else 0.0
            if abort.dead_s and dead_s > abort.dead_s:
                reason = f"probe {abort.probe!r} has been failing for {dead_s:.1f} s; the limit is {abort.dead_s:g} s"
                self.site.emit(Interruption(t_ns=self._now(), by="limit", reason=reason))
                raise StageFailed(f"stopped early: {reason}")

    async def _do_heal(self, stage: Stage) -> str:
        assert self.injector
        within_s = stage.within_s or CLEANUP_BOUND_S
        stuck = await self.injector.calm(within_s * 0.9)
        if stuck:
            raise StageFailed(f"not healed within {within_s * 0.9:g} s: {', '.join(stuck)}", outcome="inconclusive")
        await self._wait_good(within_s)
        return ""

    async def _wait_good(self, within_s: float) -> None:
        """Wait until every probe is good again. Nothing is owed after an earlier failure, so then it does not wait."""
        clock, began_ns = self.site.clock, self._now()
        while self.observer and not self.failed:
            dead = {p.name: self.observer.dead_for_s(p.name) for p in self.plan.probes}
            dead = {name: dead_s for name, dead_s in dead.items() if dead_s}
            if not dead:
                return
            if clock.now_ns() - began_ns > within_s * 0.9 * NS:
                said = ", ".join(f"{name} for {dead_s:.1f} s" for name, dead_s in dead.items())
                raise StageFailed(f"all faults are healed, and these probes still fail: {said}")
            await clock.sleep(WATCH_EVERY_S)

    async def _do_quiesce(self, stage: Stage) -> str:
        assert self.crew
        within_s = (stage.within_s or CLEANUP_BOUND_S) * 0.9
        loud = await self.crew.calm(within_s)
        if loud:
            raise StageFailed(f"not quiet within {within_s:g} s: {', '.join(loud)}", outcome="inconclusive")
        return ""

    async def _do_readback(self, stage: Stage) -> str:
        assert self.deployment
        if self.crew:
            await self.crew.readback((stage.within_s or CLEANUP_BOUND_S) * 0.95)
        await self._identity("readback")
        return ""

    async def _do_stop(self, _stage: Stage) -> str:
        """Stop the app as its supervisor would, and say how that went; the checks judge it."""
        assert self.deployment
        stopped = await self.deployment.stop()
        return "; ".join(f"{s.process} {s.how} after {s.took_s:.1f} s (code {s.code})" for s in stopped)

    async def _do_restart(self, stage: Stage) -> str:
        """Stop everything as its supervisor would, and start it again on the same data."""
        assert self.deployment
        said = await self._do_stop(stage)
        await self.deployment.start()
        await self._identity("restart")
        return said

    # ---- ends -----------------------------------------------------------------------------------------------

    async def _end(self) -> None:
        """Tear everything down, whatever happened; a failure of one part never keeps the others from ending."""
        if self.hold_open and self.deployment:
            await self.hold_open(self.deployment)
        self._stage_event("teardown", "begin")
        endings: dict[str, Callable[[], Awaitable[None]]] = {}
        if self.crew:
            endings["crew"] = self.crew.close
        if self.observer:
            endings["observer"] = self.observer.stop
        if self.deployment:
            endings["deployment"] = self.deployment.teardown
        if self.links:
            endings["links"] = self.links.close
        troubles = [trouble for what, end in endings.items() for trouble in await self._contained(what, end)]
        left = await self.deployment.residue() if self.deployment else []
        left = sorted({*left, *self.parts.residue()})
        self.site.emit(Residue(t_ns=self._now(), clean=not left, items=tuple(left)))
        outcome = "pass" if not left and not troubles else "fail"
        self._stage_event("teardown", "end", outcome=outcome, reason="; ".join([*troubles, *left]))

    async def _contained(self, what: str, action: Callable[[], Awaitable[None]]) -> list[str]:
        try:
            async with asyncio.timeout(CLEANUP_BOUND_S):
                await action()
        except TimeoutError:
            return [f"{what} did not end within {CLEANUP_BOUND_S:g} s"]
        except (SeatrialError, OSError) as error:
            return [f"{what}: {error}"]
        return []

    # ---- small parts ----------------------------------------------------------------------------------------

    def _address(self, text: str) -> Address:
        """Return the address of a link by name, of "process.port", or of "host:port"."""
        if text in self.controls:
            return self.controls[text].address
        process, dot, port = text.partition(".")
        if dot and self.deployment and process in self.deployment.names():
            return self.deployment.address(process, port)
        host, _, number = text.rpartition(":")
        return Address(host=host, port=int(number))

    def _probe_address(self, probe: Probe) -> Address:
        return self._address(probe.to)

    async def _identity(self, moment: str) -> None:
        assert self.deployment
        wrong = []
        for claim in await self.deployment.claims():
            self.site.emit(
                IdentitySeen(
                    t_ns=self._now(),
                    moment=moment,
                    artefact=claim.artefact,
                    source=claim.source,
                    expected=claim.expected,
                    observed=claim.observed,
                    ok=claim.ok,
                    reason=claim.reason,
                )
            )
            if not claim.ok:
                wrong.append(f"{claim.artefact} by {claim.source}: wanted {claim.expected!r}, is {claim.observed!r}")
        if wrong:
            raise StageFailed(f"wrong identity: {'; '.join(wrong)}")

    def _injector(self) -> Injector:
        slowest_ready_s = max((p.ready.within_s for p in self.plan.processes if p.ready), default=0.0)
        return Injector(
            faults=dict(self.parts.faults),
            world=self._world,
            seed=self.plan.seed,
            completed=self.crew.completed if self.crew else lambda: 0,
            step_bound_s=FAULT_STEP_BOUND_S + slowest_ready_s,
        )

    def _world(self, rng: Random) -> FaultWorld:
        assert self.deployment
        return FaultWorld(
            plan=self.plan,
            deployment=self.deployment,
            links=self.controls,
            ledger=self.site.ledger,
            clock=self.site.clock,
            rng=rng,
            emit=self.site.emit,
            run=self.site.run,
        )
