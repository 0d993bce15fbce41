"""Introduce the adapters to the engine, execute a plan, then judge: the lines that join the halves."""

from __future__ import annotations

import asyncio
import platform
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from seatrial import __version__, kinds
from seatrial.clock import Clock, SystemClock, iso_utc
from seatrial.engine.guardian import start_guardian
from seatrial.engine.healing import Healed, heal_run
from seatrial.engine.lifecycle import Trial
from seatrial.engine.parts import Parts
from seatrial.errors import UsageError
from seatrial.history import AnyEvent, ArtefactInstalled, RunStarted
from seatrial.host import undoing
from seatrial.plan import Plan
from seatrial.ports import Deployment, Say, Site
from seatrial.store.events import EventWriter
from seatrial.store.folder import RunFolder
from seatrial.store.ledger import FileLedger, read_ledger
from seatrial.undo import KillTagged
from seatrial.verdict import Verdict


class Live(Protocol):
    """Somebody who watches a run while it goes; may not slow or break it."""

    def start(self) -> None:
        """Begin to show."""
        ...

    def event(self, event: AnyEvent) -> None:
        """Take one event."""
        ...

    def stop(self) -> None:
        """End the show."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run came to: the verdict, its folder, and whether it was interrupted."""

    verdict: Verdict
    folder: Path
    interrupted: bool


def run_plan(
    plan: Plan,
    *,
    out: Path,
    keep_on_fail: bool = False,
    say: Say = lambda line: print(line, file=sys.stderr, flush=True),
    live: Live | None = None,
    clock: Clock | None = None,
) -> RunResult:
    """Execute a plan in a new run folder below `out`, judge it, write the reports.

    Raises UsageError and EnvironmentTrouble when nothing could be begun; anything later is in the verdict.
    """
    clock = clock or SystemClock()
    folder = RunFolder.create(out, clock, app=plan.app, scenario=plan.scenario, seed=plan.seed)
    folder.write_plan(plan)
    guardian = start_guardian(folder.path)
    folder.write_conductor(clock, guardian=guardian.pid)
    try:
        interrupted = asyncio.run(_execute(plan, folder, clock, say, live, keep_on_fail))
    finally:
        if live:
            live.stop()
        if not read_ledger(folder.ledger):  # nothing is left to guard; one long-lived process may conduct many runs
            guardian.kill()
            guardian.wait()
    verdict = judge_folder(folder.path, clock=clock)
    rebuild_reports(folder.path)
    return RunResult(verdict=verdict, folder=folder.path, interrupted=interrupted)


async def _execute(
    plan: Plan, folder: RunFolder, clock: Clock, say: Say, live: Live | None, keep_on_fail: bool
) -> bool:
    writer = EventWriter(folder.journal / "events.jsonl")
    ledger = FileLedger(folder.ledger, clock)

    def emit(event: AnyEvent) -> None:
        writer.write(event)
        if live:
            live.event(event)

    site = Site(
        run=folder.name,
        folder=folder.path,
        work=folder.work,
        logs=folder.logs,
        ledger=ledger,
        clock=clock,
        emit=emit,
        say=say,
        keep=keep_on_fail,
    )
    host = host_facts(folder.path)
    emit(RunStarted(t_ns=clock.now_ns(), run=folder.name, wall_ns=clock.wall_ns(), seatrial=__version__, host=host))
    if live:
        live.start()
    hold = _hold_open(folder, say) if keep_on_fail else None
    trial = Trial(plan=plan, parts=make_parts(plan, folder, clock), site=site, hold_open=hold)
    try:
        return await _until_done_or_signal(trial, say)
    finally:
        writer.close()
        ledger.dispose()


async def _until_done_or_signal(trial: Trial, say: Say) -> bool:
    """Run the trial; the first SIGINT or SIGTERM heals and tears down, further ones are answered with patience."""
    task = asyncio.create_task(trial.run())
    signals = 0

    def asked() -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            say("interrupted: healing faults and tearing down; a verdict will still be written")
            task.cancel()
        else:
            say("still tearing down; everything it made is in the ledger, `seatrial heal` finishes if you kill this")

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)
    try:
        await task
    except asyncio.CancelledError:
        pass
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return signals > 0


