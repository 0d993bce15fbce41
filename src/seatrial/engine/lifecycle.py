"""A trial from the first artefact to the last look for residue: stages in order, each bounded, and the end of it all.

Whatever happens (a stage that fails, Ctrl-C, a bug of ours, a full disk) the faults are healed, the users are stopped,
everything is torn down, and each of these is in the journal. An interrupt cancels only the stage that is at work;
healing, quiescing and teardown run in bounded time and are never broken off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from seatrial.engine.bounding import OutOfTime, bounded, is_host_trouble, words
from seatrial.engine.ending import tear_down
from seatrial.engine.parts import Parts
from seatrial.engine.recording import PatientLedger, Recorder
from seatrial.engine.stages import UNBOUNDED_S, Stages
from seatrial.errors import EnvironmentTrouble, InternalError, SeatrialError, StageFailed
from seatrial.history import Interruption, StageEvent
from seatrial.plan import Plan, Stage
from seatrial.ports import Deployment, Site
from seatrial.undo import KillTagged

ALWAYS = ("heal", "quiesce")  # run whatever happened before; teardown always comes last
APP_ANSWERS = frozenset({"ready", "stop", "restart", "readback"})  # out of time here is the app's failure
INTERRUPTED = "interrupted"


@dataclass(slots=True)
class Trial:
    """One execution of a plan. Call `run` once; everything that happened is in the events that it emitted.

    hold_open: called before teardown when nobody interrupted, for --keep-on-fail; an interrupt ends it.
    interrupted: somebody asked to stop. bugs: exceptions that nobody foresaw, in their order.
    """

    plan: Plan
    parts: Parts
    site: Site
    hold_open: Callable[[Deployment], Awaitable[None]] | None = None
    interrupted: bool = False
    failed: str = ""
    bugs: list[Exception] = field(default_factory=list)
    stages: Stages = field(init=False)
    _recorder: Recorder = field(init=False)
    _at_work: asyncio.Task[str] | None = None
    _began: set[str] = field(default_factory=set)
    _ending: bool = False

    def __post_init__(self) -> None:
        """Put a journal and a ledger that survive a full disk before the given ones."""
        self._recorder = Recorder(self.site.emit)
        self.site = replace(self.site, emit=self._recorder, ledger=PatientLedger(self.site.ledger))
        self.stages = Stages(self.plan, self.parts, self.site, lambda: self._recorder.trouble)

    async def run(self) -> None:
        """Run all stages and the teardown. Raises nothing: see `failed`, `interrupted`, `bugs`, and the events.

        Cancelling it is the same as `interrupt`: it returns when everything is torn down.
        """
        voyage = asyncio.create_task(self._voyage(), name="trial")
        while not voyage.done():
            try:
                await asyncio.wait({voyage})
            except asyncio.CancelledError:
                self.interrupt()
        voyage.result()

    def interrupt(self, reason: str = "the user asked to stop") -> None:
        """End the stage at work and skip the others. Further calls, and those during teardown, change nothing."""
        holding = self._ending
        if self.interrupted:
            return
        if not holding:
            self.interrupted = True
            self.failed = self.failed or INTERRUPTED
            self.stages.owed = False
            self._recorder(Interruption(t_ns=self.site.clock.now_ns(), by="signal", reason=reason))
        if self._at_work:
            self._at_work.cancel()

    async def _voyage(self) -> None:
        entry = self._open_umbrella()
        for stage in [s for s in self.plan.stages if s.name != "teardown"]:
            await self._stage(stage)
        for name in ALWAYS:  # a plan may lack them
            if name not in self._began and self._has_work(name):
                await self._stage(Stage(name=name, within_s=UNBOUNDED_S))
        await self._hold()
        self._ending = True
        self._stage_event("teardown", "begin")
        end = await tear_down(self.stages)
        self.bugs += end.bugs
        if entry and not end.left:
            self.site.ledger.close(entry, "nothing of the run is left")
        self._stage_event("teardown", "end", outcome=end.outcome, reason=end.reason)

    def _open_umbrella(self) -> int:
        """Hold one entry over everything: whatever carries the run's tag is ended, also helpers without an entry."""
        try:
            return self.site.ledger.open("run", "everything of this run", KillTagged(tag=self.site.run))
        except (SeatrialError, OSError) as error:
            self.failed = f"ledger: {error}"
            return 0

    # ---- stages ---------------------------------------------------------------------------------------------

    async def _stage(self, stage: Stage) -> None:
        always = stage.name in ALWAYS
        if self.failed and not (always and self._has_work(stage.name)):
            self._stage_event(stage.name, "end", outcome="not-tested", reason=f"skipped: {self.failed}")
            return
        self._began.add(stage.name)
        self._stage_event(stage.name, "begin")
        if self.stages.injector:
            self.stages.injector.stage_began(stage.name)
        outcome, reason = await self._outcome_of(stage, breakable=not always)
        if outcome == "fail" and self._recorder.trouble:
            # The journal itself could not be written: that is evidence, and an app that cannot go on in such a place
            # has not failed its trial.
            outcome, reason = "environment", f"{reason}; while {self._recorder.trouble}"
        self._stage_event(stage.name, "end", outcome=outcome, reason=reason)
        trouble = reason if outcome != "pass" else self._recorder.trouble
        if trouble and not self.failed:
            self.failed = f"stage {stage.name} was {outcome}" if outcome != "pass" else trouble
        self.stages.owed = not self.failed

    async def _outcome_of(self, stage: Stage, *, breakable: bool) -> tuple[str, str]:
        action = self.stages.actions().get(stage.name)
        if action is None:
            return "not-tested", f"there is no stage {stage.name!r}; there are: {', '.join(self.stages.actions())}"
        task = asyncio.create_task(_as_text(bounded(action(stage), stage.within_s)), name=f"stage {stage.name}")
        self._at_work = task if breakable else None
        try:
            await asyncio.wait({task})
        finally:
            self._at_work = None
        if task.cancelled():
            return "inconclusive", INTERRUPTED
        try:
            return "pass", task.result()
        except Exception as error:
            return self._outcome_of_error(stage, error)

    def _outcome_of_error(self, stage: Stage, error: Exception) -> tuple[str, str]:
        if isinstance(error, OutOfTime):
            return ("fail" if stage.name in APP_ANSWERS else "inconclusive"), str(error)
        if isinstance(error, StageFailed):
            return error.outcome, error.reason
        if isinstance(error, EnvironmentTrouble) or (isinstance(error, OSError) and is_host_trouble(error)):
            return "environment", str(error)
        if isinstance(error, SeatrialError) and not isinstance(error, InternalError):
            return "inconclusive", str(error)
        self.bugs.append(error)
        return "inconclusive", f"a bug of seatrial: {words(error)}"

    def _has_work(self, name: str) -> bool:
        return self.stages.injector is not None if name == "heal" else self.stages.crew is not None

    def _stage_event(self, name: str, what: str, *, outcome: str = "", reason: str = "") -> None:
        now_ns = self.site.clock.now_ns()
        self._recorder(StageEvent(t_ns=now_ns, stage=name, what=what, outcome=outcome, reason=reason))

    async def _hold(self) -> None:
        """Keep the app up for a person to look at, until an interrupt, which here only means: enough."""
        if self.hold_open is None or self.stages.deployment is None or self.interrupted:
            return
        self._ending = True
        task = asyncio.create_task(_as_text(self.hold_open(self.stages.deployment)), name="hold open")
        self._at_work = task
        await asyncio.wait({task})
        self._at_work = None
        if not task.cancelled() and (error := task.exception()):
            self.site.say(f"cannot keep it up: {error}")
            if isinstance(error, Exception) and not isinstance(error, SeatrialError):
                self.bugs.append(error)


async def _as_text(action: Awaitable[str | None]) -> str:
    return await action or ""
