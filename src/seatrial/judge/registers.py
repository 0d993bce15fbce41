"""Reads joined to the mutations before them, for keys that hold one value: the kernel of durability and session.

Everything is a column operation, so that ten million ops take about a second. The rule for what a read may return:
- the state of the last acknowledged mutation of the key before the read, in the writer's own order;
- the state of an acknowledged one that overlapped it in time;
- the state of any mutation whose end is unknown: such an op may take effect at any time until the history ends. When
  an acknowledged one came after it, the read is `ambiguous`: counted, and in strict mode held against the app.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.history import Flag, OpOutcome, Ops, Verb

ABSENT = -1  # the state of a key that holds nothing; the same number as NONE, so that results compare directly
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Answer(enum.IntEnum):
    """What a read returned, held against what it may return."""

    RIGHT = 0
    LOST = 1  # nothing, where an acknowledged write must be
    STALE = 2  # an older acknowledged value
    RESURRECTED = 3  # a value that was deleted, or that was surely refused
    PHANTOM = 4  # a value that nobody wrote to this key
    AMBIGUOUS = 5  # explained only by an unknown op that took effect after a later acknowledged one
    OPEN = 6  # the effect of an unknown op; allowed
    OVERLAPPING = 7  # the read or the mutation overlapped the last mutation in time; nothing follows


HARMS = (Answer.LOST, Answer.STALE, Answer.RESURRECTED, Answer.PHANTOM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What is known of each key code. shared: hot, or written by several users. last_user: -2 when never written."""

    count: int
    mutations: Rows
    acked: Rows
    shared: Mask
    last_user: NDArray[np.int32]

    @property
    def written(self) -> Mask:
        """Return which key codes had any mutation."""
        return np.asarray(self.last_user != NEVER)


NEVER = np.int32(-2)