def make_parts(plan: Plan, folder: RunFolder, clock: Clock) -> Parts:
    """Construct the adapters that a plan names. Heavy modules are imported here and not before."""
    from seatrial.crew.control import process_crew
    from seatrial.faults.links import ProxyLinks
    from seatrial.observe.control import Observer

    base = Path(plan.app_dir)
    return Parts(
        providers={name: kinds.provider(name, base=base, clock=clock) for name in {a.provider for a in plan.artefacts}},
        runtime=kinds.runtime(plan.runtime),
        faults={name: kinds.fault(name) for name in {f.kind for f in plan.faults}},
        links=lambda p, site: ProxyLinks(site.run, p.seed, site.ledger, site.clock, site.emit),
        crew=process_crew,
        observer=lambda p, site: Observer(p, site.run, site.folder, site.clock, site.emit),
        residue=lambda: _left_of_run(folder),
    )


def _left_of_run(folder: RunFolder) -> list[str]:
    """List what the run left anywhere: processes that carry its tag, and whatever the ledger still holds open."""
    left = undoing.still_there(KillTagged(tag=folder.name))
    for entry in read_ledger(folder.ledger):
        if entry.undo is not None:
            left += [f"{entry.kind} {entry.name}: {item}" for item in undoing.still_there(entry.undo)]
    return sorted(set(left))


def _hold_open(folder: RunFolder, say: Say) -> Callable[[Deployment], Awaitable[None]]:
    """Return what --keep-on-fail does before teardown: when the run is not green, keep the app up until Ctrl-C."""

    async def hold(deployment: Deployment) -> None:
        from seatrial.verdict import Outcome

        verdict = judge_folder(folder.path, before_teardown=True)
        if verdict.outcome is Outcome.PASS or not sys.stdin.isatty():
            return
        say(f"{verdict.outcome}: {verdict.reason}")
        say(f"kept up for you: {', '.join(deployment.names())}; data in {folder.work}; Ctrl-C tears down")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()  # type: ignore[union-attr]

    return hold


def host_facts(folder: Path) -> dict[str, Any]:
    """Return what the report says of this machine: measured now, never remembered."""
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cpus": psutil.cpu_count() or 0,
        "memory_bytes": psutil.virtual_memory().total,
        "disk_free_bytes": psutil.disk_usage(str(folder)).free,
        "load1": psutil.getloadavg()[0],
    }


def judge_folder(path: Path, *, before_teardown: bool = False, clock: Clock | None = None) -> Verdict:
    """Judge a run from what is on disk, write verdict.json, and return the verdict. Same disk, same verdict.

    before_teardown: the app is still up: nothing is sealed or written, and residue decides nothing.
    """
    from seatrial.judge import compose
    from seatrial.store import load
    from seatrial.store import seal as sealing

    folder = RunFolder(path)
    plan = folder.read_plan()
    if not before_teardown:
        sealing.seal(folder.journal)
    history = load.load_history(folder.path)
    verdict = compose.verdict(
        plan,
        history,
        run=folder.name,
        today=iso_utc((clock or SystemClock()).wall_ns())[:10],
        digests={e.artefact: e.digest for e in history.of(ArtefactInstalled)},
        before_teardown=before_teardown,
    )
    if not before_teardown:
        folder.write_verdict(verdict)
    return verdict


def rebuild_reports(path: Path) -> list[Path]:
    """Write report.html, report.md and junit.xml again from the verdict and the journal on disk."""
    from seatrial.report.write import write_reports
    from seatrial.store.load import load_history

    folder = RunFolder(path)
    return write_reports(folder.path, folder.read_verdict(), folder.read_plan(), load_history(folder.path))


def heal(path: Path) -> Healed:
    """Undo what a dead run left. Raises UsageError when its conductor still lives."""
    folder = RunFolder(path)
    if folder.alive():
        raise UsageError(f"run {folder.path.name} is still going; stop it first (Ctrl-C in its terminal)")
    return heal_run(folder.path, SystemClock(), how="heal")


__all__ = ["RunResult", "heal", "host_facts", "judge_folder", "make_parts", "rebuild_reports", "run_plan"]
