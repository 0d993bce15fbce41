"""A run's own ops as a recorded history, so that every model of `judge.models` can judge a trial."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from seatrial.history import History, OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp


def recorded(history: History, names: tuple[str, ...] = (), keyed: bool = False) -> Recorded:
    """Return the ops of these names (all when empty), in one total order of invocations and completions.

    Value and result are read as JSON where they are JSON, else as text. process is the actor, f the op's name.
    keyed: arg and value become [key, value], the way that recordings of many independent objects are written.
    """
    ops = history.ops
    wanted = np.ones(len(ops), dtype=bool)
    if names:
        codes = [code for code, name in enumerate(ops.names) if name in names]
        wanted = np.isin(ops.name, codes)
    rows = np.flatnonzero(wanted)
    starts, ends = _positions(ops.started_ns[rows], ops.ended_ns[rows])
    found = []
    for index, row in enumerate(rows.tolist()):
        outcome = OpOutcome(int(ops.outcome[row]))
        is_open = outcome in (OpOutcome.UNKNOWN, OpOutcome.IN_FLIGHT)
        arg = _value(ops.text(ops.value[row]))
        value = _value(ops.text(ops.result[row])) if outcome is OpOutcome.OK and ops.result[row] >= 0 else arg
        key = ops.text(ops.key[row])
        found.append(
            RecordedOp(
                index=index,
                process=int(ops.actor[row]),
                f=str(ops.names[int(ops.name[row])]),
                arg=[key, arg] if keyed else arg,
                value=[key, value] if keyed else value,
                outcome=OpOutcome.UNKNOWN if is_open else outcome,
                start=int(starts[index]),
                end=None if is_open else int(ends[index]),
                start_ns=int(ops.started_ns[row]),
                end_ns=None if is_open else int(ops.ended_ns[row]),
                line=row,  # the op's number in the run, as evidence shows it
            )
        )
    return Recorded(ops=tuple(found), format="seatrial", source="run")


def _positions(started: Any, ended: Any) -> tuple[Any, Any]:
    """Rank all instants; at equal instants invocations come first, so that the two ops count as concurrent."""
    count = len(started)
    instants = np.concatenate([started, np.where(ended > 0, ended, np.iinfo(np.int64).max)])
    is_end = np.repeat([0, 1], count)
    order = np.lexsort((is_end, instants))
    ranks = np.empty(2 * count, dtype=np.int64)
    ranks[order] = np.arange(2 * count)
    return ranks[:count], ranks[count:]


def _value(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
