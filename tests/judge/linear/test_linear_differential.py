"""Every method of linearizability against the brute force, on seeded and drawn histories; what must change nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from linear_samples import judged

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.linear.checks import proof_of, selftest
from seatrial.judge.linear.encoders import ENCODERS
from seatrial.judge.linear.oracle import brute_force
from seatrial.judge.linear.planner import judge_parts
from seatrial.judge.linear.sampling import KINDS, Dice, disturb, sample
from seatrial.judge.linear.search import NOT_LEGAL
from seatrial.judge.linear.selftest import run, verdict
from seatrial.judge.modelling import Options

MODES = ({}, {"method": "search"})


def test_thousands_of_histories_agree_with_the_brute_force() -> None:
    figures = selftest(4000, seed=11)
    assert figures["disagreements"] == 0, figures["examples"]
    assert figures["moved"] == 0, "a shift in time or another actor changed a verdict"
    assert figures["killed"] == figures["planted"] > 200


def test_the_compiled_search_agrees_too() -> None:
    pytest.importorskip("numba", reason="numba is not installed: the compiled search is not tested")
    figures = run(1000, 12, ({"method": "search", "engine": "kernel"},))
    assert figures["disagreements"] == 0, figures["examples"]


@st.composite
def register_histories(draw: st.DrawFn, unique: bool) -> Recorded:
    """Any history at all, legal or not, of reads, writes and swaps."""
    count = draw(st.integers(1, 7))
    instants = draw(st.permutations(range(2 * count)))
    ops = []
    for i in range(count):
        start, end = sorted(instants[2 * i : 2 * i + 2])
        f = draw(st.sampled_from(["read", "write", "cas"]))
        new = i + 1 if unique else draw(st.integers(0, 2))
        value = (
            draw(st.integers(0, count)) if f == "read" else new if f == "write" else [draw(st.integers(0, count)), new]
        )
        outcome = draw(st.sampled_from([OpOutcome.OK, OpOutcome.OK, OpOutcome.OK, OpOutcome.UNKNOWN, OpOutcome.FAIL]))
        ends = None if outcome is OpOutcome.UNKNOWN else end
        ops.append((start, ends, f, value, outcome))
    rows = [
        RecordedOp(index=n, process=n, f=f, arg=v, value=v, outcome=o, start=s, end=e)
        for n, (s, e, f, v, o) in enumerate(sorted(ops, key=lambda r: r[0]))
    ]
    return Recorded(ops=tuple(rows), initial={None: 0})


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(register_histories(unique=True))
def test_zones_agree_with_the_brute_force_on_any_unique_history(recorded: Recorded) -> None:
    truth = brute_force("cas-register", recorded, nil_is_any=False)
    found = judge_parts(ENCODERS["cas-register"](recorded, Options(nil="strict")), Options())
    assert all(j.method == "zones" for j in found), "values are unique: no search is needed"
    assert (not any(j.outcome == NOT_LEGAL for j in found)) is truth


@settings(max_examples=300, deadline=None)
@given(register_histories(unique=False))
def test_search_agrees_with_the_brute_force_on_any_history(recorded: Recorded) -> None:
    truth = brute_force("cas-register", recorded, nil_is_any=False)
    assert [verdict("cas-register", recorded, extra) for extra in MODES] == [truth, truth]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_shown_is_illegal_by_itself_and_part_of_the_history(kind: str) -> None:
    """The small proof must be judged illegal by the brute force too, and never be larger than the history."""
    dice, model, shown = Dice(3), KINDS[kind][0], 0
    for _ in range(150):
        recorded = disturb(disturb(sample(kind, dice, 8), dice), dice)
        options = Options(nil="strict", initial=0 if model == "multi-register" else None)
        for bad in judge_parts(ENCODERS[model](recorded, options), options):
            if bad.outcome != NOT_LEGAL:
                continue
            core, last = proof_of(bad, options)
            assert last, "so small a proof is looked for to the end"
            assert set(core.index) <= {op.index for op in recorded.ops}
            shown += 1
            if core.starts is None:
                kept = tuple(op for op in recorded.ops if op.index in core.index)
                assert not brute_force(model, replace(recorded, ops=kept), nil_is_any=False), (recorded, core)
    assert shown > 0, "no illegal history came up: this test shows nothing"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_legal_no_op_and_other_names_change_nothing(kind: str) -> None:
    dice, model = Dice(5), KINDS[kind][0]
    for _ in range(40):
        recorded = sample(kind, dice, 7)
        if dice.chance(50):
            recorded = disturb(recorded, dice)
        before = verdict(model, recorded, {})
        last = max(op.end or op.start for op in recorded.ops)
        first = recorded.ops[0]
        failed = replace(first, index=len(recorded.ops), outcome=OpOutcome.FAIL, start=last + 1, end=last + 2)
        opened = replace(failed, outcome=OpOutcome.UNKNOWN, end=None)
        for more in (failed, opened):
            assert verdict(model, replace(recorded, ops=(*recorded.ops, more)), {}) is before
        renamed = tuple(replace(op, process=f"user {op.process}", line=7) for op in recorded.ops)
        assert verdict(model, replace(recorded, ops=renamed), {}) is before


def test_values_by_other_names_get_the_same_verdict() -> None:
    dice = Dice(8)
    for _ in range(200):
        recorded = disturb(sample("register", dice, 8), dice)
        named = tuple(replace(op, arg=_name(op.arg), value=_name(op.value)) for op in recorded.ops)
        other = replace(recorded, ops=named, initial={None: "v0"})
        assert judged("register", other).outcome is judged("register", recorded).outcome


def _name(value: object) -> object:
    return None if value is None else f"v{value}"
