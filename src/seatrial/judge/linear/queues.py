"""FIFO queues whose values are enqueued once: decided by comparing pairs, without a search. O(n log n).

An enqueue must come before the dequeue of its value, so its interval ends no later, and that of the dequeue begins no
earlier, than the other's. On these shortened intervals: there is a linearization exactly if no x, y exist where x is
enqueued wholly before y but dequeued wholly after y (or never). Why that is enough: "wholly before" is an interval
order in enqueues and in dequeues; a cycle of their union shortens to one of two values, because an interval order has
no two disjoint chains (2+2); and along an order without a cycle the earliest instants fit into all intervals.
"""

from __future__ import annotations

from typing import Any

from seatrial.judge.linear.problem import NEVER, Part

PAIRS = "queue pairs"
LATER = NEVER + 1  # a dequeue that never comes


def unique_queue(part: Part) -> tuple[str, list[int] | None] | None:
    """Judge a part of unique enqueues and answered, non-empty dequeues; None when there is anything else."""
    assert part.space is not None
    if part.space.states[part.initial]:
        return None
    put: dict[Any, int] = {}
    got: dict[Any, int] = {}
    twice: list[int] | None = None
    for row in range(len(part)):
        kind, value = part.space.moves[part.a[row]]
        table = put if kind == "in" else got
        if kind == "out" and (value is None or part.end[row] >= NEVER):
            return None
        if value in table:
            if kind == "in":
                return None
            twice = [table[value], row]
        table[value] = row
    if twice is not None:
        value = part.space.moves[part.a[twice[0]]][1]
        return PAIRS, [*twice, *([put[value]] if value in put else [])]
    stranger = next((row for value, row in got.items() if value not in put), None)
    if stranger is not None:
        return PAIRS, [stranger]
    return PAIRS, _pairs(part, put, got)


def _pairs(part: Part, put: dict[Any, int], got: dict[Any, int]) -> list[int] | None:
    rows: list[tuple[int, int, int, int, tuple[int, ...]]] = []
    for value, row in put.items():
        out = got.get(value)
        if out is None:
            if part.end[row] < NEVER:
                rows.append((part.start[row], part.end[row], LATER, LATER, (row,)))
            continue
        if part.end[out] < part.start[row]:
            return [row, out]
        begin, end = max(part.start[out], part.start[row]), part.end[out]
        rows.append((part.start[row], min(part.end[row], end), begin, end, (row, out)))
    by_end = sorted(rows, key=lambda r: r[1])
    at, latest = 0, -1
    which: tuple[int, ...] = ()
    for start, _, _, out_end, mine in sorted(rows, key=lambda r: r[0]):
        while at < len(by_end) and by_end[at][1] < start:
            if by_end[at][2] > latest:
                latest, which = by_end[at][2], by_end[at][4]
            at += 1
        if latest > out_end:
            return [*which, *mine]
    return None
