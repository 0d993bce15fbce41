"""Text to plan: app.toml + scenario + knobs + seed become one validated value, or every mistake at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import msgspec

import seatrial
from seatrial import kinds, plan
from seatrial.config.app import AppScenarioTable
from seatrial.config.build_app import AppParts, build_app
from seatrial.config.build_scenario import ScenarioParts, build_scenario
from seatrial.config.files import Source, find_app, find_scenario, read_toml
from seatrial.config.knobs import Knobs
from seatrial.config.mistakes import Book, Reader
from seatrial.config.own import with_defaults
from seatrial.config.refuse import refuse
from seatrial.generate.schedule import expand
from seatrial.params import nearest

SEED_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to plan: an app (folder or name), a scenario by name, or as a document, and what the caller sets."""

    app: str | Path
    seed: int
    scenario: str = "default"
    document: Source | None = None
    sets: Mapping[str, Any] = field(default_factory=dict)
    sets_from: str = "--set"  # the origin that the values of `sets` are recorded with
    runtime: str = "process"


def make_plan(request: Request) -> plan.Plan:
    """Return the plan. Raises UsageError with every mistake of app, scenario, knobs and arguments."""
    book = Book()
    app_dir = find_app(request.app)
    app_source = read_toml(app_dir / "app.toml", _shown(app_dir / "app.toml"), book)
    scenario_source = _scenario_source(request, app_dir, book)
    if book.mistakes:  # a document that does not parse: nothing more can be said about the two
        book.raise_if_any()
    _check_arguments(request, book)
    knobs = _knobs(request, app_source, scenario_source, book)
    app = build_app(knobs.fill(app_source), app_dir, book, knobs.embed)
    scenario = build_scenario(knobs.fill(scenario_source), app, book)
    knobs.check_used(app.users_text)
    _check_name(request, scenario, book)
    faults = expand(scenario.rules, scenario.length_s, lambda rule: Random(f"{request.seed}/{rule}"))
    refuse(app, scenario, faults, book)
    book.raise_if_any()
    return _plan(request, app_dir, app, scenario, faults, knobs)


def _scenario_source(request: Request, app_dir: Path, book: Book) -> Source:
    if request.document is not None:
        return request.document
    path = find_scenario(app_dir, request.scenario)
    return read_toml(path, _shown(path), book)


def _knobs(request: Request, app: Source, scenario: Source, book: Book) -> Knobs:
    knobs = Knobs(book)
    knobs.declare(app, "default")
    knobs.declare(scenario, "default")
    _give_all(knobs, scenario.file, "set", scenario.raw.get("set", {}), "scenario", book)
    _give_all(knobs, app.file, f"scenarios.{_name(request)}.set", _app_sets(request, app, book), "app", book)
    for name, value in request.sets.items():
        knobs.give(request.sets_from, "", name, value, request.sets_from)
    knobs.require_all()
    return knobs


def _give_all(knobs: Knobs, file: str, path: str, raw: Any, origin: str, book: Book) -> None:
    if not isinstance(raw, Mapping):
        book.add(file, path, "a table of knobs and values is wanted", value=raw)
        return
    for name, value in raw.items():
        knobs.give(file, path, name, value, origin)


def _app_sets(request: Request, app: Source, book: Book) -> Mapping[str, Any]:
    made = Reader(app.file, book).tables(AppScenarioTable, app.raw.get("scenarios", {}), "scenarios")
    return made[_name(request)].set if _name(request) in made else {}


def _name(request: Request) -> str:
    if request.document is not None:
        return str(request.document.raw.get("scenario", {}).get("name", ""))
    return Path(request.scenario).stem if request.scenario.endswith(".toml") else request.scenario


def _check_arguments(request: Request, book: Book) -> None:
    if request.runtime not in kinds.RUNTIMES:
        known = ", ".join(kinds.RUNTIMES)
        problem = f"no such runtime{nearest(request.runtime, kinds.RUNTIMES)}"
        book.add("command line", "--runtime", problem, value=request.runtime, hint=f"runtimes: {known}")
    if not 0 <= request.seed <= SEED_MOST:
        book.add("command line", "--seed", f"a whole number from 0 to {SEED_MOST} is wanted", value=request.seed)


def _check_name(request: Request, scenario: ScenarioParts, book: Book) -> None:
    if request.document is None and scenario.name and scenario.name != _name(request):
        problem = f"must be the name of the file, {_name(request)!r}"
        book.add(scenario.file, "scenario.name", problem, value=scenario.name)


def _plan(
    request: Request,
    app_dir: Path,
    app: AppParts,
    scenario: ScenarioParts,
    faults: tuple[plan.PlannedFault, ...],
    knobs: Knobs,
) -> plan.Plan:
    made = plan.Plan(
        seatrial=seatrial.__version__,
        app=app.name,
        app_dir=str(app_dir),
        scenario=scenario.name,
        runtime=request.runtime,
        seed=request.seed,
        knobs=knobs.effective(),
        artefacts=app.artefacts,
        processes=app.processes,
        links=app.links,
        probes=app.probes,
        logs=app.logs,
        data=app.data,
        crew=app.crew,
        load=scenario.load,
        stages=scenario.stages,
        faults=faults,
        blast_radius=scenario.blast_radius,
        checks=tuple(scenario.checks),
        early_abort=scenario.early_abort,
        sample_every_s=scenario.sample_every_s,
        waivers=scenario.waivers,
        claims=scenario.claims,
    )
    return msgspec.structs.replace(made, checks=tuple(_complete(check, made) for check in made.checks))


def _complete(check: plan.Check, made: plan.Plan) -> plan.Check:
    """Write every default limit into the plan, so that none is hidden and a later default changes no old verdict.

    What the check takes from the plan itself (its facts) stays out, so that it is never said twice.
    """
    kind = kinds.checks()[check.kind]
    facts = kind.facts(made)
    declared = [p for p in kind.params if p.name not in facts or p.name in check.params]
    return msgspec.structs.replace(check, params=with_defaults(check.params, declared))


def _shown(path: Path) -> str:
    here = Path.cwd().resolve()
    return str(path.resolve().relative_to(here)) if path.resolve().is_relative_to(here) else str(path)
