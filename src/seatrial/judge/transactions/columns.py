"""Transactions of a recording as columns: one row a transaction, one row a read or write in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp

ABORTED, COMMITTED, OPEN = 0, 1, 2
APPEND, READ = 0, 1
NEVER = -1  # end of a transaction that was never seen to end

Column = NDArray[Any]
Mop = tuple[str, Any, Any]
_KINDS = {"r": "r", "read": "r", "w": "w", "write": "w", "append": "append"}


def token(value: Any) -> Any:
    """Return something hashable that is equal for equal values only: 1 and True differ, a list is a tuple."""
    kind = type(value)
    if kind is int or kind is str or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return tuple(token(v) for v in value)
    if isinstance(value, dict):
        return ("map", frozenset((token(k), token(v)) for k, v in value.items()))
    if isinstance(value, (set, frozenset)):
        return ("set", frozenset(token(v) for v in value))
    return (kind.__name__, value)


def status_of(op: RecordedOp) -> int:
    """Return ABORTED, COMMITTED or OPEN (may have had an effect)."""
    if op.outcome is OpOutcome.OK:
        return COMMITTED
    return ABORTED if op.outcome is OpOutcome.FAIL else OPEN


def mops_of(op: RecordedOp, keyed: bool = False) -> list[Mop] | None:
    """Return the reads and writes of an op: of a transaction, or of a single read, write or append; None of others."""
    value = op.value if op.outcome is OpOutcome.OK else op.arg
    if op.f in _KINDS and op.f != "txn":
        kind = _KINDS[op.f]
        if keyed and isinstance(value, (list, tuple)) and len(value) == 2:
            return [(kind, token(value[0]), value[1])]
        if not _is_mops(value):
            return [(kind, None, value)]
    if not _is_mops(value):
        return None
    return [(_KINDS[m[0]], token(m[1]), m[2] if len(m) > 2 else None) for m in value]


def _is_mops(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(
        isinstance(m, (list, tuple)) and len(m) in (2, 3) and isinstance(m[0], str) and m[0] in _KINDS for m in value
    )


def transactions(recorded: Recorded) -> Iterator[tuple[RecordedOp, list[Mop]]]:
    """Yield each op that is a transaction, with its reads and writes."""
    for op in recorded.ops:
        mops = mops_of(op, recorded.keyed)
        if mops is not None:
            yield op, mops


@dataclass(slots=True, kw_only=True)
class Appends:
    """Transactions of appends and reads of whole lists.

    Per transaction: status, process, start, end (NEVER when open), mop_start (one more than transactions).
    Per read or append: kind, key, txn; off, size: where its list is in `heap` (reads).
    heap: elements; an element is the row of its append, or rows + i for unwritten[i].
    ops: the recorded ops, rows of transactions; empty for columns that were made without them.
    doubled: rows of appends of an element that the key had got before.
    """

    status: Column
    process: Column
    start: Column
    end: Column
    mop_start: Column
    kind: Column
    key: Column
    txn: Column
    off: Column
    size: Column
    heap: Column
    keys: Sequence[Any] = ()
    elements: Sequence[Any] = ()
    unwritten: Sequence[Any] = ()
    ops: Sequence[RecordedOp] = ()
    doubled: Sequence[int] = ()
    strange: int = 0

    @property
    def many(self) -> int:
        """Number of transactions."""
        return len(self.status)

    def key_text(self, key: int) -> str:
        """Return a key for a reader."""
        return show(self.keys[key]) if len(self.keys) else str(key)

    def element_text(self, element: int) -> str:
        """Return an element for a reader."""
        if not len(self.elements):
            return f"#{element}"
        rows = len(self.kind)
        return show(self.elements[element] if element < rows else self.unwritten[element - rows])

    def op_index(self, txn: int) -> int:
        """Return the op index of a transaction."""
        return self.ops[txn].index if self.ops else int(txn)


def show(value: Any, most: int = 60) -> str:
    """Return a value for a reader: nil for None, lists as [1 2], long ones cut."""
    if value is None:
        return "nil"
    text = "[" + " ".join(show(v) for v in value) + "]" if isinstance(value, (list, tuple)) else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


@dataclass(slots=True)
class _Building:
    kind: list[int] = field(default_factory=list)
    key: list[int] = field(default_factory=list)
    txn: list[int] = field(default_factory=list)
    element: list[Any] = field(default_factory=list)
    lists: list[Any] = field(default_factory=list)
    keys: dict[Any, int] = field(default_factory=dict)
    written: dict[tuple[int, Any], int] = field(default_factory=dict)
    doubled: list[int] = field(default_factory=list)
    strange: int = 0

    def add(self, txn: int, mops: list[Mop], committed: bool) -> None:
        for kind, name, value in mops:
            key = self.keys.setdefault(name, len(self.keys))
            row = len(self.kind)
            if kind == "append":
                element = token(value)
                if self.written.setdefault((key, element), row) != row:
                    self.doubled.append(row)
                self._row(APPEND, key, txn, value, None)
            elif kind == "r":
                known = committed and (value is None or isinstance(value, (list, tuple)))
                self.strange += committed and not known
                self._row(READ, key, txn, None, (value or ()) if known else None)
            else:
                self.strange += 1

    def _row(self, kind: int, key: int, txn: int, element: Any, listed: Any) -> None:
        self.kind.append(kind)
        self.key.append(key)
        self.txn.append(txn)
        self.element.append(element)
        self.lists.append(listed)


def appends_of(recorded: Recorded) -> Appends:
    """Read the list-append transactions of a recording. Reads of transactions that did not commit say nothing."""
    made, ops, starts = _Building(), list[RecordedOp](), [0]
    for op, mops in transactions(recorded):
        made.add(len(ops), mops, op.outcome is OpOutcome.OK)
        ops.append(op)
        starts.append(len(made.kind))
    off, size, heap, unwritten = _heap(made)
    names: dict[Any, int] = {}
    return Appends(
        status=np.array([status_of(op) for op in ops], np.int8),
        process=np.array([names.setdefault(op.process, len(names)) for op in ops], np.int32),
        start=np.array([op.start for op in ops], np.int64),
        end=np.array([NEVER if op.end is None else op.end for op in ops], np.int64),
        mop_start=np.array(starts, np.int32),
        kind=np.array(made.kind, np.int8),
        key=np.array(made.key, np.int32),
        txn=np.array(made.txn, np.int32),
        off=off,
        size=size,
        heap=heap,
        keys=tuple(made.keys),
        elements=made.element,
        unwritten=unwritten,
        ops=ops,
        doubled=made.doubled,
        strange=made.strange,
    )


def _heap(made: _Building) -> tuple[Column, Column, Column, list[Any]]:
    """Code every element of every list that was read. Size -1: a read whose answer is not known."""
    rows, written, unwritten = len(made.kind), made.written, list[Any]()
    off, size, heap = [0] * rows, [-1] * rows, list[int]()
    for row, listed in enumerate(made.lists):
        if listed is None:
            continue
        key = made.key[row]
        off[row], size[row] = len(heap), len(listed)
        for value in listed:
            name = (key, value if type(value) is int else token(value))
            code = written.get(name)
            if code is None:
                code = written[name] = rows + len(unwritten)
                unwritten.append(value)
            heap.append(code)
    return np.array(off, np.int64), np.array(size, np.int32), np.array(heap, np.int32), unwritten
