"""What `run`, `judge`, `replay`, `ps` and `heal` do with their values: plan, execute, show, exit code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from seatrial import verdict as verdicts
from seatrial.cli.reader import reader_may_leave
from seatrial.config.build import Request, make_plan
from seatrial.config.refuse import lacking
from seatrial.errors import EXIT_INTERRUPTED, EnvironmentTrouble, Mistake, UsageError
from seatrial.plan import Plan
from seatrial.verdict import Verdict


def plan_of(app: str, scenario: str, sets: Sequence[str], seed: int, runtime: str) -> Plan:
    """Return the plan of the arguments. Raises UsageError with every mistake."""
    return make_plan(Request(app=app, scenario=scenario, sets=parse_sets(sets), seed=seed, runtime=runtime))


def parse_sets(sets: Sequence[str]) -> dict[str, str]:
    """Return "knob=value" texts as a table. Raises UsageError with every one that is not."""
    wrong = [text for text in sets if "=" not in text or text.startswith("=")]
    if wrong:
        raise UsageError(
            [Mistake(file="--set", key=t, problem="knob=value is wanted, such as users=50") for t in wrong]
        )
    pairs = [(name.strip(), value) for name, _, value in (text.partition("=") for text in sets)]
    twice = sorted({name for name, _ in pairs if [n for n, _ in pairs].count(name) > 1})
    if twice:
        raise UsageError([Mistake(file="--set", key=name, problem="is set twice") for name in twice])
    return dict(pairs)


def run(plan: Plan, out: Path, *, keep_on_fail: bool, as_json: bool) -> int:
    """Execute a plan, show its verdict, return the exit code. Raises UsageError or EnvironmentTrouble at once."""
    if not (Path(plan.app_dir) / "app.toml").is_file():
        raise UsageError(f"the app's folder {plan.app_dir} is gone; a plan needs it for its users and programs")
    if lacks := lacking(plan):
        raise EnvironmentTrouble("cannot be done here:\n" + "\n".join(f"  {lack}" for lack in lacks))
    from seatrial import run as runs
    from seatrial.report.live import LiveView

    say_knobs(plan)
    live = LiveView(plan, sys.stderr, sys.stderr.isatty())
    done = runs.run_plan(plan, out=out, keep_on_fail=keep_on_fail, say=live.say, live=live)
    code = show_verdict(done.verdict, done.folder, as_json)
    return EXIT_INTERRUPTED if done.interrupted else code


def say(line: str) -> None:
    """Write one line of progress to stderr, when there is somebody to read it."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def say_knobs(plan: Plan) -> None:
    """Write the effective value and origin of every knob to stderr."""
    say(f"{plan.app} / {plan.scenario} on {plan.runtime}, seed {plan.seed}")
    for knob in plan.knobs:
        say(f"  {knob.name} = {knob.value} ({knob.origin})")


def show_verdict(verdict: Verdict, folder: Path, as_json_: bool) -> int:
    """Print a verdict and return its exit code, also when nobody reads it any more."""
    with reader_may_leave():
        if as_json_:
            click.echo(verdicts.encode(verdict).decode(), nl=False)
            return verdict.exit_code
        from seatrial.report.terminal import print_summary
        from seatrial.store.folder import RunFolder

        print_summary(verdict, RunFolder(folder).read_plan(), folder, sys.stdout)
    return verdict.exit_code


def as_json(value: Any) -> str:
    """Return a value as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode()


def ps_rows(out: Path) -> list[dict[str, Any]]:
    """Return the runs that are going, left something, or died before their verdict, with what their ledgers hold."""
    from seatrial.store.folder import list_runs
    from seatrial.store.ledger import read_ledger

    rows = []
    for folder in list_runs(out):
        entries = read_ledger(folder.ledger) if folder.ledger.exists() else []
        alive, judged = folder.alive(), (folder.path / "verdict.json").exists()
        if alive or entries or not judged:
            open_entries = [f"{e.kind} {e.name}" for e in entries]
            state = "going" if alive else "dead"
            rows.append({"run": folder.name, "state": state, "judged": judged, "open": open_entries})
    return rows


def ps_text(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the rows for a person."""
    if not rows:
        return ["nothing is running, and nothing was left behind"]
    lines: list[str] = []
    for row in rows:
        count = len(row["open"])
        what = f"{count} entr{'y' if count == 1 else 'ies'} open" if count else "nothing left behind"
        lines.append(f"{row['run']}  {row['state']}  {what}{'' if row['judged'] else ', no verdict'}")
        lines += [f"    {entry}" for entry in row["open"]]
        if row["state"] == "dead":
            lines.append(f"    next: seatrial {'heal' if count else 'judge'} {row['run']}")
    return lines


def heal(run_name: str | None, out: Path) -> list[dict[str, Any]]:
    """Undo what one run, or every dead run, left. Raises UsageError when the run still goes."""
    from seatrial import run as runs
    from seatrial.store.folder import find_run

    if run_name is not None:
        folders = [find_run(run_name, out).path]
    else:
        folders = [out / row["run"] for row in ps_rows(out) if row["state"] == "dead"]
    healed = [(folder, runs.heal(folder)) for folder in folders]
    return [
        {"run": folder.name, "entries": h.open_entries, "done": list(h.done), "left": list(h.left)}
        for folder, h in healed
    ]


def heal_text(healed: Sequence[dict[str, Any]]) -> list[str]:
    """Return what was healed, for a person."""
    if not healed:
        return ["nothing to heal"]
    lines = []
    for one in healed:
        state = f"{len(one['left'])} still there" if one["left"] else "clean"
        lines.append(f"{one['run']}: {one['entries']} open, {state}")
        lines += [f"    {line}" for line in one["done"]]
        lines += [f"    STILL THERE: {line}" for line in one["left"]]
    return lines
