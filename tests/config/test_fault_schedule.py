"""Schedules of faults: from the seed alone, in bounds, with stable ids."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.generate.schedule import AfterOps, Every, Flap, Once, OnStage, Rule, Storm, expand, most_at_once

short = st.floats(0.5, 20.0, allow_nan=False).map(lambda x: round(x, 3))
whens = st.one_of(
    st.builds(Once, at_s=st.lists(short, min_size=1, max_size=4).map(tuple)),
    st.builds(Every, every_s=short, first_s=short, count=st.integers(0, 5), jitter_s=st.sampled_from([0.0, 2.0])),
    st.builds(Flap, up_s=short, down_s=short, first_s=short, count=st.integers(0, 5)),
    st.builds(Storm, least_s=short, most_s=short.map(lambda x: x + 20), first_s=short, count=st.integers(0, 5)),
    st.builds(OnStage, stage=st.just("drive"), after_s=short),
    st.builds(AfterOps, ops=st.integers(1, 1000)),
)
rules = st.lists(
    st.builds(
        Rule,
        name=st.just("rule"),
        kind=st.sampled_from(["kill", "cut"]),
        targets=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3, unique=True).map(tuple),
        when=whens,
        pick=st.sampled_from(["random", "turn", "each"]),
        hold_s=short,
    ),
    min_size=1,
    max_size=4,
).map(lambda found: [Rule(**{**_fields(r), "name": f"faults[{n}]"}) for n, r in enumerate(found)])


def _fields(rule: Rule) -> dict:
    return {name: getattr(rule, name) for name in rule.__struct_fields__}


def stream(seed: int):
    return lambda name: Random(f"{seed}/{name}")


@settings(max_examples=150, deadline=None)
@given(rules=rules, seed=st.integers(0, 2**32), length=st.floats(1, 200))
def test_same_seed_same_schedule_within_its_bounds(rules, seed, length) -> None:
    faults = expand(rules, length, stream(seed))
    assert faults == expand(rules, length, stream(seed))
    assert [f.id for f in faults] == [f"f{n}" for n in range(1, len(faults) + 1)]
    by_name = {r.name: r for r in rules}
    timed = [f for f in faults if f.trigger.kind == "at"]
    assert [f.trigger.at_s for f in timed] == sorted(f.trigger.at_s for f in timed)
    assert faults[: len(timed)] == tuple(timed)
    for fault in faults:
        rule = by_name[fault.rule]
        assert fault.target in rule.targets
        if isinstance(rule.when, (Every, Flap, Storm)):
            assert fault.trigger.at_s >= 0
            assert fault.trigger.at_s + fault.hold_s <= length + 1e-5
    for rule in rules:
        count = getattr(rule.when, "count", 0)
        per = len(rule.targets) if rule.pick == "each" else 1
        assert not count or sum(f.rule == rule.name for f in faults) <= count * per


@settings(max_examples=60, deadline=None)
@given(rules=rules, seed=st.integers(0, 2**32))
def test_a_change_of_one_rule_moves_no_injection_of_another(rules, seed) -> None:
    alone = expand(rules[:1], 100.0, stream(seed))
    together = [f for f in expand(rules, 100.0, stream(seed)) if f.rule == "faults[0]"]
    assert [(f.target, f.trigger) for f in alone] == [(f.target, f.trigger) for f in together]


def rule(when, **more) -> Rule:
    return Rule(**{"name": "faults[0]", "kind": "kill", "targets": ("a",), "when": when, "hold_s": 2.0} | more)


@pytest.mark.proves("S0-59")
def test_a_flap_is_up_then_down() -> None:
    faults = expand([rule(Flap(up_s=5, down_s=3), hold_s=0.0)], 25.0, stream(1))
    assert [(f.trigger.at_s, f.hold_s) for f in faults] == [(5.0, 3.0), (13.0, 3.0), (21.0, 3.0)]


@pytest.mark.proves("S0-59")
def test_a_storm_keeps_its_pauses() -> None:
    faults = expand([rule(Storm(least_s=1, most_s=4))], 500.0, stream(7))
    starts = [f.trigger.at_s for f in faults]
    pauses = [b - a - 2.0 for a, b in pairwise(starts)]
    assert len(faults) > 80
    assert min(pauses) >= 1 - 1e-5
    assert max(pauses) <= 4 + 1e-5
    assert max(pauses) - min(pauses) > 2


def test_every_stops_where_its_hold_no_longer_fits() -> None:
    faults = expand([rule(Every(every_s=10, first_s=10))], 31.0, stream(1))
    assert [f.trigger.at_s for f in faults] == [10.0, 20.0]


def test_targets_in_turn_each_and_at_random() -> None:
    when = Every(every_s=5, first_s=5)
    turn = expand([rule(when, targets=("a", "b"), pick="turn")], 42.0, stream(1))
    assert [f.target for f in turn] == ["a", "b"] * 4
    each = expand([rule(when, targets=("a", "b"), pick="each")], 12.0, stream(1))
    assert [(f.trigger.at_s, f.target) for f in each] == [(5.0, "a"), (5.0, "b"), (10.0, "a"), (10.0, "b")]
    chance = expand([rule(when, targets=("a", "b"), pick="random")], 500.0, stream(1))
    assert 20 < sum(f.target == "a" for f in chance) < 80


def test_the_largest_overlap_is_found() -> None:
    faults = expand([rule(Once(at_s=(1, 2, 2.5, 9)), hold_s=1.2)], 20.0, stream(1))
    assert most_at_once(faults) == ("f1", "f2") or most_at_once(faults) == ("f2", "f3")
    assert len(most_at_once(expand([rule(Once(at_s=(1, 5)))], 20.0, stream(1)))) == 1
