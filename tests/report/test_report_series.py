"""The series behind the charts are exact, for any ops."""

from __future__ import annotations

import numpy as np
import pytest
import report_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.clock import NS
from seatrial.history import (
    History,
    OpOutcome,
    OpRow,
    ProbeSample,
    ResourceSample,
    StageEvent,
    no_history,
    ops_from_rows,
)
from seatrial.report.scales import bars, line, linear, logarithmic, time_ticks
from seatrial.report.series import axis_of, ops_series, probe_series, resource_lines
from seatrial.report.timeline import timeline_of

ROWS = st.lists(
    st.builds(
        lambda begin, wait, took, outcome: OpRow(
            intended_ns=begin,
            started_ns=begin + wait,
            ended_ns=0 if outcome is OpOutcome.IN_FLIGHT else begin + wait + took,
            outcome=outcome,
        ),
        st.integers(0, 20 * NS),
        st.integers(0, NS),
        st.integers(0, 3 * NS),
        st.sampled_from(OpOutcome),
    ),
    min_size=1,
    max_size=60,
)

PROBES = st.lists(
    st.builds(ProbeSample, t_ns=st.integers(0, 20 * NS), probe=st.just("p"), ok=st.booleans(), latency_ns=st.just(1)),
    max_size=9,
)


@given(ROWS)
@settings(max_examples=150, deadline=None)
def test_ops_series_equals_a_count_by_hand(rows: list[OpRow]) -> None:
    ops = ops_from_rows(sorted(rows, key=lambda r: r.started_ns))
    axis = axis_of(History(ops=ops))
    assert axis is not None
    series = ops_series(ops, axis)
    for outcome in OpOutcome:
        seen = round(float(series.rate[outcome.name.lower()].sum()) * axis.width_s)
        assert seen == sum(r.outcome is outcome for r in rows)
    for bucket in range(axis.buckets):
        first = axis.begin_ns + bucket * axis.width_ns
        inside = [r for r in rows if r.intended_ns is not None and first <= r.intended_ns < first + axis.width_ns]
        latencies = sorted(r.ended_ns - (r.intended_ns or 0) for r in inside if r.outcome is OpOutcome.OK)
        found = (series.p50[bucket], series.p99[bucket], series.top[bucket])
        if not latencies:
            assert np.isnan(found).all()
            continue
        n = len(latencies)
        expected = [latencies[-(-n * q // 100) - 1] / NS for q in (50, 99, 100)]
        assert found == pytest.approx(expected, rel=1e-12)


def test_axis_leaves_out_the_installation() -> None:
    axis = axis_of(samples.history())
    assert axis is not None
    assert axis.begin_ns == samples.at(-3)
    assert axis.buckets <= 300


@pytest.mark.parametrize("length_s", [0.01, 1, 59, 3600, 8 * 3600, 40 * 86400])
def test_axis_has_few_buckets_for_any_length(length_s: float) -> None:
    events = (
        StageEvent(t_ns=5, stage="drive", what="begin"),
        StageEvent(t_ns=5 + int(length_s * NS), stage="drive", what="end"),
    )
    axis = axis_of(no_history().with_events(events))
    assert axis is not None
    assert 1 <= axis.buckets <= 301
    assert axis.end_ns > events[1].t_ns


def test_nothing_measured_has_no_timeline() -> None:
    assert axis_of(no_history()) is None
    assert timeline_of(no_history()) is None


def test_probes_and_resources() -> None:
    history = samples.history()
    axis = axis_of(history)
    assert axis is not None
    probes = probe_series(history.of(ProbeSample), axis)
    assert int(probes["health"].good.sum() + probes["health"].bad.sum()) == 90
    assert int(probes["health"].bad.sum()) == 14
    lines = resource_lines(list(history.of(ResourceSample)), axis)
    assert np.nanmax(lines["cpu"].values["redis"]) == pytest.approx(30.0)
    assert np.nanmax(lines["rss"].values["redis"]) == max(
        s.rss for s in history.of(ResourceSample) if s.process == "redis"
    )


def test_a_restarted_process_makes_no_negative_cpu() -> None:
    cpu = (NS, 2 * NS, 0, NS)
    found = [ResourceSample(t_ns=i * NS, process="a", cpu_ns=c) for i, c in enumerate(cpu)]
    axis = axis_of(no_history().with_events(tuple(found)))
    assert axis is not None
    lines = resource_lines(found, axis)
    assert lines["rss"].values == {}  # never read
    known = lines["cpu"].values["a"]
    assert sorted(known[~np.isnan(known)]) == [100.0, 100.0]


def test_only_the_busiest_processes_are_drawn() -> None:
    found = [ResourceSample(t_ns=t * NS, process=f"p{i}", rss=i * 1000) for t in range(3) for i in range(1, 11)]
    axis = axis_of(no_history().with_events(tuple(found)))
    assert axis is not None
    lines = resource_lines(found, axis)["rss"]
    assert set(lines.values) == {f"p{i}" for i in range(5, 11)}
    assert lines.left_out == 4


@given(st.floats(1e-9, 1e15))
@settings(max_examples=100)
def test_scales_hold_their_values_and_have_few_ticks(highest: float) -> None:
    for scale in (linear(highest), linear(highest, binary=True), logarithmic(highest / 100, highest)):
        assert 1 <= len(scale.ticks) <= 8
        assert 0 <= float(scale.share(np.array([highest]))[0]) <= 1
        assert scale.high >= highest * (1 - 1e-9)


def test_time_ticks_are_round_and_few() -> None:
    assert time_ticks(90) == [0, 15, 30, 45, 60, 75, 90]
    assert all(2 <= len(time_ticks(s)) <= 9 for s in (0.2, 1, 7, 61, 3600, 90_000, 4_000_000))


def test_paths_break_at_gaps_and_small_bars_stay_visible() -> None:
    path = line(np.array([1.0, 2.0, np.nan, 4.0]))
    assert path.count("M") == 2
    assert path.count("L") == 1
    assert path.endswith("h250.0")
    tall = bars(np.array([100.0, 100.0]), np.array([100.0, 99.99]), least=3.0)
    assert tall == "M500.00 100.00V97.00h500.30V100.00z"


@given(ROWS, PROBES)
@settings(max_examples=60, deadline=None)
def test_any_history_has_a_timeline_within_its_frame(rows: list[OpRow], probes: list[ProbeSample]) -> None:
    ops = ops_from_rows(sorted(rows, key=lambda r: r.started_ns))
    timeline = timeline_of(History(ops=ops).with_events(tuple(probes)))
    assert timeline is not None
    for panel in timeline.panels:
        assert "nan" not in panel.svg
        assert "inf" not in panel.svg
        assert all(-0.01 <= top <= 100.01 for top, _ in panel.ticks)
    assert all(0 <= left <= 100 for left, _ in timeline.ticks)
