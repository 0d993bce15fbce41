"""A crew that broke down is ours: how its users fared is inconclusive, never the app's failure, and never a pass."""

from __future__ import annotations

import numpy as np
import pytest
from judge_samples import T0, healthy, plan

from seatrial import plan as plans
from seatrial.history import CrewEvent, History, OpOutcome
from seatrial.judge.compose import judge_run

CHECKS = (
    plans.Check(name="success", kind="success_rate", params={"min": 0.999999}),
    plans.Check(name="accounting", kind="accounting"),
    plans.Check(name="ops", kind="ops_availability", params={"min_share": 0.999999}),
    plans.Check(name="durability", kind="durability"),
)


def cut_off(history: History) -> History:
    """Return a history in which an op never completed."""
    outcome = history.ops.outcome.copy()
    outcome[np.flatnonzero(outcome == OpOutcome.OK)[5]] = OpOutcome.IN_FLIGHT
    return history.with_ops(history.ops.with_columns(outcome=outcome))


def outcomes(history: History) -> dict[str, str]:
    return {f.name: f.outcome.value for f in judge_run(plan(checks=CHECKS), history)}


@pytest.mark.parametrize("what", ["crashed", "hung", "garbage", "error"])
def test_a_lost_crew_makes_what_its_users_saw_inconclusive(what: str) -> None:
    history = cut_off(healthy())
    assert outcomes(history)["success"] == outcomes(history)["accounting"] == outcomes(history)["ops"] == "fail"
    lost = CrewEvent(t_ns=T0, worker=0, what=what, reason="it broke")
    found = outcomes(history.with_events((*history.events, lost)))
    assert found == {
        "success": "inconclusive",
        "accounting": "inconclusive",
        "ops": "inconclusive",
        "durability": "pass",
    }


def test_an_event_of_a_sound_crew_excuses_nothing() -> None:
    history = cut_off(healthy())
    quiet = CrewEvent(t_ns=T0, worker=0, what="quiet")
    assert outcomes(history.with_events((*history.events, quiet)))["success"] == "fail"
