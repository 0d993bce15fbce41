"""Accounting: every op that was sent has one outcome, and none is in flight at the end."""

from __future__ import annotations

import numpy as np

from seatrial.history import History, Interruption, OpOutcome
from seatrial.judge.base import EVIDENCE_MOST, Check, Params, Planted, conclude, pick
from seatrial.judge.environment import crew_lost
from seatrial.params import Kind, Param
from seatrial.verdict import Accounting, Evidence, Finding, Outcome

CLAIM = "sent = ok + fail + unknown + in flight, with nothing in flight at the end and no record torn"
PARAMS = (
    Param(name="min_ops", kind=Kind.COUNT, default=1, least=1, help="ops that must have been sent"),
    Param(name="max_in_flight", kind=Kind.COUNT, default=0, help="ops without a completion that are accepted"),
    Param(name="max_torn", kind=Kind.COUNT, default=0, help="torn journal records that are accepted"),
)


def account(history: History) -> Accounting:
    """Count the ops by outcome."""
    counts = np.bincount(history.ops.outcome, minlength=5)
    return Accounting(
        sent=len(history.ops),
        ok=int(counts[OpOutcome.OK]),
        fail=int(counts[OpOutcome.FAIL]),
        unknown=int(counts[OpOutcome.UNKNOWN]),
        in_flight=int(counts[OpOutcome.IN_FLIGHT]),
    )


def judge(history: History, params: Params) -> Finding:
    """Judge the sums, the completions and the journals. A lost crew worker makes it inconclusive: that is ours."""
    ops, sums = history.ops, account(history)
    hanging = np.flatnonzero(ops.outcome == OpOutcome.IN_FLIGHT)
    backwards = np.flatnonzero((ops.ended_ns < ops.started_ns) & (ops.outcome != OpOutcome.IN_FLIGHT))
    unsorted = sums.sent - sums.ok - sums.fail - sums.unknown - sums.in_flight
    beyond = max(0, sums.in_flight - params["max_in_flight"])
    evidence = [
        *(_evidence(history, int(r), "has no completion") for r in hanging[: EVIDENCE_MOST if beyond else 0]),
        *(_evidence(history, int(r), "ended before it started") for r in backwards[:EVIDENCE_MOST]),
    ]
    finding = conclude(
        CLAIM,
        examined=sums.sent,
        required=params["min_ops"],
        violations=beyond + len(backwards) + unsorted,
        evidence=evidence,
        observed=f"{sums.sent} sent = {sums.ok} ok + {sums.fail} fail + {sums.unknown} unknown"
        f" + {sums.in_flight} in flight; {history.torn} torn",
        limit=f"{params['max_in_flight']} in flight, {params['max_torn']} torn",
        reason="" if evidence or not unsorted else f"{unsorted} ops have no outcome that exists",
        figures={"torn": history.torn, "backwards": len(backwards)},
    )
    doubt = _doubt(history, params)
    return _inconclusive(finding, doubt) if doubt else finding


def _doubt(history: History, params: Params) -> str:
    if lost := crew_lost(history):
        return lost
    for stop in history.of(Interruption):
        return f"the run was cut short by {stop.by}, so ops were cut off in flight"
    if history.torn > params["max_torn"]:
        return f"{history.torn} journal records are torn, so not all ops are known"
    return ""


def _inconclusive(finding: Finding, why: str) -> Finding:
    return Finding(
        name="",
        claim=finding.claim,
        outcome=Outcome.INCONCLUSIVE,
        examined=finding.examined,
        required=finding.required,
        observed=finding.observed,
        limit=finding.limit,
        reason=why,
        evidence=finding.evidence,
        figures=finding.figures,
    )


def _evidence(history: History, row: int, what: str) -> Evidence:
    ops = history.ops
    name = ops.names[int(ops.name[row])] if 0 <= int(ops.name[row]) < len(ops.names) else "op"
    return Evidence(
        what=f"{name} #{row} of user {int(ops.user[row])} {what}",
        ops=(row,),
        actor=f"user-{int(ops.user[row])}",
        key=ops.text(int(ops.key[row])) or "",
        at=history.anchor.iso(int(ops.started_ns[row])),
    )


def plant(history: History, params: Params, seed: int) -> Planted:
    """Plant ops that never completed, an op with no outcome, and one that ends before it starts."""
    ops, count = history.ops, len(history.ops)
    if not count:
        return
    outcome, row = ops.outcome.copy(), pick(seed, "accounting", count)
    rows = (row + np.arange(min(count, params["max_in_flight"] + 1))) % count
    outcome[rows] = OpOutcome.IN_FLIGHT
    yield f"op #{row} never completed", history.with_ops(ops.with_columns(outcome=outcome))
    outcome = ops.outcome.copy()
    outcome[row] = 0
    yield f"op #{row} has no outcome", history.with_ops(ops.with_columns(outcome=outcome))
    outcome, ended = ops.outcome.copy(), ops.ended_ns.copy()
    outcome[row], ended[row] = OpOutcome.OK, ops.started_ns[row] - 1
    yield f"op #{row} ends before it starts", history.with_ops(ops.with_columns(outcome=outcome, ended_ns=ended))


CHECK = Check(
    kind="accounting",
    summary="every op sent is accounted for and none is in flight at the end",
    params=PARAMS,
    needs=frozenset({"ops"}),
    judge=judge,
    plant=plant,
)
