"""The users' ops against a model of recorded histories: linearizability, transactions, locks, queues."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import numpy as np

from seatrial.history import History, OpOutcome, Ops
from seatrial.history.recorded import Recorded
from seatrial.judge.base import Check, Params, Planted, pick
from seatrial.judge.modelling import Options
from seatrial.judge.models import load
from seatrial.judge.recorded_checks.dice import Dice
from seatrial.judge.recorded_checks.selftesting import CASES
from seatrial.judge.recording import recorded
from seatrial.params import Kind, Param
from seatrial.verdict import Evidence, Finding, Outcome

NEVER_WRITTEN = 987_654_321_987
PARAMS = (
    Param(name="model", kind=Kind.TEXT, help="the model, as `seatrial history models` lists them", required=True),
    Param(name="op", kind=Kind.TEXTS, default=(), help="names of the ops that are judged; empty for all"),
    Param(name="isolation", kind=Kind.TEXT, default="", help="the isolation level that transactions are held against"),
    Param(name="nil", kind=Kind.TEXT, default="strict", choices=("strict", "wildcard"), help="what a nil read means"),
    Param(name="keyed", kind=Kind.FLAG, default=False, help="every key is an object of its own"),
    Param(name="min_examined", kind=Kind.COUNT, default=100, least=1, help="ops that must have been judged"),
    Param(name="memory", kind=Kind.SIZE, default=1 << 30, help="what a search may keep before it gives up"),
)


def judge(history: History, params: Params) -> Finding:
    """Judge the chosen ops by the model. Too few of them that ended ok is not-tested."""
    recording = recorded(history, params["op"], params["keyed"])
    options = Options(nil=params["nil"], level=params["isolation"], memory_bytes=params["memory"])
    finding = load(params["model"])(recording, options)
    examined = min(finding.examined, sum(1 for op in recording.ops if op.outcome is OpOutcome.OK))
    evidence = tuple(_numbered(one, recording) for one in finding.evidence)
    required = params["min_examined"]
    finding = msgspec.structs.replace(finding, examined=examined, required=required, evidence=evidence)
    if finding.outcome is Outcome.PASS and examined < params["min_examined"]:
        why = f"{examined} ops could be judged, {params['min_examined']} are required"
        return msgspec.structs.replace(finding, outcome=Outcome.NOT_TESTED, reason=why)
    return finding


def _numbered(evidence: Evidence, recording: Recorded) -> Evidence:
    """Give the evidence the run's own op numbers; the models count the ops that they were given."""
    rows = tuple(recording.ops[index].line for index in evidence.ops if index < len(recording.ops))
    return msgspec.structs.replace(evidence, ops=rows)


def plant(history: History, params: Params, seed: int) -> Planted:
    """Plant what the model's own self-test plants; for models without one, an answer which nobody wrote."""
    case = CASES.get(params["model"])
    if case is not None:
        recording = recorded(history, params["op"], params["keyed"])
        for label, planted in case.plant(recording, Dice(seed)):
            yield label, _as_history(history, recording, planted, params["keyed"])
        return
    ops = history.ops
    codes = [code for code, name in enumerate(ops.names) if not params["op"] or name in params["op"]]
    rows = np.flatnonzero(np.isin(ops.name, codes) & (ops.outcome == OpOutcome.OK) & (ops.result >= 0))
    for attempt in range(len(rows)):
        row = int(rows[(pick(seed, "model", len(rows)) + attempt) % len(rows)])
        corrupted = _corrupted(ops.text(ops.result[row]) or "")
        if corrupted is not None:
            yield f"op #{row} answers with what nobody wrote", history.with_ops(_with_result(ops, row, corrupted))
            return


def _as_history(history: History, recording: Recorded, planted: Recorded, keyed: bool) -> History:
    """Return the run's history with the ops that a plant left, and with the answers and outcomes that it changed."""
    before = {op.line: op for op in recording.ops}
    left = {op.line: op for op in planted.ops}
    ops = history.ops
    rows = np.array([row for row in range(len(ops)) if row in left or row not in before], dtype=np.int64)
    ops = ops.take(rows)
    outcome, result, strings = ops.outcome.copy(), ops.result.copy(), list(ops.strings)
    for place, row in enumerate(rows.tolist()):
        if row in left and left[row] != before[row]:
            value = left[row].value
            strings.append(json.dumps(value[1] if keyed else value))
            outcome[place], result[place] = int(left[row].outcome), len(strings) - 1
    return history.with_ops(replace(ops, outcome=outcome, result=result, strings=strings))


def _with_result(ops: Ops, row: int, text: str) -> Ops:
    result = ops.result.copy()
    result[row] = len(ops.strings)
    return replace(ops, result=result, strings=(*ops.strings, text))


def _corrupted(text: str) -> str | None:
    """Return an answer with a value in it that nobody wrote, or None when this answer reads nothing."""
    try:
        value = json.loads(text)
    except ValueError:
        return f"{text}?{NEVER_WRITTEN}"
    if isinstance(value, list):
        for step in value:
            if isinstance(step, list) and len(step) == 3 and step[0] == "r":
                step[2] = [*step[2], NEVER_WRITTEN] if isinstance(step[2], list) else NEVER_WRITTEN
                return json.dumps(value)
        return None
    return json.dumps(NEVER_WRITTEN)


CHECK = Check(
    kind="model",
    summary="the users' ops against a model: linearizability, transactions, locks, queues",
    params=PARAMS,
    needs=frozenset({"ops"}),
    judge=judge,
    plant=plant,
)
