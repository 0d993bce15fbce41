"""A small whole run in which everything went well, to be spoiled by tests one thing at a time."""

from __future__ import annotations

from seatrial import plan as plans
from seatrial.clock import NS, Anchor
from seatrial.history import (
    AnyEvent,
    CrewStats,
    FaultEvent,
    Flag,
    History,
    HostSample,
    IdentitySeen,
    LogCount,
    LogMatch,
    OpOutcome,
    OpRow,
    ProbeSample,
    ProcessEvent,
    Residue,
    ResourceSample,
    RunStarted,
    StageEvent,
    Verb,
    ops_from_rows,
)

T0 = 100 * NS
FAULTS = (("f1", 10.0, 12.0), ("f2", 25.0, 27.0))
STAGES = (("ready", 0.0, 1.0), ("drive", 1.0, 40.0), ("quiesce", 40.0, 42.0), ("readback", 42.0, 45.0))


def at(second: float) -> int:
    """Return an instant of the run."""
    return T0 + round(second * NS)


def down(second: float) -> bool:
    """Return whether the service is down: in a fault, and half a second longer."""
    return any(a <= second < b + 0.5 for _, a, b in FAULTS)


def rows() -> list[OpRow]:
    """Return 1,500 ops at a steady rate, written and read back by four users."""
    made: list[OpRow] = []
    values: dict[str, str] = {}
    for number in range(1500):
        second = 1.5 + number * 0.025
        user, key = number % 4, f"u{number % 4}/{number // 8 % 20}"
        write = number // 4 % 2 == 0
        good = not down(second)
        if write and good:
            values[key] = f"v{number}"
        made.append(
            OpRow(
                verb=Verb.WRITE if write else Verb.READ,
                outcome=OpOutcome.OK if good else OpOutcome.FAIL,
                user=user,
                key=key,
                value=f"v{number}" if write else None,
                result=values.get(key) if good and not write else None,
                name="put" if write else "get",
                started_ns=at(second),
                ended_ns=at(second + 0.004),
            )
        )
    for number, (key, value) in enumerate(sorted(values.items())):
        begun = at(42 + number * 0.01)
        made.append(
            OpRow(
                verb=Verb.READ,
                user=int(key[1]),
                key=key,
                result=value,
                name="get",
                flags=Flag.OWNED | Flag.READBACK,
                started_ns=begun,
                ended_ns=begun + 2_000_000,
            )
        )
    return made


def fault_events() -> list[AnyEvent]:
    """Return the whole life of the two faults."""
    found: list[AnyEvent] = []
    for name, begun, ended in FAULTS:
        steps = {"planned": begun, "injecting": begun - 0.1, "injected": begun, "verified": begun + 0.1}
        steps |= {"healing": ended - 0.2, "healed": ended - 0.1, "gone": ended}
        found += [FaultEvent(t_ns=at(s), id=name, kind="kill", target="web", what=w) for w, s in steps.items()]
    return found


def process_events() -> list[AnyEvent]:
    """Return starts and exits: by the engine, and by the faults."""
    found: list[AnyEvent] = [ProcessEvent(t_ns=at(0.1), process="web", what="start", pid=10, by="engine")]
    for number, (name, begun, ended) in enumerate(FAULTS):
        found.append(ProcessEvent(t_ns=at(begun), process="web", what="exit", pid=10 + number, code=-9, by=name))
        found.append(ProcessEvent(t_ns=at(ended - 0.1), process="web", what="start", pid=11 + number, by=name))
        line = f"recovered after {name}"
        found.append(LogMatch(t_ns=at(ended + 0.2), process="web", pattern="recovered", line=line))
    found.append(ProcessEvent(t_ns=at(46), process="web", what="exit", pid=12, code=0, by="engine", took_s=0.2))
    return found


