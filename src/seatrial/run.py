"""Introduce the adapters to the engine, execute a plan, then judge: the lines that join the halves."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from seatrial import __version__, kinds
from seatrial.clock import Clock, SystemClock, iso_utc
from seatrial.engine.asking import Asking
from seatrial.engine.bounding import is_host_trouble, words
from seatrial.engine.guardian import is_guardian_of, start_guardian
from seatrial.engine.healing import Healed, heal_dead_run, heal_run
from seatrial.engine.lifecycle import Trial
from seatrial.engine.parts import Parts
from seatrial.errors import EnvironmentTrouble, InternalError, UsageError
from seatrial.history import AnyEvent, ProbeSample, RunStarted
from seatrial.host import undoing
from seatrial.plan import Plan
from seatrial.ports import Deployment, Say, Site
from seatrial.store.events import EventWriter
from seatrial.store.folder import RunFolder
from seatrial.store.ledger import FileLedger, read_ledger
from seatrial.undo import KillTagged
from seatrial.verdict import Verdict

SETTLE_S = 20.0  # a guardian needs far less
_LOOK_S = 0.05


SHOW_EVERY_S = 0.5  # how often the live view is told what no event tells


class Live(Protocol):
    """Somebody who watches a run while it goes; may not slow or break it."""

    def start(self) -> None:
        """Begin to show."""
        ...

    def event(self, event: AnyEvent) -> None:
        """Take one event."""
        ...

    def ops(self, completed: int) -> None:
        """Take the number of ops that have completed so far."""
        ...

    def stop(self) -> None:
        """End the show."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run came to: the verdict, its folder, whether it was interrupted, and what could not be undone."""

    verdict: Verdict
    folder: Path
    interrupted: bool
    left: tuple[str, ...] = ()


def print_line(line: str) -> None:
    """Write one line for a person to stderr."""
    print(line, file=sys.stderr, flush=True)


def run_plan(
    plan: Plan,
    *,
    out: Path,
    keep_on_fail: bool = False,
    say: Say = print_line,
    live: Live | None = None,
    clock: Clock | None = None,
) -> RunResult:
    """Execute a plan in a new run folder below `out`, judge it, write the reports.

    Raises UsageError and EnvironmentTrouble when nothing could be begun, or when nothing can be written any more;
    anything else is in the verdict. Raises InternalError for a bug of ours, after the verdict was written.
    """
    clock, say = clock or SystemClock(), harmless(say)
    folder = RunFolder.create(out, clock, app=plan.app, scenario=plan.scenario, seed=plan.seed)
    with Asking(say, harmless(print_line)) as asking, _disk_trouble(folder):
        folder.write_plan(plan)
        trial, left = _conducted(plan, folder, clock, say, live, keep_on_fail, asking)
        asking.judging()
        verdict = judge_folder(folder.path, clock=clock)
        rebuild_reports(folder.path)
    if trial.bugs:
        raise InternalError(f"{words(trial.bugs[0])}; the verdict so far is in {folder.path}") from trial.bugs[0]
    return RunResult(verdict=verdict, folder=folder.path, interrupted=trial.interrupted, left=tuple(left))


def _conducted(
    plan: Plan, folder: RunFolder, clock: Clock, say: Say, live: Live | None, keep: bool, asking: Asking
) -> tuple[Trial, list[str]]:
    """Run the trial under a guardian; return it, and what could not be undone."""
    guardian = start_guardian(folder.path)
    try:
        folder.write_conductor(clock, guardian=guardian.pid)
        trial = asyncio.run(_execute(plan, folder, clock, say, live, keep, asking))
        return trial, _swept(folder, clock, say)
    finally:
        if live:
            live.stop()
        if read_ledger(folder.ledger):
            guardian.leave()
        else:  # nothing is left to guard; one long-lived process may conduct many runs
            guardian.dismiss()


