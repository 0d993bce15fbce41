"""A set that only grows, read whole: the reads order everything, so no search is needed. O(n log n + size of reads).

Answers that are legal form a chain, each containing the one before. An element belongs right before the first read
that has it; one that no read has comes after all reads. That gives every call its place up to changes among equals,
and a linearization exists exactly if no call ends before one of an earlier place begins.
"""

from __future__ import annotations

from typing import Any

from seatrial.judge.linear.problem import NEVER, Part

GROWING = "growing set"


def grow_only_set(part: Part) -> tuple[str, list[int] | None] | None:
    """Judge a part of unique adds and whole reads; None when there is anything else."""
    assert part.space is not None
    held: frozenset[Any] = part.space.states[part.initial]
    adds: dict[Any, int] = {}
    reads: list[tuple[frozenset[Any], int]] = []
    for row in range(len(part)):
        f, value, answer = part.space.moves[part.a[row]]
        if f == "read":
            reads.append((value, row))
        elif f != "add" or answer is not None or value in adds or value in held:
            return None
        else:
            adds[value] = row
    reads.sort(key=lambda r: len(r[0]))
    return GROWING, _judge(part, held, adds, reads)


def _judge(
    part: Part, held: frozenset[Any], adds: dict[Any, int], reads: list[tuple[frozenset[Any], int]]
) -> list[int] | None:
    places: list[list[int]] = []
    seen, earlier = held, -1
    unseen = dict(adds)
    for value, row in reads:
        if not seen <= value:
            missing = next(iter(seen - value))
            return [r for r in (adds.get(missing, -1), earlier, row) if r >= 0]
        new = value - seen
        if new or not places:
            stranger = next((v for v in new if v not in adds), None)
            if stranger is not None:
                return [row]
            places += [[unseen.pop(v) for v in new], [row]]
        else:
            places[-1].append(row)
        seen, earlier = value, row
    places.append([r for r in unseen.values() if part.end[r] < NEVER])
    return _in_order(part, places)


def _in_order(part: Part, places: list[list[int]]) -> list[int] | None:
    """Return two calls that happened against the order of their places, or None."""
    latest, which = -1, -1
    for rows in places:
        for row in rows:
            if part.end[row] < latest:
                return [which, row]
        for row in rows:
            if part.start[row] > latest:
                latest, which = part.start[row], row
    return None
