"""What is refused at plan time, because its run could prove nothing, and what this machine lacks for a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from seatrial import kinds
from seatrial.config.build_app import AppParts
from seatrial.config.build_scenario import ScenarioParts
from seatrial.config.mistakes import Book
from seatrial.generate.schedule import MOST_INJECTIONS, Every, Flap, Once, Rule, Storm, hold_of, most_at_once
from seatrial.params import Kind, show
from seatrial.plan import Arrivals, Plan, PlannedFault

if TYPE_CHECKING:
    from seatrial.host.capabilities import Capability

ARTEFACT_TOOLS = {"npm": ("npm", "node"), "apt": ("apt-get",)}  # what a provider needs of the machine


def refuse(app: AppParts, scenario: ScenarioParts, faults: tuple[PlannedFault, ...], book: Book) -> None:
    """Write down every fault that cannot fire or be noticed, and every check that nothing would exercise."""
    book_of = _Refusals(app, scenario, book)
    for rule in scenario.rules if scenario.length_s else ():
        book_of.rule(rule, [f for f in faults if f.rule == rule.name])
    book_of.radius(faults)
    book_of.checks()
    book_of.crew()


def lacking(plan: Plan) -> list[str]:
    """Return what this machine lacks for the plan, each with the reason and the way to get it. Probes the machine."""
    from seatrial.host import capabilities

    wanted: dict[str, list[str]] = {}
    for kind in sorted({f.kind for f in plan.faults}):
        for name in kinds.fault(kind).NEEDS:
            wanted.setdefault(name, []).append(f"fault {kind!r}")
    for artefact in plan.artefacts:
        for name in ARTEFACT_TOOLS.get(artefact.provider, ()):
            wanted.setdefault(name, []).append(f"artefact {artefact.name!r} ({artefact.provider})")
    if not wanted:
        return []
    there = {c.name: c for c in capabilities.probe()}
    return list(_lacks(wanted, there))


def _lacks(wanted: dict[str, list[str]], there: Mapping[str, Capability]) -> Iterator[str]:
    for name, by in wanted.items():
        one = there.get(name)
        if one is None:
            yield f"{', '.join(by)} needs {name!r}, which this seatrial cannot probe"
        elif not one.present:
            yield f"{', '.join(by)} needs {name!r}: {one.detail or 'not here'}; {one.how}"


class _Refusals:
    def __init__(self, app: AppParts, scenario: ScenarioParts, book: Book) -> None:
        self.app, self.scenario, self.book = app, scenario, book

    def rule(self, rule: Rule, planned: list[PlannedFault]) -> None:
        length_s, when = self.scenario.length_s, rule.when
        if not planned:
            self._refuse(rule.name, f"can never fire: its first hold would end after the length ({_s(length_s)})")
        wanted = getattr(when, "count", 0)
        if planned and wanted and wanted > len(planned) // (len(rule.targets) if rule.pick == "each" else 1):
            self._refuse(
                f"{rule.name}.count", f"only {len(planned)} fit into the length ({_s(length_s)})", value=wanted
            )
        if isinstance(when, (Every, Flap, Storm)) and len(planned) >= MOST_INJECTIONS:
            self._refuse(rule.name, f"more than {MOST_INJECTIONS} injections; make it rarer or give `count`")
        if isinstance(when, Once):
            self._moments(rule, when)
        if isinstance(when, Every) and rule.hold_s >= when.every_s:
            self._refuse(
                f"{rule.name}.hold", f"must be shorter than `every` ({_s(when.every_s)})", value=_s(rule.hold_s)
            )
        for fault in planned[:1]:
            self._event(rule, fault)
        self._noticed(rule)
        self._brought_up(rule)

    def _brought_up(self, rule: Rule) -> None:
        """A process that its own policy is to bring up needs such a policy."""
        if rule.params.get("up_by") != "policy":
            return
        for process in self.app.processes:
            if process.name in rule.targets and process.restart == "never":
                self._refuse(
                    f"{rule.name}.up_by", f'nothing would start it again: processes.{process.name}.restart is "never"'
                )

    def _moments(self, rule: Rule, when: Once) -> None:
        length_s = self.scenario.length_s
        for at_s in when.at_s:
            if at_s >= length_s:
                self._refuse(f"{rule.name}.at", f"is not before the length ({_s(length_s)})", value=_s(at_s))
            elif at_s + rule.hold_s > length_s:
                end = _s(at_s + rule.hold_s)
                self._refuse(
                    f"{rule.name}.hold",
                    f"ends at {end}, after the length ({_s(length_s)}): no user would see the recovery",
                    value=_s(rule.hold_s),
                )

    def _event(self, rule: Rule, fault: PlannedFault) -> None:
        trigger, order = fault.trigger, [s.name for s in self.scenario.stages]
        if trigger.kind == "stage":
            if trigger.stage not in order:
                self._refuse(f"{rule.name}.stage", "this stage is not in the plan", value=trigger.stage)
            elif "drive" not in order or not order.index("drive") <= order.index(trigger.stage) < _heal(order):
                self._refuse(
                    f"{rule.name}.stage", "faults are in force from drive until heal only", value=trigger.stage
                )
            elif trigger.stage == "drive" and trigger.at_s + rule.hold_s > self.scenario.length_s:
                self._refuse(rule.name, f"does not end within the length ({_s(self.scenario.length_s)})")
        if trigger.kind == "ops" and (most := self.most_ops()) is not None and trigger.ops >= most:
            self._refuse(f"{rule.name}.ops", f"never happens: the load makes {most:.0f} arrivals", value=trigger.ops)

    def most_ops(self) -> float | None:
        """Return how many arrivals the load makes; None when that depends on the app (closed) or there is none."""
        load = self.scenario.load
        if load is None or load.arrivals.model != "open":
            return None
        return expected_arrivals(load.arrivals, load.length_s)

    def _noticed(self, rule: Rule) -> None:
        if rule.name in self.scenario.short_on_purpose or not hold_of(rule):
            return
        for target in rule.targets:
            detects_s = self.app.detects.get(target, 0.0)
            if hold_of(rule) <= detects_s:
                self._refuse(
                    f"{rule.name}.hold",
                    f"is over before the app notices ({target} detects = {_s(detects_s)}), so it tests nothing",
                    value=_s(hold_of(rule)),
                    hint="hold it longer, or say short = true when that is the point",
                )

    def radius(self, faults: tuple[PlannedFault, ...]) -> None:
        """Hold the whole schedule against the blast radius."""
        radius = self.scenario.blast_radius
        together = most_at_once(faults)
        if len(together) > radius.at_once:
            rules = sorted({f.rule for f in faults if f.id in together})
            self._refuse(
                "blast_radius.at_once",
                f"{len(together)} faults would be in force at once ({', '.join(rules)})",
                value=radius.at_once,
                hint="move them apart, or allow it",
            )
        if len(faults) > radius.in_all:
            self._refuse("blast_radius.in_all", f"the plan has {len(faults)} faults", value=radius.in_all)
        for fault in faults:
            if radius.targets and fault.target not in radius.targets:
                self._refuse(f"{fault.rule}.target", "is outside blast_radius.targets", value=fault.target)

    def checks(self) -> None:
        """Refuse a plan without a gate check, and checks that nothing in the plan would exercise."""
        checks = self.scenario.checks
        if not any(c.level == "gate" for c in checks):
            why = "there is no check at gate level, so this run could never pass"
            self._refuse("checks", why, hint='add for example [[checks]] kind = "durability"')
        table = kinds.checks() if checks else {}
        have = exercisers(self.app, self.scenario)
        for check in checks:
            for need in sorted(table[check.kind].needs):
                if not have.get(need, True):
                    key = self.scenario.check_keys[check.name]
                    self._refuse(key, f"check {check.name!r} would examine nothing: {_MISSING[need]}")

    def crew(self) -> None:
        """Refuse load without users and users without load."""
        if self.scenario.has_load and not self.app.has_users:
            self.book.add(self.app.file, "users", "must be given, because the scenario has [load]")

    def _refuse(self, key: str, problem: str, *, value: object = None, hint: str = "") -> None:
        self.book.add(self.scenario.file, key, problem, value=value, hint=hint)


_MISSING = {
    "ops": "the scenario has no [load] or the app no [users]",
    "readback": "the stage readback is not in the plan, or nobody reads back",
    "probe": "the app has no [probes.<name>]",
    "faults": "the scenario has no [[faults]]",
    "samples": "the app has no process",
    "logs": "the app has no [[logs]]",
    "identity": "no process has an [identity]",
    "processes": "the app has no process",
}


def exercisers(app: AppParts, scenario: ScenarioParts) -> dict[str, bool]:
    """Return, for each thing that a check may need of a plan, whether it is there."""
    stages = {s.name for s in scenario.stages}
    ops = scenario.has_load and app.has_users and "drive" in stages
    return {
        "ops": ops,
        "readback": ops and "readback" in stages,
        "probe": bool(app.probe_names),
        "faults": scenario.has_faults,
        "samples": bool(app.process_names),
        "logs": bool(app.log_names),
        "identity": not app.processes or any(p.identity for p in app.processes),
        "processes": bool(app.process_names),
    }


def expected_arrivals(arrivals: Arrivals, length_s: float) -> float:
    """Return how many ops an open load starts over its length (the mean, for poisson)."""
    if arrivals.pattern == "ramp":
        return (arrivals.rate + arrivals.rate_to) / 2 * length_s
    if arrivals.pattern == "burst":
        return arrivals.burst_size * -(-length_s // arrivals.burst_every_s)
    return arrivals.rate * length_s


def _heal(order: list[str]) -> int:
    return order.index("heal") if "heal" in order else len(order)


def _s(seconds: float) -> str:
    return show(Kind.DURATION, float(seconds))
