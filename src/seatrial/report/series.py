"""From millions of ops and samples to a few hundred points on one time axis. Exact: no sketches, no sampling of ops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.clock import NS
from seatrial.history import (
    AnyEvent,
    FaultEvent,
    History,
    OpOutcome,
    Ops,
    ProbeSample,
    ProcessEvent,
    ResourceSample,
    StageEvent,
)

Floats = NDArray[np.float64]
_STEPS_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)
_MOST, _LEAST, _OPS_A_BUCKET = 300, 60, 10
_SHOWN_STAGES_NOT = {"install", "teardown"}  # long and without measurements: they would squeeze what matters


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The shared time axis: `buckets` of `width_ns` from `begin_ns`; origin_ns is the instant that is shown as zero."""

    begin_ns: int
    width_ns: int
    buckets: int
    origin_ns: int

    @property
    def end_ns(self) -> int:
        """Return the end of the last bucket."""
        return self.begin_ns + self.width_ns * self.buckets

    @property
    def width_s(self) -> float:
        """Return the width of a bucket in seconds."""
        return self.width_ns / NS

    def share(self, at_ns: float) -> float:
        """Return where an instant lies on the axis, 0..1, clipped."""
        return min(1.0, max(0.0, (at_ns - self.begin_ns) / (self.width_ns * self.buckets)))

    def seconds(self, at_ns: float) -> float:
        """Return an instant as seconds since the origin."""
        return (at_ns - self.origin_ns) / NS


@dataclass(frozen=True, slots=True, kw_only=True)
class OpsSeries:
    """Ops a bucket, each at the moment its user wanted it. Rates are per second; latencies seconds, NaN where none."""

    rate: dict[str, Floats]
    p50: Floats
    p99: Floats
    top: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSeries:
    """Health probes a bucket: how many were good and bad."""

    good: NDArray[np.int64]
    bad: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """One figure over time for several processes; NaN where there was no sample. left_out: processes not shown."""

    values: dict[str, Floats]
    left_out: int = 0


