"""Durability: what was acknowledged is there in the read-back, and nothing is there that must not be.

lost, stale, resurrected, phantom (single values and collections), duplicated, reordered (collections). Keys that are
hot or have several writers are held against phantoms only, since the order of their writes is not known. A read-back
that failed says nothing: its key is not examined, never counted as absent. What an op of unknown end explains is
allowed (see registers.py); with `strict`, an unknown op that took effect after a later acknowledged one is held
against the app.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seatrial.history import Flag, History, OpOutcome, Ops, Verb
from seatrial.judge.base import Check, Params, Planted, conclude, plural
from seatrial.judge.lists import ListHarm, ListsJudged, judge_lists
from seatrial.judge.planting import plant_lists, plant_registers
from seatrial.judge.registers import (
    HARMS,
    Answer,
    Explained,
    Join,
    Keys,
    Rows,
    acked_after,
    explain,
    join,
    keys_of,
    shared_phantoms,
)
from seatrial.judge.windows import blame, blame_text
from seatrial.params import Kind, Param
from seatrial.verdict import Evidence, Finding

CLAIM = "every acknowledged write, delete and append is there after the run, once, in order, and nothing else is"
PARAMS = (
    Param(name="min_examined", kind=Kind.COUNT, default=1, least=1, help="keys that must be judged at least"),
    Param(
        name="min_share",
        kind=Kind.RATIO,
        default=0.99,
        help="share of the owned keys with an acknowledged change that must have a good read-back",
    ),
    Param(
        name="strict",
        kind=Kind.FLAG,
        default=False,
        help="count an unknown op that took effect after a later acknowledged one as a violation",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Harm:
    category: str
    read: int
    cause: int  # the acknowledged op that was harmed, -1 when there is none
    source: int  # where the value came from, -1 when not from an acknowledged op
    expected: str
    observed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    keys: Keys
    joined: Join
    explained: Explained
    foreign: Rows
    refused: NDArray[np.bool_]
    lists: ListsJudged


def readback_reads(ops: Ops) -> Rows:
    """Return the rows of good READ ops of the read-back."""
    flagged = (ops.flags & np.uint8(Flag.READBACK)) != 0
    good = (ops.verb == Verb.READ) & (ops.outcome == OpOutcome.OK) & flagged & (ops.key >= 0)
    return np.flatnonzero(good).astype(np.int64)


def judge(history: History, params: Params) -> Finding:
    """Judge the read-back against all that was acknowledged."""
    ops = history.ops
    judged = _judge_all(ops, strict=params["strict"])
    categories = _counts(judged)
    harmed = sum(categories.values())
    figures = categories | _coverage(ops, judged) | _attributed(history, judged)
    examined, unread = int(figures["keys"]), int(figures["unread"])
    spare = int((1 - params["min_share"]) * figures["acked_keys"])
    required = max(params["min_examined"], examined + unread - spare)
    evidence = [_evidence(history, h) for h in _harms(ops, judged)] if harmed else []
    shown = ", ".join(f"{count:.0f} {name}" for name, count in categories.items() if count) or "nothing missing"
    return conclude(
        CLAIM,
        examined=examined,
        required=required,
        violations=int(harmed),
        evidence=evidence,
        observed=shown,
        limit="no violation",
        reason=f"{shown}; first: {evidence[0].what}" if evidence else "",
        untested=f"{plural(examined, 'key')} could be judged, {unread} had no good read-back; {required} are required",
        figures=figures,
    )


def _judge_all(ops: Ops, *, strict: bool) -> _Judged:
    keys = keys_of(ops)
    reads = readback_reads(ops)
    shared = keys.shared[ops.key[reads]]
    joined = join(ops, keys, reads[~shared])
    foreign, refused = shared_phantoms(ops, keys, reads[shared])
    return _Judged(
        keys=keys,
        joined=joined,
        explained=explain(ops, keys, joined, strict=strict),
        foreign=foreign,
        refused=refused,
        lists=judge_lists(ops),
    )


def _counts(judged: _Judged) -> dict[str, float]:
    found = np.bincount(judged.explained.answer, minlength=len(Answer))
    in_lists = Counter(h.category for h in judged.lists.harms)
    counts = {a.name.lower(): float(found[a] + in_lists[a.name.lower()]) for a in HARMS}
    counts["phantom"] += float(np.sum(~judged.refused))
    counts["resurrected"] += float(np.sum(judged.refused))
    return counts | {name: float(in_lists[name]) for name in ("duplicated", "reordered")}


def _coverage(ops: Ops, judged: _Judged) -> dict[str, float]:
    keys, joined, lists = judged.keys, judged.joined, judged.lists
    seen = np.zeros(keys.count, dtype=bool)
    seen[ops.key[joined.reads]] = True
    acked = np.zeros(keys.count, dtype=bool)
    acked[ops.key[keys.acked]] = True
    acked &= ~keys.shared
    _leave_out_lists(ops, acked)
    answers = np.bincount(judged.explained.answer, minlength=len(Answer))
    return {
        "keys": float(np.sum(seen & keys.written) + lists.keys),
        "items": float(lists.items),
        "unread": float(np.sum(acked & ~seen) + lists.unread),
        "acked_keys": float(np.sum(acked) + lists.acked_keys),
        "acked_ops": float(len(keys.acked) + np.sum((ops.verb == Verb.APPEND) & (ops.outcome == OpOutcome.OK))),
        "excluded": float(np.sum(keys.shared)),
        "ambiguous": float(answers[Answer.AMBIGUOUS]),
        "open": float(answers[Answer.OPEN]),
        "overlapping": float(answers[Answer.OVERLAPPING]),
        "unreadable": float(lists.unreadable),
    }


def _leave_out_lists(ops: Ops, keys: NDArray[np.bool_]) -> None:
    """Take collections out of a set of single-valued keys: a DELETE of a collection is judged with its items."""
    appended = ops.key[(ops.verb == Verb.APPEND) & (ops.key >= 0)]
    keys[appended[appended < len(keys)]] = False


def _causes(ops: Ops, judged: _Judged) -> tuple[Rows, Rows]:
    """Return the harmed acknowledged ops of all violations that have one, and how many changes each of them undid."""
    explained, joined = judged.explained, judged.joined
    bad = np.isin(explained.answer, HARMS)
    at = explained.at[bad]
    last, source = joined.last[at], explained.source[bad]
    undone = acked_after(ops, judged.keys, joined.reads[at], source, last)
    in_lists = np.array([h.cause for h in judged.lists.harms], dtype=np.int64)
    causes = np.concatenate((last, in_lists))
    counts = np.concatenate((undone, np.ones(len(in_lists), dtype=np.int64)))
    return causes[causes >= 0], counts[causes >= 0]


def _attributed(history: History, judged: _Judged) -> dict[str, float]:
    causes, undone = _causes(history.ops, judged)
    if not len(causes):
        return {"undone_ops": 0.0}
    index, faults = blame(history, history.ops.ended_ns[causes])
    figures = {"undone_ops": float(undone.sum())}
    for number, fault in enumerate(faults):
        count = int(np.sum(index == number))
        if count:
            figures[f"harmed_by:{fault.id}"] = float(count)
    if np.any(index < 0):
        figures["harmed_by:none"] = float(np.sum(index < 0))
    return figures


def _harms(ops: Ops, judged: _Judged) -> Iterator[_Harm]:
    """Yield the first violations of every category, so that the bounded evidence shows each kind."""
    explained, joined = judged.explained, judged.joined
    for rank in range(3):
        for answer in HARMS:
            places = np.flatnonzero(explained.answer == answer)
            if rank < len(places):
                yield _register_harm(ops, joined, explained, int(places[rank]), answer)
        for category in sorted({h.category for h in judged.lists.harms}):
            found = [h for h in judged.lists.harms if h.category == category]
            if rank < len(found):
                yield _list_harm(found[rank])
        if rank < len(judged.foreign):
            yield _shared_harm(ops, int(judged.foreign[rank]), refused=bool(judged.refused[rank]))


def _register_harm(ops: Ops, joined: Join, explained: Explained, place: int, answer: Answer) -> _Harm:
    at = int(explained.at[place])
    return _Harm(
        category=answer.name.lower(),
        read=int(joined.reads[at]),
        cause=int(joined.last[at]),
        source=int(explained.source[place]),
        expected=_text(ops, int(joined.expected[at])),
        observed=_text(ops, int(joined.observed[at])),
    )


def _list_harm(harm: ListHarm) -> _Harm:
    return _Harm(
        category=harm.category,
        read=harm.read,
        cause=harm.cause,
        source=-1,
        expected=harm.expected,
        observed=harm.observed,
    )


def _shared_harm(ops: Ops, read: int, *, refused: bool) -> _Harm:
    observed = _text(ops, int(ops.result[read]))
    category, expected = ("resurrected", "not there: refused") if refused else ("phantom", "a value that was written")
    return _Harm(category=category, read=read, cause=-1, source=-1, expected=expected, observed=observed)


def _text(ops: Ops, code: int) -> str:
    text = ops.text(code)
    return "absent" if text is None else text[:200]


def _evidence(history: History, harm: _Harm) -> Evidence:
    ops, at, fault = history.ops, None, ""
    key = ops.text(int(ops.key[harm.read])) or ""
    what = f"{harm.category}: {key} shows {harm.observed[:60]} in read-back #{harm.read}, not {harm.expected[:60]}"
    if harm.cause >= 0:
        at = int(ops.ended_ns[harm.cause])
        index, faults = blame(history, np.array([at], dtype=np.int64))
        fault = blame_text(history, int(index[0]), faults, at)
        what += (
            f"; op #{harm.cause} of user {int(ops.user[harm.cause])} ended {OpOutcome(ops.outcome[harm.cause]).name}"
        )
    rows = [r for r in (harm.source, harm.cause, harm.read) if r >= 0]
    return Evidence(
        what=what,
        ops=tuple(dict.fromkeys(rows)),
        actor=f"user-{int(ops.user[harm.cause if harm.cause >= 0 else harm.read])}",
        key=key,
        expected=harm.expected,
        observed=harm.observed,
        fault=fault,
        at=history.anchor.iso(at),
    )


def plant(history: History, params: Params, seed: int) -> Planted:
    """Plant lost, stale, resurrected and phantom values, and lost, doubled, swapped and foreign list items."""
    ops = history.ops
    keys = keys_of(ops)
    reads = readback_reads(ops)
    yield from plant_registers(history, keys, join(ops, keys, reads[~keys.shared[ops.key[reads]]]), seed)
    yield from plant_lists(history, seed)


CHECK = Check(
    kind="durability",
    summary="acknowledged data against the read-back: lost, stale, resurrected, phantom, duplicated, reordered",
    params=PARAMS,
    needs=frozenset({"ops", "readback"}),
    judge=judge,
    plant=plant,
    under_faults=True,
)
