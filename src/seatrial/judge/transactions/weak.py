"""Read committed, read atomic and causal of registers, by the orders of commits that each read forces.

A history is of the level when sessions, reads-from and the forced orders have no cycle: whatever a transaction
knows of (by its earlier reads; by its reads and session; by causality) that also wrote what it reads, came before
the write that it read. Costs n^1.5 for the first two and n times sessions for causal.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from seatrial.judge.modelling import Edge
from seatrial.judge.transactions.anomalies import KINDS, Anomaly
from seatrial.judge.transactions.append_kernels import PROCESS, WR, WW
from seatrial.judge.transactions.columns import show
from seatrial.judge.transactions.cycles import ANY, Class, find
from seatrial.judge.transactions.graph import Graph, cyclic_parts, edges_of
from seatrial.judge.transactions.levels import PROCESS as SESSIONS
from seatrial.judge.transactions.levels import Level, stronger_than
from seatrial.judge.transactions.registers import INITIAL, Registers

Forced = tuple[int, int, int, Any]  # first, second, the reader that shows it, key
NAMES = {"read-committed": "non-monotonic-read", "read-atomic": "fractured-read", "causal": "causal-violation"}


def judge_weak(r: Registers, level: Level) -> list[Anomaly]:
    """Return a few smallest cycles against read-committed, read-atomic or causal; none: it is of the level."""
    sessions = r.sessions if level.order >= SESSIONS else []
    if level.base == "read-committed":
        forced = list(_committed(r))
    elif level.base == "read-atomic":
        forced = list(_atomic(r, sessions))
    else:
        clocks = causal_clocks(r)
        forced = [] if clocks is None else list(_causal(r, clocks))
    forced += [(first, second, -2, key) for first, second, key in r.ordered]
    at_start = [f for f in forced if f[1] == INITIAL]
    if at_start:
        return [_before_initial(r, f, level) for f in at_start[:3]]
    return _cycles(r, forced, sessions, level)


def _committed(r: Registers) -> Iterator[Forced]:
    """What a transaction has read from, its later reads may not be older than."""
    for reader, reads in enumerate(r.reads):
        if len(reads) < 2:
            continue
        by_key: dict[Any, list[tuple[int, int]]] = {}  # last place and writer of reads in a row
        first: dict[int, int] = {}
        for at, (key, writer) in enumerate(reads):
            first.setdefault(writer, at)
            runs = by_key.setdefault(key, [])
            if runs and runs[-1][1] == writer:
                runs[-1] = (at, writer)
            else:
                runs.append((at, writer))
        for writer, place in first.items():
            if writer == INITIAL:
                continue
            for key in _common(r.writes[writer], by_key):
                yield from _next_other(by_key[key], writer, place, reader, key)


def _next_other(runs: list[tuple[int, int]], writer: int, place: int, reader: int, key: Any) -> Iterator[Forced]:
    """What the next read of the key after `place` from another writer shows; later ones follow from it."""
    for at in range(bisect_right(runs, (place, 1 << 60)), len(runs)):
        if runs[at][1] != writer:
            yield writer, runs[at][1], reader, key
            return


def _common(wrote: set[Any], read: dict[Any, Any]) -> Iterator[Any]:
    if len(wrote) <= len(read):
        return (key for key in wrote if key in read)
    return (key for key in read if key in wrote)


def _atomic(r: Registers, sessions: list[list[int]]) -> Iterator[Forced]:
    """What a transaction reads from, and what its session did before, it sees as a whole."""
    for reader, reads in enumerate(r.reads):
        by_key: dict[Any, list[int]] = {}
        for key, writer in reads:
            writers = by_key.setdefault(key, [])
            if writer not in writers:
                writers.append(writer)
        for writer in {w for _, w in reads if w != INITIAL}:
            for key in _common(r.writes[writer], by_key):
                yield from ((writer, other, reader, key) for other in by_key[key] if other != writer)
    for session in sessions:
        last: dict[Any, int] = {}
        for reader in session:
            yield from ((last[k], w, reader, k) for k, w in r.reads[reader] if k in last and last[k] != w)
            last.update(dict.fromkeys(r.writes[reader], reader))


def causal_clocks(r: Registers) -> list[tuple[int, ...] | None] | None:
    """Return for each transaction how many of each session are in its causal past; None when that has a cycle."""
    place = {txn: (s, at) for s, session in enumerate(r.sessions) for at, txn in enumerate(session)}
    for extra, txn in enumerate(sorted(r.open)):
        place[txn] = (len(r.sessions) + extra, 0)
    order = causal_order(r)
    if order is None:
        return None
    width = len(r.sessions) + len(r.open)
    clocks: list[Any] = [None] * r.many
    for txn in order:
        session, at = place[txn]
        clock = np.zeros(width, np.int64)
        before = [w for _, w in r.reads[txn] if w not in (INITIAL, txn)]
        if at:
            before.append(r.sessions[session][at - 1])
        for other in dict.fromkeys(before):
            np.maximum(clock, clocks[other], out=clock)
            s, number = place[other]
            clock[s] = max(clock[s], number + 1)
        clocks[txn] = clock
    return clocks


def causal_order(r: Registers) -> list[int] | None:
    """Return the transactions so that each comes after its session's earlier ones and those it read from, or None."""
    after: list[list[int]] = [[] for _ in range(r.many)]
    waits = [0] * r.many
    pairs = [(a, b) for session in r.sessions for a, b in pairwise(session)]
    pairs += [(w, t) for t, reads in enumerate(r.reads) for w in {w for _, w in reads if w not in (INITIAL, t)}]
    for a, b in pairs:
        after[a].append(b)
        waits[b] += 1
    ready = [t for t in range(r.many) if not waits[t]]
    for txn in ready:
        for other in after[txn]:
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    return ready if len(ready) == r.many else None


