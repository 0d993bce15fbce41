"""The definitions, as plainly as they can be said, whatever they cost: what the checkers are compared with."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp

OK, FAIL = OpOutcome.OK, OpOutcome.FAIL


def _ok(recorded: Recorded, *names: str) -> list[RecordedOp]:
    return [op for op in recorded.ops if op.f in names and op.outcome == OK]


def _tried(recorded: Recorded, *names: str) -> list[RecordedOp]:
    return [op for op in recorded.ops if op.f in names and op.outcome != FAIL]


def _over(a: RecordedOp, b: RecordedOp) -> bool:
    """Return True when a was over before b began."""
    return a.end is not None and a.end < b.start


def bank(recorded: Recorded) -> bool:
    """Return True when the history is bad."""
    reads = [op.value for op in _ok(recorded, "read") if op.value]
    return any(
        sum(v.values()) != sum(reads[0].values()) or min(v.values()) < 0 or not set(v) <= set(reads[0]) for v in reads
    )


def long_fork(recorded: Recorded) -> bool:
    """Two reads of the same keys, each of which sees what the other does not; or a value that nobody wrote."""
    written = {(m[1], m[2]) for op in recorded.ops if op.outcome != FAIL for m in op.arg if m[0] == "w"}
    states = [{m[1]: m[2] for m in op.value} for op in _ok(recorded, "txn") if all(m[0] == "r" for m in op.value)]
    if written and any(v is not None and (k, v) not in written for s in states for k, v in s.items()):
        return True
    for a, b in itertools.combinations([s for s in states if s], 2):
        if set(a) == set(b):
            more = [k for k in a if a[k] is not None and b[k] is None]
            less = [k for k in a if a[k] is None and b[k] is not None]
            if more and less:
                return True
    return False


def _foreign(recorded: Recorded, read: RecordedOp) -> bool:
    return any(not any(a.arg == v and a.start < (read.end or 0) for a in _tried(recorded, "add")) for v in read.value)


def last_set(recorded: Recorded) -> bool:
    """The read that ends last lacks an element whose add was over before it, or shows a foreign one."""
    reads = sorted(_ok(recorded, "read"), key=lambda op: op.end or 0)
    if not reads:
        return False
    lost = any(_over(a, reads[-1]) and a.arg not in reads[-1].value for a in _ok(recorded, "add"))
    return lost or _foreign(recorded, reads[-1])


def set_full(recorded: Recorded) -> bool:
    """Lost: of the reads, the last-begun that tells lacks it, and began after it was known. Doubled, foreign."""
    reads = _ok(recorded, "read")
    if any(_foreign(recorded, r) or len(set(r.value)) < len(r.value) for r in reads):
        return True
    for value in {op.arg for op in recorded.ops if op.f == "add"}:
        ends = [op.end for op in _ok(recorded, "add") if op.arg == value] + [r.end for r in reads if value in r.value]
        known = min((e for e in ends if e is not None), default=None)
        shown = max((r.start for r in reads if value in r.value), default=-1)
        missing = max((r.start for r in reads if value not in r.value), default=-1)
        if known is not None and missing > shown and missing > known:
            return True
    return False


def _taken(recorded: Recorded) -> list[tuple[Any, RecordedOp]]:
    single = [(op.value, op) for op in _ok(recorded, "dequeue") if op.value is not None]
    return single + [(v, op) for op in _ok(recorded, "drain") for v in op.value]


def _matched(takes: list[RecordedOp], puts: list[RecordedOp]) -> bool:
    """Return True when each take can be given a put of its own that had begun by its end."""
    if len(takes) > len(puts):
        return False
    return any(
        all(p.start < (t.end or 0) for t, p in zip(takes, chosen, strict=True))
        for chosen in itertools.permutations(puts, len(takes))
    )


def queue(recorded: Recorded) -> bool:
    """Something came out that was not in."""
    taken = _taken(recorded)
    for value in {v for v, _ in taken}:
        puts = [op for op in _tried(recorded, "enqueue") if op.arg == value]
        if not _matched([op for v, op in taken if v == value], puts):
            return True
    return False


def total_queue(recorded: Recorded) -> bool:
    """Foreign elements, or more lost than open takes may hold, held against an empty queue found afterwards."""
    taken, tried = _taken(recorded), _tried(recorded, "enqueue")
    for value in {v for v, _ in taken}:
        takes = sorted((op for v, op in taken if v == value), key=lambda op: op.end or 0)
        puts = [op for op in tried if op.arg == value]
        if not _matched(takes[: len(puts)], puts) or not puts:
            return True
    empty = [op.start for op in _ok(recorded, "drain")]
    empty += [op.start for op in recorded.ops if op.f == "dequeue" and _empty(op)]
    open_takes = [op for op in recorded.ops if op.f in ("dequeue", "drain") and op.outcome not in (OK, FAIL)]
    lost = 0
    for value in {op.arg for op in tried}:
        acked = [op for op in _ok(recorded, "enqueue") if op.arg == value]
        missing = len(acked) - sum(v == value for v, _ in taken)
        if missing > 0 and any(all((op.end or 0) < at for op in acked) for at in empty):
            lost += missing
    return lost > (len(tried) + 1 if any(op.f == "drain" for op in open_takes) else len(open_takes))


def _empty(op: RecordedOp) -> bool:
    return (op.outcome == OK and op.value is None) or (op.outcome == FAIL and op.error == "empty")


def counter(recorded: Recorded) -> bool:
    """A read outside of what some choice of the adds that overlap it, or never ended, can give."""
    adds = _tried(recorded, "add")
    for read in _ok(recorded, "read"):
        sure = sum(a.arg for a in adds if a.outcome == OK and _over(a, read))
        free = [a.arg for a in adds if not (a.outcome == OK and _over(a, read)) and a.start < (read.end or 0)]
        sums = {sure}
        for one in free:
            sums |= {s + one for s in sums}
        if not min(sums) <= read.value <= max(sums):
            return True
    return False


def unique_ids(recorded: Recorded) -> bool:
    """Two ids are equal."""
    return any(a.value == b.value for a, b in itertools.combinations(_ok(recorded, "generate"), 2))


def monotonic(recorded: Recorded) -> bool:
    """A read after another is smaller."""
    reads = _ok(recorded, "read")
    return any(_over(a, b) and b.value < a.value for a, b in itertools.permutations(reads, 2))


def monotonic_ids(recorded: Recorded) -> bool:
    """An id after another is not larger."""
    ids = _ok(recorded, "generate")
    return any(_over(a, b) and b.value <= a.value for a, b in itertools.permutations(ids, 2))


def lock(recorded: Recorded) -> bool:
    """Two acquires of one lock, the second ending when the owner of the first had not yet begun to release it."""
    for a, b in itertools.permutations(_ok(recorded, "acquire"), 2):
        if a.arg != b.arg or (a.end or 0) > (b.end or 0):
            continue
        tries = [op.start for op in recorded.ops if op.f == "release" and op.arg == a.arg and op.process == a.process]
        released = min((at for at in tries if at > (a.end or 0)), default=None)
        if released is None or released > (b.end or 0):
            return True
    return False


def _receipts(recorded: Recorded) -> Counter[Any]:
    return Counter(op.value for op in _ok(recorded, "receive") if op.value is not None)


def _bad_receipts(recorded: Recorded) -> bool:
    for op in _ok(recorded, "receive"):
        sends = [s for s in _tried(recorded, "send") if s.arg == op.value]
        if op.value is not None and not any(s.start < (op.end or 0) for s in sends):
            return True
    return False


def at_most_once(recorded: Recorded) -> bool:
    """Something is received that was not sent, or more often than it was."""
    sent = Counter(op.arg for op in _tried(recorded, "send"))
    return _bad_receipts(recorded) or any(n > sent[v] > 0 for v, n in _receipts(recorded).items())


def at_least_once(recorded: Recorded) -> bool:
    """More acknowledged messages than open receives may hold never came, though a receiver later got nothing."""
    got = _receipts(recorded)
    empty = [op for op in _ok(recorded, "receive") if op.value is None]
    lost = sum(op.arg not in got and any(_over(op, e) for e in empty) for op in _ok(recorded, "send"))
    unanswered = sum(op.f == "receive" and op.outcome not in (OK, FAIL) for op in recorded.ops)
    return _bad_receipts(recorded) or lost > unanswered


def exactly_once(recorded: Recorded) -> bool:
    """One or the other."""
    return at_most_once(recorded) or at_least_once(recorded)
