"""No history makes a checker raise, and each answers with an outcome and a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.modelling import Options
from seatrial.judge.models import load
from seatrial.judge.recorded_checks.selftesting import CASES
from seatrial.verdict import Outcome

PLAIN = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "r", "w", "send", "poll", "x", "lock"])
VALUES = st.recursive(
    PLAIN | st.floats(), lambda v: st.lists(v, max_size=3) | st.dictionaries(PLAIN, v, max_size=2), max_leaves=6
)
NAMES = (
    *("add", "read", "transfer", "txn", "enqueue", "dequeue", "drain", "send", "poll", "assign", "subscribe", "crash"),
    *("generate", "acquire", "release", "renew", "receive", "publish", "event", "unsubscribe"),
)


@st.composite
def recordings(draw: st.DrawFn) -> Recorded:
    ops = []
    for place in range(draw(st.integers(0, 8))):
        outcome = draw(st.sampled_from(list(OpOutcome)))
        closed = outcome in (OpOutcome.OK, OpOutcome.FAIL)
        end = draw(st.integers(place * 2 + 1, 40)) if closed else None
        f, arg, value = draw(st.sampled_from(NAMES)), draw(VALUES), draw(VALUES)
        ops.append(
            RecordedOp(
                index=place, process=place % 3, f=f, arg=arg, value=value, outcome=outcome, start=place * 2, end=end
            )
        )
    return Recorded(ops=tuple(ops), keyed=draw(st.booleans()), realtime=draw(st.booleans()))


@pytest.mark.parametrize("model", sorted(CASES))
@settings(max_examples=60, deadline=None)
@given(recorded=recordings(), extra=st.sampled_from([{}, {"lease_ns": 3}, {"scope": "process"}, {"drained": True}]))
def test_any_history_gets_an_answer(model: str, recorded: Recorded, extra: dict[str, Any]) -> None:
    found = load(model)(recorded, Options(extra=extra))
    assert found.outcome is Outcome.PASS or found.reason
    assert found.outcome is not Outcome.PASS or found.examined