def axis_of(history: History) -> Axis | None:
    """Return the axis that holds everything measured in the run, or None when nothing was."""
    begin, end = _span(history)
    if begin is None or end is None:
        return None
    length = max(end - begin, NS // 10)
    width = _width_ns(length, len(history.ops))
    return Axis(begin_ns=begin, width_ns=width, buckets=length // width + 1, origin_ns=begin)


def _span(history: History) -> tuple[int | None, int | None]:
    instants = [e.t_ns for e in history.events if _is_measured(e)]
    ops = history.ops
    if len(ops):
        instants += [int(ops.intended_ns.min()), int(ops.started_ns.max()), int(ops.intended_ns.max())]
        ended = int(ops.ended_ns.max())
        instants += [ended] if ended else []
    return (min(instants), max(instants)) if instants else (None, None)


def _is_measured(event: AnyEvent) -> bool:
    if isinstance(event, StageEvent):
        return event.stage not in _SHOWN_STAGES_NOT
    if isinstance(event, FaultEvent):
        return event.what != "planned"
    return isinstance(event, (ProbeSample, ResourceSample, ProcessEvent))


def _width_ns(length_ns: int, ops: int) -> int:
    """Return the bucket width: a round one, at most _MOST buckets, wider while buckets would hold few ops."""
    fits = [s for s in _STEPS_S if length_ns / (s * NS) <= _MOST]
    if not fits:
        return -(-length_ns // _MOST)
    for step in fits:
        buckets = length_ns / (step * NS)
        if not ops or ops / max(buckets, 1) >= _OPS_A_BUCKET or buckets < 2 * _LEAST:
            return int(step * NS)
    return int(fits[0] * NS)


def ops_series(ops: Ops, axis: Axis) -> OpsSeries:
    """Return rates by outcome, and exact latency quantiles of the ops that succeeded, from the intended start."""
    bucket = _buckets(ops.intended_ns, axis)
    kinds = len(OpOutcome) + 1
    cell = bucket.astype(np.int32) * kinds
    cell += ops.outcome
    table = np.bincount(cell, minlength=axis.buckets * kinds).reshape(axis.buckets, kinds)
    rate = {o.name.lower(): table[:, int(o)] / axis.width_s for o in OpOutcome}
    done = np.flatnonzero(ops.outcome == OpOutcome.OK)
    order = done[np.argsort(bucket[done], kind="stable")]  # a radix sort, because buckets are 16 bits
    latency = ops.ended_ns[order] - ops.intended_ns[order]
    p50, p99, top = _quantiles(latency, table[:, int(OpOutcome.OK)])
    return OpsSeries(rate=rate, p50=p50, p99=p99, top=top)


def _buckets(instants: NDArray[np.int64], axis: Axis) -> NDArray[np.uint16]:
    bucket = instants - axis.begin_ns
    bucket //= axis.width_ns
    np.clip(bucket, 0, axis.buckets - 1, out=bucket)
    return bucket.astype(np.uint16)


def _quantiles(latency: NDArray[np.int64], sizes: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """Return p50, p99 and max in seconds of consecutive runs of `latency`; nearest-rank, so each was really seen."""
    result = np.full((3, len(sizes)), np.nan)
    start = 0
    for column, count in enumerate(sizes):
        if not count:
            continue
        part = latency[start : start + count]
        start += count
        ranks = (-(-count // 2) - 1, -(-count * 99 // 100) - 1, count - 1)
        part.partition(sorted(set(ranks)))
        result[:, column] = part[list(ranks)]
    result /= NS
    return result[0], result[1], result[2]


def probe_series(samples: Iterable[ProbeSample], axis: Axis) -> dict[str, ProbeSeries]:
    """Return the good and bad answers a bucket, by probe name, in the order in which they first answered."""
    grouped: dict[str, tuple[list[int], list[int]]] = {}
    for sample in samples:
        good, bad = grouped.setdefault(sample.probe, ([], []))
        (good if sample.ok else bad).append(sample.t_ns)
    return {name: ProbeSeries(good=_count(good, axis), bad=_count(bad, axis)) for name, (good, bad) in grouped.items()}


def _count(instants: Sequence[int], axis: Axis) -> NDArray[np.int64]:
    return np.bincount(_buckets(np.array(instants, dtype=np.int64), axis), minlength=axis.buckets)


def resource_lines(samples: Sequence[ResourceSample], axis: Axis, most: int = 6) -> dict[str, Lines]:
    """Return memory (bytes), CPU (percent of one core) and open files over time, for the busiest processes."""
    grouped: dict[str, list[ResourceSample]] = {}
    for sample in samples:
        grouped.setdefault(sample.process, []).append(sample)
    figures = {"rss": "rss", "cpu": "cpu", "fds": "fds"}
    return {figure: _busiest({p: _line(s, figure, axis) for p, s in grouped.items()}, most) for figure in figures}


def _line(samples: Sequence[ResourceSample], figure: str, axis: Axis) -> Floats:
    at = np.array([s.t_ns for s in samples], dtype=np.int64)
    if figure == "cpu":
        at, values = _cpu_percent(at, np.array([s.cpu_ns for s in samples], dtype=np.float64))
    else:
        values = np.array([getattr(s, figure) for s in samples], dtype=np.float64)
    known = values >= 0
    line = np.full(axis.buckets, -np.inf)
    np.maximum.at(line, _buckets(at[known], axis), values[known])
    line[np.isneginf(line)] = np.nan
    return line


def _cpu_percent(at: NDArray[np.int64], used: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return the use between samples; a step back means that the process was started again, and is no figure."""
    if len(at) < 2:
        return at[:0], used[:0]
    passed = np.maximum(np.diff(at), 1)
    percent = np.diff(used) / passed * 100
    return at[1:], np.where((used[1:] >= 0) & (used[:-1] >= 0), percent, -1.0)


def _busiest(lines: dict[str, Floats], most: int) -> Lines:
    known = {p: line for p, line in lines.items() if not np.isnan(line).all()}
    order = sorted(known, key=lambda p: -float(np.nanmax(known[p])))
    chosen = set(order[:most])
    return Lines(values={p: v for p, v in known.items() if p in chosen}, left_out=max(0, len(order) - most))
