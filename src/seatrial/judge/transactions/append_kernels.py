"""Loops over list-append columns: version orders, and the dependencies and faults that every read shows.

Written so that they run as plain Python over arrays, and compiled for large histories.
"""

from __future__ import annotations

from typing import Any

WW, WR, RW, PROCESS, REALTIME, GLUE = 0, 1, 2, 3, 4, 5
# faults of single reads, as bits
INCOMPATIBLE, OWN_LOST, CHANGED, ABORTED_READ, INTERMEDIATE, UNWRITTEN = 1, 2, 4, 8, 16, 32


def longest_reads(kind: Any, key: Any, size: Any, best: Any) -> None:
    """best[k]: row of a longest read of key k (filled with -1 before)."""
    for row in range(len(kind)):
        if kind[row] == 1 and size[row] > 0:
            k = key[row]
            if best[k] < 0 or size[row] > size[best[k]]:
                best[k] = row


def lay_orders(best: Any, off: Any, size: Any, heap: Any, first: Any, order: Any, place: Any) -> int:
    """first[k] .. first[k+1]: the version order of key k in `order`; place[element]: where it is. Count duplicates."""
    doubles = 0
    for k in range(len(best)):
        row = best[k]
        at = first[k]
        if row < 0:
            continue
        for i in range(size[row]):
            element = heap[off[row] + i]
            order[at + i] = element
            if place[element] >= 0:
                doubles += 1
            else:
                place[element] = at + i
    return doubles


def next_known(order: Any, first: Any, writer: Any, after: Any, before: Any) -> None:
    """after[i], before[i]: nearest place at or after / at or before i in its key's order with a live writer, or -1."""
    for k in range(len(first) - 1):
        last = -1
        for i in range(first[k], first[k + 1]):
            if writer[order[i]] >= 0:
                last = i
            before[i] = last
        last = -1
        for j in range(first[k + 1] - first[k]):
            i = first[k + 1] - 1 - j
            if writer[order[i]] >= 0:
                last = i
            after[i] = last


def first_bad(order: Any, first: Any, writer: Any, bad: Any) -> None:
    """bad[k]: how many elements of key k's order come before the first that has no live writer."""
    for k in range(len(bad)):
        bad[k] = first[k + 1] - first[k]
        for i in range(first[k], first[k + 1]):
            if writer[order[i]] < 0:
                bad[k] = i - first[k]
                break


def write_edges(order: Any, first: Any, writer: Any, source: Any, target: Any, why: Any) -> int:
    """ww: from each writer of a key to the next other one. Return how many; why: place of the later element."""
    made = 0
    for k in range(len(first) - 1):
        last = -1
        for i in range(first[k], first[k + 1]):
            w = writer[order[i]]
            if w < 0:
                continue
            if last >= 0 and w != last:
                source[made] = last
                target[made] = w
                why[made] = i
                made += 1
            last = w
    return made


def judge_reads(
    status: Any,
    mop_start: Any,
    kind: Any,
    key: Any,
    off: Any,
    size: Any,
    heap: Any,
    first: Any,
    order: Any,
    bad: Any,
    writer: Any,
    final: Any,
    fault: Any,
    seen: Any,
) -> None:
    """fault[row]: bits; seen[row]: how much of the order a read saw before its own appends, -1: it cannot tell."""
    for t in range(len(status)):
        if status[t] != 1:
            continue
        for row in range(mop_start[t], mop_start[t + 1]):
            if kind[row] != 1 or size[row] < 0:
                continue
            k, n, a = key[row], size[row], off[row]
            base = first[k]
            compatible = (heap[a : a + n] == order[base : base + n]).all() if n <= first[k + 1] - base else False
            if not compatible:
                fault[row] |= 1
            # own appends before this read, from the nearest one backwards
            own, between, previous, lost = 0, 0, -1, False
            for back in range(row - 1, mop_start[t] - 1, -1):
                if key[back] != k:
                    continue
                if kind[back] == 0:
                    own += 1
                    between += previous < 0
                    if own > n or heap[a + n - own] != back:
                        lost = True
                elif previous < 0 and size[back] >= 0:
                    previous = back
            if lost:
                fault[row] |= 2
            elif previous >= 0:
                m = size[previous]
                if m + between != n or not (heap[a : a + m] == heap[off[previous] : off[previous] + m]).all():
                    fault[row] |= 4
            if n > bad[k] or not compatible:
                for i in range(n):
                    if heap[a + i] >= len(kind):
                        fault[row] |= 32
                    elif writer[heap[a + i]] == -1:
                        fault[row] |= 8
            if n > 0:
                last = heap[a + n - 1]
                if last < len(kind) and writer[last] >= 0 and writer[last] != t and not final[last]:
                    fault[row] |= 16
            if compatible and not lost:
                seen[row] = n - own


