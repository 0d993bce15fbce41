"""Hand-written histories for the rules that are easy to get wrong: unknown ops, lists, hot keys, recovery, slopes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.clock import NS
from seatrial.history import (
    FaultEvent,
    Flag,
    History,
    OpOutcome,
    OpRow,
    ProbeSample,
    ResourceSample,
    Verb,
    no_history,
    no_ops,
    ops_from_rows,
)
from seatrial.judge.base import complete
from seatrial.judge.recovery import recoveries
from seatrial.judge.stats import quantile, theil_sen, wilson
from seatrial.judge.table import CHECKS
from seatrial.judge.windows import fault_windows, outside_pieces
from seatrial.verdict import Finding, Outcome

OK, REFUSED, UNKNOWN, OPEN = OpOutcome.OK, OpOutcome.FAIL, OpOutcome.UNKNOWN, OpOutcome.IN_FLIGHT
PASS, FAIL, NOT_TESTED = Outcome.PASS, Outcome.FAIL, Outcome.NOT_TESTED


def sequence(*steps: tuple[Any, ...]) -> History:
    """Return ops in order: (verb letter, outcome, value) by user 0 on key k; "R" reads back, "r" reads, "L" lists."""
    verbs = {"w": Verb.WRITE, "d": Verb.DELETE, "a": Verb.APPEND, "r": Verb.READ, "R": Verb.READ, "L": Verb.LIST}
    rows = []
    for number, (letter, outcome, text, *more) in enumerate(steps):
        shown = letter in "rRL"
        rows.append(
            OpRow(
                verb=verbs[letter],
                outcome=outcome,
                user=more[0] if more else 0,
                key="k",
                value=None if shown else text,
                result=text if shown else None,
                flags=(more[1] if len(more) > 1 else Flag.OWNED) | (Flag.READBACK if letter in "RL" else Flag(0)),
                started_ns=10 * number + 10,
                ended_ns=0 if outcome is OPEN else 10 * number + 15,
            )
        )
    return History(ops=ops_from_rows(rows))


def judged(history: History, kind: str = "durability", **params: Any) -> Finding:
    check = CHECKS[kind]
    return check.judge(history, complete(check, params))


def harms(finding: Finding) -> dict[str, int]:
    names = ("lost", "stale", "resurrected", "phantom", "duplicated", "reordered", "ambiguous", "open")
    return {n: int(finding.figures[n]) for n in names if finding.figures[n]}


W1, W2 = ("w", OK, "1"), ("w", OK, "2")


@pytest.mark.parametrize(
    ("steps", "outcome", "found"),
    [
        ((W1, ("R", OK, "1")), PASS, {}),
        ((W1, ("R", OK, None)), FAIL, {"lost": 1}),
        ((W1, W2, ("R", OK, "1")), FAIL, {"stale": 1}),
        ((W1, ("d", OK, None), ("R", OK, None)), PASS, {}),
        ((W1, ("d", OK, None), ("R", OK, "1")), FAIL, {"resurrected": 1}),
        ((W1, ("w", REFUSED, "2"), ("R", OK, "2")), FAIL, {"resurrected": 1}),
        ((W1, ("w", REFUSED, "2"), ("R", OK, "1")), PASS, {}),
        ((W1, ("R", OK, "9")), FAIL, {"phantom": 1}),
        ((("R", OK, "9"),), FAIL, {"phantom": 1}),
        ((W1, ("w", UNKNOWN, "2"), ("R", OK, "1")), PASS, {}),
        ((W1, ("w", UNKNOWN, "2"), ("R", OK, "2")), PASS, {"open": 1}),
        ((W1, ("w", OPEN, "2"), ("R", OK, "2")), PASS, {"open": 1}),
        ((("w", UNKNOWN, "1"), W2, ("R", OK, "1")), PASS, {"ambiguous": 1}),
        ((W1, ("d", UNKNOWN, None), ("R", OK, None)), PASS, {"open": 1}),
        ((W1, ("d", UNKNOWN, None), W2, ("R", OK, "1")), FAIL, {"stale": 1}),
        ((W1, W2, W1, ("R", OK, "1")), PASS, {}),
        ((W1, ("R", REFUSED, None)), NOT_TESTED, {}),
        ((W1, ("R", UNKNOWN, None)), NOT_TESTED, {}),
        ((W1,), NOT_TESTED, {}),
        ((W1, ("R", OK, "1"), W2, ("R", OK, "2")), PASS, {}),
        ((W1, ("R", OK, "1"), W2, ("R", OK, "1")), FAIL, {"stale": 1}),
        ((W1, ("R", OK, None), ("R", OK, None)), FAIL, {"lost": 2}),
    ],
)
def test_single_values(steps: Any, outcome: Outcome, found: dict[str, int]) -> None:
    finding = judged(sequence(*steps))
    assert (finding.outcome, harms(finding)) == (outcome, found)


def test_strict_holds_a_late_unknown_write_against_the_app() -> None:
    history = sequence(("w", UNKNOWN, "1"), W2, ("R", OK, "1"))
    assert harms(judged(history, strict=True)) == {"stale": 1}


def listing(*items: str) -> tuple[str, OpOutcome, str]:
    return ("L", OK, json.dumps(items))


A1, A2 = ("a", OK, "1"), ("a", OK, "2")


@pytest.mark.parametrize(
    ("steps", "outcome", "found"),
    [
        ((A1, A2, listing("1", "2")), PASS, {}),
        ((A1, A2, listing("2")), FAIL, {"lost": 1}),
        ((A1, A2, listing("2", "1")), FAIL, {"reordered": 1}),
        ((A1, A2, listing("1", "2", "2")), FAIL, {"duplicated": 1}),
        ((A1, listing("1", "9")), FAIL, {"phantom": 1}),
        ((A1, ("a", REFUSED, "2"), listing("1", "2")), FAIL, {"resurrected": 1}),
        ((A1, ("a", UNKNOWN, "2"), listing("1")), PASS, {}),
        ((A1, ("a", UNKNOWN, "2"), listing("2", "1")), PASS, {}),
        ((A1, ("a", UNKNOWN, "2"), listing("1", "2", "2")), FAIL, {"duplicated": 1}),
        ((A1, A1, listing("1", "1")), PASS, {}),
        ((A1, A1, listing("1")), FAIL, {"lost": 1}),
        ((A1, ("a", OK, "2", 1), listing("2", "1")), PASS, {}),
        ((A1, ("d", OK, None), A2, listing("2")), PASS, {}),
        ((A1, ("d", OK, None), A2, listing("1", "2")), FAIL, {"resurrected": 1}),
        ((A1, ("d", UNKNOWN, None), listing()), PASS, {}),
        ((A1, ("L", OK, "no json")), NOT_TESTED, {}),
        ((A1, ("L", REFUSED, None)), NOT_TESTED, {}),
    ],
)
def test_collections(steps: Any, outcome: Outcome, found: dict[str, int]) -> None:
    finding = judged(sequence(*steps))
    assert (finding.outcome, harms(finding)) == (outcome, found)


@pytest.mark.proves("S0-19", "S0P-49")
def test_hot_keys_and_keys_of_two_writers_are_held_against_phantoms_only() -> None:
    hot = (("w", OK, "1", 0, Flag.HOT), ("w", OK, "2", 1, Flag.HOT), ("R", OK, "1", 0, Flag.HOT))
    shared = (W1, ("w", OK, "2", 1), ("R", OK, "1"))
    for steps in (hot, shared):
        finding = judged(sequence(*steps))
        assert (finding.outcome, finding.figures["excluded"]) == (NOT_TESTED, 1)
        finding = judged(sequence(*steps[:-1], ("R", OK, "9", 0, steps[0][4] if len(steps[0]) > 4 else Flag.OWNED)))
        assert harms(finding) == {"phantom": 1}


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        ((W1, ("r", OK, "1")), PASS),
        ((W1, W2, ("r", OK, "1")), FAIL),
        ((W1, ("r", OK, None)), FAIL),
        ((W1, ("w", UNKNOWN, "2"), ("r", OK, "2"), ("r", OK, "1")), FAIL),
        ((W1, ("w", UNKNOWN, "2"), ("r", OK, "1"), ("r", OK, "2")), PASS),
        ((W1, ("w", UNKNOWN, "2"), ("r", OK, "2"), ("w", OK, "1"), ("r", OK, "1")), PASS),
        ((W1, ("w", UNKNOWN, "2"), ("w", UNKNOWN, "1"), ("r", OK, "2"), ("r", OK, "1")), PASS),
        ((("r", OK, None),), NOT_TESTED),
        ((W1, ("r", UNKNOWN, None)), NOT_TESTED),
    ],
)
def test_own_reads_during_the_run(steps: Any, outcome: Outcome) -> None:
    assert judged(sequence(*steps), "session", min_examined=1).outcome is outcome


def probed(*answers: tuple[float, bool], fault: tuple[float, float] = (10.0, 20.0)) -> History:
    steps = zip(("injected", "verified", "healed", "gone"), (fault[0], fault[0], fault[1], fault[1]), strict=True)
    events: list[Any] = [FaultEvent(t_ns=int(s * NS), id="f", kind="kill", target="x", what=w) for w, s in steps]
    events += [ProbeSample(t_ns=int(s * NS), probe="p", ok=ok, latency_ns=1_000_000) for s, ok in answers]
    return no_history().with_events(tuple(events))


@pytest.mark.proves("H-3")
@pytest.mark.parametrize(
    ("first_good", "took", "outcome"),
    [(20.0, 0.001, PASS), (25.0, 5.001, PASS), (55.0, 35.001, FAIL), (99.0, None, FAIL)],
)
def test_recovery_counts_from_the_heal(first_good: float, took: float | None, outcome: Outcome) -> None:
    history = probed(*((float(s), s < 10 or s >= first_good) for s in range(80)))
    finding = judged(history, "recovery")
    assert finding.outcome is outcome
    params = complete(CHECKS["recovery"], {})
    assert [r.took_s for r in recoveries(history, params)] == [took]


def test_recovery_that_does_not_hold_is_none() -> None:
    """Good at 22 but bad at 23: recovered only from 24 on."""
    history = probed(*((float(s), s < 10 or s == 22 or s >= 24) for s in range(60)))
    assert judged(history, "recovery").figures["recovered_s:f"] == pytest.approx(4.001)


def test_an_op_cut_by_the_next_fault_says_nothing_of_this_one() -> None:
    """Asked at 30 s, after the first fault; broken at 41 s by a second one that began at 40 s."""
    first = probed(*((float(s), s < 10 or 20 <= s < 40) for s in range(60)))
    late = ProbeSample(t_ns=30 * NS, probe="p", ok=False, latency_ns=11 * NS)
    second = [FaultEvent(t_ns=40 * NS, id="g", kind="cut", target="x", what=w) for w in ("injected", "verified")]
    history = first.with_events((*first.events, late, *second))
    assert [r.took_s for r in recoveries(history, complete(CHECKS["recovery"], {}))] == [0.001]
    assert judged(history, "availability").figures["share_outside"] == 1.0


def test_phases_follow_the_whole_life_of_an_op() -> None:
    """One op before, one that a fault catches under way, one begun in it, and one after."""
    spans = [(1, 2), (5, 11), (12, 13), (25, 26)]
    rows = [OpRow(name=str(n), started_ns=a * NS, ended_ns=b * NS) for n, (a, b) in enumerate(spans)]
    history = probed().with_ops(ops_from_rows(rows))
    for phase, count in (("all", 4), ("before", 1), ("during", 2), ("after", 1), ("outside", 2)):
        finding = judged(history, "success_rate", min=0.5, phase=phase, min_samples=1)
        assert finding.examined == count, phase


def test_a_history_that_ends_too_early_cannot_tell() -> None:
    history = probed(*((float(s), s < 10 or s >= 20) for s in range(22)))
    assert judged(history, "recovery").outcome is NOT_TESTED


def test_a_fault_that_was_never_healed_lasts_to_the_end() -> None:
    history = probed((1.0, True), (50.0, True))
    open_ended = history.with_events(
        tuple(e for e in history.events if getattr(e, "what", "") not in ("healed", "gone"))
    )
    assert fault_windows(open_ended) == [(10 * NS, 50 * NS)]


@settings(max_examples=100)
@given(
    span=st.tuples(st.integers(0, 50), st.integers(51, 100)),
    windows=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 10)), max_size=4),
)
def test_pieces_outside_windows_are_exactly_the_rest(span: tuple[int, int], windows: list[tuple[int, int]]) -> None:
    from seatrial.judge.windows import merge_spans

    merged = merge_spans([(a, a + b) for a, b in windows])
    rest = {t for a, b in outside_pieces(span, merged) for t in range(a, b)}
    assert rest == {t for t in range(*span) if not any(a <= t < b for a, b in merged)}


def samples(values: Any, every_s: float = 10.0) -> History:
    events = tuple(
        ResourceSample(t_ns=int((n + 1) * every_s * NS), process="p", rss=int(v)) for n, v in enumerate(values)
    )
    return History(ops=no_ops(), events=events)


@pytest.mark.proves("S0-35", "S0P-2", "S1-29")
def test_noise_with_a_warm_up_is_no_leak_and_a_slow_leak_in_it_is_found() -> None:
    rng = np.random.default_rng(5)
    leaks = 0
    for _ in range(20):
        noise = np.zeros(720)
        for n in range(1, 720):
            noise[n] = 0.9 * noise[n - 1] + rng.normal(0, 3e5)
        base = 1e8 * (1 - 0.3 * np.exp(-np.arange(720) / 30)) + noise + rng.choice([0, 2e7], 720, p=[0.99, 0.01])
        assert judged(samples(base), "leak").outcome is PASS
        leaks += judged(samples(base + np.linspace(0, 1e7, 720)), "leak").outcome is FAIL
    assert leaks >= 18
    assert judged(samples(np.full(100, 1e8)), "leak").outcome is NOT_TESTED


@settings(max_examples=50)
@given(slope=st.floats(-5, 5), level=st.floats(0, 100))
def test_theil_sen_finds_a_straight_line(slope: float, level: float) -> None:
    x = np.arange(30, dtype=np.float64)
    found = theil_sen(x, level + slope * x)
    assert found.value == pytest.approx(slope, abs=1e-6)
    assert found.low <= found.value <= found.high


def test_wilson_and_quantiles_are_the_textbook_ones() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    ordered = np.arange(1, 101, dtype=np.float64)
    assert [quantile(ordered, q) for q in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]


@pytest.mark.parametrize(("count", "outcome"), [(9_999, NOT_TESTED), (10_000, PASS)])
def test_a_quantile_far_out_takes_many_samples(count: int, outcome: Outcome) -> None:
    ops = ops_from_rows([OpRow(started_ns=1, ended_ns=2)]).take(np.zeros(count, dtype=np.int64))
    finding = judged(History(ops=ops), "latency", max=1.0, quantile=0.999)
    assert (finding.outcome, finding.required) == (outcome, 10_000)
