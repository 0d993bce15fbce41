"""The recovery check plants a late recovery only where its own judge could see one."""

from __future__ import annotations

import pytest
from judge_samples import at, healthy

from seatrial.history import History, ProbeSample
from seatrial.judge import recovery
from seatrial.judge.base import complete
from seatrial.judge.proof import prove


def until(history: History, second: float) -> History:
    """Return a history whose probes and ops end early, while other events go on, as after a short drive."""
    ops = history.ops
    kept = ops.ended_ns < at(second)
    events = tuple(e for e in history.events if not isinstance(e, ProbeSample) or e.t_ns < at(second))
    columns = {c: getattr(ops, c)[kept] for c in ops.__dataclass_fields__ if hasattr(getattr(ops, c), "dtype")}
    return history.with_events(events).with_ops(ops.with_columns(**columns))


@pytest.mark.parametrize("second", [29.5, 30.0, 31.0, 32.0, 33.0, 35.0, 45.0])
def test_whatever_is_planted_is_caught_however_early_the_answers_end(second: float) -> None:
    history = until(healthy(), second)
    params = complete(recovery.CHECK, {"within": 1.2, "hold": 1.0})
    finding = recovery.CHECK.judge(history, params)
    for seed in range(6):
        proof = prove(recovery.CHECK, history, params, seed)
        assert proof.planted
        assert not proof.missed, (second, seed, finding)
