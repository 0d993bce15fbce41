"""Session: while the run goes on, a user who reads his own key finds his own last acknowledged change.

The same rules as in durability (registers.py), for reads during the run; and besides them a read never goes back:
once the effect of an unknown op was seen, the state before it must not be seen again without another change.
"""

from __future__ import annotations

import numpy as np

from seatrial.history import Flag, History, OpOutcome, Ops, Verb
from seatrial.judge.base import EVIDENCE_MOST, Check, Params, Planted, conclude
from seatrial.judge.planting import owned, plant_registers
from seatrial.judge.registers import HARMS, Answer, Explained, Join, Keys, Mask, Rows, explain, join, keys_of
from seatrial.judge.windows import blame, blame_text
from seatrial.params import Kind, Param
from seatrial.verdict import Evidence, Finding

CLAIM = "a user reads his own writes during the run, and never goes back in time"
PARAMS = (
    Param(name="min_examined", kind=Kind.COUNT, default=10, least=1, help="reads that must be judged at least"),
    Param(
        name="strict",
        kind=Kind.FLAG,
        default=False,
        help="count an unknown op that took effect after a later acknowledged one as a violation",
    ),
)


def own_reads(ops: Ops, keys: Keys) -> Rows:
    """Return the good reads, outside the read-back, of keys that the reader alone writes."""
    flagged = (ops.flags & np.uint8(Flag.READBACK)) != 0
    good = (ops.verb == Verb.READ) & (ops.outcome == OpOutcome.OK) & ~flagged & (ops.key >= 0)
    rows = np.flatnonzero(good).astype(np.int64)
    key = ops.key[rows]
    own = owned(ops, rows) & ~keys.shared[key]
    return np.asarray(rows[own & (keys.last_user[key] == ops.user[rows])], dtype=np.int64)


def judge(history: History, params: Params) -> Finding:
    """Judge every read of an owned key against the owner's changes before it."""
    ops = history.ops
    keys = keys_of(ops)
    joined = join(ops, keys, own_reads(ops, keys))
    explained = explain(ops, keys, joined, strict=params["strict"])
    bad = explained.at[np.isin(explained.answer, HARMS)]
    back = _backward(ops, joined, explained)
    examined = int(np.sum(joined.last >= 0))  # a read of what was never written shows nothing
    answers = np.bincount(explained.answer, minlength=len(Answer))
    figures = {a.name.lower(): float(answers[a]) for a in Answer if a is not Answer.RIGHT}
    figures["backward"] = float(len(back))
    wrong = np.union1d(bad, back)
    evidence = [_evidence(history, joined, int(at)) for at in wrong[:EVIDENCE_MOST]]
    return conclude(
        CLAIM,
        examined=examined,
        required=params["min_examined"],
        violations=len(wrong),
        evidence=evidence,
        observed=f"{len(wrong)} wrong of {examined} reads",
        limit="no wrong read",
        untested=f"{examined} reads of a key by its owner, {params['min_examined']} are required",
        figures=figures,
    )


def _backward(ops: Ops, joined: Join, explained: Explained) -> Rows:
    """Return the reads that show the last acknowledged state again after an unknown op's effect was seen."""
    seen_open = np.zeros(len(joined.reads), dtype=bool)
    seen_open[explained.at[np.isin(explained.answer, (Answer.OPEN, Answer.AMBIGUOUS))]] = True
    if not seen_open.any():
        return np.zeros(0, dtype=np.int64)
    order = np.lexsort((joined.reads, ops.key[joined.reads]))
    place = np.maximum.accumulate(np.where(seen_open[order], np.arange(len(order)), -1))
    earlier = order[np.maximum(place, 0)]
    same = (place >= 0) & (ops.key[joined.reads[earlier]] == ops.key[joined.reads[order]])
    same &= joined.last[earlier] == joined.last[order]
    returned = same & (joined.observed[order] == joined.expected[order])
    later = ops.started_ns[joined.reads[order]] >= ops.ended_ns[joined.reads[earlier]]
    found = order[returned & later]
    return np.sort(found[~_reopened(ops, joined, found)])


def _reopened(ops: Ops, joined: Join, places: Rows) -> Mask:
    """Return where an unknown change of the key would make the same state as the last acknowledged one."""
    is_open = (ops.outcome == OpOutcome.UNKNOWN) | (ops.outcome == OpOutcome.IN_FLIGHT)
    changes = np.flatnonzero(is_open & ((ops.verb == Verb.WRITE) | (ops.verb == Verb.DELETE)))
    made = {(int(ops.key[r]), -1 if ops.verb[r] == Verb.DELETE else int(ops.value[r])) for r in changes}
    return np.array([(int(ops.key[joined.reads[p]]), int(joined.observed[p])) in made for p in places], dtype=bool)


def _evidence(history: History, joined: Join, at: int) -> Evidence:
    ops, read, last = history.ops, int(joined.reads[at]), int(joined.last[at])
    key, instant = ops.text(int(ops.key[read])) or "", int(ops.ended_ns[read])
    index, faults = blame(history, np.array([instant], dtype=np.int64))
    expected = ops.text(int(joined.expected[at])) or "absent"
    observed = ops.text(int(joined.observed[at])) or "absent"
    return Evidence(
        what=f"user {int(ops.user[read])} read {observed[:60]} from {key} in op #{read}, not {expected[:60]}",
        ops=tuple(r for r in (last, read) if r >= 0),
        actor=f"user-{int(ops.user[read])}",
        key=key,
        expected=expected[:200],
        observed=observed[:200],
        fault=blame_text(history, int(index[0]), faults, instant),
        at=history.anchor.iso(instant),
    )


def plant(history: History, params: Params, seed: int) -> Planted:
    """Plant a lost, a stale, a resurrected and a phantom answer into reads of the run."""
    keys = keys_of(history.ops)
    yield from plant_registers(history, keys, join(history.ops, keys, own_reads(history.ops, keys)), seed)


CHECK = Check(
    kind="session",
    summary="read your own writes during the run, never going back",
    params=PARAMS,
    needs=frozenset({"ops"}),
    judge=judge,
    plant=plant,
    under_faults=True,
)
