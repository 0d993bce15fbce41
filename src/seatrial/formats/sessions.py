"""Recordings that hold sessions of transactions without times: only the order within a session is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.history.words import OpOutcome

Mop = list[Any]  # [kind, key, value], kind "r" or "w"
INITIAL = 0


@dataclass(slots=True)
class Transaction:
    """One transaction: its session, its reads and writes in order, whether it was committed, the line it begins on."""

    session: int
    mops: list[Mop]
    outcome: OpOutcome = OpOutcome.OK
    line: int = 0


@dataclass(slots=True)
class Sessions:
    """The transactions of a recording, those of one session in their order."""

    source: str
    format: str
    transactions: list[Transaction] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def recorded(self, *, zero: bool) -> Recorded:
        """Return the recording. zero: what nobody wrote 0 to began as 0."""
        ops = tuple(_op(number, one) for number, one in enumerate(self.transactions))
        return Recorded(
            ops=ops,
            format=self.format,
            source=self.source,
            problems=tuple(self.problems),
            initial=self._initial() if zero else None,
            realtime=False,
        )

    def _initial(self) -> dict[Any, Any]:
        """Return 0 for each key, but for those to which a transaction of the recording writes 0 itself."""
        mops = [m for one in self.transactions for m in one.mops]
        written = {m[1] for m in mops if m[0] == "w" and m[2] == INITIAL}
        return dict.fromkeys((m[1] for m in mops if m[1] not in written), INITIAL)


def _op(number: int, one: Transaction) -> RecordedOp:
    asked = [[kind, key, None if kind == "r" else value] for kind, key, value in one.mops]
    done = one.outcome is OpOutcome.OK
    return RecordedOp(
        index=number,
        process=one.session,
        f="txn",
        arg=asked,
        value=one.mops if done else asked,
        outcome=one.outcome,
        start=2 * number,
        end=2 * number + 1 if one.outcome in (OpOutcome.OK, OpOutcome.FAIL) else None,
        line=one.line,
    )
