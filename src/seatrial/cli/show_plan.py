"""A plan in words: what will be deployed, driven, broken and judged, with every number that a person would ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from seatrial import kinds
from seatrial.config.refuse import expected_arrivals
from seatrial.params import Kind, Param, show
from seatrial.plan import Load, Plan, PlannedFault, Process

FAULTS_SHOWN = 40


def lines(plan: Plan) -> list[str]:
    """Return the whole plan for a person."""
    found = [f"{plan.app} / {plan.scenario} on {plan.runtime}, seed {plan.seed}"]
    found += [f"  {line}" for line in plan.claims.splitlines()]
    sections = (
        ("Artefacts", _artefacts(plan)),
        ("Processes", _processes(plan)),
        ("Links", [f"{link.name}  to {link.to}, through a fault proxy" for link in plan.links]),
        ("Stages", [f"{s.name}  within {_s(s.within_s)}" for s in plan.stages]),
        ("Load", _load(plan)),
        ("Faults", list(_faults(plan))),
        ("Blast radius", _radius(plan)),
        ("Checks", list(_checks(plan))),
        ("Waivers", [f"{w.check}: {w.reason} ({w.author}, until {w.expires})" for w in plan.waivers]),
        ("Knobs", [f"{k.name} = {k.value}  ({k.origin})  {k.help}".rstrip() for k in plan.knobs]),
    )
    for title, body in sections:
        if body:
            found += ["", title, *(f"  {line}" for line in body)]
    return found


def _artefacts(plan: Plan) -> list[str]:
    return [
        f"{a.name}  {a.package} {a.version} from {a.provider}{_options(a.options)}".replace("  from", " from")
        for a in plan.artefacts
    ]


def _options(options: dict[str, Any]) -> str:
    return f" ({', '.join(f'{k}={v}' for k, v in options.items())})" if options else ""


def _processes(plan: Plan) -> list[str]:
    return [line for process in plan.processes for line in _process(process)]


def _process(process: Process) -> list[str]:
    found = [f"{process.name}  {' '.join(process.command)}"]
    if process.ready:
        ready = process.ready
        what = {"http": ready.path, "log": ready.pattern, "exec": " ".join(ready.command), "protocol": ready.function}
        told = f"{ready.kind} {what.get(ready.kind, '')}".strip()
        found.append(f"  ready: {told}, {ready.consecutive} in a row within {_s(ready.within_s)}")
    else:
        found.append("  ready: as soon as it has started (no [ready] is declared)")
    if process.identity:
        found.append(f"  identity: by {process.identity.kind}, compared with {process.identity.expect}")
    grace = f"SIG{process.stop_signal}, killed after {_s(process.stop_grace_s)}"
    found.append(f"  stop: {grace}; restart: {process.restart}")
    return found


def _load(plan: Plan) -> list[str]:
    if plan.load is None:
        return ["none"]
    load, crew = plan.load, plan.crew
    who = crew.module or " ".join(crew.program) if crew else "nobody"
    found = [f"{load.users} users ({who}) for {_s(load.length_s)}: {_arrivals(load)}"]
    extras = {
        "warm-up": load.warmup_s and _s(load.warmup_s),
        "start jitter": load.start_jitter_s and _s(load.start_jitter_s),
        "hot keys": load.hot_keys and f"{load.hot_keys}, {load.hot_share:.0%} of writes",
        "mix": ", ".join(f"{k} {v:g}" for k, v in load.mix.items()),
    }
    found += [f"{name}: {value}" for name, value in extras.items() if value]
    found.append(f"an op is given up after {_s(load.timeout_s)}; {_via(plan, load)}")
    return found


def _via(plan: Plan, load: Load) -> str:
    if load.via:
        return f"users go through link {load.via!r}"
    return f"users go straight to {plan.processes[0].name}"


def _arrivals(load: Load) -> str:
    arrivals = load.arrivals
    if arrivals.model == "closed":
        pause = f"{_s(arrivals.think_min_s)} to {_s(arrivals.think_max_s)}"
        return f"each waits for its answer, then {pause}; the number of ops depends on the app"
    total = f"{expected_arrivals(arrivals, load.length_s):,.0f}"
    if arrivals.pattern == "burst":
        return f"{arrivals.burst_size} arrivals at once every {_s(arrivals.burst_every_s)}, {total} in all"
    if arrivals.pattern == "ramp":
        return f"from {arrivals.rate:g}/s to {arrivals.rate_to:g}/s, {total} arrivals in all"
    about = "about " if arrivals.pattern == "poisson" else ""
    return f"{arrivals.rate:g}/s ({arrivals.pattern}), {about}{total} arrivals in all"


def _faults(plan: Plan) -> Iterator[str]:
    if not plan.faults:
        yield "none: this run shows nothing about faults"
    for fault in plan.faults[:FAULTS_SHOWN]:
        yield f"{fault.id:4} {when(fault)}  {what(fault)}"
    if len(plan.faults) > FAULTS_SHOWN:
        yield f"... and {len(plan.faults) - FAULTS_SHOWN} more (see --json)"


def when(fault: PlannedFault) -> str:
    """Return when a fault begins, in words."""
    trigger = fault.trigger
    if trigger.kind == "stage":
        return f"when {trigger.stage} begins" + (f", plus {_s(trigger.at_s)}" if trigger.at_s else "")
    return f"after {trigger.ops} ops" if trigger.kind == "ops" else f"at {_s(round(trigger.at_s, 2)):>7}"


def what(fault: PlannedFault) -> str:
    """Return what a fault does, in words."""
    target = "everything" if fault.target == "all" else fault.target
    declared = {p.name: p for p in kinds.fault(fault.kind).PARAMS}
    told = ", ".join(f"{n} {shown(declared.get(n), v)}" for n, v in fault.params.items() if v not in ("", [], None))
    hold = f" for {_s(fault.hold_s)}" if fault.hold_s else ""
    return f"{fault.kind} {target}{hold}" + (f" ({told})" if told else "")


def shown(param: Param | None, value: Any) -> str:
    """Return a parameter's value as a person would write it."""
    return show(param.kind, value) if param else str(value)


