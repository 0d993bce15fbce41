"""Availability: the share of good answers, and the longest time without one, inside and outside fault windows.

A gap runs from one good answer to the next, from the begin of the span to the first, and from the last to the end:
a system that died and never came back has an open gap, so it cannot pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seatrial.history import History
from seatrial.judge.base import Check, Params, Planted, conclude, pick
from seatrial.judge.series import Series, answers, probes, spoil_ops, spoil_probes
from seatrial.judge.stats import wilson
from seatrial.judge.windows import Span, fault_windows, merge_spans, outside_pieces, seconds, to_ns, touching
from seatrial.params import Kind, Param
from seatrial.verdict import Evidence, Finding

Times = NDArray[np.int64]
CLAIM = "the service answers: enough good answers, and no gap longer than allowed"
PARAMS = (
    Param(name="min_share", kind=Kind.RATIO, default=0.9, help="share of good answers over the whole span"),
    Param(name="min_share_outside", kind=Kind.RATIO, default=0.99, help="share of good answers outside fault windows"),
    Param(name="max_gap", kind=Kind.DURATION, default=5.0, help="longest time without a good answer outside faults"),
    Param(name="max_gap_in_fault", kind=Kind.DURATION, default=60.0, help="longest gap that touches a fault window"),
    Param(name="settle", kind=Kind.DURATION, default=5.0, help="time after a fault is gone that counts to its window"),
    Param(name="min_samples", kind=Kind.COUNT, default=10, least=1, help="answers that must have been asked for"),
)


def _stages(*names: str) -> Param:
    return Param(
        name="stages", kind=Kind.TEXTS, default=names, help="stages that are judged; all when none of them ran"
    )


OF_PROBE = (
    Param(name="probe", kind=Kind.TEXT, default="", help="the probe by name; all when empty"),
    *PARAMS,
    _stages("drive", "heal", "quiesce"),
)
OF_OPS = (*PARAMS, _stages("drive"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gaps:
    outside: Span
    inside: Span


def span_of(history: History, stages: tuple[str, ...], series: Series) -> Span | None:
    """Return the span from the begin of the first of the stages to the end of the last; else that of the samples."""
    spans = merge_spans([s for s in (history.stage_span(name) for name in stages) if s is not None])
    if spans:
        return spans[0][0], spans[-1][1]
    return (int(series.asked[0]), max(int(series.asked[-1]), history.end_ns)) if len(series) else None


def judge(history: History, params: Params) -> Finding:
    """Judge the shares and the gaps of one source."""
    series, span = _series(history, params)
    if span is None or not len(series):
        return conclude(CLAIM, examined=0, required=params["min_samples"], untested="nobody asked for an answer")
    windows = fault_windows(history, to_ns(params["settle"]))
    outside = ~touching(series.asked, series.answered, windows)
    gaps = _gaps(series, span, windows)
    good, calm = int(series.good.sum()), int(outside.sum())
    calm_good = int(series.good[outside].sum())
    evidence = _evidence(history, params, gaps, (good, len(series)), (calm_good, calm))
    low, high = wilson(good, len(series))
    longest_out, longest_in = seconds(_length(gaps.outside)), seconds(_length(gaps.inside))
    return conclude(
        CLAIM,
        examined=len(series),
        required=params["min_samples"],
        violations=len(evidence),
        evidence=evidence,
        observed=f"{good} of {len(series)} good; longest gap {longest_out:.3g} s outside, {longest_in:.3g} s in faults",
        limit=f"{params['min_share']:.4g} and {params['min_share_outside']:.4g} outside faults;"
        f" {params['max_gap']:g} s outside, {params['max_gap_in_fault']:g} s in faults",
        figures={
            "share": good / len(series),
            "share_low": low,
            "share_high": high,
            "share_outside": calm_good / calm if calm else 1.0,
            "gap_outside_s": longest_out,
            "gap_in_fault_s": longest_in,
        },
    )


def _series(history: History, params: Params) -> tuple[Series, Span | None]:
    series = probes(history, params["probe"]) if "probe" in params else answers(history, warmup=False)
    span = span_of(history, tuple(params["stages"]), series)
    return (series.between(span), span) if span is not None else (series, None)


def _gaps(series: Series, span: Span, windows: list[Span]) -> _Gaps:
    """Return the longest piece of a gap that lies outside the windows, and the longest gap that touches one."""
    goods = np.unique(np.clip(series.answered[series.good], span[0], span[1]))
    edges = np.concatenate(([span[0]], goods, [span[1]])).astype(np.int64)
    begins, ends = edges[:-1], edges[1:]
    touched, contained = _against(begins, ends, windows)
    straddling = [(int(begins[n]), int(ends[n])) for n in np.flatnonzero(touched & ~contained)]
    pieces = [piece for gap in straddling for piece in outside_pieces(gap, windows)]
    outside = max([_longest(begins, ends, ~touched, span), *pieces], key=_length)
    return _Gaps(outside=outside, inside=_longest(begins, ends, touched, span))


def _against(begins: Times, ends: Times, windows: list[Span]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which gaps touch a window, and which lie inside one. Few do more than touch, however many gaps."""
    if not windows:
        return np.zeros(len(begins), dtype=bool), np.zeros(len(begins), dtype=bool)
    starts = np.array([w[0] for w in windows], dtype=np.int64)
    stops = np.array([w[1] for w in windows], dtype=np.int64)
    place = np.searchsorted(starts, ends, side="left") - 1
    near = np.maximum(place, 0)
    touched = (place >= 0) & (stops[near] > begins)
    return touched, touched & (starts[near] <= begins) & (stops[near] >= ends)


