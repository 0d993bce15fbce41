"""Turns a scenario into plan values: load, fault rules, checks, bounds. What it names must be in the app."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seatrial import kinds, plan
from seatrial.config import scenario as tables
from seatrial.config.build_app import AppParts, check_sections, read_array
from seatrial.config.files import Source
from seatrial.config.mistakes import Book, Reader
from seatrial.config.own import read_own, split, with_defaults
from seatrial.config.slo import slo_checks
from seatrial.generate import schedule


@dataclass(slots=True)
class ScenarioParts:
    """The plan values of a scenario, and its fault rules before the seed expands them."""

    file: str
    name: str = ""
    claims: str = ""
    sample_every_s: float = 1.0
    length_s: float = 0.0
    load: plan.Load | None = None
    has_load: bool = False  # also when the table is wrong, so that one mistake is one
    has_faults: bool = False
    rules: list[schedule.Rule] = field(default_factory=list)
    short_on_purpose: set[str] = field(default_factory=set)  # rules whose hold may end before anyone notices
    checks: list[plan.Check] = field(default_factory=list)
    check_keys: dict[str, str] = field(default_factory=dict)  # check name -> its key path in the file
    blast_radius: plan.BlastRadius = field(default_factory=plan.BlastRadius)
    early_abort: plan.EarlyAbort = field(default_factory=plan.EarlyAbort)
    waivers: tuple[plan.WaiverSpec, ...] = ()
    stages: tuple[plan.Stage, ...] = ()


def build_scenario(source: Source, app: AppParts, book: Book) -> ScenarioParts:
    """Return the parts of a scenario; every mistake goes into the book."""
    return _Builder(source, app, book).build()


@dataclass(slots=True)
class _Builder:
    source: Source
    app: AppParts
    book: Book
    parts: ScenarioParts = field(init=False)
    reader: Reader = field(init=False)

    def build(self) -> ScenarioParts:
        raw, file = self.source.raw, self.source.file
        self.parts, self.reader = ScenarioParts(file=file), Reader(file, self.book)
        check_sections(self.source, tables.SECTIONS, self.book)
        head = self.reader.model(tables.ScenarioTable, raw.get("scenario", {}), "scenario")
        if head:
            self.parts.name, self.parts.claims = head.name, head.claims
            self.parts.sample_every_s = head.sample_every
        self.parts.has_load, self.parts.has_faults = "load" in raw, bool(raw.get("faults"))
        self.parts.length_s = (head.length or 0.0) if head else 0.0
        if "load" in raw:
            self._load(raw["load"])
        elif head and head.length is None and ("scenario.length" not in {k for _, k in self.book.lost}):
            self._add("scenario.length", 'must be given when there is no [load], such as length = "30s"')
        self._faults(raw.get("faults", []))
        self._checks(raw.get("checks", []))
        for made, path in slo_checks(raw.get("slo", []), file, self.book):
            self._add_check(made, path)
        self._bounds(raw)
        self._waivers(raw.get("waivers", []))
        self._stages(raw.get("stages", {}))
        return self.parts

    def _load(self, raw: Any) -> None:
        table = self.reader.model(tables.LoadTable, raw, "load")
        if table is None:
            return
        if self.parts.length_s:
            self._add("scenario.length", "the length is said in [load]; leave this one out")
        self.parts.length_s = table.length
        if table.via is not None and table.via not in self.app.link_names:
            self._unknown("load.via", table.via, self.app.link_names, "link")
        if table.warmup >= table.length:
            self._add("load.warmup", "must be shorter than load.length", value=table.warmup)
        self.parts.load = plan.Load(
            users=table.users,
            length_s=self.parts.length_s,
            arrivals=_arrivals(table),
            workers=table.workers,
            warmup_s=table.warmup,
            start_jitter_s=table.jitter,
            hot_share=table.hot_share,
            hot_keys=table.hot_keys,
            timeout_s=table.timeout,
            via=table.via or "",
            mix=table.mix,
        )

    # ---- faults ---------------------------------------------------------------------------------------------

    def _faults(self, raw: Any) -> None:
        shared = set(tables.FaultTable.model_fields)
        entries = _split(self.reader, raw, "faults", shared)
        made = read_array(self.reader, tables.FaultTable, [common for common, _ in entries], "faults")
        for index, table in made.items():
            path, own = f"faults[{index}]", entries[index][1]
            if table.kind not in kinds.FAULTS:
                self._unknown(f"{path}.kind", table.kind, kinds.FAULTS, "fault")
                continue
            fault = kinds.fault(table.kind)
            whose = f"fault {table.kind!r}"
            given = read_own(self.book, self.source.file, path, own, fault.PARAMS, shared, whose)
            params = with_defaults(given, fault.PARAMS)
            targets = self._targets(path, table, fault.TARGETS)
            hold_s = self._hold(path, table, fault.HOLDS)
            if targets:
                when = _when(table)
                if not self._known_stage(path, table):
                    continue
                rule = schedule.Rule(
                    name=path,
                    kind=table.kind,
                    targets=targets,
                    when=when,
                    pick=table.pick,
                    hold_s=hold_s,
                    params=params,
                )
                self.parts.rules.append(rule)
                if table.short:
                    self.parts.short_on_purpose.add(path)

    def _targets(self, path: str, table: tables.FaultTable, allowed: tuple[str, ...]) -> tuple[str, ...]:
        there = _targets_of(self.app, allowed)
        every = tuple(t for t in there if t != "all")
        wanted = every if table.target == ("*",) else table.target or (there if len(there) == 1 else ())
        if not wanted:
            listed = ", ".join(there) or f"the app has no {' or '.join(allowed)}"
            self._add(f"{path}.target", "must be given", hint=f"one of: {listed}")
        for target in wanted:
            if target not in there:
                self._unknown(f"{path}.target", target, there, f"target for fault {table.kind!r}")
        return tuple(t for t in wanted if t in there)

    def _hold(self, path: str, table: tables.FaultTable, holds: bool) -> float:
        given = table.hold if table.hold is not None else table.flap[1] if table.flap else None
        if not holds and given is not None:
            key = "hold" if table.hold is not None else "flap"
            self._add(f"{path}.{key}", f"fault {table.kind!r} heals itself at once; it has no hold", value=given)
        if holds and given is None and (f"{self.source.file}", f"{path}.hold") not in self.book.lost:
            self._add(f"{path}.hold", f'must be given for fault {table.kind!r}: how long it stays, such as "5s"')
        if holds and given == 0:
            self._add(f"{path}.hold", "must be more than 0", value=given)
        return given or 0.0

    def _known_stage(self, path: str, table: tables.FaultTable) -> bool:
        if table.stage is None or table.stage in tables.STAGE_BOUNDS or table.stage == "drive":
            return True
        self._unknown(f"{path}.stage", table.stage, [*tables.STAGE_BOUNDS, "drive"], "stage")
        return False

    # ---- checks ---------------------------------------------------------------------------------------------

    def _checks(self, raw: Any) -> None:
        shared = set(tables.CheckTable.model_fields)
        entries = _split(self.reader, raw, "checks", shared)
        made = read_array(self.reader, tables.CheckTable, [common for common, _ in entries], "checks")
        known = kinds.checks() if made else {}
        for index, table in made.items():
            path = f"checks[{index}]"
            if table.kind not in known:
                self._unknown(f"{path}.kind", table.kind, known, "check")
                continue
            declared, whose = known[table.kind].params, f"check {table.kind!r}"
            params = read_own(self.book, self.source.file, path, entries[index][1], declared, shared, whose)
            name = table.name or table.kind
            self._add_check(plan.Check(name=name, kind=table.kind, level=table.level, params=params), path)

    def _add_check(self, made: plan.Check, path: str) -> None:
        if made.name in self.parts.check_keys:
            other = self.parts.check_keys[made.name]
            self._add(path, f"two checks are called {made.name!r} (the other is {other})", hint="give one a `name`")
            return
        self.parts.check_keys[made.name] = path
        self.parts.checks.append(made)

    # ---- bounds ---------------------------------------------------------------------------------------------

    def _bounds(self, raw: Mapping[str, Any]) -> None:
        if "blast_radius" in raw:
            blast = self.reader.model(tables.BlastTable, raw["blast_radius"], "blast_radius")
            there = _targets_of(self.app, ("process", "link", "all"))
            for target in (blast.targets or ()) if blast else ():
                if target not in there:
                    self._unknown("blast_radius.targets", target, there, "target")
            if blast and set(blast.targets or ()) <= set(there):
                self.parts.blast_radius = plan.BlastRadius(
                    targets=blast.targets or (), at_once=blast.at_once, in_all=blast.in_all
                )
        if "early_abort" in raw:
            self._abort(self.reader.model(tables.AbortTable, raw["early_abort"], "early_abort"))

    def _abort(self, table: tables.AbortTable | None) -> None:
        probes = self.app.probe_names
        if table is None:
            return
        if table.probe is not None and table.probe not in probes:
            self._unknown("early_abort.probe", table.probe, probes, "probe")
        elif table.probe is None and len(probes) != 1:
            self._add("early_abort.probe", "must be given", hint=f"probes of the app: {', '.join(probes) or 'none'}")
        else:
            self.parts.early_abort = plan.EarlyAbort(dead_s=table.dead, probe=table.probe or probes[0])

    def _waivers(self, raw: Any) -> None:
        made = read_array(self.reader, tables.WaiverTable, raw, "waivers")
        for index, table in made.items():
            if table.check not in self.parts.check_keys:
                self._unknown(f"waivers[{index}].check", table.check, self.parts.check_keys, "check")
        self.parts.waivers = tuple(plan.WaiverSpec(**table.model_dump()) for table in made.values())

    def _stages(self, raw: Any) -> None:
        table = self.reader.model(tables.StagesTable, raw, "stages")
        if table is None:
            return
        bounds = tables.STAGE_BOUNDS | {"drive": self.parts.length_s + tables.DRIVE_SLACK_S}
        for key, names in (("order", table.order), ("within", tuple(table.within))):
            for name in names:
                if name not in bounds:
                    self._unknown(f"stages.{key}", name, bounds, "stage")
        if problem := _order_problem(table.order):
            self._add("stages.order", problem, value=", ".join(table.order))
        bounds |= table.within
        if table.within.get("drive", bounds["drive"]) < self.parts.length_s:
            self._add("stages.within.drive", "must be at least the length", value=table.within["drive"])
        self.parts.stages = tuple(plan.Stage(name=n, within_s=bounds[n]) for n in table.order if n in bounds)

    def _add(self, key: str, problem: str, *, value: object = None, hint: str = "") -> None:
        self.book.add(self.source.file, key, problem, value=value, hint=hint)

    def _unknown(self, key: str, word: str, known: Iterable[str], what: str) -> None:
        self.book.unknown(self.source.file, key, word, known, what)


def _arrivals(table: tables.LoadTable) -> plan.Arrivals:
    if table.think is not None:
        return plan.Arrivals(model="closed", think_min_s=table.think[0], think_max_s=table.think[1])
    if table.burst is not None:
        return plan.Arrivals(pattern="burst", burst_size=table.burst.size, burst_every_s=table.burst.every)
    return plan.Arrivals(pattern=table.pattern or "constant", rate=table.rate or 0.0, rate_to=table.rate_to or 0.0)


def _when(table: tables.FaultTable) -> schedule.AnyWhen:
    count, first = table.count or 0, table.first
    if table.stage is not None:
        return schedule.OnStage(stage=table.stage, after_s=table.at[0] if table.at else 0.0)
    if table.ops is not None:
        return schedule.AfterOps(ops=table.ops)
    if table.every is not None:
        first_s = table.every if first is None else first
        return schedule.Every(every_s=table.every, first_s=first_s, count=count, jitter_s=table.spread)
    if table.flap is not None:
        return schedule.Flap(up_s=table.flap[0], down_s=table.flap[1], first_s=first or 0.0, count=count)
    if table.storm is not None:
        return schedule.Storm(least_s=table.storm[0], most_s=table.storm[1], first_s=first or 0.0, count=count)
    return schedule.Once(at_s=table.at or ())


def _targets_of(app: AppParts, allowed: tuple[str, ...]) -> tuple[str, ...]:
    found = app.process_names if "process" in allowed else ()
    found += tuple(f"link:{name}" for name in app.link_names) if "link" in allowed else ()
    return (*found, "all") if "all" in allowed else found


def _split(reader: Reader, raw: Any, path: str, shared: set[str]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    if not isinstance(raw, list) or any(not isinstance(t, Mapping) for t in raw):
        reader.book.add(reader.file, path, f"[[{path}]] tables are wanted")
        return []
    return [split(table, shared) for table in raw]


def _order_problem(order: tuple[str, ...]) -> str:
    if len(set(order)) < len(order):
        return "a stage is named twice"
    if order[:2] != ("install", "ready") or order[-1:] != ("teardown",):
        return "begins with install, ready and ends with teardown"
    needed = [n for n in ("drive", "heal", "quiesce", "readback") if n in order]
    if needed != [n for n in order if n in needed]:
        return "drive, heal, quiesce and readback come in this order: only a calm system is read back"
    missing = [n for n in ("heal", "quiesce") if "drive" in order and n not in order]
    return f"{missing[0]} is missing; what is driven is calmed before it is judged" if missing else ""
