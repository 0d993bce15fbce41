"""Good and bad answers over time, from the health probes and from the ops: what availability and recovery share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from seatrial.history import Flag, History, OpOutcome, ProbeSample


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Samples in order of their start: when each was asked, when answered (ns), and whether the answer was good."""

    asked: NDArray[np.int64]
    answered: NDArray[np.int64]
    good: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.asked)

    def between(self, span: tuple[int, int]) -> Series:
        """Return the samples that were asked inside a span, ends included."""
        first, last = np.searchsorted(self.asked, span[0], "left"), np.searchsorted(self.asked, span[1], "right")
        part = slice(int(first), int(last))
        return Series(asked=self.asked[part], answered=self.answered[part], good=self.good[part])


def probes(history: History, name: str = "") -> Series:
    """Return the samples of one probe, or of all."""
    found = [p for p in history.of(ProbeSample) if name in ("", p.probe)]
    asked = np.array([p.t_ns for p in found], dtype=np.int64)
    waited = np.array([max(0, p.latency_ns) for p in found], dtype=np.int64)
    good = np.array([p.ok for p in found], dtype=bool)
    return _sorted(asked, asked + waited, good)


def answers(history: History, *, readback: bool = False, warmup: bool = True) -> Series:
    """Return the ops as samples, counted from their intended start; an op without a completion is bad."""
    ops, left_out = history.ops, Flag(0)
    left_out |= Flag(0) if readback else Flag.READBACK
    left_out |= Flag(0) if warmup else Flag.WARMUP
    keep = (ops.flags & np.uint8(left_out)) == 0
    asked, ended = ops.intended_ns[keep], ops.ended_ns[keep]
    good = ops.outcome[keep] == OpOutcome.OK
    return _sorted(asked, np.where(ended > 0, ended, asked), good)


def _sorted(asked: NDArray[np.int64], answered: NDArray[np.int64], good: NDArray[np.bool_]) -> Series:
    order = np.argsort(asked, kind="stable")
    return Series(asked=asked[order], answered=answered[order], good=good[order])


def spoil_probes(history: History, name: str, spans: list[tuple[int, int]], *, share: int = 1) -> History:
    """Return a copy in which every `share`-th probe asked inside the spans was answered badly."""
    seen = 0
    events = []
    for event in history.events:
        if isinstance(event, ProbeSample) and name in ("", event.probe) and _within(event.t_ns, spans):
            seen += 1
            if (seen - 1) % share == 0:
                event = msgspec.structs.replace(event, ok=False, reason="planted")
        events.append(event)
    return replace(history, events=tuple(events))


def _within(t_ns: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= t_ns <= end for start, end in spans)


def spoil_ops(history: History, spans: list[tuple[int, int]], *, share: int = 1) -> History:
    """Return a copy in which every `share`-th op intended inside the spans failed."""
    ops, hit = history.ops, np.zeros(len(history.ops), dtype=bool)
    for start, end in spans:
        hit |= (ops.intended_ns >= start) & (ops.intended_ns <= end)
    outcome, rows = ops.outcome.copy(), np.flatnonzero(hit)[::share]
    outcome[rows] = OpOutcome.FAIL
    return history.with_ops(ops.with_columns(outcome=outcome))
