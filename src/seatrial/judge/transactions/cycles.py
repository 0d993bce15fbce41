"""The smallest cycle of each class of anomaly in a component: existence is exact, the size within a budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from seatrial.judge.transactions.append_kernels import GLUE, PROCESS, REALTIME, RW, WR, WW
from seatrial.judge.transactions.graph import Column, Edges, Graph, components, edges_of, linked, sorted_edges
from seatrial.judge.transactions.levels import SUFFIXES, split

BUDGET = 300_000  # edges looked at for one class in one component, after the first cycle was found
EACH = 3  # cycles of one class that are kept
ANY, SINGLE, APART, ADJACENT = "any", "single", "apart", "adjacent"

Step = tuple[int, int, int, int]  # source, target, kind, why


@dataclass(frozen=True, slots=True)
class Class:
    """What a cycle of one anomaly is made of: kinds allowed, one edge it starts from, one more kind it must have.

    rule: how many read-write edges: any, a single one, only apart from each other, or two next to each other.
    """

    anomaly: str
    allowed: frozenset[int]
    pivot: int
    need: int | None
    rule: str


@dataclass(frozen=True, slots=True)
class Cycle:
    """One anomaly. steps: each begins where the last ended. sure_smallest: no smaller one of its class is there."""

    anomaly: str
    steps: tuple[Step, ...]
    sure_smallest: bool


def _classes() -> tuple[Class, ...]:
    made = []
    for order, (more, need) in enumerate((((), None), ((PROCESS,), PROCESS), ((PROCESS, REALTIME), REALTIME))):
        base, suffix = frozenset((GLUE, *more)), SUFFIXES[order]
        made += [
            Class("G0" + suffix, base | {WW}, WW, need, ANY),
            Class("G1c" + suffix, base | {WW, WR}, WR, need, ANY),
            Class("G-single" + suffix, base | {WW, WR, RW}, RW, need, SINGLE),
            Class("G-nonadjacent" + suffix, base | {WW, WR, RW}, RW, need, APART),
            Class("G2-item" + suffix, base | {WW, WR, RW}, RW, need, ADJACENT),
        ]
    return tuple(made)


CLASSES = _classes()


def classes_wanted(forbidden: Callable[[str], bool]) -> list[Class]:
    """Return the classes whose anomaly is forbidden, in the order in which they are looked for."""
    return [c for c in CLASSES if forbidden(c.anomaly)]


def find(parts: list[Graph], wanted: Iterable[Class], expired: Callable[[], bool]) -> tuple[list[Cycle], list[str]]:
    """Return a few smallest cycles of each class, and what could not be told within the budget.

    A class with sessions or real time is passed over when the same class was found without: that rules out as much.
    """
    found: dict[str, list[Cycle]] = {}
    doubts: dict[str, str] = {}
    for one in wanted:
        base = split(one.anomaly)[0]
        if _any_of(found, one.anomaly):
            continue
        for part in parts:
            if expired():
                doubts[one.anomaly] = f"the time ended while cycles of class {one.anomaly} were looked for"
                break
            cycle, doubt = _smallest(part, one)
            if cycle is not None and (split(cycle.anomaly)[0] == base or not _any_of(found, cycle.anomaly)):
                found.setdefault(cycle.anomaly, []).append(cycle)
            elif doubt:
                doubts[one.anomaly] = doubt
            if len(found.get(one.anomaly, ())) >= EACH:
                break
    cycles = [c for many in found.values() for c in sorted(many, key=lambda c: len(c.steps))[:EACH]]
    return cycles, [doubt for name, doubt in doubts.items() if name not in found]


def _any_of(found: Iterable[str], anomaly: str) -> bool:
    return any(split(name)[0] == split(anomaly)[0] for name in found)


def _smallest(part: Graph, one: Class) -> tuple[Cycle | None, str]:
    kinds = set(np.unique(part.edges.kind).tolist())
    if one.pivot not in kinds or (one.need is not None and one.need not in kinds):
        return None, ""
    small = _Small(part, one)
    best: list[Step] | None = None
    spent, tried, pivots = 0, 0, small.pivots()
    for pivot in pivots:
        tried += 1
        steps, cost = small.shortest(pivot, len(best) - 1 if best else None)
        spent += cost
        if steps is not None and (best is None or len(steps) < len(best)):
            best = steps
        if spent > BUDGET and (best is not None or one.rule == SINGLE):
            break
        if best is not None and len(best) == 2:
            break
    if best is not None:
        return Cycle(_name(one, best), tuple(best), tried == len(pivots) or len(best) == 2), ""
    if tried < len(pivots):
        return None, f"cycles of class {one.anomaly} may exist: the budget ended before all were tried"
    return None, ""


def _name(one: Class, steps: list[Step]) -> str:
    """Return the anomaly that a cycle is: one with a single rw, met while looking for more of them, is G-single."""
    if one.rule == APART and sum(step[2] == RW for step in steps) == 1:
        return one.anomaly.replace("G-nonadjacent", "G-single")
    return one.anomaly


class _Small:
    """One component, nodes renumbered from 0, with only the kinds that the class allows."""

    def __init__(self, part: Graph, one: Class) -> None:
        rows = np.flatnonzero(np.isin(part.edges.kind, list(one.allowed)))
        edges = part.edges.take(rows)
        self.names, both = np.unique(np.concatenate([edges.source, edges.target]), return_inverse=True)
        self.source, self.target = both[: len(rows)], both[len(rows) :]
        self.one, self.real = one, part.real
        self.edges = edges_of(self.source, self.target, edges.kind, edges.why)
        begin, by_source = sorted_edges(self.edges, len(self.names))
        self.begin, self.to = begin.tolist(), by_source.target.tolist()
        self.kind, self.why = by_source.kind.tolist(), by_source.why.tolist()

    def pivots(self) -> list[Step]:
        """Return the edges through which a cycle of the class goes for sure (SINGLE: may go)."""
        group = self._groups()
        rows = np.flatnonzero(self.edges.kind == self.one.pivot)
        if self.one.rule == APART:
            many = len(self.names)
            rows = rows[(g := group)[self.source[rows]] == g[self.target[rows] + many]]
            rows = rows[group[self.source[rows]] >= 0]
        elif self.one.rule != SINGLE:
            rows = rows[(group[self.source[rows]] == group[self.target[rows]]) & (group[self.source[rows]] >= 0)]
        if self.one.need is not None and self.one.rule != SINGLE:
            rows = rows[np.isin(group[self.source[rows]], self._needed(group))]
        e = self.edges
        return [(int(e.source[r]), int(e.target[r]), int(e.kind[r]), int(e.why[r])) for r in rows]

    def _needed(self, group: Column) -> Column:
        rows = np.flatnonzero(self.edges.kind == self.one.need)
        same = group[self.source[rows]] == group[self.target[rows]]
        if self.one.rule == APART:  # it may be left by this edge after an rw
            same |= group[self.source[rows] + len(self.names)] == group[self.target[rows]]
        inside: Column = np.unique(group[self.target[rows[same]]])
        return inside[inside >= 0]

    def _groups(self) -> Column:
        if self.one.rule == SINGLE:
            return np.zeros(0, np.int32)
        edges, many = self.edges, len(self.names)
        if self.one.rule == APART:
            edges, many = self._apart(), 2 * len(self.names)
        begin, to = linked(edges, many)
        return components(begin, to)[0]

    def _apart(self) -> Edges:
        """Node v stands for "here, and the last was no rw", v + many for "came by rw": rw only leaves the first."""
        many, edges = len(self.names), self.edges
        glue, rw = edges.kind == GLUE, edges.kind == RW
        plain = ~glue & ~rw
        source = [edges.source[rw], edges.source[plain], edges.source[plain] + many]
        target = [edges.target[rw] + many, edges.target[plain], edges.target[plain]]
        for shift in (0, many):
            source.append(edges.source[glue] + shift)
            target.append(edges.target[glue] + shift)
        return edges_of(np.concatenate(source), np.concatenate(target), 0, 0)

    def shortest(self, pivot: Step, most: int | None) -> tuple[list[Step] | None, int]:
        """Return a shortest cycle through the edge with at most `most` steps, and how many edges were looked at.

        A state is a node times 8 and three bits: 1 the last edge was rw, 2 the needed kind was seen, 4 begun.
        """
        home, away, kind, _ = pivot
        begun = 0 if self.one.rule == ADJACENT else 4
        first = away * 8 + (kind == RW) + 2 * (self.one.need in (None, kind)) + begun
        came: dict[int, tuple[int, int]] = {first: (-1, -1)}
        distance, todo, cost = {first: 1}, deque([first]), 0
        done: set[int] = set()
        apart, to, kinds = self.one.rule == APART, self.to, self.kind
        while todo:
            state = todo.popleft()
            if state in done:
                continue
            done.add(state)
            node = state >> 3
            if node == home and state & 6 == 6 and not (apart and state & 1):
                return self._walk(pivot, state, came), cost
            so_far = distance[state]
            low, high = self.begin[node], self.begin[node + 1]
            cost += high - low
            for e in range(low, high):
                bits = self._bits(state & 7, kinds[e])
                if bits < 0:
                    continue
                far, other = so_far + (kinds[e] != GLUE), to[e] * 8 + bits
                if (most is None or far <= most) and far < distance.get(other, far + 1):
                    distance[other], came[other] = far, (state, e)
                    (todo.append if far > so_far else todo.appendleft)(other)
        return None, cost

    def _bits(self, bits: int, kind: int) -> int:
        """Return the bits of the state after an edge of a kind, -1 when the rule forbids the edge here."""
        if kind == GLUE:
            return bits
        if kind == RW:
            rule = self.one.rule
            return -1 if rule == SINGLE or (rule == APART and bits & 1) else bits | 5
        if not bits & 4:
            return -1
        return (bits & 6) | (2 if kind == self.one.need else 0)

    def _walk(self, pivot: Step, state: int, came: dict[int, tuple[int, int]]) -> list[Step]:
        steps = []
        while (before := came[state])[0] >= 0:
            e = before[1]
            steps.append((before[0] >> 3, self.to[e], self.kind[e], self.why[e]))
            state = before[0]
        walked = [pivot, *reversed(steps)]
        named = [(int(self.names[s]), int(self.names[t]), kind, why) for s, t, kind, why in walked]
        return merged(named, self.real)


def merged(steps: list[Step], real: int) -> list[Step]:
    """Return the steps between transactions only: what leads through other nodes is one step, of its telling kind."""
    start = next(i for i, step in enumerate(steps) if step[0] < real)
    out: list[Step] = []
    open_at, kind, why, reason = -1, GLUE, 0, 0
    for source, target, step_kind, step_why in steps[start:] + steps[:start]:
        if open_at < 0:
            open_at, kind, why, reason = source, step_kind, step_why, step_why
        if step_kind != GLUE:
            kind, why = step_kind, step_why
        if target < real:
            # an edge through a key's node: it left by a read (reason), and came by an append that nobody saw
            out.append((open_at, target, kind, reason if kind == RW else why))
            open_at = -1
    return out
