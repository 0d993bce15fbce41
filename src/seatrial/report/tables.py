"""The plain tables that reports show: faults, stages, accounting, processes, logs, knobs, artefacts, host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from seatrial.history import (
    NONE,
    CrewStats,
    History,
    HostSample,
    IdentitySeen,
    LogCount,
    LogMatch,
    ProcessEvent,
    RunStarted,
)
from seatrial.plan import Plan
from seatrial.report.text import between_s, clip_line, clock_time, number, seconds, size
from seatrial.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text under columns; a cell is "" where there is nothing to say. empty: what to say without rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    empty: str = "none"

    def trimmed(self) -> Table:
        """Return the table without the columns in which nothing stands."""
        kept = [i for i, _ in enumerate(self.columns) if any(row[i] for row in self.rows)]
        rows = tuple(tuple(row[i] for i in kept) for row in self.rows)
        return replace(self, columns=tuple(self.columns[i] for i in kept), rows=rows)


def cell(text: str) -> str:
    """Return text that fits a cell."""
    return clip_line(text, 500)


def faults(verdict: Verdict) -> Table:
    """Return the life cycle of every fault."""
    rows = tuple(
        (
            cell(f.id),
            cell(f.kind),
            cell(f.target),
            parameters(f.params),
            *(clock_time(at) if at else "never" for at in (f.planned, f.injected, f.verified, f.healed, f.gone)),
            seconds(f.recovered_s),
            cell(f.reason),
        )
        for f in verdict.faults
    )
    columns = ("fault", "kind", "target", "with", "planned", "injected", "verified", "healed", "gone", "recovered in")
    note = "Verified: the effect was measured at the target. Gone: its absence was. Times are UTC."
    return Table(title="Faults", columns=(*columns, "reason"), rows=rows, note=note, empty="no faults were planned")


def parameters(params: Mapping[str, Any]) -> str:
    """Return parameters on one line."""
    return ", ".join(f"{cell(str(k))}={clip_line(str(v), 60)}" for k, v in params.items())


def stages(verdict: Verdict) -> Table:
    """Return how each stage ended."""
    rows = tuple(
        (
            cell(s.name),
            s.outcome.value,
            clock_time(s.started),
            seconds(between_s(s.started, s.ended)),
            cell(s.reason),
        )
        for s in verdict.stages
    )
    return Table(title="Stages", columns=("stage", "outcome", "began", "took", "reason"), rows=rows)


def accounting(verdict: Verdict) -> Table:
    """Return what became of every op."""
    a = verdict.accounting
    parts = (
        ("ok", a.ok, "answered, and the answer was a success"),
        ("fail", a.fail, "surely had no effect"),
        ("unknown", a.unknown, "may have had an effect"),
        ("in flight", a.in_flight, "no completion was ever seen"),
        ("sent", a.sent, "the sum of the rows above" if a.sent == sum((a.ok, a.fail, a.unknown, a.in_flight)) else ""),
    )
    rows = tuple((n, f"{c:,}", f"{c / a.sent:.3%}" if a.sent else "-", meaning) for n, c, meaning in parts)
    note = "" if rows[-1][3] else "The rows do not add up to what was sent."
    return Table(title="Accounting", columns=("ops", "count", "share", "meaning"), rows=rows, note=note)


def errors(history: History) -> Table:
    """Return how often each error code ended an op, the most frequent first."""
    ops = history.ops
    codes = ops.error[ops.error != NONE]
    totals = np.bincount(codes) if len(codes) else np.zeros(0, dtype=np.int64)
    order = [int(code) for code in np.argsort(-totals, kind="stable") if totals[code]]
    rows = tuple((cell(str(ops.names[code])), f"{int(totals[code]):,}") for code in order)
    return Table(title="Errors seen by users", columns=("error", "ops"), rows=rows)


def processes(history: History) -> Table:
    """Return the starts and exits of the app's processes."""
    rows = tuple(
        (
            clock_time(history.anchor.iso(e.t_ns)),
            cell(e.process),
            cell(e.what),
            str(e.pid or ""),
            "" if e.code is None else _exit(e.code),
            cell(e.by) or ("nobody of ours" if e.what == "exit" else ""),
            "" if e.took_s is None else seconds(e.took_s),
            cell(e.reason),
        )
        for e in history.of(ProcessEvent)
    )
    columns = ("at", "process", "what", "pid", "exit", "by", "took", "reason")
    return Table(title="Starts and exits", columns=columns, rows=rows)


def _exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"


def log_counts(history: History) -> Table:
    """Return how often each declared pattern matched."""
    rows = tuple((cell(e.pattern), cell(e.process), f"{e.count:,}", f"{e.lines:,}") for e in history.of(LogCount))
    columns = ("pattern", "process", "matches", "lines read")
    return Table(title="Log patterns", columns=columns, rows=rows, empty="no pattern was declared")