def _longest(begins: Times, ends: Times, where: NDArray[np.bool_], span: Span) -> Span:
    if not where.any():
        return span[0], span[0]
    place = int(np.argmax(np.where(where, ends - begins, -1)))
    return int(begins[place]), int(ends[place])


def _length(span: Span) -> int:
    return span[1] - span[0]


def _evidence(
    history: History, params: Params, gaps: _Gaps, whole: tuple[int, int], calm: tuple[int, int]
) -> list[Evidence]:
    found = []
    for name, gap, most in (
        ("outside fault windows", gaps.outside, params["max_gap"]),
        ("touching a fault window", gaps.inside, params["max_gap_in_fault"]),
    ):
        if _length(gap) > to_ns(most):
            what = f"no good answer for {seconds(_length(gap)):.3g} s {name}, {most:g} s are allowed"
            found.append(Evidence(what=what, at=history.anchor.iso(gap[0]), observed=f"{seconds(_length(gap)):.3g} s"))
    for name, (good, total), least in (
        ("in all", whole, params["min_share"]),
        ("outside fault windows", calm, params["min_share_outside"]),
    ):
        if total and good / total < least:
            what = f"{good} of {total} answers {name} were good, {least:.4g} is required"
            found.append(Evidence(what=what, observed=f"{good / total:.5g}", expected=f"{least:.5g}"))
    return found


def plant(history: History, params: Params, seed: int) -> Planted:
    """Plant a service that is dead from some moment on, one that was never up, and many scattered errors."""
    series, span = _series(history, params)
    if span is None or not len(series):
        return
    at = int(series.asked[pick(seed, "dead", max(1, len(series) // 2))])
    yield "dead from some moment on", _spoil(history, params, [(at, span[1])])
    yield "never up", _spoil(history, params, [span])
    if params["min_share"] > 0.5:
        yield "every second answer bad", _spoil(history, params, [span], share=2)


def _spoil(history: History, params: Params, spans: list[Span], *, share: int = 1) -> History:
    if "probe" in params:
        return spoil_probes(history, params["probe"], spans, share=share)
    return spoil_ops(history, spans, share=share)


CHECK = Check(
    kind="availability",
    summary="health probes: share of good answers and longest gap, inside and outside fault windows",
    params=OF_PROBE,
    needs=frozenset({"probe"}),
    judge=judge,
    plant=plant,
    under_faults=True,
    excused_by=frozenset({"disk", "oom", "steal"}),
)
OPS_CHECK = Check(
    kind="ops_availability",
    summary="users' ops: share of good answers and longest gap, inside and outside fault windows",
    params=OF_OPS,
    needs=frozenset({"ops"}),
    judge=judge,
    plant=plant,
    under_faults=True,
    by_crew=True,
    excused_by=frozenset({"disk", "oom", "steal"}),
)
