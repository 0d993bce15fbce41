"""The kill matrix is whole: no check without a victim, no victim caught by accident; the documented table is true."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from matrix import SCENARIOS, VICTIMS, Victim
from victim_kit import plan_of, twin_of

from seatrial.config.build import Request, make_plan
from seatrial.config.files import Source
from seatrial.errors import UsageError
from seatrial.judge.table import CHECKS

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
from tools import kill_matrix

KINDS = {check.name: check.kind for scenario in SCENARIOS for check in plan_of(twin_of(scenario)).checks}


@pytest.mark.proves("H-12")
def test_no_check_is_without_a_victim() -> None:
    caught = {KINDS[check] for victim in VICTIMS for check in victim.catches}
    assert caught == set(CHECKS)


def test_no_two_victims_have_one_name() -> None:
    assert len({victim.name for victim in VICTIMS}) == len(VICTIMS)


@pytest.mark.parametrize("victim", VICTIMS, ids=lambda v: v.name)
def test_no_victim_is_caught_by_accident_only(victim: Victim) -> None:
    checks = {check.name for check in plan_of(victim).checks}
    assert set(victim.catches) | set(victim.also) <= checks, "the scenario has no such check"
    assert not set(victim.catches) & set(victim.also)
    assert all(victim.also.values()), "every side effect has its reason"
    assert victim.words
    assert victim.catches or victim.stage or victim.outcome == "pass"


@pytest.mark.parametrize("victim", VICTIMS, ids=lambda v: v.name)
def test_a_victim_differs_from_its_twin_in_nothing_but_its_defect(victim: Victim) -> None:
    sick, healthy = plan_of(victim), plan_of(twin_of(victim.scenario))
    assert (sick.seed, sick.checks, sick.faults) == (healthy.seed, healthy.checks, healthy.faults)
    assert [stage.name for stage in sick.stages] == [stage.name for stage in healthy.stages]
    differing = {one.name for one, other in zip(sick.knobs, healthy.knobs, strict=True) if one != other}
    assert differing <= {"bug", *victim.knobs}
    assert (sick.crew == healthy.crew) == (not victim.crew and not victim.program)


def test_the_documented_table_is_what_the_record_and_the_matrix_say() -> None:
    assert kill_matrix.DOC.read_text() == kill_matrix.render(kill_matrix.read_record())


def test_the_recorded_run_is_a_run_of_this_very_matrix_and_all_of_it_was_caught() -> None:
    record = kill_matrix.read_record()
    assert [row["victim"] for row in record["victims"]] == [victim.name for victim in VICTIMS]
    for row, victim in zip(record["victims"], VICTIMS, strict=True):
        assert row["problems"] == []
        assert row["outcome"] == victim.outcome
        assert set(victim.catches.items()) <= set(row["red"].items())
        assert set(row["red"]) <= set(victim.catches) | set(victim.also)
    assert {name: twin["problems"] for name, twin in record["twins"].items()} == {name: [] for name in SCENARIOS}


def test_resources_are_sampled_as_often_as_the_scenario_says() -> None:
    assert plan_of(twin_of("leaks")).sample_every_s == 0.1
    assert plan_of(twin_of("steady")).sample_every_s == 1.0
    head = {"name": "x", "length": "5s", "sample_every": "1ms"}
    document = Source("x.toml", {"scenario": head, "checks": [{"kind": "teardown"}]})
    app = str(Path(__file__).parent / "kv")
    with pytest.raises(UsageError, match="sample_every"):
        make_plan(Request(app=app, scenario="x", seed=1, document=document))