def harmless(say: Say) -> Say:
    """Return a `say` that swallows its own failures: a terminal that is gone must not end a run."""

    def quietly(line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            say(line)

    return quietly


@contextlib.contextmanager
def _disk_trouble(folder: RunFolder) -> Iterator[None]:
    """Turn "no space left", "permission denied" and their like into one clear sentence; others are bugs."""
    try:
        yield
    except OSError as error:
        if not is_host_trouble(error) and not isinstance(error, PermissionError):
            raise
        where = error.filename or folder.path
        raise EnvironmentTrouble(
            f"cannot write {where}: {error.strerror or error}; free space there, or choose another folder with --out"
        ) from error


def _swept(folder: RunFolder, clock: Clock, say: Say) -> list[str]:
    """Undo what the teardown could not. The verdict says that it was left; the machine is clean all the same."""
    if not read_ledger(folder.ledger):
        return []
    healed = heal_run(folder.path, clock, how="after the teardown")
    for line in healed.left:
        say(f"still there: {line}")
    return list(healed.left)


async def _execute(
    plan: Plan, folder: RunFolder, clock: Clock, say: Say, live: Live | None, keep: bool, asking: Asking
) -> Trial:
    """Run the trial of a plan in its folder. Raises OSError and EnvironmentTrouble when its files cannot be made."""
    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(EventWriter(folder.journal / "events.jsonl"))
        ledger = stack.enter_context(FileLedger(folder.ledger, clock))

        def emit(event: AnyEvent) -> None:
            if live:
                with contextlib.suppress(Exception):  # it only watches
                    live.event(event)
            writer.write(event)

        site = Site(
            run=folder.tag,
            folder=folder.path,
            work=folder.work,
            logs=folder.logs,
            ledger=ledger,
            clock=clock,
            emit=emit,
            say=say,
            keep=keep,
        )
        hold = _hold_open(folder, say) if keep else None
        trial = Trial(plan=plan, parts=make_parts(plan, folder, clock), site=site, hold_open=hold)
        host = host_facts(folder.path)
        emit(RunStarted(t_ns=clock.now_ns(), run=folder.name, wall_ns=clock.wall_ns(), seatrial=__version__, host=host))
        if live:
            live.start()
        asking.answer_with(trial.interrupt)
        watching = asyncio.create_task(_show(trial, live, clock)) if live else None
        try:
            await trial.run()
        finally:
            if watching:
                watching.cancel()
                await asyncio.wait({watching})
        return trial


async def _show(trial: Trial, live: Live, clock: Clock) -> None:
    """Tell the live view now and then what no event tells: completed ops, and how the probes do."""
    while True:
        await clock.sleep(SHOW_EVERY_S)
        crew, observer = trial.stages.crew, trial.stages.observer
        with contextlib.suppress(Exception):  # it only watches
            if crew:
                live.ops(crew.completed())
            if observer:
                for probe in trial.plan.probes:
                    ok = not observer.dead_for_s(probe.name)
                    live.event(ProbeSample(t_ns=clock.now_ns(), probe=probe.name, ok=ok, latency_ns=0))


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
    left = undoing.still_there(KillTagged(tag=folder.tag))
    for entry in read_ledger(folder.ledger):
        if entry.undo is not None:
            left += [f"{entry.kind} {entry.name}: {item}" for item in undoing.still_there(entry.undo)]
    return sorted(set(left))


def _hold_open(folder: RunFolder, say: Say) -> Callable[[Deployment], Awaitable[None]]:
    """Return what --keep-on-fail does before teardown: when the run is not green, keep the app up until Ctrl-C."""

    async def hold(deployment: Deployment) -> None:
        from seatrial.verdict import Outcome

        verdict = await asyncio.to_thread(judge_folder, folder.path, before_teardown=True)
        if verdict.outcome is Outcome.PASS or not sys.stdin.isatty():
            return
        say(f"{verdict.outcome}: {verdict.reason}")
        say(f"kept up for you: {', '.join(deployment.names())}; data in {folder.work}; Ctrl-C tears down")
        await asyncio.Event().wait()

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
        with _disk_trouble(folder):
            sealing.seal(folder.journal)
    history = load.load_history(folder.path)
    verdict = compose.verdict(
        plan,
        history,
        run=folder.name,
        today=iso_utc((clock or SystemClock()).wall_ns())[:10],
        before_teardown=before_teardown,
    )
    if not before_teardown:
        with _disk_trouble(folder):
            folder.write_verdict(verdict)
    return verdict


def judge_again(path: Path, clock: Clock | None = None) -> Verdict:
    """Judge a run that is over, also one whose conductor died. Raises UsageError while it still goes on."""
    refuse_going(path)
    settle(path)
    return judge_folder(path, clock=clock)


def refuse_going(path: Path) -> None:
    """Raise UsageError when the conductor of the run lives: its files are still being written."""
    if RunFolder(path).alive():
        raise UsageError(f"run {path.name} is still going; wait for its end, or stop it (Ctrl-C in its terminal)")


def settle(path: Path) -> None:
    """Wait, in bounded time, for the guardian of a dead run to have undone what it left."""
    with contextlib.suppress(UsageError):
        guardian = RunFolder(path).read_conductor().guardian
        for _ in range(int(SETTLE_S / _LOOK_S)):
            if not is_guardian_of(guardian, path):
                return
            time.sleep(_LOOK_S)


def rebuild_reports(path: Path) -> list[Path]:
    """Write report.html, report.md and junit.xml again from the verdict and the journal on disk."""
    from seatrial.report.write import write_reports
    from seatrial.store.load import load_history

    folder = RunFolder(path)
    with _disk_trouble(folder):
        return write_reports(folder.path, folder.read_verdict(), folder.read_plan(), load_history(folder.path))


def heal(path: Path) -> Healed:
    """Undo what a dead run left. Raises UsageError when its conductor still lives."""
    refuse_going(path)
    settle(path)
    return heal_dead_run(path, SystemClock(), how="heal")


__all__ = [
    "RunResult",
    "heal",
    "host_facts",
    "judge_again",
    "judge_folder",
    "make_parts",
    "rebuild_reports",
    "refuse_going",
    "run_plan",
    "settle",
]