def read_edges(
    txn: Any,
    key: Any,
    first: Any,
    order: Any,
    after: Any,
    before: Any,
    writer: Any,
    seen: Any,
    source: Any,
    target: Any,
    why: Any,
    what: Any,
) -> int:
    """wr to each read, and rw from it to the next writer, unless that is the reader itself. Return how many."""
    made = 0
    for row in range(len(seen)):
        e = seen[row]
        if e < 0:
            continue
        t = txn[row]
        base = first[key[row]]
        for side in range(2):
            place = -1
            if side == 0 and e > 0:
                place = before[base + e - 1]
            elif side == 1 and base + e < first[key[row] + 1]:
                place = after[base + e]
            if place < 0 or writer[order[place]] == t:
                continue
            other = writer[order[place]]
            source[made] = other if side == 0 else t
            target[made] = t if side == 0 else other
            why[made] = row
            what[made] = 1 + side
            made += 1
    return made


def final_appends(mop_start: Any, kind: Any, key: Any, final: Any) -> None:
    """final[row]: the append is the last one of its transaction to its key."""
    for t in range(len(mop_start) - 1):
        for row in range(mop_start[t], mop_start[t + 1]):
            if kind[row] != 0:
                continue
            final[row] = True
            for later in range(row + 1, mop_start[t + 1]):
                if kind[later] == 0 and key[later] == key[row]:
                    final[row] = False
                    break


def links(source: Any, target: Any, begin: Any, to: Any) -> None:
    """Sort targets by source (begin is filled with where each node's edges start, and comes back so)."""
    for e in range(len(source)):
        at = begin[source[e]]
        begin[source[e]] = at + 1
        to[at] = target[e]
    for v in range(len(begin) - 1, 0, -1):
        begin[v] = begin[v - 1]
    begin[0] = 0


def tarjan(begin: Any, to: Any, number: Any, low: Any, group: Any, stack: Any, path: Any, at: Any) -> int:
    """Strongly connected components: group[v] >= 0 for each node of a component with two nodes or more.

    number, low, stack, path, at: working space, one place a node; number filled with 0, group with -1.
    """
    count = 0
    groups = 0
    top = 0
    for root in range(len(begin) - 1):
        if number[root] != 0:
            continue
        depth = 0
        path[0] = root
        count += 1
        number[root] = low[root] = count
        at[root] = begin[root]
        stack[top] = root
        top += 1
        while depth >= 0:
            v = path[depth]
            if at[v] < begin[v + 1]:
                w = to[at[v]]
                at[v] += 1
                if number[w] == 0:
                    count += 1
                    number[w] = low[w] = count
                    at[w] = begin[w]
                    stack[top] = w
                    top += 1
                    depth += 1
                    path[depth] = w
                elif number[w] > 0 and number[w] < low[v]:
                    low[v] = number[w]
            else:
                depth -= 1
                if depth >= 0 and low[v] < low[path[depth]]:
                    low[path[depth]] = low[v]
                if low[v] == number[v]:
                    alone = stack[top - 1] == v
                    while True:
                        top -= 1
                        w = stack[top]
                        number[w] = -1  # left the stack
                        if not alone:
                            group[w] = groups
                        if w == v:
                            break
                    if not alone:
                        groups += 1
    return groups