def keys_of(ops: Ops) -> Keys:
    """Find the mutations of single-valued keys, and which keys have one writer only."""
    wanted = (ops.verb == Verb.WRITE) & (ops.value >= 0) | (ops.verb == Verb.DELETE)
    mutations = np.flatnonzero(wanted & (ops.key >= 0)).astype(np.int64)
    count = int(ops.key.max(initial=-1)) + 1
    keys, users = ops.key[mutations], ops.user[mutations]
    last_user = np.full(count, NEVER, dtype=np.int32)
    last_user[keys] = users
    shared = np.zeros(count, dtype=bool)
    ownership = ops.flags[mutations] & np.uint8(Flag.OWNED | Flag.HOT)
    shared[keys[(last_user[keys] != users) | (ownership != Flag.OWNED)]] = True
    acked = mutations[ops.outcome[mutations] == OpOutcome.OK]
    return Keys(count=count, mutations=mutations, acked=acked, shared=shared, last_user=last_user)


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Reads, and for each the row of the last acknowledged mutation of its key before it, or -1."""

    reads: Rows
    last: Rows
    expected: Rows
    observed: Rows

    @property
    def suspects(self) -> Rows:
        """Return the places in `reads` whose answer is not simply the last acknowledged state."""
        return np.flatnonzero(self.observed != self.expected)


def state_of(ops: Ops, rows: Rows) -> Rows:
    """Return the state that each mutation makes: the value code, or ABSENT for a delete."""
    return np.where(ops.verb[rows] == Verb.DELETE, ABSENT, ops.value[rows]).astype(np.int64)


def join(ops: Ops, keys: Keys, reads: Rows) -> Join:
    """Join reads to the last acknowledged mutation before each."""
    in_front = not len(keys.acked) or not len(reads) or int(keys.acked[-1]) < int(reads[0])
    last = _last_by_table(ops, keys, reads) if in_front else _last_by_sorting(ops, keys, reads)
    expected = np.full(len(reads), ABSENT, dtype=np.int64)
    known = last >= 0
    expected[known] = state_of(ops, last[known])
    return Join(reads=reads, last=last, expected=expected, observed=ops.result[reads].astype(np.int64))


def _last_by_table(ops: Ops, keys: Keys, reads: Rows) -> Rows:
    table = np.full(keys.count, -1, dtype=np.int64)
    table[ops.key[keys.acked]] = keys.acked  # of a repeated index the last assignment stays
    return table[ops.key[reads]]


def _last_by_sorting(ops: Ops, keys: Keys, reads: Rows) -> Rows:
    total = len(ops)
    is_ack = np.zeros(total, dtype=bool)
    is_ack[keys.acked] = True
    rows = np.concatenate((keys.acked, reads))
    marks = ops.key[rows] * total + rows  # one sort of plain numbers is several times faster than a sort by two columns
    marks.sort()
    key, row = np.divmod(marks, total)
    place = np.maximum.accumulate(np.where(is_ack[row], np.arange(len(row)), -1))
    last = np.maximum(place, 0)
    table = np.full(total, -1, dtype=np.int64)
    table[row] = np.where((place >= 0) & (key[last] == key), row[last], -1)
    return table[reads]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """The answers of the suspects. source: the acknowledged row that the answer came from, -1 when there is none."""

    at: Rows
    answer: NDArray[np.uint8]
    source: Rows


def explain(ops: Ops, keys: Keys, joined: Join, *, strict: bool) -> Explained:
    """Say for each suspect read what it returned."""
    at = joined.suspects
    reads, last, observed = joined.reads[at], joined.last[at], joined.observed[at]
    if not len(at):
        return Explained(at=at, answer=np.zeros(0, dtype=np.uint8), source=at)
    near = np.zeros(keys.count, dtype=bool)
    near[ops.key[reads]] = True
    rows = keys.mutations[near[ops.key[keys.mutations]]]
    outcome = ops.outcome[rows]
    acked = _last_match(ops, rows[outcome == OpOutcome.OK], reads, observed)
    refused = _last_match(ops, rows[outcome == OpOutcome.FAIL], reads, observed)
    is_open = (outcome == OpOutcome.UNKNOWN) | (outcome == OpOutcome.IN_FLIGHT)
    unknown = _last_match(ops, rows[is_open], reads, observed)
    answer = _harm(ops, last, observed, acked, refused)
    late = np.where(observed == ABSENT, Answer.LOST, Answer.STALE) if strict else Answer.AMBIGUOUS
    answer = np.where(unknown >= 0, np.where(unknown > last, Answer.OPEN, late), answer)
    answer[_overlapping(ops, reads, last, acked)] = Answer.OVERLAPPING
    return Explained(at=at, answer=answer.astype(np.uint8), source=acked)


def _harm(ops: Ops, last: Rows, observed: Rows, acked: Rows, refused: Rows) -> NDArray[Any]:
    deleted = (last >= 0) & (ops.verb[np.maximum(last, 0)] == Verb.DELETE)
    conditions = [observed == ABSENT, (acked >= 0) & deleted, acked >= 0, refused >= 0]
    choices = [Answer.LOST, Answer.RESURRECTED, Answer.STALE, Answer.RESURRECTED]
    return np.select(conditions, choices, default=Answer.PHANTOM)


def _overlapping(ops: Ops, reads: Rows, last: Rows, acked: Rows) -> Mask:
    at_last = np.maximum(last, 0)
    with_read = (last >= 0) & (ops.ended_ns[at_last] > ops.started_ns[reads])
    with_last = (acked >= 0) & (last >= 0) & (ops.ended_ns[np.maximum(acked, 0)] > ops.started_ns[at_last])
    return np.asarray(with_read | with_last)


def _last_match(ops: Ops, rows: Rows, reads: Rows, observed: Rows) -> Rows:
    """Return for each read the last of the rows, before it, that made the observed state of its key; else -1."""
    width = int(ops.value.max(initial=0)) + int(observed.max(initial=0)) + 3
    wanted = ops.key[reads] * width + (observed + 1)
    kinds = np.unique(wanted)
    result = np.full(len(reads), -1, dtype=np.int64)
    if not len(rows) or not len(reads):
        return result
    pairs = ops.key[rows] * width + (state_of(ops, rows) + 1)
    kind = np.minimum(np.searchsorted(kinds, pairs), len(kinds) - 1)
    match = kinds[kind] == pairs
    total = len(ops)
    marks = np.sort(kind[match] * total + rows[match])
    asked = np.searchsorted(kinds, wanted)
    place = np.searchsorted(marks, asked * total + reads) - 1
    mark = marks[np.maximum(place, 0)] if len(marks) else np.zeros(len(reads), dtype=np.int64)
    found = (place >= 0) & (mark // total == asked)
    return np.where(found, mark % total, -1)


def acked_after(ops: Ops, keys: Keys, reads: Rows, source: Rows, last: Rows) -> Rows:
    """Return how many acknowledged mutations of each read's key lie in (source, last]: what was undone."""
    if not len(reads):
        return reads
    wanted = np.unique(ops.key[reads])
    total = len(ops) + 1
    near = np.zeros(keys.count, dtype=bool)
    near[wanted] = True
    rows = keys.acked[near[ops.key[keys.acked]]]
    marks = np.sort(np.searchsorted(wanted, ops.key[rows]) * total + rows + 1)
    base = np.searchsorted(wanted, ops.key[reads]) * total
    high = np.searchsorted(marks, base + last + 1, side="right")
    return np.asarray(high - np.searchsorted(marks, base + source + 1, side="right"))


def shared_phantoms(ops: Ops, keys: Keys, reads: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    """Return the reads of shared keys that show a value nobody wrote there, and whether it was surely refused.

    Order is no argument here: any writer's value may be the last, and one that began after the read may be in it.
    """
    observed = ops.result[reads].astype(np.int64)
    shown = reads[observed != ABSENT]
    observed = observed[observed != ABSENT]
    if not len(shown):
        return shown, np.zeros(0, dtype=bool)
    near = np.zeros(keys.count, dtype=bool)
    near[ops.key[shown]] = True
    rows = keys.mutations[near[ops.key[keys.mutations]]]
    refused = ops.outcome[rows] == OpOutcome.FAIL
    ever = np.full(len(shown), len(ops) - 1, dtype=np.int64)
    by_key = _match_ever(ops, rows[~refused], shown, observed, ever)
    bad = shown[by_key < 0]
    was_refused = _match_ever(ops, rows[refused], shown, observed, ever) >= 0
    return bad, was_refused[by_key < 0]


def _match_ever(ops: Ops, rows: Rows, reads: Rows, observed: Rows, ever: Rows) -> Rows:
    width = int(ops.value.max(initial=0)) + int(observed.max(initial=0)) + 3
    made = np.unique(ops.key[rows] * width + (state_of(ops, rows) + 1))
    wanted = ops.key[reads] * width + (observed + 1)
    return np.where(np.isin(wanted, made), ever, -1)
