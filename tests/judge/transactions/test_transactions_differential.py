"""The checkers of transactions agree with brute force, change nothing under renaming, and catch what is planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.judge import models
from seatrial.judge.modelling import Options
from seatrial.judge.transactions import append_check, jit
from seatrial.judge.transactions.anomalies import Judged
from seatrial.judge.transactions.append_graph import orders_of
from seatrial.judge.transactions.columns import appends_of
from seatrial.judge.transactions.graph import components, edges_of, linked
from seatrial.judge.transactions.levels import level_named
from seatrial.judge.transactions.lists import as_registers
from seatrial.judge.transactions.register_check import judge as judge_registers
from seatrial.judge.transactions.samples import Dice, random_history, recorded_of, serial_history
from seatrial.verdict import Outcome

MANY = {"list-append": 1_500, "rw-register": 3_000, "causal": 3_000, "monotonic-reads": 4_000}


@pytest.mark.parametrize("name", MANY)
def test_agrees_with_the_definitions(name: str) -> None:
    figures: dict[str, Any] = models.beside(name, "selftest")(MANY[name], 11)
    assert figures["disagreements"] == 0, figures
    assert figures["histories"] > 1_000
    assert figures.get("illegal", figures.get("broken", 0)) > 50, "histories that break nothing show nothing"
    assert figures.get("metamorphic changed", 0) == 0
    assert figures.get("false alarms", 0) == 0
    assert figures.get("caught") == figures.get("planted"), figures
    assert figures.get("write skew disagreements", 0) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=40))
def test_components_are_those_of_mutual_reachability(pairs: list[tuple[int, int]]) -> None:
    pairs = [(a, b) for a, b in pairs if a != b]
    edges = edges_of([a for a, _ in pairs], [b for _, b in pairs], 0, 0)
    group, _ = components(*linked(edges, 12))
    reach = {(a, b) for a, b in pairs}
    for _ in range(12):
        reach |= {(a, d) for a, b in reach for c, d in pairs if b == c}
    for a in range(12):
        assert (group[a] >= 0) == ((a, a) in reach)
        for b in range(12):
            if a != b and (a, a) in reach:
                assert (group[a] == group[b]) == ((a, b) in reach and (b, a) in reach)


def test_compiled_and_plain_kernels_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    txns = serial_history(Dice(3), 400, True)
    sound = recorded_of(txns)
    broken = recorded_of([*txns[:200], *[t for t in txns[200:] if t.session != 1]])
    for recorded in (sound, broken):
        plain = append_check.check(recorded, Options())
        with monkeypatch.context() as patched:
            patched.setattr(jit, "WORTH", 0)
            compiled = append_check.check(recorded, Options())
        assert compiled == plain
    assert append_check.check(sound, Options()).outcome is Outcome.PASS
    assert append_check.check(broken, Options()).outcome is Outcome.FAIL
    assert np.iinfo(np.int32).max > len(txns)


@pytest.mark.parametrize("level", ["strong-session-snapshot-isolation", "strong-snapshot-isolation", "serializable"])
def test_cycles_of_lists_and_the_search_for_an_order_say_the_same(level: str) -> None:
    """Two methods that share nothing but the version orders, on histories too large for brute force."""
    dice, outcomes = Dice(99), set()
    for _ in range(500):
        recorded = recorded_of(random_history(dice, True, 9))
        columns, named, judged = appends_of(recorded), level_named(level), Judged()
        by_cycles = append_check.judge(columns, named, Options())
        if {"G1a", "G1b", "internal", "incompatible-order", "unwritten-read"} & set(by_cycles.counts):
            continue
        registers = as_registers(columns, orders_of(columns), realtime=True)
        judge_registers(registers, named, Options(), judged)
        assert bool(by_cycles.against(named)) == bool(judged.against(named)), recorded
        outcomes.add(bool(judged.against(named)))
    assert outcomes == {True, False}
