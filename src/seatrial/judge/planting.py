"""Means to plant violations into copies of a history: other answers, new strings, clean places to plant in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import msgspec
import numpy as np

from seatrial.history import NONE, Flag, History, OpOutcome, Ops, Verb
from seatrial.judge.base import pick
from seatrial.judge.lists import items_of, readback_lists
from seatrial.judge.registers import ABSENT, Join, Keys, Mask, Rows, state_of


@dataclass(frozen=True, slots=True)
class Extended(Sequence[str]):
    """A table of strings with one more at its end, without a copy of the table."""

    base: Sequence[str]
    extra: str

    def __len__(self) -> int:
        """Return the number of strings."""
        return len(self.base) + 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        """Return the string of a code."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.extra if index == len(self.base) else self.base[index]


def answer(history: History, row: int, result: int) -> History:
    """Return a copy in which one op returned another result code."""
    column = history.ops.result.copy()
    column[row] = result
    return history.with_ops(history.ops.with_columns(result=column))


def answer_text(history: History, row: int, text: str) -> History:
    """Return a copy in which one op returned a text that nobody ever wrote."""
    ops = history.ops
    extended = replace(ops, strings=Extended(ops.strings, text))
    return answer(history.with_ops(extended), row, len(ops.strings))


def clean_keys(ops: Ops, keys: Keys) -> Mask:
    """Return the keys of one writer whose every mutation has a known end and overlaps no other: no excuse there."""
    clean = keys.written & ~keys.shared
    outcome = ops.outcome[keys.mutations]
    dirty = (outcome == OpOutcome.UNKNOWN) | (outcome == OpOutcome.IN_FLIGHT)
    clean[ops.key[keys.mutations[dirty]]] = False
    return clean


def plant_registers(history: History, keys: Keys, joined: Join, seed: int) -> Iterator[tuple[str, History]]:
    """Yield a lost, a stale, a resurrected and a phantom answer, each where the right one was read."""
    ops = history.ops
    clean = clean_keys(ops, keys)[ops.key[joined.reads]] & (joined.last >= 0)
    last = np.maximum(joined.last, 0)
    clean &= (joined.expected == joined.observed) & (ops.ended_ns[last] <= ops.started_ns[joined.reads])
    previous = _acked_before(ops, keys, joined)
    older = np.where(previous >= 0, ops.value[np.maximum(previous, 0)], ABSENT)
    older[ops.ended_ns[np.maximum(previous, 0)] > ops.started_ns[last]] = ABSENT
    older[older == joined.expected] = ABSENT
    holds = clean & (joined.expected != ABSENT)
    if (row := _chosen(joined.reads, holds, seed, "lost")) is not None:
        yield f"lost: op #{row} finds nothing", answer(history, row, NONE)
        yield f"phantom: op #{row} finds a foreign value", answer_text(history, row, f"planted-{seed}")
    if (row := _chosen(joined.reads, holds & (older != ABSENT), seed, "stale")) is not None:
        value = int(older[np.searchsorted(joined.reads, row)])
        yield f"stale: op #{row} finds the value before the last", answer(history, row, value)
    empty = clean & (joined.expected == ABSENT) & (older != ABSENT)
    if (row := _chosen(joined.reads, empty, seed, "resurrected")) is not None:
        value = int(older[np.searchsorted(joined.reads, row)])
        yield f"resurrected: op #{row} finds a deleted value", answer(history, row, value)


def _chosen(rows: Rows, where: Mask, seed: int, label: str) -> int | None:
    candidates = rows[where]
    return int(candidates[pick(seed, label, len(candidates))]) if len(candidates) else None


def _acked_before(ops: Ops, keys: Keys, joined: Join) -> Rows:
    """Return for each read an acknowledged write of the key, older than and other than its last state; else -1."""
    if not len(keys.acked):
        return np.full(len(joined.reads), -1, dtype=np.int64)
    marks = ops.key[keys.acked] * len(ops) + keys.acked
    marks.sort()
    rows = marks % len(ops)
    behind = np.full(len(ops), -1, dtype=np.int64)
    same = (ops.key[rows[1:]] == ops.key[rows[:-1]]) & (state_of(ops, rows[:-1]) != ABSENT)
    behind[rows[1:][same]] = rows[:-1][same]
    return np.where(joined.last >= 0, behind[np.maximum(joined.last, 0)], -1).astype(np.int64)


def plant_lists(history: History, seed: int) -> Iterator[tuple[str, History]]:
    """Yield a lost, a duplicated, a reordered and a phantom item in a collection that was read back."""
    ops = history.ops
    reads = readback_lists(ops)
    first = pick(seed, "list", len(reads)) if len(reads) else 0
    for read in np.roll(reads, -first).tolist()[:64]:
        shown = items_of(ops, read)
        certain = _certain(ops, read, shown or [])
        if shown is None or not certain:
            continue
        item = certain[pick(seed, "item", len(certain))]
        for label, items in _spoiled(shown, certain, item, seed):
            text = msgspec.json.encode(items).decode()
            yield f"{label}: op #{read} lists it so", answer_text(history, read, text)
        return


def _spoiled(shown: list[str], certain: list[str], item: str, seed: int) -> Iterator[tuple[str, list[str]]]:
    at = shown.index(item)
    yield f"lost item {item}", shown[:at] + shown[at + 1 :]
    yield f"duplicated item {item}", [*shown, item]
    yield "phantom item", [*shown, f"planted-{seed}"]
    if len(certain) > 1:
        one, other = shown.index(certain[0]), shown.index(certain[-1])
        swapped = list(shown)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        yield f"reordered items {certain[0]} and {certain[-1]}", swapped


def _certain(ops: Ops, read: int, shown: list[str]) -> list[str]:
    """Return the listed items that one user appended once and got acknowledged, in his order, none overlapping."""
    rows = np.flatnonzero((ops.key[:read] == ops.key[read]) & np.isin(ops.verb[:read], (Verb.APPEND, Verb.DELETE)))
    if not len(rows) or np.any((ops.verb[rows] == Verb.DELETE) & (ops.outcome[rows] != OpOutcome.FAIL)):
        return []
    texts = [ops.text(int(v)) or "" for v in ops.value[rows]]
    certain: list[str] = []
    user, ended = None, -1
    for row, text in zip(rows.tolist(), texts, strict=True):
        known = ops.verb[row] == Verb.APPEND and ops.outcome[row] == OpOutcome.OK and shown.count(text) == 1
        if not known or texts.count(text) != 1 or (user is not None and ops.user[row] != user):
            continue
        if ops.started_ns[row] >= ended and len(certain) < 50:
            certain.append(text)
            user, ended = int(ops.user[row]), int(ops.ended_ns[row])
    return certain


def owned(ops: Ops, rows: Rows) -> Mask:
    """Return which ops are on keys that their user owns."""
    return np.asarray((ops.flags[rows] & np.uint8(Flag.OWNED | Flag.HOT)) == Flag.OWNED)
