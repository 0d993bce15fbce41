"""A whole trial in memory, in virtual time: the real engine over fake adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from seatrial import plan as plans
from seatrial.engine.lifecycle import Trial
from seatrial.engine.parts import Parts
from seatrial.history import AnyEvent, FaultEvent, History, StageEvent, no_history
from seatrial.plan import Artefact, Link, Plan
from seatrial.ports import Address, Deployment, Fault, Installed, LinkControl, Say, Site
from seatrial.testing.fakes import FakeCrew, FakeDeployment, FakeLink, FakeObserver, MemoryLedger, Script, play
from seatrial.testing.virtual import VirtualClock

E = TypeVar("E")
STAGES = ("install", "ready", "drive", "heal", "quiesce", "readback", "teardown")


def fake_plan(**changes: Any) -> Plan:
    """Return a small plan: one process, users for ten seconds, no faults; with the given fields of Plan changed."""
    fields: dict[str, Any] = {
        "seatrial": "test",
        "app": "shop",
        "app_dir": "/nonexistent/shop",
        "scenario": "default",
        "runtime": "fake",
        "seed": 1,
        "artefacts": (Artefact(name="app", provider="fake", package="app", version="1"),),
        "processes": (plans.Process(name="web", command=("web",), ports=("http",)),),
        "links": (Link(name="front", to="web.http"),),
        "probes": (plans.Probe(name="health", to="web.http"),),
        "crew": plans.Crew(module="users.py"),
        "load": plans.Load(users=1, length_s=10.0, arrivals=plans.Arrivals(rate=10.0)),
        "stages": tuple(plans.Stage(name=name, within_s=60.0) for name in STAGES),
    }
    return Plan(**(fields | changes))


class FakeTrial:
    """A trial of a plan over fakes. Change the fakes, then `await run()` inside `run_virtual`.

    faults: classes by kind. script: what install, links, prepare and emit do. events: all that was emitted, in order.
    """

    def __init__(
        self, plan: Plan | None = None, *, faults: Mapping[str, type[Fault]] | None = None, script: Script | None = None
    ) -> None:
        """Make the fakes and the trial; nothing runs yet."""
        self.plan, self.script = plan or fake_plan(), script or {}
        self.events: list[AnyEvent] = []
        self.said: list[str] = []
        self.ledger = MemoryLedger()
        self.deployment = FakeDeployment([p.name for p in self.plan.processes], emit=self.events.append)
        self.crew = FakeCrew(self.plan.load.length_s if self.plan.load else 0.0)
        self.observer = FakeObserver()
        self.links: dict[str, FakeLink] = {}
        self.left: list[str] = []
        self.closed_links = False
        site = Site(
            run="fake-run",
            folder=Path("/nonexistent/run"),
            work=Path("/nonexistent/run/work"),
            logs=Path("/nonexistent/run/logs"),
            ledger=self.ledger,
            clock=VirtualClock(),
            emit=self._emit,
            say=self.said.append,
        )
        parts = Parts(
            providers={a.provider: self for a in self.plan.artefacts},
            runtime=self,
            faults=faults or {},
            links=lambda plan, site: self,
            crew=lambda plan, site, values: self.crew,
            observer=lambda plan, site: self.observer,
            residue=lambda: self.left,
        )
        self.trial = Trial(plan=self.plan, parts=parts, site=site)

    async def run(self, hold_open: Callable[[Deployment], Any] | None = None) -> Trial:
        """Run the trial to its end and return it."""
        self.trial.hold_open = hold_open
        await self.trial.run()
        return self.trial

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one type."""
        return [event for event in self.events if isinstance(event, kind)]

    def outcomes(self) -> dict[str, str]:
        """Return how each stage ended, in order of its end."""
        return {e.stage: e.outcome for e in self.of(StageEvent) if e.what == "end"}

    def reason(self, stage: str) -> str:
        """Return why a stage ended as it did."""
        return next(e.reason for e in self.of(StageEvent) if e.stage == stage and e.what == "end")

    def life(self, fault: str) -> list[str]:
        """Return the steps of a fault by id, in order."""
        return [e.what for e in self.of(FaultEvent) if e.id == fault]

    def history(self) -> History:
        """Return what was emitted, as judges see it; without ops."""
        return no_history().with_events(tuple(self.events))

    # ---- the provider, the runtime and the links of this trial ----

    async def install(self, artefact: Artefact, say: Say) -> Installed:
        """Be the provider: the artefact is there."""
        await play(self.script, "install")
        root = Path("/nonexistent/root")
        return Installed(artefact=artefact, version=artefact.version, digest="fake", root=root, values={})

    async def prepare(
        self, plan: Plan, installed: Mapping[str, Installed], links: Mapping[str, Address], site: Site
    ) -> Deployment:
        """Be the runtime: the deployment is there."""
        await play(self.script, "prepare")
        return self.deployment

    async def open(self, link: Link) -> LinkControl:
        """Be the links: open one."""
        await play(self.script, "links")
        self.links[link.name] = FakeLink()
        return self.links[link.name]

    async def close(self) -> None:
        """Be the links: close them all."""
        self.closed_links = True
        await play(self.script, "links_close")

    def _emit(self, event: AnyEvent) -> None:
        trouble = self.script.get("emit")
        if isinstance(trouble, BaseException):
            raise trouble
        self.events.append(event)
