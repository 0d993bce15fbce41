"""Leaks: a robust slope of memory, descriptors, threads or disk that is surely above zero and large enough to matter.

Warm-up is dropped, the rest reduced to the 10th percentile of each block (what stays after collections), and the
Theil-Sen slope of those taken with its 95 % interval. Ordinary regression calls every warm-up a leak.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from seatrial.clock import NS
from seatrial.history import History, ProcessEvent, ResourceSample
from seatrial.judge.base import Check, Params, Planted, conclude, pick
from seatrial.judge.stats import Slope, floors, theil_sen
from seatrial.params import Kind, Param
from seatrial.verdict import Evidence, Finding

METRICS = ("rss", "pss", "fds", "threads", "pids", "data_bytes", "log_bytes")
_KEPT = ("data_bytes", "log_bytes")  # a restart does not set these back
PARAMS = (
    Param(name="metric", kind=Kind.TEXT, default="rss", choices=METRICS, help="what must not grow"),
    Param(name="process", kind=Kind.TEXT, default="", help="of this process only; of each when empty"),
    Param(name="warmup", kind=Kind.RATIO, default=0.2, most=0.9, help="share of the samples that is dropped first"),
    Param(name="blocks", kind=Kind.COUNT, default=24, least=8, most=200, help="blocks the samples are reduced to"),
    Param(name="max_growth", kind=Kind.RATIO, default=0.02, help="growth over the judged time, as share of the level"),
    Param(name="max_rise", kind=Kind.NUMBER, default=0.0, least=0, help="growth that is always allowed, in the unit"),
    Param(name="min_span", kind=Kind.DURATION, default=1800.0, help="time after the warm-up that it takes to tell"),
    Param(name="min_samples", kind=Kind.COUNT, default=120, least=16, help="samples after the warm-up, the same"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trend:
    process: str
    samples: int
    span_s: float
    level: float
    slope: Slope  # per second
    grown: float


def _readings(history: History, params: Params) -> dict[str, list[ResourceSample]]:
    found: dict[str, list[ResourceSample]] = {}
    for sample in history.of(ResourceSample):
        if params["process"] in ("", sample.process) and getattr(sample, params["metric"]) >= 0:
            found.setdefault(sample.process, []).append(sample)
    return found


def _longest_life(history: History, process: str, samples: list[ResourceSample]) -> list[ResourceSample]:
    """Return the samples of the longest time between two starts: a restart sets memory back."""
    starts = [e.t_ns for e in history.of(ProcessEvent) if e.process == process and e.what == "start"]
    times = np.array([s.t_ns for s in samples], dtype=np.int64)
    cuts = np.searchsorted(times, np.array(starts, dtype=np.int64)).tolist()
    edges = sorted({0, *cuts, len(samples)})
    parts = [samples[a:b] for a, b in pairwise(edges)]
    return max(parts, key=lambda p: p[-1].t_ns - p[0].t_ns, default=[])


def _judged(history: History, process: str, samples: list[ResourceSample], params: Params) -> list[ResourceSample]:
    if params["metric"] not in _KEPT:
        samples = _longest_life(history, process, samples)
    return samples[int(len(samples) * params["warmup"]) :]


def _trend(process: str, samples: list[ResourceSample], params: Params) -> _Trend:
    x = np.array([s.t_ns for s in samples], dtype=np.float64) / NS
    y: NDArray[np.float64] = np.array([getattr(s, params["metric"]) for s in samples], dtype=np.float64)
    span = float(x[-1] - x[0]) if len(x) else 0.0
    slope = theil_sen(*floors(x, y, params["blocks"])) if len(x) >= 2 else Slope(value=0.0, low=0.0, high=0.0)
    level = float(np.median(y)) if len(y) else 0.0
    return _Trend(process=process, samples=len(x), span_s=span, level=level, slope=slope, grown=slope.value * span)


def judge(history: History, params: Params) -> Finding:
    """Judge the growth of one metric for each process."""
    trends = [_trend(p, _judged(history, p, s, params), params) for p, s in _readings(history, params).items()]
    told = [t for t in trends if t.span_s >= params["min_span"] and t.samples >= params["min_samples"]]
    leaks = [t for t in told if t.slope.low > 0 and t.grown > max(params["max_growth"] * t.level, params["max_rise"])]
    enough = bool(trends) and len(told) == len(trends)
    examined = min((t.samples for t in trends), default=0)
    longest = min((t.span_s for t in trends), default=0.0)
    worst = max(trends, key=lambda t: t.grown / max(1.0, t.level), default=None)
    return conclude(
        f"{params['metric']} does not grow without end",
        examined=examined,
        required=params["min_samples"] if enough else max(params["min_samples"], examined + 1),
        violations=len(leaks),
        evidence=[_evidence(history, t, params) for t in leaks],
        observed=f"{worst.process}: {worst.slope.value * 3600:+.4g} an hour" if worst else "no samples",
        limit=f"{params['max_growth'] * 100:g} % or {params['max_rise']:g} over the judged time",
        untested=f"{examined} samples over {longest:.0f} s after the warm-up; it takes {params['min_samples']}"
        f" over {params['min_span']:g} s",
        figures=_figures(trends),
    )


def _figures(trends: list[_Trend]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for trend in trends:
        figures[f"per_hour:{trend.process}"] = round(trend.slope.value * 3600, 3)
        figures[f"per_hour_low:{trend.process}"] = round(trend.slope.low * 3600, 3)
        figures[f"level:{trend.process}"] = trend.level
    return figures


def _evidence(history: History, trend: _Trend, params: Params) -> Evidence:
    share = trend.grown / trend.level * 100 if trend.level else 100.0
    return Evidence(
        what=f"{params['metric']} of {trend.process} grew by {trend.grown:.4g} ({share:.3g} %) in {trend.span_s:.0f} s,"
        f" {trend.slope.value * 3600:.4g} an hour (surely more than {trend.slope.low * 3600:.4g})",
        actor=trend.process,
        expected=f"at most {params['max_growth'] * 100:g} %",
        observed=f"{share:.3g} %",
    )


def plant(history: History, params: Params, seed: int) -> Planted:
    """Plant a steady growth, of three times the limit and of ten times, into one process."""
    readings = _readings(history, params)
    names = [n for n in sorted(readings) if len(_judged(history, n, readings[n], params)) >= 2]
    if not names:
        return
    process = names[pick(seed, "leak", len(names))]
    judged = _judged(history, process, readings[process], params)
    begin, span = judged[0].t_ns, max(1, judged[-1].t_ns - judged[0].t_ns)
    values = [getattr(s, params["metric"]) for s in judged]
    noise = float(np.percentile(values, 90) - np.percentile(values, 10))
    limit = max(params["max_growth"] * float(np.median(values)), params["max_rise"], 1.0) + noise
    for times in (3, 10):
        yield f"{process} grows by {times} limits", _grown(history, params, process, (begin, span, limit * times))


def _grown(history: History, params: Params, process: str, ramp: tuple[int, int, float]) -> History:
    begin, span, most = ramp
    events = []
    for event in history.events:
        if isinstance(event, ResourceSample) and event.process == process and event.t_ns >= begin:
            value = getattr(event, params["metric"])
            grown = value + round(most * (event.t_ns - begin) / span)
            event = msgspec.structs.replace(event, **{params["metric"]: grown if value >= 0 else value})
        events.append(event)
    return history.with_events(tuple(events))


CHECK = Check(
    kind="leak",
    summary="robust growth of memory, descriptors, threads or disk of each process",
    params=PARAMS,
    needs=frozenset({"samples"}),
    judge=judge,
    plant=plant,
)
