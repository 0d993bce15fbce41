"""Collections and logs read back with LIST: every acknowledged append is there once, in the writer's order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from seatrial.history import Flag, OpOutcome, Ops, Verb

_items = msgspec.json.Decoder(list[str])


@dataclass(frozen=True, slots=True, kw_only=True)
class ListHarm:
    """One thing wrong with a collection. cause: the append that was harmed, -1 when there is none."""

    category: str
    read: int
    cause: int
    expected: str
    observed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListsJudged:
    """What the read-back of collections showed. unread: keys with an acknowledged append and no good read-back."""

    harms: tuple[ListHarm, ...] = ()
    keys: int = 0
    items: int = 0
    unread: int = 0
    acked_keys: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Appends:
    """The appends of one key by what may be expected of each."""

    must: Mapping[str, list[int]]  # acknowledged, and not deleted since
    may: Counter[str]  # how often each item may be there
    gone: Mapping[str, int]  # surely refused, or deleted: must not be there


def readback_lists(ops: Ops) -> NDArray[np.int64]:
    """Return the rows of good LIST ops of the read-back."""
    flagged = (ops.flags & np.uint8(Flag.READBACK)) != 0
    good = (ops.verb == Verb.LIST) & (ops.outcome == OpOutcome.OK) & flagged & (ops.key >= 0) & (ops.result >= 0)
    return np.flatnonzero(good).astype(np.int64)


def judge_lists(ops: Ops) -> ListsJudged:
    """Hold every collection that was read back against the appends of all its writers."""
    changes = _changes_by_key(ops)
    acked = {k for k, rows in changes.items() if any(_is_acked_append(ops, r) for r in rows)}
    harms: list[ListHarm] = []
    judged: set[int] = set()
    items = unreadable = 0
    for read in readback_lists(ops).tolist():
        key = int(ops.key[read])
        shown = items_of(ops, read)
        if shown is None:
            unreadable += 1
            continue
        if key in changes:
            judged.add(key)
        items += len(shown)
        harms.extend(_judge_one(ops, read, [r for r in changes.get(key, ()) if r < read], shown))
    return ListsJudged(
        harms=tuple(harms),
        keys=len(judged),
        items=items,
        unread=len(acked - judged),
        acked_keys=len(acked),
        unreadable=unreadable,
    )


def items_of(ops: Ops, read: int) -> list[str] | None:
    """Return the items that a LIST op returned; None when the result is no JSON array of strings."""
    try:
        return _items.decode(ops.text(int(ops.result[read])) or "")
    except msgspec.DecodeError:
        return None


def _changes_by_key(ops: Ops) -> dict[int, list[int]]:
    """Return the rows of APPEND, and of DELETE of the same keys, by key, in order."""
    appends = np.flatnonzero((ops.verb == Verb.APPEND) & (ops.key >= 0) & (ops.value >= 0))
    if not len(appends):
        return {}
    logs = np.zeros(int(ops.key.max()) + 1, dtype=bool)
    logs[ops.key[appends]] = True
    deletes = np.flatnonzero((ops.verb == Verb.DELETE) & (ops.key >= 0))
    deletes = deletes[logs[ops.key[deletes]]]
    rows = np.sort(np.concatenate((appends, deletes)))
    changes: dict[int, list[int]] = {}
    for row, key in zip(rows.tolist(), ops.key[rows].tolist(), strict=True):
        changes.setdefault(key, []).append(row)
    return changes


def _is_acked_append(ops: Ops, row: int) -> bool:
    return bool(ops.verb[row] == Verb.APPEND and ops.outcome[row] == OpOutcome.OK)


def _sort_out(ops: Ops, rows: list[int]) -> _Appends:
    must: dict[str, list[int]] = {}
    may: Counter[str] = Counter()
    gone: dict[str, int] = {}
    for row in rows:
        outcome = ops.outcome[row]
        if ops.verb[row] == Verb.DELETE:
            if outcome == OpOutcome.OK:
                gone.update((item, acked[-1]) for item, acked in must.items())
                must, may = {}, may - Counter({i: len(acked) for i, acked in must.items()})
            elif outcome != OpOutcome.FAIL:
                must = {}  # an unknown delete may have taken all of them, now or later
            continue
        item = ops.text(int(ops.value[row])) or ""
        if outcome == OpOutcome.FAIL:
            gone.setdefault(item, row)
            continue
        may[item] += 1
        if outcome == OpOutcome.OK:
            must.setdefault(item, []).append(row)
    return _Appends(must=must, may=may, gone=gone)


def _judge_one(ops: Ops, read: int, rows: list[int], shown: list[str]) -> Iterator[ListHarm]:
    appends = _sort_out(ops, rows)
    counts = Counter(shown)
    for item, acked in appends.must.items():
        if counts[item] < len(acked):
            yield ListHarm(category="lost", read=read, cause=acked[-1], expected=item, observed="not in the list")
    for item, count in counts.items():
        allowed = appends.may[item]
        cause = appends.must.get(item, [-1])[-1]
        if not allowed and item in appends.gone:
            yield ListHarm(
                category="resurrected", read=read, cause=appends.gone[item], expected="not there", observed=item
            )
        elif not allowed:
            yield ListHarm(category="phantom", read=read, cause=-1, expected="never appended", observed=item)
        elif count > allowed:
            yield ListHarm(
                category="duplicated", read=read, cause=cause, expected=f"{item} once", observed=f"{count} times"
            )
    yield from _out_of_order(ops, read, appends, shown)


def _out_of_order(ops: Ops, read: int, appends: _Appends, shown: list[str]) -> Iterator[ListHarm]:
    """Yield where an item stands behind one that the same writer appended after its acknowledgement."""
    latest: dict[int, int] = {}  # by user: the last-begun append among the items seen so far
    seen: set[str] = set()
    for item in shown:
        acked = appends.must.get(item, [])
        if len(acked) != 1 or item in seen or appends.may[item] != 1:
            continue  # of several appends of one text nobody can say which is which
        seen.add(item)
        row = acked[0]
        before = latest.get(int(ops.user[row]), -1)
        if before > row and ops.ended_ns[row] <= ops.started_ns[before]:
            later = ops.text(int(ops.value[before])) or ""
            yield ListHarm(
                category="reordered", read=read, cause=row, expected=f"{item} before {later}", observed="behind it"
            )
        latest[int(ops.user[row])] = max(before, row)
