"""The definitions for logs and subscriptions, as plainly as they can be said, whatever they cost."""

from __future__ import annotations

import itertools
from typing import Any

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp

OK, FAIL = OpOutcome.OK, OpOutcome.FAIL
Message = tuple[int, int, Any, RecordedOp]  # partition, offset, value, op


def _sent(recorded: Recorded) -> list[Message]:
    return [
        (m[1], m[2][0], m[2][1], op) for op in recorded.ops if op.f == "send" and op.outcome == OK for m in op.value
    ]


def _polled(recorded: Recorded) -> list[Message]:
    found = []
    for op in recorded.ops:
        if op.f == "poll" and op.outcome == OK:
            for mop in op.value:
                if len(mop) == 2:
                    found += [(k, o, v, op) for k, pairs in mop[1].items() for o, v in pairs]
    return found


def log(recorded: Recorded) -> bool:
    """Return True when an offset is ambiguous, a message doubled, foreign or lost, or an order is broken."""
    sent, polled = _sent(recorded), _polled(recorded)
    for a, b in itertools.combinations(sent + polled, 2):
        if a[0] == b[0] and (a[1] == b[1]) != (a[2] == b[2]):
            if a[1] == b[1]:
                return True
            tries = [op for op in recorded.ops if op.f == "send" and op.outcome != FAIL]
            writers = {op.index for op in tries if _value(op, a[0]) == a[2]}
            places = {m[1] for m in sent + polled if m[0] == a[0] and m[2] == a[2]}
            if len(places) > max(1, len(writers)):
                return True
    return _foreign(recorded, polled) or _lost(recorded, sent, polled) or _order(recorded, sent, polled)


def _value(op: RecordedOp, key: int) -> Any:
    mop = (op.value if op.outcome == OK else op.arg)[0]
    if mop[1] != key:
        return None
    return mop[2][1] if op.outcome == OK else mop[2]


def _foreign(recorded: Recorded, polled: list[Message]) -> bool:
    sends = [op for op in recorded.ops if op.f == "send" and op.outcome != FAIL]
    first: dict[tuple[int, Any], int] = {}
    for key, _, value, op in polled:
        first.setdefault((key, value), op.end or 0)
    return any(not any(_value(s, key) == value and s.start < end for s in sends) for (key, value), end in first.items())


def _lost(recorded: Recorded, sent: list[Message], polled: list[Message]) -> bool:
    for key, _, value, _ in sent:
        if any(m[0] == key and m[2] == value for m in polled):
            continue
        place = max(m[1] for m in sent if m[0] == key and m[2] == value)
        read = {m[2] for m in polled if m[0] == key}
        firsts = [min(m[1] for m in sent + polled if m[0] == key and m[2] == v) for v in read]
        if any(f >= place for f in firsts):
            return True
    return False


def _order(recorded: Recorded, sent: list[Message], polled: list[Message]) -> bool:
    offsets = {key: sorted({m[1] for m in sent + polled if m[0] == key}) for key in (0, 1)}
    for process in {op.process for op in recorded.ops}:
        at: dict[int, int] = {}
        wrote: dict[int, int] = {}
        for op in recorded.ops:
            if op.process != process or op.outcome == FAIL:
                continue
            if op.f == "poll" and op.end is None:
                at = {}  # what it polled is not known, so neither is where its consumer stands
            if op.f == "assign":
                at = {k: v for k, v in at.items() if k in op.arg}
                wrote = {k: v for k, v in wrote.items() if k in op.arg}
            for key, offset, _, by in polled:
                if by is op:
                    if key in at and offsets[key].index(offset) != offsets[key].index(at[key]) + 1:
                        return True
                    at[key] = offset
            for key, offset, _, by in sent:
                if by is op:
                    if key in wrote and offset <= wrote[key]:
                        return True
                    wrote[key] = offset
    return False


def subscription(recorded: Recorded) -> bool:
    """Return True when an event is foreign, doubled, out of order, or left out before a later one."""
    published = {op.arg: op for op in recorded.ops if op.f == "publish" and op.outcome != FAIL}
    for process in {op.process for op in recorded.ops}:
        mine = sorted((op for op in recorded.ops if op.process == process), key=_done)
        got = [(v, op) for op in mine if op.f == "event" and op.outcome == OK for v in op.value]
        values = [v for v, _ in got]
        if len(set(values)) < len(values):
            return True
        if any(v not in published or (op.end or 0) < published[v].start for v, op in got):
            return True
        if any(_before(published[b], published[a]) for a, b in itertools.combinations(values, 2)):
            return True
        if _gap(mine, published, got):
            return True
    return False


def _done(op: RecordedOp) -> int:
    return op.start if op.f == "unsubscribe" or op.end is None else op.end


def _before(a: RecordedOp, b: RecordedOp) -> bool:
    return a.outcome == OK and a.end is not None and a.end < b.start


def _gap(mine: list[RecordedOp], published: dict[Any, RecordedOp], got: list[tuple[Any, RecordedOp]]) -> bool:
    """An event between a subscribe and the next unsubscribe that is missing, while a later one came in that time."""
    if any(op.f == "event" and op.end is None for op in mine):
        return False  # the answer that never came may have held it
    subscribes = [op for op in mine if op.f == "subscribe" and op.outcome == OK]
    leaves = [op.start for op in mine if op.f == "unsubscribe" and op.outcome != FAIL]
    for subscribe in subscribes:
        begin = subscribe.end or 0
        end = min((at for at in leaves if at > begin), default=1 << 60)
        came = [published[v] for v, op in got if begin < (op.end or 0) < end]
        for value, event in published.items():
            if event.outcome != OK or event.start < begin or (event.end or 0) > end or value in {v for v, _ in got}:
                continue
            if any(_before(event, later) for later in came):
                return True
    return False
