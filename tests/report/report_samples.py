"""Made-up verdicts, plans and histories for the tests of the reports. Deterministic."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seatrial.clock import NS, Anchor, iso_utc
from seatrial.history import (
    NONE,
    AnyEvent,
    CrewStats,
    FaultEvent,
    History,
    HostSample,
    IdentitySeen,
    LogCount,
    LogMatch,
    OpOutcome,
    Ops,
    ProbeSample,
    ProcessEvent,
    ResourceSample,
    RunStarted,
    StageEvent,
    no_history,
)
from seatrial.plan import Arrivals, Artefact, Knob, Load, Plan, PlannedFault, Stage, Trigger
from seatrial.report.junit import junit
from seatrial.report.markdown import markdown
from seatrial.report.terminal import summary_text
from seatrial.verdict import (
    Accounting,
    ArtefactSeen,
    Evidence,
    FaultResult,
    Finding,
    Level,
    Outcome,
    Proof,
    StageResult,
    Teardown,
    Verdict,
    Waiver,
)

WALL = 1_795_000_000 * NS
MONO = 5_000 * NS
ANCHOR = Anchor(wall_ns=WALL, mono_ns=MONO)
FAULTS = (
    ("F1", "kill", "redis", 20.0, 3.4),
    ("F2", "pause", "redis", 45.0, 6.0),
    ("F3", "cut", "link:front", 70.0, 4.0),
)


def at(seconds: float) -> int:
    return MONO + int(seconds * NS)


def iso(seconds: float) -> str:
    return iso_utc(WALL + int(seconds * NS))


def plan() -> Plan:
    return Plan(
        seatrial="0.1.0",
        app="redis",
        app_dir="apps/redis",
        scenario="kill",
        runtime="process",
        seed=417,
        knobs=(
            Knob(name="length", value="90s", origin="--set", kind="duration", help="how long users work"),
            Knob(name="users", value="20", origin="default", kind="count", help="simulated users"),
            Knob(name="rate", value="200/s", origin="scenario", kind="rate", help="arrivals"),
        ),
        artefacts=(Artefact(name="redis", provider="apt", package="redis-server", version="7.0.15"),),
        load=Load(users=20, length_s=90, arrivals=Arrivals(rate=200)),
        stages=(
            Stage(name="install", within_s=120),
            Stage(name="drive", within_s=100),
            Stage(name="heal", within_s=30),
        ),
        faults=tuple(
            PlannedFault(id=i, kind=k, target=t, trigger=Trigger(at_s=s), hold_s=h) for i, k, t, s, h in FAULTS
        ),
        claims="Throws: one SIGKILL, one freeze and one cut of the link.\nVerifies: acknowledged writes are kept.",
    )


def in_fault(seconds: np.ndarray) -> np.ndarray:
    return np.logical_or.reduce([(seconds >= s) & (seconds < s + h) for _, _, _, s, h in FAULTS])


def ops(count: int = 18_000, length_s: float = 90.0) -> Ops:
    rng = np.random.default_rng(7)
    offset = np.sort(rng.uniform(0, length_s, count))
    latency = rng.lognormal(-6.5, 0.5, count)
    down = in_fault(offset / length_s * 90)
    unknown = down & (rng.random(count) < 0.15)
    latency = np.where(down, rng.uniform(0.2, 3.0, count), latency)
    outcome = np.where(unknown, OpOutcome.UNKNOWN, np.where(down, OpOutcome.FAIL, OpOutcome.OK)).astype(np.uint8)
    waited = down & (rng.random(count) < 0.2)
    outcome[waited] = OpOutcome.OK
    outcome[-2:] = OpOutcome.IN_FLIGHT
    intended = (MONO + offset * NS).astype(np.int64)
    ended = intended + (latency * NS).astype(np.int64)
    ended[-2:] = 0
    key = rng.integers(0, 50, count)
    names = ("set", "get", "refused", "timeout")
    return Ops(
        verb=rng.integers(1, 3, count).astype(np.uint8),
        outcome=outcome,
        flags=np.ones(count, dtype=np.uint8),
        name=rng.integers(0, 2, count).astype(np.int32),
        error=np.where(outcome == OpOutcome.FAIL, 2, np.where(outcome == OpOutcome.UNKNOWN, 3, NONE)).astype(np.int32),
        actor=rng.integers(0, 20, count).astype(np.int32),
        user=rng.integers(0, 20, count).astype(np.int32),
        status=np.zeros(count, dtype=np.int32),
        intended_ns=intended,
        started_ns=intended,
        ended_ns=ended,
        key=key.astype(np.int64),
        value=(50 + rng.integers(0, 50, count)).astype(np.int64),
        result=np.full(count, NONE, dtype=np.int64),
        names=names,
        strings=(*(f"user-{i}/key" for i in range(50)), *(f"value-{i}" for i in range(50))),
    )


def events(length_s: float = 90.0) -> tuple[AnyEvent, ...]:
    found: list[AnyEvent] = [
        RunStarted(t_ns=at(-40), run="r", wall_ns=WALL, seatrial="0.1.0", host={"cpu": {"count": 2}, "kernel": "6.1"}),
        StageEvent(t_ns=at(-39), stage="install", what="begin"),
        StageEvent(t_ns=at(-3), stage="install", what="end", outcome="pass"),
        StageEvent(t_ns=at(-3), stage="ready", what="begin"),
        StageEvent(t_ns=at(0), stage="ready", what="end", outcome="pass"),
        StageEvent(t_ns=at(0), stage="drive", what="begin"),
        StageEvent(t_ns=at(length_s), stage="drive", what="end", outcome="pass"),
        StageEvent(t_ns=at(length_s), stage="quiesce", what="begin"),
        StageEvent(t_ns=at(length_s + 3), stage="quiesce", what="end", outcome="pass"),
        StageEvent(t_ns=at(length_s + 3), stage="readback", what="begin"),
        StageEvent(t_ns=at(length_s + 7), stage="readback", what="end", outcome="fail", reason="keys are gone"),
        LogMatch(t_ns=at(20), process="redis", pattern="loaded", line="* DB loaded from disk: 0.000 seconds"),
        LogCount(t_ns=at(length_s), process="redis", pattern="loaded", count=2, lines=311),
        LogCount(t_ns=at(length_s), process="redis", pattern="panic", count=0, lines=311),
        IdentitySeen(
            t_ns=at(0),
            moment="after ready",
            artefact="redis",
            source="app",
            expected="7.0.15",
            observed="7.0.15",
            ok=True,
        ),
        CrewStats(t_ns=at(5), worker=0, arrivals=1000, lag_p99_ns=210_000, lag_max_ns=900_000, busy=0.21),
        ProcessEvent(t_ns=at(-3), process="redis", what="start", pid=100, by="engine"),
        ProcessEvent(t_ns=at(20.05), process="redis", what="exit", pid=100, code=-9, by="F1"),
        ProcessEvent(t_ns=at(23.4), process="redis", what="start", pid=131, by="F1", took_s=0.08),
    ]
    for i, kind, target, start, hold in FAULTS:
        for what, when in (("planned", 0), ("injected", start), ("verified", start + 0.05), ("gone", start + hold)):
            found.append(FaultEvent(t_ns=at(when), id=i, kind=kind, target=target, what=what))
    for second in range(int(length_s)):
        down = bool(in_fault(np.array([second]))[0])
        found.append(ProbeSample(t_ns=at(second), probe="health", ok=not down, latency_ns=900_000))
        for process, base in (("redis", 12e6), ("sentinel", 7e6)):
            rss = int(base + second * 40_000 + (second % 7) * 90_000)
            cpu = int(second * 0.3e9 * (1 if process == "redis" else 0.1))
            found.append(ResourceSample(t_ns=at(second), process=process, rss=rss, cpu_ns=cpu, fds=30 + second % 5))
        found.append(HostSample(t_ns=at(second), cpu_percent=40 + second % 9, mem_available=9 * 1024**3, oom_kills=0))
    return tuple(sorted(found, key=lambda e: e.t_ns))


def history() -> History:
    return History(ops=ops(), events=events(), anchor=ANCHOR)


LOST = Finding(
    name="durability",
    claim="Every acknowledged write can be read back after all faults are healed.",
    outcome=Outcome.FAIL,
    examined=7_412,
    required=100,
    observed="212 acknowledged writes lost, on 20 keys",
    limit="0 lost",
    reason="212 of 7,412 acknowledged writes are gone; all were acknowledged in the 58 s before F1",
    evidence=(
        Evidence(
            what="An acknowledged write is gone: the key holds an older value.",
            ops=(3991, 17_020),
            actor="12",
            key="user-12/key",
            expected="value-31",
            observed="value-4",
            fault="F1 kill redis",
            at=iso(19.95),
        ),
        Evidence(
            what="An acknowledged write is gone: the key is absent.",
            ops=(4002,),
            key="user-3/key",
            expected="value-88",
            observed="(absent)",
            fault="F1 kill redis",
            line='redis[131]: * Ready to accept connections "tcp" <script>alert(1)</script>',
        ),
    ),
    figures={"lost": 212, "lost_share": 0.0286, "keys": 20},
    proof=Proof(planted=12, caught=12),
)
GOOD = (
    Finding(
        name="availability",
        claim="Users are served outside of fault windows.",
        outcome=Outcome.PASS,
        examined=17_998,
        required=500,
        observed="99.98% outside of faults, longest gap 0.4 s",
        limit=">= 99.9%, gap <= 2 s",
        proof=Proof(planted=4, caught=4),
    ),
    Finding(
        name="recovery",
        claim="Users are served again within 10 s of each heal.",
        outcome=Outcome.PASS,
        examined=3,
        required=1,
        observed="slowest 0.3 s (F2)",
        limit="10 s",
        proof=Proof(planted=3, caught=3),
    ),
)
UNTESTED = Finding(
    name="leak-memory",
    claim="Memory does not grow.",
    outcome=Outcome.NOT_TESTED,
    level=Level.REPORT,
    examined=90,
    required=7200,
    reason="90 s of samples, 7,200 s are needed for a slope that can be trusted",
    limit="5 MiB/h",
)


def verdict(outcome: Outcome = Outcome.FAIL, **changes: object) -> Verdict:
    checks = (*GOOD, UNTESTED) if outcome is Outcome.PASS else (*GOOD, LOST, UNTESTED)
    made: dict[str, object] = {
        "seatrial": "0.1.0",
        "run": "20261121T031459Z-redis-kill-417",
        "app": "redis",
        "scenario": "kill",
        "runtime": "process",
        "seed": 417,
        "started": iso(-40),
        "ended": iso(99),
        "outcome": outcome,
        "artefacts": (
            ArtefactSeen(name="redis", version="7.0.15", digest="sha256:9f2c41aa", observed="7.0.15", provider="apt"),
        ),
        "stages": (
            StageResult(name="install", outcome=Outcome.PASS, started=iso(-39), ended=iso(-3)),
            StageResult(name="drive", outcome=Outcome.PASS, started=iso(0), ended=iso(90)),
            StageResult(name="quiesce", outcome=Outcome.PASS, started=iso(90), ended=iso(93)),
        ),
        "checks": checks,
        "faults": tuple(
            FaultResult(
                id=i,
                kind=k,
                target=t,
                params={"hold_s": h},
                planned=iso(s),
                injected=iso(s),
                verified=iso(s + 0.05),
                healed=iso(s + h - 0.1),
                gone=iso(s + h),
                recovered_s=0.3,
            )
            for i, k, t, s, h in FAULTS
        ),
        "accounting": Accounting(sent=18_000, ok=15_890, fail=1_760, unknown=348, in_flight=2),
        "teardown": Teardown(clean=True),
        "environment": {"os": "Debian 12", "cpus": 2, "memory": "8 GiB", "runtime": {"cgroup": "v2", "root": False}},
    }
    return Verdict(**(made | changes))  # type: ignore[arg-type]


def empty_verdict(outcome: Outcome = Outcome.NOT_TESTED) -> Verdict:
    return verdict(
        outcome,
        started=None,
        ended=None,
        artefacts=(),
        stages=(),
        checks=(),
        faults=(),
        accounting=Accounting(),
        teardown=Teardown(clean=False),
        environment={},
    )


def empty_history() -> History:
    return no_history()


WAIVER = Waiver(check="durability", reason="snapshot mode, accepted for caches", author="ada", expires="2027-01-31")


def odd_verdict(text: str) -> Verdict:
    """Return a verdict with this text in every free field."""
    evidence = Evidence(
        what=text, ops=(1, 2), actor=text, key=text, expected=text, observed=text, fault=text, at=iso(1), line=text
    )
    finding = Finding(
        name=text or "check",
        claim=text,
        outcome=Outcome.FAIL,
        examined=1,
        required=1,
        observed=text,
        limit=text,
        reason=text,
        evidence=(evidence,),
        figures={text: 1.5},
        proof=Proof(planted=2, caught=1, missed=(text,)),
    )
    skipped = Finding(name="b", claim=text, outcome=Outcome.NOT_TESTED, examined=0, required=1, reason=text)
    return verdict(
        app=text or "app",
        scenario=text or "s",
        runtime=text,
        run=text or "run",
        reason=text,
        checks=(finding, skipped, skipped),
        artefacts=(ArtefactSeen(name=text, version=text, digest=text, observed=text, provider=text),),
        stages=(StageResult(name=text, outcome=Outcome.ENVIRONMENT, reason=text),),
        faults=(FaultResult(id=text, kind=text, target=text, params={text: text}, planned=text, reason=text),),
        teardown=Teardown(clean=False, residue=(text,)),
        waivers=(Waiver(check=text, reason=text, author=text, expires=text),),
        environment={text: {text: [text]}},
    )


def goldens() -> dict[str, str]:
    """Return the texts that are kept as files in golden/, by file name."""
    folder = Path("runs/20261121T031459Z-redis-kill-417")
    waived = verdict(Outcome.PASS, waivers=(WAIVER,))
    return {
        "terminal-fail.txt": summary_text(verdict(), plan(), folder),
        "terminal-pass-waived.txt": summary_text(waived, plan(), folder),
        "terminal-empty.txt": summary_text(empty_verdict(), plan(), folder),
        "junit-fail.xml": junit(verdict(), plan()),
        "report-fail.md": markdown(verdict(), plan(), history()),
    }


GOLDEN = Path(__file__).parent / "golden"

if __name__ == "__main__":  # python tests/report/report_samples.py: write the goldens again, then read the diff
    GOLDEN.mkdir(exist_ok=True)
    for name, text in goldens().items():
        (GOLDEN / name).write_text(text, encoding="utf-8")
