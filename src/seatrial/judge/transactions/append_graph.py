"""Version orders of list-append transactions, what each read shows, and the dependencies between transactions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seatrial.judge.transactions import append_kernels as kernels
from seatrial.judge.transactions.append_kernels import GLUE, RW, WW
from seatrial.judge.transactions.columns import ABORTED, APPEND, COMMITTED, Appends, Column
from seatrial.judge.transactions.graph import Edges, Graph, edges_of, joined, process_edges, time_edges
from seatrial.judge.transactions.jit import kernel
from seatrial.judge.transactions.levels import PROCESS, REALTIME


@dataclass(slots=True, kw_only=True)
class Orders:
    """What the reads show. order, first: version orders of all keys, key k from first[k] to first[k+1].

    place: where an element stands in `order`, or -1. writer: transaction of an element; -1 none that lives, -2 many.
    fault, seen: of each read, see append_kernels. duplicates: elements that stand twice in a version order.
    """

    best: Column
    first: Column
    order: Column
    place: Column
    writer: Column
    fault: Column
    seen: Column
    counted: Column
    duplicates: int
    edges: Edges


def orders_of(a: Appends) -> Orders:
    """Work out version orders by the longest reads, and ww, wr and rw of them."""
    rows, elements = len(a.kind), len(a.kind) + len(a.unwritten)
    keys = int(a.key.max()) + 1 if rows else 0
    best = np.full(keys, -1, np.int32)
    steps = rows * 10 + len(a.heap) // 50
    kernel(kernels.longest_reads, steps)(a.kind, a.key, a.size, best)
    first = np.zeros(keys + 1, np.int32)
    np.cumsum(np.where(best >= 0, a.size[best], 0) if rows else [], out=first[1:])
    order, place = np.empty(first[-1], np.int32), np.full(elements, -1, np.int32)
    doubles = kernel(kernels.lay_orders, steps)(best, a.off, a.size, a.heap, first, order, place)
    writer = _writers(a, elements)
    counted = a.status == COMMITTED
    counted[a.txn[(place[:rows] >= 0) & (a.kind == APPEND) & (a.status[a.txn] != ABORTED)]] = True
    made = Orders(
        best=best,
        first=first,
        order=order,
        place=place,
        writer=writer,
        fault=np.zeros(rows, np.int8),
        seen=np.full(rows, -1, np.int32),
        counted=counted,
        duplicates=int(doubles),
        edges=edges_of([], [], 0, 0),
    )
    made.edges = joined([_write_edges(made, steps), _read_edges(a, made, steps)])
    return made


def _writers(a: Appends, elements: int) -> Column:
    writer = np.full(elements, -1, np.int32)
    appended = np.flatnonzero((a.kind == APPEND) & (a.status[a.txn] != ABORTED))
    writer[appended] = a.txn[appended]
    for row in a.doubled:
        appended = np.flatnonzero((a.key == a.key[row]) & (a.kind == APPEND))
        writer[[r for r in appended.tolist() if a.elements[r] == a.elements[row]]] = -2
    return writer


def _write_edges(made: Orders, steps: int) -> Edges:
    source, target, why = (np.empty(len(made.order), np.int32) for _ in range(3))
    run = kernel(kernels.write_edges, steps)
    many = run(made.order, made.first, made.writer, source, target, why)
    return edges_of(source[:many], target[:many], WW, why[:many])


def _read_edges(a: Appends, made: Orders, steps: int) -> Edges:
    after, before = np.empty(len(made.order), np.int32), np.empty(len(made.order), np.int32)
    kernel(kernels.next_known, steps)(made.order, made.first, made.writer, after, before)
    bad = np.empty(len(made.best), np.int32)
    kernel(kernels.first_bad, steps)(made.order, made.first, made.writer, bad)
    final = np.zeros(len(a.kind), np.bool_)
    kernel(kernels.final_appends, steps)(a.mop_start, a.kind, a.key, final)
    kernel(kernels.judge_reads, steps)(
        a.status, a.mop_start, a.kind, a.key, a.off, a.size, a.heap,
        made.first, made.order, bad, made.writer, final, made.fault, made.seen,
    )  # fmt: skip
    most = 2 * int((made.seen >= 0).sum())
    source, target, why = (np.empty(most, np.int32) for _ in range(3))
    what = np.empty(most, np.int8)
    many = kernel(kernels.read_edges, steps)(
        a.txn, a.key, made.first, made.order, after, before, made.writer, made.seen, source, target, why, what
    )
    return edges_of(source[:many], target[:many], what[:many], why[:many])


def unseen_edges(a: Appends, made: Orders, first_node: int) -> tuple[Edges, int]:
    """Dependencies on appends that took effect and no read saw: they come after all that was seen of their key.

    Their order among themselves is not known. Readers of the whole key that append nothing lead to one node a key,
    and from there to each such append, so that the edges stay few.
    """
    rows, keys = len(a.kind), len(made.best)
    sound = np.ones(keys, np.bool_)
    sound[a.key[(made.fault & kernels.INCOMPATIBLE) != 0]] = False
    unseen = np.flatnonzero(
        (a.kind == APPEND) & made.counted[a.txn] & (made.place[:rows] < 0) & (made.writer[:rows] >= 0)
    )
    unseen = unseen[sound[a.key[unseen]]]
    if not len(unseen):
        return edges_of([], [], 0, 0), 0
    base = np.int64(a.many)
    _, at = np.unique(a.key[unseen] * base + a.txn[unseen], return_index=True)
    unseen = unseen[at]  # one row a key and transaction, by key
    per_key = np.bincount(a.key[unseen], minlength=keys)
    parts = [_after_last(a, made, unseen)]
    readers = np.flatnonzero((made.seen >= 0) & (made.seen == np.diff(made.first)[a.key]))
    readers = readers[per_key[a.key[readers]] > 0]
    pairs, at = np.unique(a.key[readers] * base + a.txn[readers], return_index=True)
    readers = readers[at]
    writes_too = np.isin(pairs, a.key[unseen] * base + a.txn[unseen])
    pure = readers[~writes_too]
    parts.append(edges_of(a.txn[pure], a.key[pure] + first_node, GLUE, pure))
    read_keys = np.zeros(keys, np.bool_)
    read_keys[a.key[pure]] = True
    to = unseen[read_keys[a.key[unseen]]]
    parts.append(edges_of(a.key[to] + first_node, a.txn[to], RW, to))
    parts.append(_changers(a, readers[writes_too], unseen))
    return joined(parts), keys


def _after_last(a: Appends, made: Orders, unseen: Column) -> Edges:
    last = np.full(len(made.best), -1, np.int64)
    known = np.flatnonzero(made.writer[made.order] >= 0) if len(made.order) else np.zeros(0, np.int64)
    owner = np.searchsorted(made.first, known, side="right") - 1
    last[owner] = known  # places rise, so the last one of each key stays
    to = unseen[last[a.key[unseen]] >= 0]
    source = made.writer[made.order[last[a.key[to]]]] if len(to) else np.zeros(0, np.int32)
    apart = source != a.txn[to]
    return edges_of(source[apart], a.txn[to[apart]], WW, -to[apart] - 1)


def _changers(a: Appends, readers: Column, unseen: Column) -> Edges:
    """Readers of the whole key that append to it too. Two of them at one key contradict each other already."""
    source, target, why = [], [], []
    starts = np.searchsorted(a.key[unseen], np.arange(int(a.key.max()) + 2))
    by_key: dict[int, list[int]] = {}
    for row in readers.tolist():
        by_key.setdefault(int(a.key[row]), []).append(row)
    for key, rows in by_key.items():
        mates = [int(a.txn[r]) for r in rows[:2]]
        for row in rows:
            reader = int(a.txn[row])
            others = mates if len(rows) > 1 else a.txn[unseen[starts[key] : starts[key + 1]]].tolist()
            for other in [o for o in others if o != reader]:
                source.append(reader)
                target.append(other)
                why.append(row)
    return edges_of(source, target, RW, np.array(why, np.int32))


def graph_of(a: Appends, made: Orders, order: int) -> Graph:
    """Return all dependencies, with those of sessions and of real time when the order asks for them."""
    nodes, parts = a.many, [made.edges]
    edges, more = unseen_edges(a, made, nodes)
    parts.append(edges)
    nodes += more
    committed = a.status == COMMITTED
    if order >= PROCESS:
        parts.append(process_edges(a.process, a.start, committed))
    if order >= REALTIME:
        edges, more = time_edges(a.start, a.end, made.counted, committed, nodes)
        parts.append(edges)
        nodes += more
    return Graph(real=a.many, nodes=nodes, edges=joined(parts))
