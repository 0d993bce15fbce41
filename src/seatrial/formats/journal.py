"""Our own journal: from the columns of a run to the rows that checkers of recordings take."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from seatrial.history.ops import NONE, OpOutcome, Ops, Verb
from seatrial.history.recorded import Recorded, RecordedOp

NAME = "journal"
_F = {Verb.WRITE: "write", Verb.READ: "read", Verb.DELETE: "delete", Verb.APPEND: "append", Verb.LIST: "read-list"}
_DONE = (OpOutcome.OK, OpOutcome.FAIL)


def recorded(ops: Ops, source: str, problems: tuple[str, ...] = ()) -> Recorded:
    """Return the ops that are about a key as a keyed recording; processes are the journal's actors.

    write, append: arg and value [key, value]. read: value [key, text or None]. read-list: [key, list of items].
    Verb.OTHER has no meaning for a checker and is left out; `line` is the row number of the op in the journal + 1.
    """
    rows = np.flatnonzero((ops.verb != Verb.OTHER) & (ops.key != NONE))
    started, ended = ops.started_ns[rows], ops.ended_ns[rows]
    done = np.isin(ops.outcome[rows], _DONE)
    starts, ends = _positions(started, ended, done)
    made = [
        _row(ops, int(row), number, int(starts[number]), int(ends[number]) if done[number] else None)
        for number, row in enumerate(rows)
    ]
    return Recorded(ops=tuple(made), format=NAME, source=source, problems=problems, keyed=True)


def _positions(started: Any, ended: Any, done: Any) -> tuple[Any, Any]:
    """Return the positions of begins and ends in one order; at the same instant begins come first (they overlap)."""
    many = len(started)
    instants = np.concatenate([started, np.where(done, ended, np.iinfo(np.int64).max)])
    kinds = np.concatenate([np.zeros(many, np.int8), np.ones(many, np.int8)])
    places = np.empty(2 * many, np.int64)
    places[np.lexsort((kinds, instants))] = np.arange(2 * many)
    return places[:many], places[many:]


def _row(ops: Ops, row: int, number: int, start: int, end: int | None) -> RecordedOp:
    verb, outcome = Verb(int(ops.verb[row])), OpOutcome(int(ops.outcome[row]))
    key, value, result = (ops.text(int(column[row])) for column in (ops.key, ops.value, ops.result))
    asked = [key, value]
    got: Any = result
    if verb is Verb.LIST and result is not None:
        got = json.loads(result)
    error = int(ops.error[row])
    return RecordedOp(
        index=number,
        process=int(ops.actor[row]),
        f=_F[verb],
        arg=asked,
        value=[key, got] if outcome is OpOutcome.OK and verb in (Verb.READ, Verb.LIST) else asked,
        outcome=outcome,
        start=start,
        end=end,
        start_ns=int(ops.started_ns[row]),
        end_ns=int(ops.ended_ns[row]) or None,
        error="" if error < 0 else str(ops.names[error]),
        line=row + 1,
    )
