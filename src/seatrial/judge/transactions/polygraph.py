"""Which orders of writes a register history leaves open: a graph of what is known, and chains of writes per key.

Every transaction has a start and a commit; for serializability they are one point. What is known:
a commit before a start (it was read, overwritten, earlier in the session or in time), and a start before a commit
(a read of what the other overwrote). A transaction that reads a key and writes it comes right after what it read:
so the writes of a key form chains. How the chains of a key follow each other is what remains to be found.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from seatrial.judge.transactions.append_kernels import GLUE, PROCESS, REALTIME, RW, WR, WW
from seatrial.judge.transactions.levels import PROCESS as SESSIONS
from seatrial.judge.transactions.levels import REALTIME as TIMES
from seatrial.judge.transactions.levels import Level
from seatrial.judge.transactions.registers import INITIAL, Registers

Why = tuple[int, Any, int]  # kind of the dependency, key, third transaction that shows it (-1: none)


@dataclass(slots=True)
class Chain:
    """Writes of one key that follow each other directly. from_initial: the first of them overwrote the initial value.

    writers may be empty for the chain of the initial value only.
    """

    key: Any
    writers: list[int]
    from_initial: bool = False


@dataclass(slots=True)
class Polygraph:
    """apart: whether start and commit are two points (snapshot isolation). out: known edges between points, with why.

    chains: of each key that has more than one place to put, those whose order is open.
    lost: two transactions that read one version of a key and both overwrote it.
    """

    r: Registers
    apart: bool
    out: list[list[tuple[int, Why]]]
    readers: dict[tuple[Any, int], list[int]]
    chains: dict[Any, list[Chain]] = field(default_factory=dict)
    lost: list[tuple[int, int, int, Any]] = field(default_factory=list)

    def start(self, txn: int) -> int:
        """Return the point where a transaction starts."""
        return 2 * txn if self.apart else txn

    def commit(self, txn: int) -> int:
        """Return the point where a transaction commits."""
        return 2 * txn + 1 if self.apart else txn

    def txn(self, point: int) -> int:
        """Return the transaction of a point."""
        return point // 2 if self.apart else point

    def after(self, first: int, then: int, why: Why) -> None:
        """The second starts after the first committed."""
        self.out[self.commit(first)].append((self.start(then), why))

    def misses(self, reader: int, writer: int, why: Why) -> None:
        """The reader started before the writer committed, because it did not see the write."""
        if reader != writer:
            self.out[self.start(reader)].append((self.commit(writer), why))

    def follow(self, first: Chain, then: Chain) -> list[tuple[int, int, Why]]:
        """Return the edges that hold when one chain comes before another."""
        head, key = then.writers[0], first.key
        tail = first.writers[-1] if first.writers else INITIAL
        edges = [
            (self.start(reader), self.commit(head), (RW, key, tail))
            for reader in self.readers.get((key, tail), ())
            if reader != head
        ]
        if tail != INITIAL:
            edges.append((self.commit(tail), self.start(head), (WW, key, -1)))
        return edges


def polygraph_of(r: Registers, level: Level, apart: bool) -> Polygraph:
    """Build the graph of what is known at a level."""
    readers: dict[tuple[Any, int], list[int]] = {}
    for txn, reads in enumerate(r.reads):
        for key, writer in dict.fromkeys(reads):
            readers.setdefault((key, writer), []).append(txn)
    g = Polygraph(r=r, apart=apart, out=[[] for _ in range(r.many * (2 if apart else 1))], readers=readers)
    if apart:
        for txn in range(r.many):
            g.out[2 * txn].append((2 * txn + 1, (GLUE, None, -1)))
    for (key, writer), who in readers.items():
        if writer != INITIAL:
            for txn in who:
                if txn != writer:
                    g.after(writer, txn, (WR, key, -1))
    if level.order >= SESSIONS:
        for session in r.sessions:
            for first, then in pairwise(session):
                g.after(first, then, (PROCESS, None, -1))
    if level.order >= TIMES and r.realtime:
        _add_times(g)
    _add_chains(g)
    for first, then, key in r.ordered:
        g.after(first, then, (WW, key, -1))
    return g


def _add_times(g: Polygraph) -> None:
    """From what ended last before a transaction began; what those had seen ended is implied by them."""
    ops = g.r.ops
    events = [(op.start, 1, t) for t, op in enumerate(ops)]
    events += [(op.end, 0, t) for t, op in enumerate(ops) if op.end is not None]
    frontier: set[int] = set()
    for _, began, txn in sorted(events):
        if began:
            for other in frontier:
                g.after(other, txn, (REALTIME, None, -1))
        else:
            frontier = {o for o in frontier if (ops[o].end or 0) >= ops[txn].start}
            frontier.add(txn)


def _add_chains(g: Polygraph) -> None:
    writers: dict[Any, list[int]] = {}
    for txn, keys in enumerate(g.r.writes):
        for key in keys:
            writers.setdefault(key, []).append(txn)
    for key in dict.fromkeys([*writers, *(key for key, _ in g.readers)]):
        chains = _chains(g, key, writers.get(key, []))
        for chain in chains:
            _inside(g, chain)
        initial, others = chains[0], chains[1:]
        for chain in others:
            for source, target, why in g.follow(initial, chain):
                g.out[source].append((target, why))
        if len(others) > 1:
            g.chains[key] = others


def _chains(g: Polygraph, key: Any, writers: list[int]) -> list[Chain]:
    """Return the chains of a key, that of the initial value first."""
    wrote, successor, has_before = set(writers), dict[int, int](), set[int]()
    for version in (INITIAL, *writers):
        changers = [t for t in g.readers.get((key, version), ()) if t in wrote and t != version]
        if changers:
            successor[version] = changers[0]
            has_before.add(changers[0])
        if len(changers) > 1:
            g.lost.append((changers[0], changers[1], version, key))
            has_before.update(changers)
    chains = [Chain(key, _along(successor, INITIAL)[1:], from_initial=True)]
    return chains + [Chain(key, _along(successor, w)) for w in writers if w not in has_before]


def _along(successor: dict[int, int], first: int) -> list[int]:
    chain, seen = [first], {first}
    while (following := successor.get(chain[-1])) is not None and following not in seen:
        chain.append(following)
        seen.add(following)
    return chain


def _inside(g: Polygraph, chain: Chain) -> None:
    before = [INITIAL, *chain.writers] if chain.from_initial else chain.writers
    for first, then in pairwise(before):
        for reader in g.readers.get((chain.key, first), ()):
            g.misses(reader, then, (RW, chain.key, first))
        if first != INITIAL:
            g.after(first, then, (WW, chain.key, -1))


def topological(out: list[list[tuple[int, Why]]]) -> list[int] | None:
    """Return the points in an order that agrees with all edges, or None when they have a cycle."""
    waits = [0] * len(out)
    for edges in out:
        for target, _ in edges:
            waits[target] += 1
    ready = [p for p in range(len(out)) if not waits[p]]
    for point in ready:
        for target, _ in out[point]:
            waits[target] -= 1
            if not waits[target]:
                ready.append(target)
    return ready if len(ready) == len(out) else None


def path(out: list[list[tuple[int, Why]]], source: int, target: int) -> list[tuple[int, int, Why]] | None:
    """Return a shortest path between two points (the empty one from a point to itself)."""
    came: dict[int, tuple[int, Why] | None] = {source: None}
    todo = deque([source])
    while todo and target not in came:
        point = todo.popleft()
        for other, why in out[point]:
            if other not in came:
                came[other] = (point, why)
                todo.append(other)
    if target not in came:
        return None
    steps, at = [], target
    while (before := came[at]) is not None:
        steps.append((before[0], at, before[1]))
        at = before[0]
    return steps[::-1]
