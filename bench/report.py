"""Builds a made-up history of N ops and measures the reports: `python bench/report.py 1000000 10000000`.

Each size runs in a process of its own, so that the peak memory is its own. Goals: 10 M ops -> report.html in <= 10 s,
queries <= 3 s, <= 5 MB.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from seatrial.clock import NS, Anchor
from seatrial.history import (
    NONE,
    AnyEvent,
    FaultEvent,
    History,
    OpOutcome,
    Ops,
    ProbeSample,
    ResourceSample,
    StageEvent,
)
from seatrial.plan import Plan
from seatrial.report.html import MOST_BYTES
from seatrial.report.series import axis_of, ops_series
from seatrial.report.write import write_reports
from seatrial.verdict import Accounting, Evidence, Finding, Outcome, Proof, Verdict

LENGTH_S = 3600
FAULTS = 40


def make_ops(count: int) -> Ops:
    """Return ops at an even rate over an hour, with an outage at each fault and a log-normal latency."""
    rng = np.random.default_rng(1)
    intended = np.linspace(0, LENGTH_S * NS, count).astype(np.int64)
    latency = (rng.lognormal(-6, 0.6, count) * NS).astype(np.int64)
    down = (intended // NS) % (LENGTH_S // FAULTS) < 5
    latency[down] += 2 * NS
    outcome = np.where(down & (rng.random(count) < 0.4), np.uint8(OpOutcome.FAIL), np.uint8(OpOutcome.OK))
    shared = rng.integers(0, 1000, count, dtype=np.int64)
    user = rng.integers(0, 100, count, dtype=np.int32)
    return Ops(
        verb=np.ones(count, dtype=np.uint8),
        outcome=outcome,
        flags=np.ones(count, dtype=np.uint8),
        name=np.zeros(count, dtype=np.int32),
        error=np.where(outcome == OpOutcome.FAIL, np.int32(1), np.int32(NONE)),
        actor=user,
        user=user,
        status=np.zeros(count, dtype=np.int32),
        intended_ns=intended,
        started_ns=intended,
        ended_ns=intended + latency,
        key=shared,
        value=shared,
        result=np.full(count, NONE, dtype=np.int64),
        names=("set", "refused"),
        strings=tuple(f"key-{i}" for i in range(1000)),
    )


def make_events() -> tuple[AnyEvent, ...]:
    """Return an hour of probes, samples of three processes, and 40 faults."""
    found: list[AnyEvent] = [StageEvent(t_ns=0, stage="drive", what="begin")]
    for second in range(LENGTH_S):
        at = second * NS
        found.append(ProbeSample(t_ns=at, probe="health", ok=second % 90 >= 5, latency_ns=10**6))
        found += [
            ResourceSample(t_ns=at, process=p, rss=10**7 + second * 900, cpu_ns=second * 10**8, fds=40)
            for p in ("app", "worker", "store")
        ]
    for i in range(FAULTS):
        begin = i * (LENGTH_S // FAULTS) * NS
        for what, after in (("injected", 0), ("verified", 1), ("gone", 5)):
            found.append(FaultEvent(t_ns=begin + after * NS, id=f"F{i}", kind="kill", target="app", what=what))
    return tuple(sorted(found, key=lambda e: e.t_ns))


def make_verdict(count: int) -> Verdict:
    """Return a verdict of 20 findings with evidence."""
    evidence = tuple(Evidence(what="a write is gone", ops=(i, i + 1), key="key-1", expected="a") for i in range(50))
    finding = {"claim": "holds", "examined": count, "required": 1, "evidence": evidence, "proof": Proof(planted=9)}
    checks = tuple(Finding(name=f"check-{i}", outcome=Outcome.FAIL, **finding) for i in range(20))  # type: ignore[arg-type]
    head = {"seatrial": "0", "run": "bench", "app": "a", "scenario": "s", "runtime": "process", "seed": 1}
    accounting = Accounting(sent=count, ok=count)
    return Verdict(started=None, ended=None, outcome=Outcome.FAIL, checks=checks, accounting=accounting, **head)  # type: ignore[arg-type]


def measure(count: int) -> None:
    """Print one row of figures."""
    history = History(ops=make_ops(count), events=make_events(), anchor=Anchor(wall_ns=NS, mono_ns=0))
    plan = Plan(seatrial="0", app="a", app_dir="a", scenario="s", runtime="process", seed=1)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begun = time.perf_counter()
    axis = axis_of(history)
    assert axis is not None
    ops_series(history.ops, axis)
    queries = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        paths = write_reports(Path(folder), make_verdict(count), plan, history)
        took = time.perf_counter() - begun
        page = next(p for p in paths if p.suffix == ".html").stat().st_size
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert page <= MOST_BYTES
    columns = f"series {queries:6.2f} s | all reports {took:6.2f} s | html {page / 1e6:5.2f} MB"
    print(f"{count:>11,} ops | {columns} | peak RSS {peak_mb:,.0f} MB (history alone {before_mb:,.0f} MB)", flush=True)


def main() -> None:
    """Measure each size given on the command line in a process of its own."""
    sizes = [int(a) for a in sys.argv[1:]] or [1_000_000, 10_000_000]
    if len(sizes) == 1:
        measure(sizes[0])
        return
    for size in sizes:
        subprocess.run([sys.executable, __file__, str(size)], check=True)


if __name__ == "__main__":
    main()