def events() -> list[AnyEvent]:
    """Return all events of the run."""
    found: list[AnyEvent] = [RunStarted(t_ns=at(0), run="r", wall_ns=1_800_000_000 * NS, seatrial="0.1.0")]
    for name, begun, ended in STAGES:
        found.append(StageEvent(t_ns=at(begun), stage=name, what="begin"))
        found.append(StageEvent(t_ns=at(ended), stage=name, what="end", outcome="pass"))
    for half in range(2, 90):
        ok = not down(half / 2)
        found.append(ProbeSample(t_ns=at(half / 2), probe="health", ok=ok, latency_ns=3_000_000, status=200 * ok))
    for tenth in range(10, 450):
        wobble = (tenth * 7919 % 13) * 4096
        found.append(
            ResourceSample(t_ns=at(tenth / 10), process="web", rss=50_000_000 + wobble, fds=20 + tenth % 3, threads=8)
        )
    for second in range(1, 45):
        found.append(CrewStats(t_ns=at(second), worker=0, arrivals=40, lag_p50_ns=20_000, lag_p99_ns=90_000, busy=0.2))
        found.append(HostSample(t_ns=at(second), steal_percent=0.1, disk_free=10**11, oom_kills=3))
    for moment, second in (("ready", 1.0), ("readback", 45.0)):
        for source in ("runtime", "app"):
            seen = {"moment": moment, "artefact": "web", "source": source, "expected": "1.0", "observed": "1.0"}
            found.append(IdentitySeen(t_ns=at(second), ok=True, **seen))
    found.append(LogCount(t_ns=at(46), process="web", pattern="panic", count=0, lines=500))
    found.append(LogCount(t_ns=at(46), process="web", pattern="recovered", count=2, lines=500))
    found.append(StageEvent(t_ns=at(45.5), stage="teardown", what="begin"))
    found.append(Residue(t_ns=at(47), clean=True))
    found.append(StageEvent(t_ns=at(47), stage="teardown", what="end", outcome="pass"))
    return [*found, *fault_events(), *process_events()]


def healthy() -> History:
    """Return the history of the run."""
    anchor = Anchor(wall_ns=1_800_000_000 * NS, mono_ns=T0)
    return History(ops=ops_from_rows(rows()), anchor=anchor).with_events(tuple(events()))


CHECKS_OF_PLAN: dict[str, tuple[str, dict[str, object]]] = {
    "durability": ("durability", {}),
    "session": ("session", {}),
    "accounting": ("accounting", {}),
    "availability": ("availability", {"min_share": 0.8}),
    "ops_availability": ("ops_availability", {"min_share": 0.8}),
    "recovery": ("recovery", {"within": 5.0}),
    "success outside": ("success_rate", {"min": 0.95, "phase": "outside"}),
    "p99 before": ("latency", {"max": 0.1, "quantile": 0.95, "phase": "before"}),
    "stability": ("stability", {}),
    "stop": ("stop", {}),
    "leak": ("leak", {"min_span": 5.0, "min_samples": 100}),
    "fd leak": ("leak", {"metric": "fds", "min_span": 5.0, "min_samples": 100, "max_growth": 0.1}),
    "reactions": ("reactions", {"fault": "kill", "pattern": "recovered"}),
    "logs": ("logs", {}),
    "identity": ("identity", {"sources": ("app", "runtime")}),
    "faults": ("faults", {}),
    "teardown": ("teardown", {}),
}


def plan(**changes: object) -> plans.Plan:
    """Return the plan of the run, with every kind of check."""
    checks = tuple(plans.Check(name=n, kind=k, params=dict(p)) for n, (k, p) in CHECKS_OF_PLAN.items())
    trigger = plans.Trigger(at_s=9.0)
    fields: dict[str, object] = {
        "seatrial": "0.1.0",
        "app": "web",
        "app_dir": "apps/web",
        "scenario": "default",
        "runtime": "process",
        "seed": 7,
        "artefacts": (plans.Artefact(name="web", provider="path", package="web", version="1.0"),),
        "logs": (
            plans.LogPattern(name="panic", pattern="panic", forbidden=True),
            plans.LogPattern(name="recovered", pattern="recovered", required=True),
        ),
        "stages": tuple(plans.Stage(name=n, within_s=60.0) for n in ("ready", "drive", "quiesce", "readback")),
        "faults": tuple(plans.PlannedFault(id=f, kind="kill", target="web", trigger=trigger) for f, _, _ in FAULTS),
        "checks": checks,
    }
    return plans.Plan(**{**fields, **changes})  # type: ignore[arg-type]


def without_f2(history: History) -> History:
    """Return the run as if the second fault had never been heard of."""
    kept = (e for e in history.events if not (isinstance(e, FaultEvent) and e.id == "f2"))
    return history.with_events(tuple(kept))
