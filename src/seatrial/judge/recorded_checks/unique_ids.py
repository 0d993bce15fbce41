"""Unique ids: no id is given out twice."""

from __future__ import annotations

from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.modelling import Options
from seatrial.judge.recorded_checks.partition import each_object
from seatrial.judge.recorded_checks.troubles import Troubles, finding, option
from seatrial.judge.recorded_checks.words import OK, show, token
from seatrial.verdict import Finding

CLAIM = "no id is given out twice"
GENERATES = frozenset(("generate", "id", "next-id", "next"))


@each_object
def check(recorded: Recorded, options: Options) -> Finding:
    """Judge the ids that were acknowledged. extra: f (the name of the op that gives an id, when it is another)."""
    name = option(options.extra, "f", None)
    names = frozenset((name,)) if name else GENERATES
    troubles = Troubles()
    first: dict[Any, RecordedOp] = {}
    asked = given = 0
    for op in recorded.ops:
        if op.f not in names:
            continue
        asked += 1
        if op.outcome != OK or op.value is None:
            continue
        given += 1
        known = first.setdefault(token(op.value), op)
        if known is not op:
            words = f"{show(op.value)} was given by op {known.index} and again by op {op.index}"
            troubles.add("duplicated", words, [known, op], key=op.value)
    return finding(
        "unique-ids",
        CLAIM,
        troubles,
        examined=given,
        vacuous="" if given > 1 else "fewer than two ids were given out",
        figures={"asked": asked, "given": given, "distinct": len(first)},
    )


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare with the definition on n random histories, and plant violations."""
    from seatrial.judge.recorded_checks.selftesting import run

    return run(("unique-ids",), n, seed)
