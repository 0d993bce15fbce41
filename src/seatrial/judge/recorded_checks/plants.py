"""Violations that must be caught, planted into histories of correct stores: one list a model, of (name, history)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.recorded_checks.dice import Dice

OK, FAIL = OpOutcome.OK, OpOutcome.FAIL
Planted = Iterator[tuple[str, Recorded]]
Plant = Callable[[Recorded, Dice], Planted]


def _ok(recorded: Recorded, f: str) -> list[RecordedOp]:
    return [op for op in recorded.ops if op.f == f and op.outcome == OK]


def with_values(recorded: Recorded, values: dict[int, Any]) -> Recorded:
    """Return a copy in which the ops of these indices returned other values."""
    ops = tuple(replace(op, value=values[op.index]) if op.index in values else op for op in recorded.ops)
    return replace(recorded, ops=ops)


def _failing(recorded: Recorded, index: int) -> Recorded:
    ops = tuple(replace(op, outcome=FAIL, value=op.arg) if op.index == index else op for op in recorded.ops)
    return replace(recorded, ops=ops)


def _without(recorded: Recorded, *indices: int) -> Recorded:
    return replace(recorded, ops=tuple(op for op in recorded.ops if op.index not in indices))


def bank(recorded: Recorded, dice: Dice) -> Planted:
    """Money that appears; money that goes below zero."""
    reads = _ok(recorded, "read")
    if len(reads) < 2:
        return
    op = dice.pick(reads[1:])
    key = dice.pick(list(op.value))
    yield "money made", with_values(recorded, {op.index: {**op.value, key: op.value[key] + 1}})
    low = {**op.value, 0: -1, 1: op.value[1] + op.value[0] + 1}
    yield "below zero", with_values(recorded, {op.index: low})


def long_fork(recorded: Recorded, dice: Dice) -> Planted:
    """A later read loses a write that an earlier one saw, and keeps one that it did not see."""
    reads = [op for op in _ok(recorded, "txn") if op.value[0][0] == "r"]
    for a in reads:
        for b in reads:
            seen_a = {m[1] for m in a.value if m[2] is not None}
            seen_b = {m[1] for m in b.value if m[2] is not None}
            if {m[1] for m in a.value} == {m[1] for m in b.value} and seen_a and seen_a < seen_b:
                gone = dice.pick(sorted(seen_a))
                value = [[m[0], m[1], None if m[1] == gone else m[2]] for m in b.value]
                yield "fork", with_values(recorded, {b.index: value})
                return


def sets(recorded: Recorded, dice: Dice) -> Planted:
    """An acknowledged element is gone at the end; an element from nowhere; a failed one that is there."""
    reads = sorted(_ok(recorded, "read"), key=lambda op: op.end or 0)
    last = reads[-1]
    acked = [op for op in _ok(recorded, "add") if (op.end or 0) < last.start]
    if acked:
        value = dice.pick(acked).arg
        less = {r.index: [v for v in r.value if v != value] for r in reads if r.start >= last.start}
        yield "lost", with_values(recorded, less)
    yield "phantom", with_values(recorded, {last.index: [*last.value, -7]})
    once = [op for op in acked if sum(o.arg == op.arg for o in recorded.ops if o.f == "add") == 1]
    if once:
        yield "resurrected", _failing(recorded, dice.pick(once).index)


def set_full(recorded: Recorded, dice: Dice) -> Planted:
    """The same, and an element shown twice."""
    yield from sets(recorded, dice)
    full = [op for op in _ok(recorded, "read") if op.value]
    if full:
        op = dice.pick(full)
        yield "doubled", with_values(recorded, {op.index: [*op.value, dice.pick(op.value)]})


def queue(recorded: Recorded, dice: Dice) -> Planted:
    """An element from nowhere; one taken twice."""
    takes, drain = _ok(recorded, "dequeue"), _ok(recorded, "drain")[-1]
    yield "phantom", with_values(recorded, {drain.index: [*drain.value, -7]})
    for op in takes:
        if sum(o.arg == op.value for o in recorded.ops if o.f == "enqueue") == 1:
            yield "doubled", with_values(recorded, {drain.index: [*drain.value, op.value]})
            return


def total_queue(recorded: Recorded, dice: Dice) -> Planted:
    """An element from nowhere; acknowledged elements that do not come out, more than takes without answer may hold."""
    drain = _ok(recorded, "drain")[-1]
    yield "phantom", with_values(recorded, {drain.index: [*drain.value, -7]})
    out = sum(op.f in ("dequeue", "drain") and op.outcome not in (OK, FAIL) for op in recorded.ops)
    acked = {op.arg for op in _ok(recorded, "enqueue")}
    single = [v for v in drain.value if v in acked and sum(o.arg == v for o in recorded.ops if o.f == "enqueue") == 1]
    if len(single) > out:
        gone = set(single[: out + 1])
        yield "lost", with_values(recorded, {drain.index: [v for v in drain.value if v not in gone]})


def log(recorded: Recorded, dice: Dice) -> Planted:
    """Messages of partition 0: one lost, one doubled, two exchanged, one skipped, one under another offset."""
    seen = sorted({(o, v) for op in _ok(recorded, "poll") for m in op.value for o, v in m[1].get(0, [])})
    acked = {m[2][1] for op in _ok(recorded, "send") for m in op.value}
    inner = [pair for pair in seen[:-1] if pair[1] in acked]
    if not inner:
        return
    offset, value = dice.pick(inner)
    yield "lost", _repolled(recorded, lambda pairs: [p for p in pairs if p[1] != value])
    yield "other value", _repolled(recorded, lambda pairs: [[o, -7] if o == offset else [o, v] for o, v in pairs])
    yield "other offset", _repolled(recorded, lambda pairs: [[o + 1001 if o == offset else o, v] for o, v in pairs])
    polls = [op for op in _ok(recorded, "poll") if len(op.value[0][1].get(0, [])) > 2]
    long = [op for op in polls if op.value[0][1][0][1][1] in acked]  # else nothing tells of the message in between
    if long:
        op = dice.pick(long)
        pairs = op.value[0][1][0]
        for name, cut in (("skipped", [pairs[0], pairs[2]]), ("backwards", [pairs[1], pairs[0]])):
            yield name, with_values(recorded, {op.index: [["poll", {**op.value[0][1], 0: cut}]]})


def _repolled(recorded: Recorded, change: Callable[[list[list[int]]], list[list[int]]]) -> Recorded:
    values = {}
    for op in _ok(recorded, "poll"):
        polled = op.value[0][1]
        if 0 in polled:
            values[op.index] = [["poll", {**polled, 0: change(polled[0])}]]
    return with_values(recorded, values)


def counter(recorded: Recorded, dice: Dice) -> Planted:
    """A read beyond all that was ever added, and one below all that was ever taken."""
    op = dice.pick(_ok(recorded, "read"))
    adds = [o.arg for o in recorded.ops if o.f == "add"]
    yield "too much", with_values(recorded, {op.index: sum(a for a in adds if a > 0) + 1})
    yield "too little", with_values(recorded, {op.index: sum(a for a in adds if a < 0) - 1})


def unique_ids(recorded: Recorded, dice: Dice) -> Planted:
    """An id that was given before."""
    ids = _ok(recorded, "generate")
    if len(ids) > 1:
        at = 1 + dice.roll(len(ids) - 1)
        yield "doubled", with_values(recorded, {ids[at].index: ids[dice.roll(at)].value})


def _stale(recorded: Recorded, dice: Dice, f: str) -> Planted:
    ops = _ok(recorded, f)
    pairs = [(a, b) for a in ops for b in ops if a.end is not None and a.end < b.start]
    if pairs:
        a, b = dice.pick(pairs)
        yield "went back", with_values(recorded, {b.index: a.value - 1})


def monotonic(recorded: Recorded, dice: Dice) -> Planted:
    """A read that returns less than an earlier one."""
    yield from _stale(recorded, dice, "read")


def monotonic_ids(recorded: Recorded, dice: Dice) -> Planted:
    """An id smaller than an earlier one."""
    yield from _stale(recorded, dice, "generate")


def lock(recorded: Recorded, dice: Dice) -> Planted:
    """An owner whose releases are taken out of the history while another one acquires."""
    acquires = sorted(_ok(recorded, "acquire"), key=lambda op: op.end or 0)
    for a in acquires:
        later = [b for b in acquires if b.arg == a.arg and b.process != a.process and (b.end or 0) > (a.end or 0)]
        if later:
            gone = [o.index for o in recorded.ops if (o.f, o.arg, o.process) == ("release", a.arg, a.process)]
            yield "not released", _without(recorded, *gone)
            return


def at_most_once(recorded: Recorded, dice: Dice) -> Planted:
    """A message received again; one from nowhere."""
    received = [op for op in _ok(recorded, "receive") if op.value is not None]
    empty = [op for op in _ok(recorded, "receive") if op.value is None]
    if received and empty:
        yield "doubled", with_values(recorded, {empty[-1].index: dice.pick(received).value})
        yield "phantom", with_values(recorded, {empty[-1].index: -7})


def at_least_once(recorded: Recorded, dice: Dice) -> Planted:
    """Acknowledged messages that nobody gets, more than receives without answer may hold; one from nowhere."""
    acked = {op.arg for op in _ok(recorded, "send")}
    received = [op for op in _ok(recorded, "receive") if op.value in acked]
    out = sum(op.f == "receive" and op.outcome not in (OK, FAIL) for op in recorded.ops)
    if len(received) > out:
        yield "lost", with_values(recorded, {op.index: None for op in received[: out + 1]})
        yield "phantom", with_values(recorded, {dice.pick(received).index: -7})


def exactly_once(recorded: Recorded, dice: Dice) -> Planted:
    """All of these."""
    yield from at_most_once(recorded, dice)
    yield from at_least_once(recorded, dice)


def subscription(recorded: Recorded, dice: Dice) -> Planted:
    """An event doubled, from nowhere, left out before a later one, or after a later one."""
    got = [op for op in _ok(recorded, "event") if op.value]
    if not got:
        return
    op = dice.pick(got)
    yield "doubled", with_values(recorded, {op.index: [*op.value, op.value[0]]})
    yield "phantom", with_values(recorded, {op.index: [*op.value, -7]})
    published = {o.arg: o for o in _ok(recorded, "publish")}
    for op in got:
        pair = [published.get(v) for v in op.value]
        if len(pair) == 2 and pair[0] and pair[1] and (pair[0].end or 0) < pair[1].start:
            yield "out of order", with_values(recorded, {op.index: op.value[::-1]})
            entered = [o.end or 0 for o in _ok(recorded, "subscribe") if o.process == op.process]
            if entered and min(entered) < pair[0].start and not _left(recorded, op):
                yield "gap", with_values(recorded, {op.index: op.value[1:]})
            return


def _left(recorded: Recorded, event: RecordedOp) -> bool:
    """Return True when the subscriber left before, or when an answer that never came may hold what is left out."""
    mine = [o for o in recorded.ops if o.process == event.process]
    early = any(o.f == "unsubscribe" and o.start < event.start for o in mine)
    return early or any(o.f == "event" and o.end is None for o in mine)
