"""What each stage of a trial does. The order, the bounds, interruption and teardown are in `lifecycle`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from seatrial.clock import NS
from seatrial.engine.injecting import Injector, Unhealed
from seatrial.engine.parts import Parts
from seatrial.errors import BaselineBroken, EnvironmentTrouble, InternalError, StageFailed
from seatrial.history import ArtefactInstalled, IdentitySeen, Interruption
from seatrial.plan import Artefact, Plan, Stage
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
from seatrial.verdict import Outcome, merge

FAULT_STEP_BOUND_S = 30.0  # on top of the slowest declared readiness, because healing a kill waits for ready
WATCH_EVERY_S = 0.2
UNBOUNDED_S = 60.0  # what a stage without a bound of its own may wait for an answer
SHARE = 0.9  # of a stage's bound that its own waiting may take, so that it ends with its own words


@dataclass(slots=True)
class Stages:
    """The parts of a live trial and the stages that use them. An action returns what the report says of the stage."""

    plan: Plan
    parts: Parts
    site: Site
    journal_trouble: Callable[[], str]
    installed: dict[str, Installed] = field(default_factory=dict)
    links: Links | None = None
    controls: dict[str, LinkControl] = field(default_factory=dict)
    deployment: Deployment | None = None
    crew: CrewControl | None = None
    observer: ObserverControl | None = None
    injector: Injector | None = None
    owed: bool = True  # whether the app still owes us that its probes are good: nothing failed before

    def actions(self) -> Mapping[str, Callable[[Stage], Awaitable[str]]]:
        """Return the visible table: stage name -> what it does."""
        return {
            "install": self.install,
            "ready": self.ready,
            "drive": self.drive,
            "stop": self.stop,
            "restart": self.restart,
            "heal": self.heal,
            "quiesce": self.quiesce,
            "readback": self.readback,
        }

    # ---- before anybody uses it -----------------------------------------------------------------------------

    async def install(self, _stage: Stage) -> str:
        """Bring every artefact onto this machine, open the links, and make the deployment; nothing is started."""
        for artefact in self.plan.artefacts:
            found = await self._installed(artefact)
            self.installed[artefact.name] = found
            self.site.emit(
                ArtefactInstalled(
                    t_ns=self.site.clock.now_ns(),
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

    async def _installed(self, artefact: Artefact) -> Installed:
        try:
            return await self.parts.providers[artefact.provider].install(artefact, self.site.say)
        except EnvironmentTrouble as trouble:
            if not artefact.baseline:
                raise
            raise BaselineBroken(
                f"baseline {artefact.name} {artefact.version} cannot be installed, which says nothing of the version "
                f"under trial: {trouble}"
            ) from trouble

    async def ready(self, _stage: Stage) -> str:
        """Start everything, see who it is, and begin to observe."""
        deployment = self._deployed()
        await deployment.start()
        await self._identity("ready")
        self.observer = self.parts.observer(self.plan, self.site)
        addresses = {probe.name: self._address(probe.to) for probe in self.plan.probes}
        await self.observer.start(addresses, deployment.watched())
        return ""

    # ---- use and harm ---------------------------------------------------------------------------------------

    async def drive(self, stage: Stage) -> str:
        """Let users work and faults happen, until the load is over or the service has been dead for too long."""
        deployment = self._deployed()
        if self.plan.load and self.plan.crew:
            self.crew = self.parts.crew(self.plan, self.site, deployment.template_values())
            await self.crew.start()
        self.injector = self._injector()
        self.injector.begin(self.site.clock.now_ns())
        self.injector.stage_began(stage.name)
        tasks = [asyncio.create_task(self._work(), name="work"), asyncio.create_task(self._watch(), name="watch")]
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

    async def _watch(self) -> None:
        """Raise when going on makes no sense: the service is dead for too long, or nothing can be written down."""
        abort = self.plan.early_abort
        while True:
            await self.site.clock.sleep(WATCH_EVERY_S)
            if trouble := self.journal_trouble():
                raise EnvironmentTrouble(trouble)
            dead_s = self.observer.dead_for_s(abort.probe) if abort.dead_s and self.observer else 0.0
            if abort.dead_s and dead_s > abort.dead_s:
                reason = f"probe {abort.probe!r} has been failing for {dead_s:.1f} s; the limit is {abort.dead_s:g} s"
                self.site.emit(Interruption(t_ns=self.site.clock.now_ns(), by="limit", reason=reason))
                raise StageFailed(f"stopped early: {reason}")

    async def stop(self, _stage: Stage) -> str:
        """Stop the app as its supervisor would, and say how that went; the checks judge it."""
        stopped = await self._deployed().stop()
        return "; ".join(f"{s.process} {s.how} after {s.took_s:.1f} s (code {s.code})" for s in stopped)

    async def restart(self, stage: Stage) -> str:
        """Stop everything as its supervisor would, and start it again on the same data."""
        said = await self.stop(stage)
        await self._deployed().start()
        await self._identity("restart")
        return said

    # ---- calm, and look -------------------------------------------------------------------------------------

    async def heal(self, stage: Stage) -> str:
        """Heal every fault, and wait until every probe is good again."""
        if self.injector is None:
            return "no fault was begun"
        within_s = (stage.within_s or UNBOUNDED_S) * SHARE
        until_ns = self.site.clock.now_ns() + int(within_s * NS)
        unhealed = await self.injector.calm(within_s)
        if not any(task.reason.startswith("still in ") for task in unhealed):
            await self._wait_good(until_ns)
        if unhealed:
            said = "; ".join(f"{one.fault}: {one.reason}" for one in unhealed)
            raise StageFailed(f"not healed: {said}", outcome=_worst(unhealed))
        return ""

    async def _wait_good(self, until_ns: int) -> None:
        """Wait until every probe is good. Nothing is owed after an earlier failure, so then it does not wait."""
        while self.observer and self.owed:
            dead = {p.name: self.observer.dead_for_s(p.name) for p in self.plan.probes}
            dead = {name: dead_s for name, dead_s in dead.items() if dead_s}
            if not dead:
                return
            if self.site.clock.now_ns() > until_ns:
                said = ", ".join(f"{name} for {dead_s:.1f} s" for name, dead_s in dead.items())
                raise StageFailed(f"no fault is in force any more, and these probes still fail: {said}")
            await self.site.clock.sleep(WATCH_EVERY_S)

    async def quiesce(self, stage: Stage) -> str:
        """Stop the users and see that nothing is in flight."""
        if self.crew is None:
            return "there are no users"
        within_s = (stage.within_s or UNBOUNDED_S) * SHARE
        loud = await self.crew.calm(within_s)
        if loud:
            raise StageFailed(f"not quiet within {within_s:g} s: {', '.join(loud)}", outcome="inconclusive")
        return ""

    async def readback(self, stage: Stage) -> str:
        """Let users read back what they own, and see once more who the app says it is."""
        if self.crew:
            await self.crew.readback((stage.within_s or UNBOUNDED_S) * SHARE)
        await self._identity("readback")
        return ""

    # ---- small parts ----------------------------------------------------------------------------------------

    def _deployed(self) -> Deployment:
        if self.deployment is None:
            raise StageFailed("there is no deployment: the plan has no stage install before this", outcome="not-tested")
        return self.deployment

    def _address(self, text: str) -> Address:
        """Return the address of a link by name, of "process.port", or of "host:port"."""
        if text in self.controls:
            return self.controls[text].address
        process, dot, port = text.partition(".")
        if dot and self.deployment and process in self.deployment.names():
            return self.deployment.address(process, port)
        host, colon, number = text.rpartition(":")
        if not colon or not number.isdigit():
            raise InternalError(f"{text!r} is no link, no process.port and no host:port; the plan let it through")
        return Address(host=host, port=int(number))

    async def _identity(self, moment: str) -> None:
        wrong = []
        for claim in await self._deployed().claims():
            self.site.emit(
                IdentitySeen(
                    t_ns=self.site.clock.now_ns(),
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
        return FaultWorld(
            plan=self.plan,
            deployment=self._deployed(),
            links=self.controls,
            ledger=self.site.ledger,
            clock=self.site.clock,
            rng=rng,
            emit=self.site.emit,
            run=self.site.run,
        )


def _worst(unhealed: list[Unhealed]) -> str:
    return merge(Outcome(one.outcome) for one in unhealed).value
