"""Guarantees of sessions: monotonic reads, monotonic writes, read your writes, writes follow reads; each on its own.

Each says which writes a read must not be older than. A history keeps the guarantee when all writes can be put
into one order that agrees: what a read must not be older than comes before what it read. In that order are always:
the writes of one session to one key, and what a transaction read before what it wrote.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from seatrial.history.recorded import Recorded
from seatrial.judge.modelling import CyclePicture, Edge, Options
from seatrial.judge.transactions.anomalies import KINDS, Anomaly, Judged, pictures_of
from seatrial.judge.transactions.append_kernels import GLUE, WW
from seatrial.judge.transactions.columns import show
from seatrial.judge.transactions.cycles import ANY, Class, find
from seatrial.judge.transactions.graph import Graph, cyclic_parts, edges_of
from seatrial.judge.transactions.levels import LEVELS, implies, level_named
from seatrial.judge.transactions.reading import registers_from
from seatrial.judge.transactions.registers import INITIAL, Registers
from seatrial.judge.transactions.selftesting import guarantees_selftest
from seatrial.verdict import Evidence, Finding, Outcome

Rule = tuple[int, int, int, Any, str]  # first, second, the reader (-1: none), key, why
CLAIMS = {
    "monotonic-reads": "a session never reads older than it has read",
    "monotonic-writes": "whoever sees a write of a session sees its earlier writes",
    "read-your-writes": "a session never reads older than it has written",
    "writes-follow-reads": "whoever sees a write sees what its session had read before",
}


def rules_of(name: str, r: Registers) -> Iterator[Rule]:
    """Yield which write comes before which, under one guarantee; the same twice: the read saw just that write."""
    yield from _always(r)
    yield from {
        "monotonic-reads": _monotonic_reads,
        "monotonic-writes": _monotonic_writes,
        "read-your-writes": _read_your_writes,
        "writes-follow-reads": _writes_follow_reads,
    }[name](r)


def _always(r: Registers) -> Iterator[Rule]:
    for session in r.sessions:
        last: dict[Any, int] = {}
        for txn in session:
            for key in r.writes[txn]:
                if key in last:
                    yield last[key], txn, -1, key, "is the earlier write of the same session"
                last[key] = txn
    for txn, reads in enumerate(r.reads):
        if r.writes[txn]:
            for key, writer in dict.fromkeys(reads):
                if writer not in (INITIAL, txn):
                    yield writer, txn, -1, key, "was read before the other wrote"
    for first, then, key in r.ordered:
        yield first, then, -1, key, "stands before the other in the lists that were read"


def _read_your_writes(r: Registers) -> Iterator[Rule]:
    for session in r.sessions:
        last: dict[Any, int] = {}
        for reader in session:
            for key, writer in dict.fromkeys(r.reads[reader]):
                if key in last:
                    yield last[key], writer, reader, key, "was written by the reader's own session before"
            last.update(dict.fromkeys(r.writes[reader], reader))


def _monotonic_reads(r: Registers) -> Iterator[Rule]:
    """What the session read from may write more keys than the one that was read; it is known as a whole."""
    for session in r.sessions:
        known: dict[Any, list[int]] = {}
        for reader in session:
            for key, writer in dict.fromkeys(r.reads[reader]):
                others = known.get(key, [])
                for other in others:
                    if other != reader:
                        yield other, writer, reader, key, "was read by the reader's session before"
                known[key] = [w for w in dict.fromkeys((writer, *others)) if w == writer != INITIAL or w == reader]
            for _, writer in dict.fromkeys(r.reads[reader]):
                for key in r.writes[writer] if writer != INITIAL else ():
                    if writer not in known.setdefault(key, []):
                        known[key].append(writer)


def _places(r: Registers) -> dict[int, tuple[int, int]]:
    return {txn: (s, at) for s, session in enumerate(r.sessions) for at, txn in enumerate(session)}


def _monotonic_writes(r: Registers) -> Iterator[Rule]:
    yield from _own_order(r)
    place = _places(r)
    wrote: dict[tuple[int, Any], tuple[list[int], list[int]]] = {}
    by_key: dict[Any, list[int]] = {}
    for s, session in enumerate(r.sessions):
        for at, txn in enumerate(session):
            for key in r.writes[txn]:
                if (s, key) not in wrote:
                    by_key.setdefault(key, []).append(s)
                places, who = wrote.setdefault((s, key), ([], []))
                places.append(at)
                who.append(txn)
    for session in r.sessions:
        seen: dict[int, int] = {}
        for reader in session:
            _see(r, reader, place, seen)
            for key, writer in dict.fromkeys(r.reads[reader]):
                for s in by_key.get(key, ()):
                    places, who = wrote[s, key]
                    at = bisect_right(places, seen.get(s, 0) - 1)
                    at -= bool(at and who[at - 1] == reader)
                    if at:
                        yield who[at - 1], writer, reader, key, "came before a write of its session that was seen"


def _see(r: Registers, reader: int, place: dict[int, tuple[int, int]], seen: dict[int, int]) -> None:
    """Count for each session how many transactions come before the last of it that was seen."""
    for _, writer in r.reads[reader]:
        if writer in place:
            s, at = place[writer]
            seen[s] = max(seen.get(s, 0), at)


def _own_order(r: Registers) -> Iterator[Rule]:
    for session in r.sessions:
        writing = [t for t in session if r.writes[t]]
        for first, then in pairwise(writing):
            yield first, then, -1, None, "is the earlier write of the same session"


def _writes_follow_reads(r: Registers) -> Iterator[Rule]:
    place = _places(r)
    history = [_read_history(r, session) for session in r.sessions]
    yield from _reads_before_writes(r, history)
    for session in r.sessions:
        seen: dict[int, int] = {}
        told: dict[Any, dict[int, None]] = {}
        for reader in session:
            for writer in dict.fromkeys(w for _, w in r.reads[reader] if w in place):
                s, at = place[writer]
                for then in range(seen.get(s, 0), at + 1):
                    for other in history[s][then]:
                        for key in r.writes[other]:
                            told.setdefault(key, {})[other] = None
                seen[s] = max(seen.get(s, 0), at + 1)
            for key, writer in dict.fromkeys(r.reads[reader]):
                for other in told.get(key, ()):
                    if other != reader:
                        yield other, writer, reader, key, "was read before a write of that session that was seen"


def _reads_before_writes(r: Registers, history: list[list[list[int]]]) -> Iterator[Rule]:
    """What a session has read comes before all that it writes then: by one node a place, each leading to the next."""
    node = r.many
    for session, known in zip(r.sessions, history, strict=True):
        for at, txn in enumerate(session):
            if at:
                yield node - 1, node, -1, None, ""
            yield from ((w, node, -1, None, "was read by the session before the other wrote") for w in known[at])
            if r.writes[txn]:
                yield node, txn, -1, None, ""
            node += 1


def _read_history(r: Registers, session: list[int]) -> list[list[int]]:
    """Return for each place of a session what was read for the first time there, of others."""
    seen: set[int] = set()
    history = []
    for txn in session:
        new = [w for w in dict.fromkeys(w for _, w in r.reads[txn]) if w not in (INITIAL, txn) and w not in seen]
        seen.update(new)
        history.append(new)
    return history


def judge_guarantee(name: str, r: Registers, judged: Judged) -> int:
    """Add what breaks the guarantee; return how many reads had something that they must not be older than."""
    rules = list(dict.fromkeys(rules_of(name, r)))
    held = {(rule[2], rule[3]) for rule in rules if rule[2] >= 0}
    initial = [rule for rule in rules if rule[1] == INITIAL]
    for first, _, reader, key, why in initial:
        a, b = r.op(first), r.op(reader)
        what = f"op {b} read {show(key)} as it was at first, older than op {a} wrote it, which {why}"
        judged.add(Anomaly(name=name, what=what, ops=(b, a), key=show(key), ruled_out=_levels_without(name)))
    if initial or not rules:
        return len(held)
    kinds = [WW if x[4] else GLUE for x in rules]
    columns = edges_of([x[0] for x in rules], [x[1] for x in rules], kinds, np.arange(len(rules)))
    columns = columns.take(np.flatnonzero(columns.source != columns.target))
    nodes = r.many + sum(map(len, r.sessions))
    parts = cyclic_parts(Graph(real=r.many, nodes=nodes, edges=columns))
    for cycle in find(parts, [Class(name, frozenset((WW, GLUE)), WW, None, ANY)], lambda: False)[0]:
        edges = tuple(_edge(r, rules[step[3]], step[1]) for step in cycle.steps)
        ops = tuple(dict.fromkeys([e.source for e in edges] + [r.op(rules[s[3]][2]) for s in cycle.steps]))
        what = "; ".join(e.why for e in edges)
        ops = tuple(op for op in ops if op >= 0)
        judged.add(Anomaly(name=name, what=what, ops=ops, edges=edges, ruled_out=_levels_without(name)))
    return len(held)


def _edge(r: Registers, rule: Rule, then: int) -> Edge:
    first, _, reader, key, why = rule
    a, b = r.op(first), r.op(then)
    if reader < 0:
        words = f"op {a} comes before op {b}: it {why}"
    else:
        words = f"op {r.op(reader)} read {show(key)} from op {b}, so not older than op {a}, which {why}"
    return Edge(source=a, target=b, kind=KINDS[WW], why=words)


def _levels_without(name: str) -> tuple[str, ...]:
    """Return the levels that contain the guarantee: causal, and whatever has sessions and implies it."""
    causal = level_named("causal")
    return tuple(n for n, level in LEVELS.items() if implies(level, causal))


def _check(name: str, recorded: Recorded, options: Options) -> Finding:
    judged = Judged()
    r = registers_from(recorded, options, judged)
    held = judge_guarantee(name, r, judged)
    bad = [a for a in judged.kept if a.name == name]
    if bad:
        outcome, reason = Outcome.FAIL, bad[0].what
    elif not held:
        outcome, reason = Outcome.NOT_TESTED, "no read had anything that it must not be older than"
    elif judged.doubts:
        outcome, reason = Outcome.INCONCLUSIVE, "; ".join(judged.doubts)
    else:
        outcome, reason = Outcome.PASS, ""
    evidence = tuple(Evidence(what=f"{name}: {a.what}", ops=a.ops, key=a.key) for a in bad)
    figures = {"transactions": float(r.many), "sessions": float(len(r.sessions)), "reads held": float(held)}
    figures |= {k: float(v) for k, v in judged.counts.items()}
    return Finding(
        name=name,
        claim=CLAIMS[name],
        outcome=outcome,
        examined=held,
        required=1,
        reason=". ".join(part for part in (reason, *judged.noted()) if part),
        evidence=evidence,
        figures=figures,
    )


def explain(recorded: Recorded, options: Options) -> list[CyclePicture]:
    """Return the cycles that break any of the guarantees, as values to draw; the anomaly says which it is."""
    judged = Judged()
    r = registers_from(recorded, options, judged)
    for name in CLAIMS:
        judge_guarantee(name, r, judged)
    return pictures_of(judged, recorded.ops)


def monotonic_reads(recorded: Recorded, options: Options) -> Finding:
    """Judge that a session never reads older than it has read."""
    return _check("monotonic-reads", recorded, options)


def monotonic_writes(recorded: Recorded, options: Options) -> Finding:
    """Judge that whoever sees a write of a session sees its earlier writes."""
    return _check("monotonic-writes", recorded, options)


def read_your_writes(recorded: Recorded, options: Options) -> Finding:
    """Judge that a session never reads older than it has written."""
    return _check("read-your-writes", recorded, options)


def writes_follow_reads(recorded: Recorded, options: Options) -> Finding:
    """Judge that whoever sees a write sees what its session had read before it."""
    return _check("writes-follow-reads", recorded, options)


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare the guarantees with their definitions on n random histories."""
    checks = {
        "monotonic-reads": monotonic_reads,
        "monotonic-writes": monotonic_writes,
        "read-your-writes": read_your_writes,
        "writes-follow-reads": writes_follow_reads,
    }
    return guarantees_selftest(checks, n, seed)
