"""When faults were in force, in which phase an instant lies, and which fault explains a loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.clock import NS
from seatrial.history import History, Injection

Span = tuple[int, int]
PHASES = ("all", "before", "during", "after", "outside")


def seconds(ns: float) -> float:
    """Return nanoseconds as seconds, rounded to microseconds."""
    return round(float(ns) / NS, 6)


def to_ns(duration_s: float) -> int:
    """Return seconds as whole nanoseconds."""
    return round(duration_s * NS)


def fault_windows(history: History, settle_ns: int = 0) -> list[Span]:
    """Return the merged spans in which a fault was in force, each lengthened by settle_ns at its end."""
    end = history.end_ns
    found = (injection.window(end) for injection in history.injections())
    return merge_spans([(w[0], w[1] + settle_ns) for w in found if w is not None])


def merge_spans(spans: list[Span]) -> list[Span]:
    """Return the union of spans as sorted, disjoint spans."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def outside_pieces(span: Span, windows: list[Span]) -> list[Span]:
    """Return what is left of a span without the (sorted, disjoint) windows."""
    pieces, at = [], span[0]
    for start, end in windows:
        if end <= at or start >= span[1]:
            continue
        if start > at:
            pieces.append((at, start))
        at = max(at, end)
    if at < span[1]:
        pieces.append((at, span[1]))
    return pieces


def overlap(span: Span, windows: list[Span]) -> int:
    """Return how many ns of a span lie inside the windows."""
    return (span[1] - span[0]) - sum(b - a for a, b in outside_pieces(span, windows))


def touching(begins: NDArray[Any], ends: NDArray[Any], windows: list[Span]) -> NDArray[np.bool_]:
    """Return for each stretch of time whether it meets one of the (sorted, disjoint) windows."""
    if not windows:
        return np.zeros(len(begins), dtype=bool)
    starts = np.array([w[0] for w in windows], dtype=np.int64)
    stops = np.array([w[1] for w in windows], dtype=np.int64)
    at = np.searchsorted(starts, ends, side="right") - 1
    return np.asarray((at >= 0) & (stops[np.maximum(at, 0)] >= begins))


def in_phase(history: History, begins: NDArray[Any], ends: NDArray[Any], phase: str) -> NDArray[np.bool_]:
    """Return which ops lie in a phase: wholly before the first fault, touched by any, or begun after the first.

    An op that was under way when a fault began is touched by it: what became of it is the fault's doing.
    """
    if phase == "all":
        return np.ones(len(begins), dtype=bool)
    windows = fault_windows(history)
    during = touching(begins, np.maximum(begins, ends), windows)
    if phase == "during":
        return during
    if phase == "outside":
        return ~during
    before = begins < windows[0][0] if windows else np.ones(len(begins), dtype=bool)
    return ~during & (before if phase == "before" else ~before)


def blame(history: History, times: NDArray[Any]) -> tuple[NDArray[np.int64], list[Injection]]:
    """Return for each instant of an acknowledgement the fault that explains its loss, as an index, or -1.

    That is a fault in force at the instant (the latest begun), or else the next one that was injected after it.
    """
    faults = [i for i in history.injections() if i.injected_ns is not None]
    faults.sort(key=lambda i: (i.begun_ns or 0, i.id))
    result = np.full(len(times), -1, dtype=np.int64)
    if not faults:
        return result, faults
    starts = np.array([i.begun_ns for i in faults], dtype=np.int64)
    following = np.searchsorted(starts, times, side="left")
    result = np.where(following < len(faults), following, -1)
    for index, injection in enumerate(faults):
        window = injection.window(history.end_ns)
        if window is not None:
            result[(times >= window[0]) & (times <= window[1])] = index
    return result, faults


def blame_text(history: History, index: int, faults: list[Injection], at_ns: int) -> str:
    """Return in words how a fault relates to an instant."""
    if index < 0:
        return "no fault in force or later"
    fault = faults[index]
    label = f"{fault.id} ({fault.kind} of {fault.target})"
    begun = fault.begun_ns or 0
    return f"{label}, in force" if begun <= at_ns else f"{label}, {seconds(begun - at_ns):g} s later"
