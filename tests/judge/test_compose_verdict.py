"""From findings to a verdict: self-proof, faults that did not bite, saturation, the machine, waivers, merging."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_samples import at, healthy, plan, without_f2

from seatrial import plan as plans
from seatrial.history import (
    AnyEvent,
    CrewStats,
    FaultEvent,
    History,
    HostSample,
    Interruption,
    OpOutcome,
    ProcessEvent,
    Residue,
    StageEvent,
    no_history,
)
from seatrial.judge.base import conclude
from seatrial.judge.compose import judge_run, verdict
from seatrial.judge.series import spoil_ops, spoil_probes
from seatrial.judge.table import CHECKS
from seatrial.verdict import SEVERITY, Outcome, Verdict, merge

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE
NOT_TESTED, ENVIRONMENT = Outcome.NOT_TESTED, Outcome.ENVIRONMENT
OUTCOMES = st.sampled_from(list(Outcome))


def ruled(history: History, the_plan: plans.Plan | None = None, **more: Any) -> Verdict:
    return verdict(the_plan or plan(), history, run="r", today="2026-11-21", **more)


def outcome_of(found: Verdict, name: str) -> Outcome:
    return next(f.outcome for f in found.checks if f.name == name)


def lossy(history: History) -> History:
    result = history.ops.result.copy()
    result[-3] = -1
    return history.with_ops(history.ops.with_columns(result=result))


def only(name: str, **fields: Any) -> plans.Plan:
    made = plan()
    kept = tuple(msgspec.structs.replace(c, **fields) for c in made.checks if c.name == name)
    return plan(checks=kept)


def having(history: History, *events: AnyEvent) -> History:
    return history.with_events((*history.events, *events))


def replaced(history: History, kind: type, **fields: Any) -> History:
    return history.with_events(
        tuple(msgspec.structs.replace(e, **fields) if isinstance(e, kind) else e for e in history.events)
    )


@pytest.mark.proves("H-2")
def test_a_healthy_run_passes_and_every_check_proved_itself() -> None:
    found = ruled(healthy())
    assert found.outcome is PASS
    assert found.exit_code == 0
    for finding in found.checks:
        assert finding.proof.planted >= 2
        assert finding.proof.planted == finding.proof.caught
    assert [f.recovered_s for f in found.faults] == pytest.approx([0.504, 0.504], abs=0.1)
    assert found.accounting.sent == found.accounting.ok + found.accounting.fail
    assert found.teardown.clean


def test_the_same_history_gives_the_same_bytes() -> None:
    one, other = (msgspec.json.encode(ruled(lossy(healthy()))) for _ in range(2))
    assert one == other


def test_the_reason_names_the_check_that_decided() -> None:
    found = ruled(lossy(healthy()))
    assert found.outcome is FAIL
    assert found.reason.startswith("durability: 1 lost")


@pytest.mark.proves("S0-41", "S1P-8")
def test_a_report_level_check_decides_nothing_and_without_gates_nothing_passes() -> None:
    found = ruled(lossy(healthy()), only("durability", level="report"))
    assert outcome_of(found, "durability") is FAIL
    assert found.outcome is NOT_TESTED
    assert ruled(healthy(), plan(checks=())).outcome is NOT_TESTED


def test_a_check_that_breaks_is_inconclusive_and_the_others_stand() -> None:
    def broken(_history: History, _params: Any) -> Any:
        raise RuntimeError("boom")

    table = {**CHECKS, "session": dataclasses.replace(CHECKS["session"], judge=broken)}
    found = ruled(healthy(), checks=table)
    assert outcome_of(found, "session") is INCONCLUSIVE
    assert "boom" in found.reason
    assert outcome_of(found, "durability") is PASS


@pytest.mark.parametrize("planting", ["none", "missed", "breaks"])
def test_a_pass_without_proof_is_inconclusive(planting: str) -> None:
    blind = dataclasses.replace(CHECKS["durability"], judge=_always_pass)
    if planting == "none":
        blind = dataclasses.replace(blind, plant=lambda h, p, s: ())
    if planting == "breaks":
        blind = dataclasses.replace(CHECKS["durability"], plant=_breaking_plant)
    found = ruled(healthy(), only("durability"), checks={**CHECKS, "durability": blind})
    assert outcome_of(found, "durability") is INCONCLUSIVE
    assert {"none": "could plant no", "missed": "did not catch", "breaks": "planting broke"}[planting] in found.reason


def _always_pass(_history: History, _params: Any) -> Any:
    return conclude("blind", examined=1, required=1)


def _breaking_plant(history: History, params: Any, seed: int) -> Any:
    yield from list(CHECKS["durability"].plant(history, params, seed))[:1]
    raise RuntimeError("no more")


def test_an_unknown_kind_and_a_bad_parameter_are_inconclusive() -> None:
    checks = (plans.Check(name="a", kind="nonsense"), plans.Check(name="b", kind="session", params={"x": 1}))
    found = judge_run(plan(checks=checks), healthy())
    assert [f.outcome for f in found] == [INCONCLUSIVE, INCONCLUSIVE]


@pytest.mark.proves("S0-42", "S1-26")
@pytest.mark.parametrize("name", ["durability", "session", "availability", "recovery"])
def test_a_fault_that_did_not_bite_makes_its_checks_not_tested(name: str) -> None:
    history = healthy()
    kept = (e for e in history.events if not (isinstance(e, FaultEvent) and e.id == "f2" and e.what == "verified"))
    found = ruled(history.with_events(tuple(kept)), only(name))
    assert outcome_of(found, name) is NOT_TESTED
    assert "f2" in found.reason
    assert next(f for f in found.faults if f.id == "f2").reason == "did not bite"


@pytest.mark.proves("S1-26")
def test_a_planned_fault_that_the_history_never_heard_of_counts_as_not_bitten() -> None:
    found = ruled(without_f2(healthy()), only("durability"))
    assert found.outcome is NOT_TESTED
    assert [f.reason for f in found.faults if f.id == "f2"] == ["was not injected"]


def test_a_loss_stays_a_failure_when_a_fault_did_not_bite() -> None:
    assert ruled(lossy(without_f2(healthy())), only("durability")).outcome is FAIL


@pytest.mark.proves("S1P-5", "H-7")
@pytest.mark.parametrize("fields", [{"lag_p99_ns": 6_000_000}, {"busy": 0.95}])
def test_a_saturated_crew_voids_latency_and_nothing_else(fields: dict[str, Any]) -> None:
    found = ruled(replaced(healthy(), CrewStats, **fields))
    assert outcome_of(found, "p99 before") is INCONCLUSIVE
    assert outcome_of(found, "durability") is PASS


def test_the_lag_bound_follows_the_latency_limit() -> None:
    """A lag of 2 ms voids a limit of 10 ms (bound 1 ms), not one of 100 ms (bound 5 ms)."""
    late = replaced(healthy(), CrewStats, lag_p99_ns=2_000_000)
    assert ruled(late, only("p99 before")).outcome is PASS
    tight = only("p99 before", params={"max": 0.01, "quantile": 0.95, "phase": "before"})
    assert ruled(late, tight).outcome is INCONCLUSIVE


@pytest.mark.proves("S3-115", "H-17")
@pytest.mark.parametrize(
    ("sample", "kind"),
    [
        (HostSample(t_ns=at(44), disk_free=1000, steal_percent=0.1, oom_kills=3), "disk"),
        (HostSample(t_ns=at(45), disk_free=10**11, steal_percent=0.1, oom_kills=4), "oom"),
        (HostSample(t_ns=at(45), disk_free=10**11, steal_percent=900.0, oom_kills=3), "steal"),
    ],
)
def test_environment_needs_evidence_and_never_excuses_lost_data(sample: HostSample, kind: str) -> None:
    down = spoil_probes(healthy(), "", [(at(30), at(50))])
    assert ruled(down, only("availability")).outcome is FAIL
    found = ruled(having(down, sample), only("availability"))
    assert found.outcome is ENVIRONMENT
    assert kind in found.environment["troubles"]
    assert ruled(having(lossy(healthy()), sample), only("durability")).outcome is FAIL


def test_a_kill_for_want_of_memory_under_the_plans_own_limit_is_no_excuse() -> None:
    exit_ = ProcessEvent(t_ns=at(30), process="web", what="exit", code=-9)
    killed = having(healthy(), exit_, HostSample(t_ns=at(45), disk_free=10**11, steal_percent=0.1, oom_kills=4))
    assert ruled(killed, only("stability")).outcome is ENVIRONMENT
    limited = plans.Process(name="web", command=("web",), limits=plans.Limits(memory=10**8))
    assert ruled(killed, msgspec.structs.replace(only("stability"), processes=(limited,))).outcome is FAIL


def test_an_interrupted_run_is_never_a_pass() -> None:
    found = ruled(having(healthy(), Interruption(t_ns=at(46), by="signal")), only("durability"))
    assert found.outcome is INCONCLUSIVE
    assert found.reason == "interrupted by signal"


def test_stages_that_failed_did_not_end_or_never_began_decide() -> None:
    failed = having(healthy(), StageEvent(t_ns=at(48), stage="extra", what="end", outcome="fail", reason="no"))
    assert ruled(failed).reason == "stage extra: no"
    assert ruled(failed).outcome is FAIL
    open_stage = having(healthy(), StageEvent(t_ns=at(48), stage="extra", what="begin"))
    assert ruled(open_stage).outcome is INCONCLUSIVE
    more = plan(stages=(*plan().stages, plans.Stage(name="backup", within_s=1)))
    assert ruled(healthy(), more).outcome is NOT_TESTED


@pytest.mark.proves("S3-9")
def test_residue_fails_the_run_and_no_listing_is_not_tested() -> None:
    dirty = having(healthy(), Residue(t_ns=at(48), clean=False, items=("process 7",)))
    assert ruled(dirty, only("durability")).reason == "teardown: left behind: process 7"
    unlooked = healthy().with_events(tuple(e for e in healthy().events if not isinstance(e, Residue)))
    assert ruled(unlooked, only("durability")).outcome is NOT_TESTED
    assert ruled(unlooked, only("durability"), before_teardown=True).outcome is PASS


@pytest.mark.proves("H-16")
@pytest.mark.parametrize(("expires", "outcome"), [("2026-11-21", PASS), ("2026-11-20", FAIL), ("soon", FAIL)])
def test_a_waiver_counts_until_its_day_and_is_shown_first(expires: str, outcome: Outcome) -> None:
    waiver = plans.WaiverSpec(check="p99 before", reason="known", author="ann", expires=expires)
    made = plan(waivers=(waiver,))
    ended = healthy().ops.ended_ns.copy()
    ended[::10] += 1_000_000_000
    slow = healthy().with_ops(healthy().ops.with_columns(ended_ns=ended))
    strict = tuple(c for c in made.checks if c.kind in ("latency", "teardown", "faults"))
    found = ruled(slow, msgspec.structs.replace(made, checks=strict))
    assert found.outcome is outcome
    assert found.waivers[0].expired is (outcome is FAIL)
    if outcome is PASS:
        assert found.checks[0].name == "p99 before"
        assert found.checks[0].outcome is FAIL
        assert found.checks[0].reason.startswith("waived by ann")
        assert "waived: p99 before" in found.reason


def test_a_run_whose_only_gate_is_waived_does_not_pass() -> None:
    waiver = plans.WaiverSpec(check="durability", reason="known", author="ann", expires="2030-01-01")
    made = msgspec.structs.replace(only("durability"), waivers=(waiver,))
    assert ruled(lossy(healthy()), made).outcome is NOT_TESTED


def test_an_empty_history_is_judged_and_does_not_pass() -> None:
    found = ruled(no_history())
    assert found.outcome is NOT_TESTED
    assert {f.outcome for f in found.checks} == {NOT_TESTED}


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_composing_never_raises_whatever_is_missing(data: st.DataObject) -> None:
    history = healthy()
    kinds = sorted({type(e) for e in history.events}, key=lambda k: k.__name__)
    gone = tuple(data.draw(st.sets(st.sampled_from(kinds))))
    rows = data.draw(st.integers(0, len(history.ops)))
    cut = history.with_events(tuple(e for e in history.events if not isinstance(e, gone)))
    cut = cut.with_ops(history.ops.take(np.arange(rows)))
    found = ruled(cut)
    broke = [f.reason for f in found.checks if "broke" in f.reason]
    assert not broke
    if gone or rows < len(history.ops) - 1:
        assert all(f.proof.planted == f.proof.caught for f in found.checks if f.outcome is PASS)


@settings(max_examples=8, deadline=None)
@given(start=st.floats(2, 38), length=st.floats(0.1, 20))
def test_more_outage_never_turns_a_failure_into_a_pass(start: float, length: float) -> None:
    def both(until: float) -> History:
        return spoil_ops(spoil_probes(healthy(), "", [(at(start), at(until))]), [(at(start), at(until))])

    checks = tuple(c for c in plan().checks if c.kind in ("availability", "ops_availability"))
    made = plan(checks=checks)
    less, more = ruled(both(start + length), made), ruled(both(start + 2 * length), made)
    if less.outcome is FAIL:
        assert more.outcome is FAIL


@settings(max_examples=200)
@given(one=st.lists(OUTCOMES), other=st.lists(OUTCOMES), third=st.lists(OUTCOMES))
def test_merging_is_commutative_associative_and_idempotent(
    one: list[Outcome], other: list[Outcome], third: list[Outcome]
) -> None:
    assert merge(one + other) is merge(other + one)
    assert merge(one + one) is merge(one)
    if one and other and third:
        left = merge([merge([merge(one), merge(other)]), merge(third)])
        right = merge([merge(one), merge([merge(other), merge(third)])])
        assert left is right is merge(one + other + third)


@pytest.mark.proves("S3P-4", "H-1")
@given(outcomes=st.lists(OUTCOMES, min_size=1))
def test_only_passes_merge_to_a_pass(outcomes: list[Outcome]) -> None:
    assert (merge(outcomes) is PASS) == (set(outcomes) == {PASS})
    assert merge(outcomes) in outcomes
    assert SEVERITY.index(merge(outcomes)) == max(SEVERITY.index(o) for o in outcomes)


@pytest.mark.proves("S1P-4")
def test_ops_that_hang_after_the_end_fail_the_accounting() -> None:
    outcome = healthy().ops.outcome.copy()
    outcome[4] = OpOutcome.IN_FLIGHT
    found = ruled(healthy().with_ops(healthy().ops.with_columns(outcome=outcome)), only("accounting"))
    assert found.outcome is FAIL
    assert found.accounting.in_flight == 1
