"""Short histories for tests: one line an op, sequential unless positions are given."""

from __future__ import annotations

from typing import Any

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp

OUTCOMES = {"ok": OpOutcome.OK, "fail": OpOutcome.FAIL, "info": OpOutcome.UNKNOWN}


def history(*rows: tuple[Any, ...], **more: Any) -> Recorded:
    """Rows (process, f, arg, value, outcome="ok", (start, end)=next two positions)."""
    return Recorded(ops=tuple(_op(place, row) for place, row in enumerate(rows)), **more)


def _op(place: int, row: tuple[Any, ...]) -> RecordedOp:
    process, f, arg, value, *rest = row
    outcome = OUTCOMES[rest[0]] if rest else OpOutcome.OK
    start, end = rest[1] if len(rest) > 1 else (place * 2, place * 2 + 1)
    closed = end if outcome is not OpOutcome.UNKNOWN else None
    return RecordedOp(
        index=place,
        process=process,
        f=f,
        arg=arg,
        value=value,
        outcome=outcome,
        start=start,
        end=closed,
        start_ns=start * 1_000_000_000,
        end_ns=None if closed is None else closed * 1_000_000_000,
    )
