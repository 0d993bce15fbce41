"""The levels by their definitions, by trying everything: for histories of a handful of transactions only.

Shares no code with the checkers. Transactions are (mops, session, start, end, status); a mop is (kind, key, value).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

from seatrial.judge.transactions.columns import ABORTED, COMMITTED, OPEN

Mop = tuple[str, Any, Any]


@dataclass(frozen=True, slots=True)
class Txn:
    """One transaction. start, end: positions in time, end None when it was left open. Reads of lists are tuples."""

    mops: tuple[Mop, ...]
    session: int
    start: int
    end: int | None
    status: int = COMMITTED


def _worlds(txns: list[Txn]) -> Iterator[list[int]]:
    """Yield each set of transactions that may have taken effect: the committed, and some of the open."""
    open_ones = [i for i, t in enumerate(txns) if t.status == OPEN]
    for chosen in product((False, True), repeat=len(open_ones)):
        kept = {i for i, yes in zip(open_ones, chosen, strict=True) if yes}
        yield [i for i, t in enumerate(txns) if t.status == COMMITTED or i in kept]


def _first(txns: list[Txn], a: int, b: int, order: int) -> bool:
    """Whether a must come before b: order 1 by session, 2 by time too."""
    x, y = txns[a], txns[b]
    if order >= 1 and x.session == y.session and x.start < y.start and x.status == y.status == COMMITTED:
        return True  # one that was left open is in no session: it may take effect later
    return order >= 2 and x.end is not None and x.end < y.start


def _run(state: dict[Any, Any], txn: Txn, initial: Any) -> dict[Any, Any] | None:
    """Execute a transaction on a state; None when a read of it disagrees."""
    now = dict(state)
    for kind, key, value in txn.mops:
        if kind == "w":
            now[key] = value
        elif kind == "append":
            now[key] = (*now.get(key, ()), value)
        elif txn.status == COMMITTED and now.get(key, initial) != value:
            return None
    return now


def serializable(txns: list[Txn], order: int, initial: Any) -> bool:
    """All orders of all possible sets of transactions: is there one that explains the reads."""
    for world in _worlds(txns):
        for sequence in permutations(world):
            if any(_first(txns, b, a, order) for i, a in enumerate(sequence) for b in sequence[i + 1 :]):
                continue
            state: dict[Any, Any] | None = {}
            for i in sequence:
                state = _run(state or {}, txns[i], initial)
                if state is None:
                    break
            if state is not None:
                return True
    return False


def snapshot_isolated(txns: list[Txn], order: int, initial: Any) -> bool:
    """All orders of starts and commits: reads of the snapshot at the start; no two writers of a key at once."""
    return any(_snapshots(txns, order, initial, frozenset(w), (), {}) for w in _worlds(txns))


def _snapshots(txns: list[Txn], order: int, initial: Any, left: frozenset[int], active: Any, state: Any) -> bool:
    if not left and not active:
        return True
    for i, changed in active:
        keys = {k for kind, k, _ in txns[i].mops if kind != "r"}
        others = tuple((j, c) for j, c in active if j != i)
        now = {**state, **{k: changed[k] for k in keys}}
        if _snapshots(txns, order, initial, left, others, now):
            return True
    for i in left:
        unfinished = [*left, *(j for j, _ in active)]
        if any(j != i and _first(txns, j, i, order) for j in unfinished):
            continue
        keys = {k for kind, k, _ in txns[i].mops if kind != "r"}
        if any(keys & {k for kind, k, _ in txns[j].mops if kind != "r"} for j, _ in active):
            continue
        after = _run(state, txns[i], initial)
        if after is not None and _snapshots(txns, order, initial, left - {i}, (*active, (i, after)), state):
            return True
    return False


def axiomatic(txns: list[Txn], level: str, sessions: bool, initial: Any) -> bool:
    """Read committed, read atomic, causal of registers: is there an order of commits that obeys the axiom."""
    if not _reads_make_sense(txns, initial):
        return False
    return any(_axiom_holds(txns, world, level, sessions, initial) for world in _worlds(txns))


def _reads_make_sense(txns: list[Txn], initial: Any) -> bool:
    """No read of what nobody wrote, of an aborted or intermediate write, of an own later write; own writes are seen."""
    for txn in txns:
        if txn.status != COMMITTED:
            continue
        own: dict[Any, Any] = {}
        for kind, key, value in txn.mops:
            if kind == "w":
                own[key] = value
            elif key in own:
                if own[key] != value:
                    return False
            elif value != initial:
                writers = [t for t in txns if _last_write(t, key) == value and t is not txn]
                if not writers or writers[0].status == ABORTED:
                    return False
    return True


def _last_write(txn: Txn, key: Any) -> Any:
    last = None
    for kind, k, value in txn.mops:
        if kind == "w" and k == key:
            last = value
    return last


def _external(txn: Txn) -> list[tuple[int, Any, Any]]:
    own, found = set(), []
    for at, (kind, key, value) in enumerate(txn.mops):
        if kind == "w":
            own.add(key)
        elif key not in own and txn.status == COMMITTED:
            found.append((at, key, value))
    return found


def _axiom_holds(txns: list[Txn], world: list[int], level: str, sessions: bool, initial: Any) -> bool:
    so = {(a, b) for a in world for b in world if sessions and a != b and _first(txns, a, b, 1)}
    wr = set()
    for t in world:
        for at, key, value in _external(txns[t]):
            source = next((w for w in world if value != initial and _last_write(txns[w], key) == value), -1)
            if source == -1 and value != initial:
                return False
            wr.add((source, t, key, at))
    past = so | {(a, b) for a, b, _, _ in wr if a >= 0}
    for _ in world:
        past |= {(a, d) for a, b in past for c, d in past if b == c}
    known = past if level == "causal" else so | {(a, b) for a, b, _, _ in wr if a >= 0}
    for sequence in permutations(world):
        place = {t: i for i, t in enumerate(sequence)} | {-1: -1}
        if all(place[a] < place[b] for a, b in past) and all(
            place[t2] < place[t1]
            for t1, t3, key, at in wr
            for t2 in world
            if t2 not in (t1, t3) and _last_write(txns[t2], key) is not None
            if (
                any(s == t2 and r == t3 and p < at for s, r, _, p in wr)
                if level == "read-committed"
                else (t2, t3) in known
            )
        ):
            return True
    return False
