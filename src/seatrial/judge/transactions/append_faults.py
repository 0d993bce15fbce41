"""Anomalies of list-append that are no cycles: aborted, intermediate and torn reads, lost and dirty updates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from seatrial.judge.transactions import append_kernels as kernels
from seatrial.judge.transactions.anomalies import Anomaly, Judged
from seatrial.judge.transactions.append_graph import Orders
from seatrial.judge.transactions.append_words import list_text
from seatrial.judge.transactions.columns import ABORTED, APPEND, COMMITTED, Appends

READ_FAULTS = {
    kernels.INCOMPATIBLE: "incompatible-order",
    kernels.OWN_LOST: "internal",
    kernels.CHANGED: "non-repeatable-read",
    kernels.ABORTED_READ: "G1a",
    kernels.INTERMEDIATE: "G1b",
    kernels.UNWRITTEN: "unwritten-read",
}


def add_faults(a: Appends, made: Orders, judged: Judged, partial: bool) -> None:
    """Add all anomalies that single reads and version orders show. partial: writes may be missing in the recording."""
    for bit, name in READ_FAULTS.items():
        rows = np.flatnonzero(made.fault & bit)
        if bit == kernels.UNWRITTEN and partial:
            if len(rows):
                judged.doubts.append(f"{len(rows):,} reads saw elements that no op of the recording appended")
            continue
        for row in rows[: judged.most].tolist():
            judged.add(_read_fault(a, made, row, bit, name))
        judged.count(name, max(0, len(rows) - judged.most))
    for anomaly in (*_duplicates(a, made), *_dirty(a, made), *_lost(a, made)):
        judged.add(anomaly)
    if len(a.doubled):
        row = a.doubled[0]
        key, op = a.key_text(int(a.key[row])), a.op_index(int(a.txn[row]))
        judged.doubts.append(
            f"op {op} appended {a.element_text(row)} to {key}, which had been appended before "
            f"({len(a.doubled):,} such duplicate appends): who was read there cannot be told"
        )


def _read_fault(a: Appends, made: Orders, row: int, bit: int, name: str) -> Anomaly:
    txn, key = int(a.txn[row]), a.key_text(int(a.key[row]))
    said = f"op {a.op_index(txn)} read {key} as {list_text(a, row)}"
    words, other = _why(a, made, row, bit)
    others = [a.op_index(other)] if other >= 0 and other != txn else []
    return Anomaly(name=name, what=f"{said}, {words}", ops=tuple(dict.fromkeys([a.op_index(txn), *others])), key=key)


def _why(a: Appends, made: Orders, row: int, bit: int) -> tuple[str, int]:
    if bit == kernels.INCOMPATIBLE:
        best = int(made.best[a.key[row]])
        reader = int(a.txn[best])
        return f"which is no beginning of {list_text(a, best)} that op {a.op_index(reader)} read", reader
    if bit == kernels.OWN_LOST:
        return "which does not end with what it had appended itself", -1
    if bit == kernels.CHANGED:
        return "which is not what it had read before, with its own appends", -1
    codes = a.heap[a.off[row] : a.off[row] + a.size[row]].tolist()
    if bit == kernels.UNWRITTEN:
        code = next(c for c in codes if c >= len(a.kind))
        return f"with {a.element_text(code)}, which no op appended", -1
    if bit == kernels.ABORTED_READ:
        code = next(c for c in codes if c < len(a.kind) and a.status[a.txn[c]] == ABORTED)
        return f"with {a.element_text(code)} of op {a.op_index(int(a.txn[code]))}, which had failed", int(a.txn[code])
    writer = int(a.txn[codes[-1]])
    return f"which ends in the middle of op {a.op_index(writer)}, that appended more to it", writer


def _duplicates(a: Appends, made: Orders) -> Iterator[Anomaly]:
    """Elements that stand twice in one list: in the longest of a key, or in one that is no beginning of it."""
    rows = set(np.flatnonzero(made.fault & kernels.INCOMPATIBLE).tolist())
    if made.duplicates:
        rows |= {int(r) for r in made.best if r >= 0}
    for row in sorted(rows):
        codes = a.heap[a.off[row] : a.off[row] + a.size[row]].tolist()
        twice = _twice(codes)
        if twice is not None:
            key, op = a.key_text(int(a.key[row])), a.op_index(int(a.txn[row]))
            what = f"op {op} read {key} as {list_text(a, row)}, which has {a.element_text(twice)} twice"
            yield Anomaly(name="duplicate-elements", what=what, ops=(op,), key=key)


def _twice(codes: list[int]) -> int | None:
    seen: set[int] = set()
    for code in codes:
        if code in seen:
            return code
        seen.add(code)
    return None


def _dirty(a: Appends, made: Orders) -> Iterator[Anomaly]:
    """A committed append on top of an aborted one, in a version order."""
    if not len(made.order):
        return
    known = made.order < len(a.kind)
    aborted = np.zeros(len(made.order), np.bool_)
    aborted[known] = a.status[a.txn[made.order[known]]] == ABORTED
    for place in np.flatnonzero(aborted).tolist():
        key = int(a.key[made.order[place]])
        for later in range(place + 1, int(made.first[key + 1])):
            writer = int(made.writer[made.order[later]])
            if writer >= 0 and a.status[writer] == COMMITTED:
                yield _dirty_update(a, made, place, later)
                break


def _dirty_update(a: Appends, made: Orders, place: int, later: int) -> Anomaly:
    bad, good = int(made.order[place]), int(made.order[later])
    key = a.key_text(int(a.key[bad]))
    ops = (a.op_index(int(a.txn[bad])), a.op_index(int(a.txn[good])))
    below = f"{a.element_text(bad)} of op {ops[0]}, which had failed"
    what = f"op {ops[1]} appended {a.element_text(good)} to {key} on top of {below}"
    return Anomaly(name="dirty-update", what=what, ops=ops, key=key)


def _lost(a: Appends, made: Orders) -> Iterator[Anomaly]:
    """Two committed transactions that read the same version of a key and then append to it."""
    rows = np.flatnonzero((made.seen >= 0) & _appends_later(a))
    if not len(rows):
        return
    table = np.stack([a.key[rows].astype(np.int64), made.seen[rows].astype(np.int64), a.txn[rows].astype(np.int64)])
    table = np.unique(table, axis=1)
    same = (table[0][1:] == table[0][:-1]) & (table[1][1:] == table[1][:-1])
    for at in np.flatnonzero(same).tolist():
        key, seen = int(table[0][at]), int(table[1][at])
        ops = (a.op_index(int(table[2][at])), a.op_index(int(table[2][at + 1])))
        what = f"ops {ops[0]} and {ops[1]} both read {a.key_text(key)} with {seen} elements, and both appended to it"
        yield Anomaly(name="lost-update", what=what, ops=ops, key=a.key_text(key))


def _appends_later(a: Appends) -> Any:
    """Return for each row whether its transaction appends to the same key after it."""
    base = np.int64(len(a.keys) or (int(a.key.max()) + 1 if len(a.key) else 1))
    pair = a.txn.astype(np.int64) * base + a.key
    appended = np.flatnonzero(a.kind == APPEND)
    order = np.argsort(pair[appended], kind="stable")
    sorted_pairs = pair[appended][order]
    last = np.searchsorted(sorted_pairs, pair, side="right") - 1
    safe = np.maximum(last, 0)
    if not len(appended):
        return np.zeros(len(pair), np.bool_)
    return (last >= 0) & (sorted_pairs[safe] == pair) & (appended[order][safe] > np.arange(len(pair)))
