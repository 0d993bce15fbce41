"""Registers whose values are written once: zones of time instead of a search (Gibbons and Korach, 1997), O(n log n).

All calls on one value stand together in any linearization. A compare-and-set ties its old value to its new one, so
chains of them stand together too: a cluster, whose inner order is known (write, its reads, the swap, its reads ...).
1. Within a cluster, no call may end before one of an earlier place begins.
2. A cluster with min(end) < max(start) covers the time between (forward); two of those may not overlap.
3. Any other cluster (backward) fits into every instant from max(start) to min(end); it must not lie inside a forward
   one.
With 1 to 3 every cluster can be placed: a forward one in its zone, a backward one at an instant of its zone that no
forward one covers. That is a linearization, so the method is exact.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left

from seatrial.judge.linear.problem import CAS, JUNK, NEVER, READ, SET, Part
from seatrial.judge.linear.zone_columns import zones_hold

ZONES = "zones"
COLUMNS_FROM = 5_000  # calls from which it pays to make columns of a part


def unique_register(part: Part) -> tuple[str, list[int] | None] | None:
    """Judge a part of READ, SET and CAS with values written once; None when a value is written twice."""
    writers: dict[int, int] = {}
    if part.initial != JUNK:
        writers[part.initial] = -1
    for row, kind in enumerate(part.kind):
        if kind in (SET, CAS):
            value = part.b[row]
            if value == JUNK:
                continue
            if value in writers:
                return None
            writers[value] = row
        elif kind != READ:
            return None
    if len(part) >= COLUMNS_FROM and _holds_as_columns(part):
        return ZONES, None
    used = _used(part, writers)
    orphan = next((r for r in used if part.kind[r] != SET and part.a[r] not in writers), None)
    if orphan is not None:
        return ZONES, [orphan]
    return ZONES, _judge(part, used, writers)


def _holds_as_columns(part: Part) -> bool:
    """Return True for a large part of reads and completed writes that is linearizable; else it is to be looked at."""
    import numpy as np

    kind, start, end = np.array(part.kind, np.int8), np.array(part.start), np.array(part.end)
    if (kind == CAS).any() or (end >= NEVER).any():
        return False
    write = kind == SET
    cluster = np.where(write, np.array(part.b), np.array(part.a))
    nameless = np.flatnonzero(cluster == JUNK)  # writes that nobody observes: each is a cluster of its own
    top = int(cluster.max()) + 1
    cluster[nameless] = top + np.arange(len(nameless))
    if part.initial != JUNK:
        cluster, write = np.append(cluster, part.initial), np.append(write, True)
        start, end = np.append(start, -1), np.append(end, -1)
    owners = np.zeros(int(cluster.max()) + 1, np.int64)
    return zones_hold(cluster, write, start, end, owners) is None


def _used(part: Part, writers: dict[int, int]) -> list[int]:
    """Return the calls that must have happened: completed ones, and open ones whose value is observed by such."""
    needed = {r for r in range(len(part)) if part.end[r] < NEVER}
    if len(needed) == len(part):
        return sorted(needed)
    waiting = [r for r in needed if part.kind[r] != SET]
    while waiting:
        writer = writers.get(part.a[waiting.pop()], -1)
        if writer >= 0 and writer not in needed:
            needed.add(writer)
            if part.kind[writer] == CAS:
                waiting.append(writer)
    return sorted(needed)


def _judge(part: Part, used: list[int], writers: dict[int, int]) -> list[int] | None:
    swaps: dict[int, int] = {}  # old value -> its one successful compare-and-set
    readers: dict[int, list[int]] = {}
    roots: list[tuple[int, int]] = []  # (value, writer)
    for row in used:
        kind, a = part.kind[row], part.a[row]
        if kind == READ:
            readers.setdefault(a, []).append(row)
        elif kind == SET:
            roots.append((part.b[row], row))
        elif a in swaps:
            return [r for r in (swaps[a], row, writers[a]) if r >= 0]
        else:
            swaps[a] = row
    if part.initial != JUNK:
        roots.append((part.initial, -1))
    clusters, reached = [], 0
    for value, row in roots:
        cluster = _cluster(part, value, row, swaps, readers)
        reached += len(cluster) - (row < 0)
        clusters.append(cluster)
    if reached < len(used):  # swaps that only lead to one another
        placed = {r for c in clusters for r in c}
        return [r for r in used if r not in placed]
    return _place(part, clusters)


def _cluster(part: Part, value: int, row: int, swaps: dict[int, int], readers: dict[int, list[int]]) -> list[int]:
    """Return the calls of a cluster by their places: writer, readers, swap, readers ... (-1: the initial value)."""
    found = [row]
    while value != JUNK:
        found += readers.get(value, ())
        swap = swaps.get(value)
        if swap is None:
            break
        found.append(swap)
        value = part.b[swap]
    return found


def _place(part: Part, clusters: list[list[int]]) -> list[int] | None:
    forward: list[tuple[int, int, list[int]]] = []
    backward: list[tuple[int, int, list[int]]] = []
    for cluster in clusters:
        wrong = _inner(part, cluster)
        if wrong is not None:
            return wrong
        low = min((part.end[r] if r >= 0 else -1) for r in cluster)
        high = max((part.start[r] if r >= 0 else -1) for r in cluster)
        if low < high:
            forward.append((low, high, cluster))
        elif cluster != [-1]:
            backward.append((high, low, cluster))
    forward.sort(key=lambda z: z[:2])
    for one, two in itertools.pairwise(forward):
        if two[0] < one[1]:
            return _witness(part, one[2]) + _witness(part, two[2])
    begins = [z[0] for z in forward]
    for low, high, cluster in backward:
        at = bisect_left(begins, low) - 1  # the last forward zone that begins before; the others are apart from it
        if at >= 0 and high < forward[at][1]:
            return _witness(part, forward[at][2]) + _witness(part, cluster)
    return None


def _inner(part: Part, cluster: list[int]) -> list[int] | None:
    """Return two calls of a cluster that happened against its order, or None."""
    latest, earlier, waiting, beyond = -2, -1, -2, -1  # the latest start of the places before; and of this place
    for row in cluster:
        if row < 0:
            continue
        if part.kind[row] != READ:  # a writer has a place of its own: all before it are earlier, all after it later
            if waiting > latest:
                latest, earlier = waiting, beyond
            if part.end[row] < latest:
                return _through(part, cluster, row, earlier)
            if part.start[row] > latest:
                latest, earlier = part.start[row], row
        else:
            if part.end[row] < latest:
                return _through(part, cluster, row, earlier)
            if part.start[row] > waiting:
                waiting, beyond = part.start[row], row
    return None


def _through(part: Part, cluster: list[int], row: int, earlier: int) -> list[int]:
    """Return the two calls and the swaps that tie them together."""
    between = cluster[: max(cluster.index(row), cluster.index(earlier)) + 1]
    return [r for r in between if r >= 0 and (part.kind[r] != READ or r in (row, earlier))]


def _witness(part: Part, cluster: list[int]) -> list[int]:
    """Return the calls that make the zone of a cluster: its writers, its first end and its last start."""
    rows = [r for r in cluster if r >= 0]
    first = min(rows, key=part.end.__getitem__)
    last = max(rows, key=part.start.__getitem__)
    return [r for r in rows if part.kind[r] != READ or r in (first, last)]
