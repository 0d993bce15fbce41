"""The guarantees of sessions by their definitions, by trying every order of the writes: for a handful only."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from seatrial.judge.transactions.columns import COMMITTED
from seatrial.judge.transactions.oracle import Txn, _external, _last_write, _reads_make_sense


def keeps(txns: list[Txn], name: str, initial: Any) -> bool | None:
    """Return whether an order of all writes agrees with the guarantee; None where it is senseless or has open ones."""
    if not _reads_make_sense(txns, initial) or any(t.status != COMMITTED for t in txns):
        return None
    many = range(len(txns))
    source = {(t, key): _writer(txns, key, value, initial) for t in many for _, key, value in _external(txns[t])}
    if len(source) != sum(len({k for _, k, _ in _external(txns[t])}) for t in many) or _changes(txns):
        return None
    before = {(a, b) for a in many for b in many if a != b and _earlier(txns, a, b)}
    saw = {(w, t) for (t, _), w in source.items() if w >= 0}
    must = _never_older(name, txns, before, saw)
    fixed = {(w, t) for w, t in saw if _writes(txns[t])}
    fixed |= {(a, b) for a, b in before if _keys(txns[a]) & _keys(txns[b])}
    fixed |= _more(name, txns, before, saw)
    for order in permutations(many):
        place = {t: i for i, t in enumerate(order)} | {-1: -1}
        if all(place[a] < place[b] for a, b in fixed) and all(
            place[a] < place[w]
            for (t, key), w in source.items()
            for a in many
            if a not in (w, t) and key in _keys(txns[a]) and (a, t) in must
        ):
            return True
    return False


def _writer(txns: list[Txn], key: Any, value: Any, initial: Any) -> int:
    if value == initial:
        return -1
    return next(i for i, t in enumerate(txns) if _last_write(t, key) == value)


def _changes(txns: list[Txn]) -> bool:
    """Whether a transaction reads a key twice with different answers."""
    return any(len({(k, v) for _, k, v in _external(t)}) != len({k for _, k, _ in _external(t)}) for t in txns)


def _keys(txn: Txn) -> set[Any]:
    return {k for kind, k, _ in txn.mops if kind == "w"}


def _writes(txn: Txn) -> bool:
    return bool(_keys(txn))


def _earlier(txns: list[Txn], a: int, b: int) -> bool:
    return txns[a].session == txns[b].session and txns[a].start < txns[b].start


def _never_older(name: str, txns: list[Txn], before: Any, saw: Any) -> set[tuple[int, int]]:
    """Return pairs (write, reader): what the reader reads may not be older than the write."""
    many = range(len(txns))
    observed = {(w, t) for w, t in saw} | {(w, t) for w, s in saw for t in many if (s, t) in before}
    if name == "read-your-writes":
        return set(before)
    if name == "monotonic-reads":
        return {(w, t) for w, s in saw for t in many if (s, t) in before}
    if name == "monotonic-writes":
        return {(a, t) for a, b in before for w, t in observed if w == b}
    return {(a, t) for w, t in observed for a, s in saw if s == w or (s, w) in before}


def _more(name: str, txns: list[Txn], before: Any, saw: Any) -> set[tuple[int, int]]:
    """Return orders of writes that the guarantee has by itself."""
    if name == "monotonic-writes":
        return {(a, b) for a, b in before if _writes(txns[a]) and _writes(txns[b])}
    if name == "writes-follow-reads":
        return {(a, b) for a, s in saw for b in range(len(txns)) if _writes(txns[b]) and (s == b or (s, b) in before)}
    return set()
