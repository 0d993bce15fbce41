"""Hand-written histories of transactions in a short text: one transaction a line, `process@start-end mop mop ...`."""

from __future__ import annotations

import re
from typing import Any

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp

OUTCOMES = {"": OpOutcome.OK, "!": OpOutcome.FAIL, "?": OpOutcome.UNKNOWN}
_LINE = re.compile(r"(\w+)@(\d+)-(\d*)([!?]?)\s+(.*)")


def history(text: str, **more: Any) -> Recorded:
    """Mops: `x+1` append, `x=1` write, `x:1,2` read of a list, `x:[]` of none, `x?1` read of a register, `x?nil`.

    `!` after the span: it failed; `?`: nobody knows. Spans may be left out as in `a x=1`: then lines follow each other.
    """
    ops = []
    for at, line in enumerate(line for line in text.strip().splitlines() if line.strip()):
        found = _LINE.match(line.strip())
        if found is None:
            process, _, rest = line.strip().partition(" ")
            start, end, mark = 2 * at, 2 * at + 1, ""
        else:
            process, first, last, mark, rest = found.groups()
            start, end = int(first), int(last) if last else None
        mops = [mop(word) for word in rest.split()]
        ops.append(
            RecordedOp(
                index=at,
                process=process,
                f="txn",
                arg=[[kind, key, None if kind == "r" else value] for kind, key, value in mops],
                value=mops,
                outcome=OUTCOMES[mark],
                start=start,
                end=None if mark == "?" else end,
            )
        )
    return Recorded(ops=tuple(ops), **more)


def mop(word: str) -> list[Any]:
    """Return one read, write or append."""
    key, sign, value = re.match(r"(\w+)([+=:?])(.*)", word).groups()  # type: ignore[union-attr]
    if sign == ":":
        return ["r", key, [] if value == "[]" else [int(v) for v in value.split(",")]]
    number = None if value == "nil" else int(value)
    return [{"+": "append", "=": "w", "?": "r"}[sign], key, number]
