"""The commands, their arguments and help. What does the work is imported inside a command, so that help is quick."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from seatrial import __version__
from seatrial.cli.history import history
from seatrial.errors import EXIT_ENVIRONMENT, EXIT_PASS, EXIT_UNPROVEN

F = TypeVar("F", bound=Callable[..., Any])
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

json_option = click.option("--json", "as_json", is_flag=True, help="Print data for a program instead of text.")
out_option = click.option("--out", default="runs", show_default=True, help="The folder that holds runs.")


def _planning(command: F) -> F:
    """Add what `run` and `plan` have in common."""
    options = [
        click.argument("app"),
        click.argument("scenario", default="default"),
        click.option("--set", "sets", multiple=True, metavar="KNOB=VALUE", help="Set a knob; may be repeated."),
        click.option("--seed", type=int, default=None, help="The seed; a new one is chosen when it is not given."),
        click.option("--runtime", default="process", show_default=True, help="How the app is deployed."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group(context_settings=SETTINGS)
@click.version_option(__version__, prog_name="seatrial")
def cli() -> None:
    """Sea trials for services: deploy the real artefact, use it, break it, and get a verdict that can be trusted.

    APP is a folder with app.toml, or a name under apps/. RUN is a run folder, the beginning of its name, or "latest".

    Exit codes: 0 pass, 1 fail, 2 inconclusive or not tested, 3 environment, 64 usage, 70 our own bug, 130 interrupted.
    """


@cli.command()
@_planning
@out_option
@click.option("--keep-on-fail", is_flag=True, help="Keep the app up when the run is not green, until Ctrl-C.")
@json_option
def run(
    app: str,
    scenario: str,
    sets: tuple[str, ...],
    seed: int | None,
    runtime: str,
    out: str,
    keep_on_fail: bool,
    as_json: bool,
) -> int:
    """Run a trial of APP and hand over its verdict."""
    from seatrial.cli import trial

    made = trial.plan_of(app, scenario, sets, _seed(seed), runtime)
    return trial.run(made, Path(out), keep_on_fail=keep_on_fail, as_json=as_json)


@cli.command()
@_planning
@json_option
def plan(app: str, scenario: str, sets: tuple[str, ...], seed: int | None, runtime: str, as_json: bool) -> int:
    """Show what a run would do; run nothing.

    Exit code 64 when the plan is refused, 3 when this machine lacks something for it.
    """
    from seatrial import plan as plans
    from seatrial.cli import show_plan, trial
    from seatrial.config.refuse import lacking

    made = trial.plan_of(app, scenario, sets, _seed(seed), runtime)
    click.echo(plans.encode(made).decode() if as_json else "\n".join(show_plan.lines(made)))
    lacks = lacking(made)
    for lack in lacks:
        click.echo(f"cannot be done here: {lack}", err=True)
    return EXIT_ENVIRONMENT if lacks else EXIT_PASS


@cli.command()
@click.argument("run_name", metavar="RUN")
@out_option
@json_option
def judge(run_name: str, out: str, as_json: bool) -> int:
    """Judge RUN again, from what is on disk."""
    from seatrial import run as runs
    from seatrial.cli import trial
    from seatrial.store.folder import find_run

    folder = find_run(run_name, out).path
    return trial.show_verdict(runs.judge_again(folder), folder, as_json)


@cli.command()
@click.argument("run_name", metavar="RUN")
@out_option
@json_option
def report(run_name: str, out: str, as_json: bool) -> int:
    """Write the report files of RUN again."""
    from seatrial import run as runs
    from seatrial.cli import trial
    from seatrial.store.folder import find_run

    folder = find_run(run_name, out).path
    runs.refuse_going(folder)
    paths = [str(path) for path in runs.rebuild_reports(folder)]
    click.echo(trial.as_json({"files": paths}) if as_json else "\n".join(paths))
    return EXIT_PASS


@cli.command()
@click.argument("run_name", metavar="RUN")
@out_option
@click.option("--keep-on-fail", is_flag=True, help="Keep the app up when the run is not green, until Ctrl-C.")
@json_option
def replay(run_name: str, out: str, keep_on_fail: bool, as_json: bool) -> int:
    """Run the plan of RUN again.

    The same seed, and so the same load, faults and victims.
    """
    from seatrial.cli import trial
    from seatrial.store.folder import find_run

    made = find_run(run_name, out).read_plan()
    return trial.run(made, Path(out), keep_on_fail=keep_on_fail, as_json=as_json)


@cli.command()
@json_option
def faults(as_json: bool) -> int:
    """List the faults and whether they work here.

    What each does, to what, and its parameters.
    """
    from seatrial.cli import listing

    click.echo(listing.faults_json() if as_json else "\n".join(listing.faults_text()))
    return EXIT_PASS


@cli.command()
@json_option
def checks(as_json: bool) -> int:
    """List the checks and their limits.

    What each claims, what it needs of a plan, and every limit with its default.
    """
    from seatrial.cli import listing

    click.echo(listing.checks_json() if as_json else "\n".join(listing.checks_text()))
    return EXIT_PASS


@cli.command()
@out_option
@json_option
def doctor(out: str, as_json: bool) -> int:
    """Say what this machine can do and what it lacks."""
    from seatrial.cli import listing

    click.echo(listing.doctor_json(Path(out)) if as_json else "\n".join(listing.doctor_text(Path(out))))
    return EXIT_PASS


@cli.command()
@out_option
@json_option
def ps(out: str, as_json: bool) -> int:
    """List runs that go on or left something."""
    from seatrial.cli import trial

    rows = trial.ps_rows(Path(out))
    click.echo(trial.as_json({"runs": rows}) if as_json else "\n".join(trial.ps_text(rows)))
    return EXIT_PASS


@cli.command()
@click.argument("run_name", metavar="[RUN]", required=False)
@out_option
@json_option
def heal(run_name: str | None, out: str, as_json: bool) -> int:
    """Undo what a dead RUN (or all) left behind.

    It is verified, by listing again, that nothing is left; what is left is shown, and the exit code is 2.
    """
    from seatrial.cli import trial

    healed = trial.heal(run_name, Path(out))
    click.echo(trial.as_json({"runs": healed}) if as_json else "\n".join(trial.heal_text(healed)))
    return EXIT_UNPROVEN if any(one["left"] for one in healed) else EXIT_PASS


@cli.command()
@click.argument("name")
def init(name: str) -> int:
    """Write a small app that runs, to begin with.

    It is written to apps/NAME, or to the folder NAME when that has a slash.
    """
    from seatrial.cli import starter

    folder = starter.write(name)
    click.echo(str(folder))
    click.echo(f"next: seatrial plan {name}; then seatrial run {name}", err=True)
    return EXIT_PASS


cli.add_command(history)


def _seed(given: int | None) -> int:
    """Return the seed, chosen when it was not given; it is the first line that a person sees."""
    seed = secrets.randbelow(2**31) if given is None else given
    with contextlib.suppress(OSError):  # nobody reads it
        click.echo(f"seed {seed}", err=True)
    return seed
