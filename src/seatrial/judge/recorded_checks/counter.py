"""Counter: what a read may return lies between all that was surely added and all that may have been."""

from __future__ import annotations

from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.modelling import Options
from seatrial.judge.recorded_checks.partition import each_object
from seatrial.judge.recorded_checks.troubles import Troubles, finding
from seatrial.judge.recorded_checks.words import FAIL, OK, initial_of, show
from seatrial.verdict import Finding

CLAIM = "every read is within what was surely added before it and what may have been added by its end"
_ADDS = {"add": 1, "inc": 1, "increment": 1, "incr": 1, "dec": -1, "decrement": -1, "decr": -1, "sub": -1}
_READS = frozenset(("read", "r", "get"))


@each_object
def check(recorded: Recorded, options: Options) -> Finding:
    """Judge every successful read. The counter begins at the declared initial value, else at 0.

    An add that failed counts for nothing; one that never completed may count from its beginning on, for ever.
    """
    begin = initial_of(recorded, options.initial)
    troubles, adds, odd = Troubles(), 0, 0
    sums = _Sums(begin if _number(begin) else 0)
    at_start: dict[int, tuple[int, int]] = {}
    reads = 0
    for position, op in _events(recorded):
        if op.f in _READS:
            if position == op.start:
                at_start[op.index] = (sums.surely_up, sums.surely_down)
            elif _number(op.value):
                reads += 1
                _judge(op, sums, at_start[op.index], troubles)
            continue
        delta = _delta(op)
        if delta is None:
            odd += 1
            continue
        adds += position == op.start
        sums.note(delta, began=position == op.start)
    return finding(
        "counter",
        CLAIM,
        troubles,
        examined=reads,
        vacuous=_vacuous(reads, adds),
        doubts=[f"{odd} adds name no number"] if odd else [],
        figures={"adds": adds, "reads": reads},
    )


class _Sums:
    """Running sums of what may have happened and of what surely has, ups and downs apart."""

    def __init__(self, begin: Any) -> None:
        self.begin = begin
        self.maybe_up = self.maybe_down = self.surely_up = self.surely_down = 0

    def note(self, delta: Any, began: bool) -> None:
        if delta >= 0 and began:
            self.maybe_up += delta
        elif delta >= 0:
            self.surely_up += delta
        elif began:
            self.maybe_down += delta
        else:
            self.surely_down += delta


def _events(recorded: Recorded) -> list[tuple[int, RecordedOp]]:
    """Return beginnings of reads and of adds that did not fail, and ends of those that succeeded, in order."""
    events = []
    for op in recorded.ops:
        if op.f in _READS:
            if op.outcome == OK and op.end is not None:
                events += [(op.start, op), (op.end, op)]
        elif op.f in _ADDS and op.outcome != FAIL:
            events.append((op.start, op))
            if op.outcome == OK and op.end is not None:
                events.append((op.end, op))
    events.sort(key=lambda event: event[0])
    return events


def _delta(op: RecordedOp) -> Any:
    amount = 1 if op.arg is None and op.f != "add" else op.arg
    return amount * _ADDS[op.f] if _number(amount) else None


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _judge(op: RecordedOp, sums: _Sums, at_start: tuple[Any, Any], troubles: Troubles) -> None:
    low = sums.begin + at_start[0] + sums.maybe_down
    high = sums.begin + sums.maybe_up + at_start[1]
    if low <= op.value <= high:
        return
    category = "below what was added" if op.value < low else "above what was added"
    bounds = f"{show(low)} to {show(high)}"
    words = f"op {op.index} read {show(op.value)}, and only {bounds} is possible"
    troubles.add(category, words, [op], expected=bounds, observed=op.value)


def _vacuous(reads: int, adds: int) -> str:
    if not reads:
        return "the counter was never read with success: a history without reads proves nothing"
    return "" if adds else "nothing was added"


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare with the definition on n random histories, and plant violations."""
    from seatrial.judge.recorded_checks.selftesting import run

    return run(("counter",), n, seed)