def _radius(plan: Plan) -> list[str]:
    radius = plan.blast_radius
    targets = ", ".join(radius.targets) or "any target of this plan"
    found = [f"{targets}; at most {radius.at_once} at once, {radius.in_all} in all"]
    if plan.early_abort.dead_s:
        found.append(f"stops early when {plan.early_abort.probe} fails for {_s(plan.early_abort.dead_s)}")
    return found


def _checks(plan: Plan) -> Iterator[str]:
    table = kinds.checks()
    for check in plan.checks:
        kind = table[check.kind]
        of_kind = "" if check.name == check.kind else f" ({check.kind})"
        yield f"{check.name}{of_kind}, {check.level}: {kind.summary}"
        declared = {p.name: p for p in kind.params}
        limits = [f"{n} {shown(declared.get(n), v)}" for n, v in check.params.items() if v not in ("", [], None)]
        if limits:
            yield f"    limits: {', '.join(limits)}"
        yield f"    exercised by: {_exercised(plan, sorted(kind.needs))}"


def _exercised(plan: Plan, needs: Sequence[str]) -> str:
    there = {
        "ops": "the users' ops",
        "readback": "the read-back",
        "probe": f"probe {', '.join(p.name for p in plan.probes)}",
        "faults": f"{len(plan.faults)} fault{'s' if len(plan.faults) != 1 else ''}",
        "samples": "resource samples",
        "logs": f"log pattern {', '.join(p.name for p in plan.logs)}",
        "identity": f"identity of {', '.join(p.name for p in plan.processes if p.identity)}",
        "processes": f"process {', '.join(p.name for p in plan.processes)}",
    }
    return "; ".join(there[need] for need in needs) or "every run"


def _s(seconds: float) -> str:
    return show(Kind.DURATION, float(seconds))
