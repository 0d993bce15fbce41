"""SLOs: success rate and latency quantiles by phase, latency from the intended start, failures as never answered."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from seatrial.clock import NS
from seatrial.history import Flag, History, OpOutcome
from seatrial.judge.base import Check, Params, Planted, conclude
from seatrial.judge.stats import quantile, quantile_interval, tail_needed, wilson
from seatrial.judge.windows import PHASES, in_phase
from seatrial.params import Kind, Param
from seatrial.verdict import Evidence, Finding

_WHICH = (
    Param(name="phase", kind=Kind.TEXT, default="all", choices=PHASES, help="ops before, during or after faults"),
    Param(name="op", kind=Kind.TEXT, default="", help="ops of this name only; all when empty"),
)
SUCCESS_PARAMS = (
    Param(name="min", kind=Kind.RATIO, required=True, help="share of ok ops that is required"),
    *_WHICH,
    Param(name="min_samples", kind=Kind.COUNT, default=20, least=1, help="ops that it takes to tell"),
)
LATENCY_PARAMS = (
    Param(name="max", kind=Kind.DURATION, required=True, help="the quantile may be this at most"),
    Param(name="quantile", kind=Kind.RATIO, default=0.99, most=0.999999, help="which quantile, e.g. 0.99 or 99%"),
    *_WHICH,
    Param(
        name="measure",
        kind=Kind.TEXT,
        default="response",
        choices=("response", "service"),
        help="from the intended start, or from the actual one",
    ),
    Param(
        name="failed",
        kind=Kind.TEXT,
        default="infinite",
        choices=("infinite", "left-out"),
        help="how ops that are not ok count",
    ),
    Param(name="beyond", kind=Kind.COUNT, default=10, least=1, help="samples above the quantile that it takes to tell"),
    Param(name="lag_most", kind=Kind.DURATION, default=0.005, help="crew's pacing lag p99 that voids the measurement"),
    Param(name="lag_share", kind=Kind.RATIO, default=0.1, help="the same, as a share of the latency limit"),
    Param(name="busy_most", kind=Kind.RATIO, default=0.85, help="crew worker's share of a core that voids it"),
    Param(
        name="saturated_share", kind=Kind.RATIO, default=0.05, help="share of arrivals in such intervals that voids it"
    ),
)


def _rows(history: History, params: Params) -> NDArray[np.int64]:
    ops = history.ops
    keep = (ops.flags & np.uint8(Flag.READBACK | Flag.WARMUP)) == 0
    if params["op"]:
        codes = [i for i, name in enumerate(ops.names) if name == params["op"]]
        keep &= np.isin(ops.name, codes)
    if params["phase"] != "all":
        keep &= in_phase(history, ops.intended_ns, ops.ended_ns, params["phase"])
    return np.flatnonzero(keep).astype(np.int64)


def _which(params: Params) -> str:
    name = f"{params['op']} ops" if params["op"] else "ops"
    return {
        "all": name,
        "before": f"{name} before the first fault",
        "during": f"{name} during faults",
        "after": f"{name} after faults",
        "outside": f"{name} outside faults",
    }[params["phase"]]


def judge_success(history: History, params: Params) -> Finding:
    """Judge the share of ok ops of a phase."""
    rows = _rows(history, params)
    bad = rows[history.ops.outcome[rows] != OpOutcome.OK]
    good, total = len(rows) - len(bad), len(rows)
    low, high = wilson(good, total)
    broken = total > 0 and good / total < params["min"]
    what = f"{good} of {total} {_which(params)} were ok, {params['min']:.6g} is required"
    return conclude(
        f"at least {params['min']:.6g} of {_which(params)} succeed",
        examined=total,
        required=params["min_samples"],
        violations=int(broken),
        evidence=[Evidence(what=what, ops=tuple(bad[:5].tolist()), at=_instant(history, bad))] if broken else [],
        observed=f"{good / total:.6g}" if total else "no ops",
        limit=f"{params['min']:.6g}",
        figures={"ok": good, "not_ok": len(bad), "share_low": low, "share_high": high},
    )


def latencies(history: History, rows: NDArray[np.int64], measure: str, failed: str) -> NDArray[np.float64]:
    """Return the latencies of ops in seconds, ascending; an op that is not ok was never answered, or is left out."""
    ops = history.ops
    begun = ops.intended_ns if measure == "response" else ops.started_ns
    took = (ops.ended_ns[rows] - begun[rows]) / NS
    good = ops.outcome[rows] == OpOutcome.OK
    took = np.where(good, took, np.inf) if failed == "infinite" else took[good]
    return np.sort(took)


def judge_latency(history: History, params: Params) -> Finding:
    """Judge one quantile of a phase; refuse it when too few samples lie beyond it."""
    rows, q = _rows(history, params), params["quantile"]
    ordered = latencies(history, rows, params["measure"], params["failed"])
    required = tail_needed(q, params["beyond"])
    label, figures, value = f"p{q * 100:.6g}", {}, math.inf
    if len(ordered):
        value = quantile(ordered, q)
        figures = _figures(ordered, q)
    broken = len(ordered) >= required and value > params["max"]
    shown = "never answered" if math.isinf(value) else f"{value * 1000:.4g} ms"
    limit = f"{params['max'] * 1000:.6g} ms"
    what = f"{label} of {params['measure']} time of {_which(params)} is {shown}, {limit} are allowed"
    slowest = _slowest(history, rows, params)
    return conclude(
        f"{label} of the {params['measure']} time of {_which(params)} is at most {limit}",
        examined=len(ordered),
        required=required,
        violations=int(broken),
        evidence=[Evidence(what=what, ops=tuple(slowest.tolist()), at=_instant(history, slowest))] if broken else [],
        observed=shown if len(ordered) else "no ops",
        limit=limit,
        untested=f"{len(ordered)} {_which(params)}; a {label} takes {required}",
        figures=figures,
    )


def _figures(ordered: NDArray[np.float64], q: float) -> dict[str, float]:
    low, high = quantile_interval(ordered, q)
    found = {f"p{p * 100:g}_s": quantile(ordered, p) for p in (0.5, 0.95, 0.99, 0.999, q)}
    found |= {"low_s": low, "high_s": high, "unanswered": float(np.sum(np.isinf(ordered)))}
    return {name: round(value, 9) for name, value in found.items() if math.isfinite(value)}


def _slowest(history: History, rows: NDArray[np.int64], params: Params) -> NDArray[np.int64]:
    ops = history.ops
    took = (ops.ended_ns[rows] - ops.intended_ns[rows]).astype(np.float64)
    good = ops.outcome[rows] == OpOutcome.OK
    took[~good] = np.inf if params["failed"] == "infinite" else -np.inf
    if len(rows) > 5:
        worst = np.sort(np.argpartition(-took, 5)[:5])
        return rows[worst]
    return rows


def _instant(history: History, rows: NDArray[np.int64]) -> str | None:
    return history.anchor.iso(int(history.ops.intended_ns[rows[0]])) if len(rows) else None


def plant_success(history: History, params: Params, seed: int) -> Planted:
    """Plant just enough failures to break the objective, and a total outage."""
    rows = _rows(history, params)
    allowed = int((1 - params["min"]) * len(rows) + 1e-9)
    if not len(rows):
        return
    start = seed % len(rows)
    for label, count in (("one failure too many", allowed + 1), ("all failed", len(rows))):
        outcome = history.ops.outcome.copy()
        chosen = (start + np.arange(min(count, len(rows)))) % len(rows)
        outcome[rows[chosen]] = OpOutcome.FAIL
        yield label, history.with_ops(history.ops.with_columns(outcome=outcome))


def plant_latency(history: History, params: Params, seed: int) -> Planted:
    """Plant a slow tail just wide enough, and the same tail refused at once, which must not look fast."""
    rows, ops = _rows(history, params), history.ops
    if not len(rows):
        return
    count = min(len(rows), len(rows) - math.ceil(params["quantile"] * len(rows) - 1e-9) + 1)
    chosen = rows[(seed % len(rows) + np.arange(count)) % len(rows)]
    ended, outcome = ops.ended_ns.copy(), ops.outcome.copy()
    begun = ops.intended_ns if params["measure"] == "response" else ops.started_ns
    ended[chosen] = begun[chosen] + round(params["max"] * NS) + 1_000_000
    if params["failed"] == "left-out":
        outcome[rows], ended[rows] = OpOutcome.OK, begun[rows] + round(params["max"] * NS) + 1_000_000
    yield "a slow tail", history.with_ops(ops.with_columns(ended_ns=ended, outcome=outcome))
    if params["failed"] == "infinite":
        outcome = ops.outcome.copy()
        outcome[chosen] = OpOutcome.FAIL
        yield "a refused tail", history.with_ops(ops.with_columns(outcome=outcome))


_EXCUSES = frozenset({"disk", "oom", "steal"})
SUCCESS = Check(
    kind="success_rate",
    summary="share of ok ops, by phase and op",
    params=SUCCESS_PARAMS,
    needs=frozenset({"ops"}),
    judge=judge_success,
    plant=plant_success,
    by_crew=True,
    excused_by=_EXCUSES,
)
LATENCY = Check(
    kind="latency",
    summary="a latency quantile from the intended start, by phase and op",
    params=LATENCY_PARAMS,
    needs=frozenset({"ops"}),
    judge=judge_latency,
    plant=plant_latency,
    latency="max",
    by_crew=True,
    excused_by=_EXCUSES,
)