def _causal(r: Registers, clocks: list[Any]) -> Iterator[Forced]:
    """The last write of each session in the causal past of a reader came before the write that it read."""
    wrote: dict[Any, dict[int, tuple[list[int], list[int]]]] = {}
    lanes = [*r.sessions, *([txn] for txn in sorted(r.open))]
    for s, lane in enumerate(lanes):
        for at, txn in enumerate(lane):
            for key in r.writes[txn]:
                places, who = wrote.setdefault(key, {}).setdefault(s, ([], []))
                places.append(at)
                who.append(txn)
    for reader, reads in enumerate(r.reads):
        clock = clocks[reader].tolist() if reads else ()
        for key, writer in dict.fromkeys(reads):
            for s, (places, who) in wrote.get(key, {}).items():
                if clock[s]:
                    at = bisect_right(places, clock[s] - 1)
                    if at and who[at - 1] not in (writer, reader):
                        yield who[at - 1], writer, reader, key


def _before_initial(r: Registers, forced: Forced, level: Level) -> Anomaly:
    first, _, reader, key = forced
    name = show(key)
    what = f"op {r.op(reader)} read {name} as it was at first, though it knew of op {r.op(first)}, which had written it"
    ops = (r.op(reader), r.op(first))
    return Anomaly(name=NAMES[level.base], what=what, ops=ops, key=name, ruled_out=stronger_than(level))


def _cycles(r: Registers, forced: list[Forced], sessions: list[list[int]], level: Level) -> list[Anomaly]:
    rows: list[tuple[int, int, int, int]] = [(f[0], f[1], WW, why) for why, f in enumerate(forced)]
    rows += [(a, b, PROCESS, -1) for session in sessions for a, b in pairwise(session)]
    keys: list[Any] = []
    for reader, reads in enumerate(r.reads):
        for key, writer in dict.fromkeys(reads):
            if writer not in (INITIAL, reader):
                rows.append((writer, reader, WR, len(keys)))
                keys.append(key)
    if not rows:
        return []
    table = np.array(rows, np.int64).T
    graph = Graph(real=r.many, nodes=r.many, edges=edges_of(*table))
    found = []
    kinds = frozenset((WW, WR, PROCESS))
    for pivot, kinds_allowed in ((WR, kinds - {WW}), (WW, kinds)):
        parts = cyclic_parts(graph)
        cycles, _ = find(parts, [Class(NAMES[level.base], kinds_allowed, pivot, None, ANY)], lambda: False)
        for cycle in cycles:
            edges = tuple(_edge(r, step, forced, keys) for step in cycle.steps)
            found.append(_cycle(edges, pivot == WR, level))
        if found:
            break
    return found


def _cycle(edges: tuple[Edge, ...], only_reads: bool, level: Level) -> Anomaly:
    ops = tuple(dict.fromkeys(e.source for e in edges))
    suffix = "-process" if any(e.kind == "process" for e in edges) else ""
    name = "G1c" + suffix if only_reads else NAMES[level.base]
    what = "; ".join(e.why for e in edges) + f": so each of ops {', '.join(map(str, ops))} comes before itself"
    return Anomaly(name=name, what=what, ops=ops, edges=edges, ruled_out=stronger_than(level))


def _edge(r: Registers, step: tuple[int, int, int, int], forced: list[Forced], keys: list[Any]) -> Edge:
    source, target, kind, why = step
    a, b = r.op(source), r.op(target)
    if kind == WR:
        words = f"op {b} read {show(keys[why])} that op {a} wrote"
    elif kind == PROCESS:
        words = f"op {b} came after op {a} in the same session"
    elif forced[why][2] == -2:
        words = f"op {a} wrote {show(forced[why][3])} before op {b}, as the reads of it show"
    else:
        reader, key = r.op(forced[why][2]), show(forced[why][3])
        words = f"op {reader} knew of op {a} and read {key} from op {b}, so op {a} wrote {key} before op {b}"
    return Edge(source=a, target=b, kind=KINDS[kind], why=words)
