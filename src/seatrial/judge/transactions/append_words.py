"""Dependencies of list-append transactions in plain words."""

from __future__ import annotations

from seatrial.judge.modelling import Edge
from seatrial.judge.transactions.anomalies import KINDS, Anomaly
from seatrial.judge.transactions.append_graph import Orders
from seatrial.judge.transactions.append_kernels import PROCESS, REALTIME, RW, WR, WW
from seatrial.judge.transactions.columns import APPEND, Appends
from seatrial.judge.transactions.cycles import Cycle, Step

SHOWN = 6


def list_text(a: Appends, row: int) -> str:
    """Return what a read returned, long lists by their ends."""
    codes = a.heap[a.off[row] : a.off[row] + a.size[row]].tolist()
    words = [a.element_text(c) for c in codes]
    if len(words) > 2 * SHOWN:
        words = [*words[:SHOWN], f"… {len(words) - 2 * SHOWN} more …", *words[-SHOWN:]]
    return "[" + " ".join(words) + "]"


def cycle_anomaly(a: Appends, made: Orders, cycle: Cycle) -> Anomaly:
    """Return a cycle as an anomaly with its ops and the reason of each step."""
    edges = tuple(_edge(a, made, step) for step in cycle.steps)
    ops = tuple(dict.fromkeys(e.source for e in edges))
    size = "" if cycle.sure_smallest else " (a smaller cycle may exist: the budget ended)"
    what = "; ".join(e.why for e in edges) + f": so each of ops {', '.join(map(str, ops))} comes before itself" + size
    return Anomaly(name=cycle.anomaly, what=what, ops=ops, edges=edges)


def _edge(a: Appends, made: Orders, step: Step) -> Edge:
    source, target, kind, _ = step
    words = {WW: _written, WR: _seen, RW: _missed, PROCESS: _followed, REALTIME: _ended}[kind](a, made, step)
    return Edge(source=a.op_index(source), target=a.op_index(target), kind=KINDS[kind], why=words)


def _written(a: Appends, made: Orders, step: Step) -> str:
    first, then = a.op_index(step[0]), a.op_index(step[1])
    if step[3] < 0:
        row = -step[3] - 1
        key = a.key_text(int(a.key[row]))
        unseen = f"op {then} appended {a.element_text(row)} that no read saw"
        return f"op {first} appended to {key} what reads saw, {unseen}"
    place = step[3]
    element = int(made.order[place])
    earlier = int(made.order[place - 1])
    back = place - 1
    while made.writer[earlier] != step[0]:
        back -= 1
        earlier = int(made.order[back])
    key = a.key_text(int(a.key[element]))
    return f"op {first} appended {a.element_text(earlier)} to {key} before op {then} appended {a.element_text(element)}"


def _seen(a: Appends, made: Orders, step: Step) -> str:
    row = step[3]
    key, first = int(a.key[row]), int(made.first[int(a.key[row])])
    place = first + int(made.seen[row]) - 1
    while made.writer[made.order[place]] != step[0]:
        place -= 1
    element = a.element_text(int(made.order[place]))
    reader, writer = a.op_index(step[1]), a.op_index(step[0])
    return f"op {reader} read {a.key_text(key)} as {list_text(a, row)}, with {element} that op {writer} appended"


def _missed(a: Appends, made: Orders, step: Step) -> str:
    row, target = step[3], step[1]
    key = int(a.key[row])
    element = _element_of(a, made, target, key, int(made.seen[row]))
    reader, writer = a.op_index(step[0]), a.op_index(target)
    return f"op {reader} read {a.key_text(key)} as {list_text(a, row)}, without {element} that op {writer} appended"


def _element_of(a: Appends, made: Orders, txn: int, key: int, seen: int) -> str:
    """Return the first element of a transaction in a key that a read of `seen` elements lacks."""
    rows = [r for r in range(a.mop_start[txn], a.mop_start[txn + 1]) if a.kind[r] == APPEND and a.key[r] == key]
    beyond = [r for r in rows if made.place[r] < 0 or made.place[r] >= made.first[key] + seen]
    return a.element_text((beyond or rows)[0])


def _followed(a: Appends, made: Orders, step: Step) -> str:
    return f"op {a.op_index(step[1])} came after op {a.op_index(step[0])} in the same process"


def _ended(a: Appends, made: Orders, step: Step) -> str:
    return f"op {a.op_index(step[0])} ended before op {a.op_index(step[1])} began"
