"""List-append transactions as registers: a list that was read is the version that its last element made."""

from __future__ import annotations

from typing import Any

import numpy as np

from seatrial.judge.transactions.append_graph import Orders, unseen_edges
from seatrial.judge.transactions.append_kernels import WW
from seatrial.judge.transactions.columns import APPEND, COMMITTED, Appends
from seatrial.judge.transactions.graph import joined
from seatrial.judge.transactions.registers import INITIAL, Registers


def as_registers(a: Appends, made: Orders, realtime: bool) -> Registers:
    """Return the transactions that took effect as transactions on registers, with the orders that the lists show.

    What stood before the last element of a list is known by the order of versions only.
    """
    kept = np.flatnonzero(made.counted).tolist()
    number = {txn: at for at, txn in enumerate(kept)}
    reads: list[list[tuple[Any, int]]] = [_reads(a, made, txn, number) for txn in kept]
    writes: list[set[Any]] = [_writes(a, txn) for txn in kept]
    sessions: dict[int, list[int]] = {}
    for txn in sorted((t for t in kept if a.status[t] == COMMITTED), key=lambda t: int(a.start[t])):
        sessions.setdefault(int(a.process[txn]), []).append(number[txn])
    ordered = [
        (number[s], number[t], int(a.key[made.order[why]]) if why >= 0 else int(a.key[-why - 1]))
        for s, t, kind, why in zip(*(c.tolist() for c in _columns(a, made)), strict=True)
        if kind == WW
    ]
    return Registers(
        ops=[a.ops[t] for t in kept],
        reads=reads,
        writes=writes,
        sessions=list(sessions.values()),
        open={number[t] for t in kept if a.status[t] != COMMITTED},
        realtime=realtime,
        ordered=ordered,
        examined=int((a.status == COMMITTED).sum()),
        reads_known=int((made.seen >= 0).sum()),
    )


def _columns(a: Appends, made: Orders) -> tuple[Any, ...]:
    edges = joined([made.edges, unseen_edges(a, made, a.many)[0]])
    return edges.source, edges.target, edges.kind, edges.why


def _reads(a: Appends, made: Orders, txn: int, number: dict[int, int]) -> list[tuple[Any, int]]:
    if a.status[txn] != COMMITTED:
        return []
    found, appended = list[tuple[Any, int]](), set[int]()
    for row in range(int(a.mop_start[txn]), int(a.mop_start[txn + 1])):
        key = int(a.key[row])
        if a.kind[row] == APPEND:
            appended.add(key)
        elif made.seen[row] >= 0 and key not in appended:
            found.append((key, _version(made, key, int(made.seen[row]), number)))
    return found


def _version(made: Orders, key: int, seen: int, number: dict[int, int]) -> int:
    for place in range(int(made.first[key]) + seen - 1, int(made.first[key]) - 1, -1):
        writer = number.get(int(made.writer[made.order[place]]))
        if writer is not None:
            return writer
    return INITIAL


def _writes(a: Appends, txn: int) -> set[Any]:
    rows = range(int(a.mop_start[txn]), int(a.mop_start[txn + 1]))
    return {int(a.key[row]) for row in rows if a.kind[row] == APPEND}


def open_keys(a: Appends, made: Orders) -> int:
    """Return how many keys have two or more committed appends that no read saw: their order is open."""
    rows = len(a.kind)
    unseen = (a.kind == APPEND) & made.counted[a.txn] & (made.place[:rows] < 0)
    pairs = np.unique(a.key[unseen] * np.int64(a.many) + a.txn[unseen])
    _, many = np.unique(pairs // max(1, a.many), return_counts=True)
    return int((many > 1).sum())
