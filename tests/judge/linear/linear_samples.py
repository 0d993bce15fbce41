"""Histories for the tests of linearizability, drawn as lines of bars: one line an actor, time to the right."""

from __future__ import annotations

from typing import Any

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.linear.checks import check
from seatrial.judge.modelling import Options
from seatrial.verdict import Finding


def history(*rows: tuple[Any, ...], initial: Any = None) -> Recorded:
    """Make a history of rows (start, end, f, arg[, value]); end None: never completed, "fail": had no effect.

    Instants may repeat; ops that touch only at one instant overlap.
    """
    ops = []
    for number, (start, end, f, arg, *answer) in enumerate(sorted(rows, key=lambda r: r[0])):
        failed = isinstance(end, str)
        outcome = OpOutcome.FAIL if failed else OpOutcome.UNKNOWN if end is None else OpOutcome.OK
        ops.append(
            RecordedOp(
                index=number,
                process=number,
                f=f,
                arg=arg,
                value=answer[0] if answer else arg,
                outcome=outcome,
                start=start,
                end=None if failed else end,
                start_ns=start * 1000,
                end_ns=None if failed or end is None else end * 1000,
            )
        )
    return Recorded(ops=tuple(ops), initial=None if initial is None else {None: initial})


def judged(model: str, recorded: Recorded, **options: Any) -> Finding:
    """Judge with strict nil unless told otherwise."""
    return check(model, recorded, Options(**{"nil": "strict", **options}))