def log_matches(history: History) -> Table:
    """Return the log lines that matched."""
    rows = tuple(
        (clock_time(history.anchor.iso(e.t_ns)), cell(e.pattern), cell(e.process), clip_line(e.line, 300))
        for e in history.of(LogMatch)
    )
    return Table(title="Matching log lines", columns=("at", "pattern", "process", "line"), rows=rows)


def identity(history: History) -> Table:
    """Return every reading of who the app said it is."""
    rows = tuple(
        (
            cell(e.moment),
            cell(e.artefact),
            cell(e.source),
            cell(e.expected),
            cell(e.observed),
            "as expected" if e.ok else "NOT as expected",
            cell(e.reason),
        )
        for e in history.of(IdentitySeen)
    )
    columns = ("moment", "artefact", "according to", "expected", "observed", "", "reason")
    return Table(title="Identity", columns=columns, rows=rows, empty="never asked")


def knobs(plan: Plan) -> Table:
    """Return the effective value and origin of every knob; those that were changed come first."""
    ordered = sorted(plan.knobs, key=lambda k: k.origin == "default")
    rows = tuple((cell(k.name), clip_line(k.value, 200), cell(k.origin), cell(k.help)) for k in ordered)
    return Table(title="Knobs", columns=("knob", "value", "from", "meaning"), rows=rows)


def artefacts(verdict: Verdict) -> Table:
    """Return what was under trial."""
    rows = tuple(
        tuple(cell(t) for t in (a.name, a.version, a.observed or "not asked", a.provider, a.digest or "none"))
        for a in verdict.artefacts
    )
    return Table(title="Artefacts", columns=("artefact", "version", "says itself", "from", "digest"), rows=rows)


def host(verdict: Verdict, history: History) -> Table:
    """Return the machine, and the worst that was measured of it during the run."""
    facts = dict(flat(verdict.environment))
    for started in history.of(RunStarted):
        facts = {**dict(flat(started.host)), **facts}
    facts |= _pressure(list(history.of(HostSample)))
    rows = tuple((cell(k), clip_line(v, 300)) for k, v in facts.items())
    return Table(title="Host", columns=("fact", "value"), rows=rows, empty="not recorded")


def flat(value: Mapping[str, Any], head: str = "") -> list[tuple[str, str]]:
    """Return nested facts as (dotted name, text)."""
    found: list[tuple[str, str]] = []
    for key, item in value.items():
        name = f"{head}{key}"
        if isinstance(item, Mapping):
            found += flat(item, f"{name}.")
        else:
            found.append((name, ", ".join(map(str, item)) if isinstance(item, (list, tuple)) else str(item)))
    return found


def _pressure(samples: list[HostSample]) -> dict[str, str]:
    worst: dict[str, tuple[Callable[[list[float]], float], str, Callable[[float], str]]] = {
        "highest CPU use": (max, "cpu_percent", lambda v: f"{v:.0f} %"),
        "highest CPU pressure": (max, "psi_cpu", lambda v: f"{v:.1f} %"),
        "highest IO pressure": (max, "psi_io", lambda v: f"{v:.1f} %"),
        "highest memory pressure": (max, "psi_memory", lambda v: f"{v:.1f} %"),
        "least memory available": (min, "mem_available", size),
        "least disk free": (min, "disk_free", size),
    }
    found = {}
    for label, (pick, column, show) in worst.items():
        known = [getattr(s, column) for s in samples if getattr(s, column) >= 0]
        if known:
            found[label] = show(pick(known))
    kills = [s.oom_kills for s in samples if s.oom_kills >= 0]
    return found | ({"OOM kills during the run": str(kills[-1] - kills[0])} if kills else {})


def crew(history: History) -> Table:
    """Return what the load generator measured of itself, worst values by worker."""
    grouped: dict[int, list[CrewStats]] = {}
    for stats in history.of(CrewStats):
        grouped.setdefault(stats.worker, []).append(stats)
    rows = tuple(
        (
            str(worker),
            number(sum(s.arrivals for s in found)),
            seconds(max(s.lag_p99_ns for s in found) / 1e9),
            seconds(max(s.lag_max_ns for s in found) / 1e9),
            f"{max(s.busy for s in found):.0%}",
            number(max(s.waiting for s in found)),
        )
        for worker, found in sorted(grouped.items())
    )
    columns = ("worker", "arrivals", "worst p99 lag", "worst lag", "busiest", "most waiting")
    note = "Lag: how late an arrival was fired. A saturated load generator makes measurements invalid."
    return Table(title="Load generator", columns=columns, rows=rows, note=note, empty="no figures were recorded")
