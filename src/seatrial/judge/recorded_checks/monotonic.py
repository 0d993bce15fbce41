"""Monotonic counters and ids: what comes later in time is not smaller (reads), or is larger (ids)."""

from __future__ import annotations

from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.modelling import Options
from seatrial.judge.recorded_checks.partition import each_object
from seatrial.judge.recorded_checks.troubles import Troubles, finding, option
from seatrial.judge.recorded_checks.unique_ids import GENERATES
from seatrial.judge.recorded_checks.words import OK, show
from seatrial.verdict import Finding

READS_CLAIM = "a read never returns less than one that was over before it began"
IDS_CLAIM = "an id is larger than every id that was given out before it was asked for"
_READS = frozenset(("read", "r", "get"))


@each_object
def check_reads(recorded: Recorded, options: Options) -> Finding:
    """Judge reads of what only grows. extra: scope ("global", the default, or "process"), f (name of the op)."""
    return _check("monotonic", READS_CLAIM, recorded, options, _READS, strict=False)


@each_object
def check_ids(recorded: Recorded, options: Options) -> Finding:
    """Judge ids that are said to grow. extra: scope ("global", the default, or "process"), f (name of the op)."""
    return _check("monotonic-ids", IDS_CLAIM, recorded, options, GENERATES, strict=True)


def _check(name: str, claim: str, recorded: Recorded, options: Options, usual: frozenset[str], strict: bool) -> Finding:
    given = option(options.extra, "f", None)
    names = frozenset((given,)) if given else usual
    found = [op for op in recorded.ops if op.f in names and op.outcome == OK and op.value is not None]
    ops = [op for op in found if _number(op.value)]
    troubles = Troubles()
    by_process = option(options.extra, "scope", "global") == "process"
    scopes: dict[Any, list[RecordedOp]] = {}
    for op in ops:
        scopes.setdefault(op.process if by_process else None, []).append(op)
    compared = sum(_judge(scope, strict, troubles) for scope in scopes.values())
    odd = len(found) - len(ops)
    return finding(
        name,
        claim,
        troubles,
        examined=len(ops),
        vacuous="" if compared else "no two values were asked for one after the other",
        doubts=[f"{odd} values are no numbers"] if odd else [],
        figures={"values": len(ops), "with an earlier one": compared},
        limit="one process after the other" if by_process else "",
    )


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _judge(ops: list[RecordedOp], strict: bool, troubles: Troubles) -> int:
    """Hold every op against the largest value that was out before it began. Return how many had one."""
    by_end = sorted(ops, key=lambda op: op.end or 0)
    top: RecordedOp | None = None
    ended = compared = 0
    for op in sorted(ops, key=lambda op: op.start):
        while ended < len(by_end) and (by_end[ended].end or 0) < op.start:
            if top is None or by_end[ended].value > top.value:
                top = by_end[ended]
            ended += 1
        if top is None:
            continue
        compared += 1
        if op.value < top.value or (strict and op.value == top.value):
            words = f"op {op.index} got {show(op.value)} after op {top.index} had got {show(top.value)}"
            troubles.add("went back", words, [top, op], expected=f"over {show(top.value)}", observed=op.value)
    return compared


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare with the definition on n random histories, and plant violations."""
    from seatrial.judge.recorded_checks.selftesting import run

    return run(("monotonic", "monotonic-ids"), n, seed)
