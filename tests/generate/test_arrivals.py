"""Arrivals: counts and gaps exact, no drift, shards that make up the whole, the same seed the same schedule."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.generate.arrivals import burst, constant, digest, exact, first_starts, of_shard, poisson, ramp, schedule
from seatrial.plan import Arrivals

NS = 1_000_000_000
rates = st.one_of(st.integers(1, 5000).map(float), st.fractions(Fraction(1, 60), 50, max_denominator=997).map(float))


@pytest.mark.proves("S1P-3")
@settings(max_examples=150, deadline=None)
@given(rates, st.integers(1, 40))
def test_constant_rate_has_the_exact_count_and_every_offset_exact(rate: float, length: int) -> None:
    offsets, per_s = constant(rate, length), exact(rate)
    wanted = -((-per_s * length).__floor__())
    assert len(offsets) == wanted
    assert [int(o) for o in offsets[:300]] == [(i * NS / per_s).__floor__() for i in range(min(300, wanted))]
    assert int(offsets[-1]) == ((wanted - 1) * NS / per_s).__floor__() < length * NS


@settings(max_examples=60, deadline=None)
@given(rates)
def test_constant_gaps_differ_by_at_most_the_rounding(rate: float) -> None:
    gaps = np.diff(constant(rate, 30))
    assert len(gaps) == 0 or int(gaps.max()) - int(gaps.min()) <= 1


@pytest.mark.proves("S1P-3")
def test_a_third_per_second_does_not_drift_over_three_months() -> None:
    offsets = constant(1 / 3, 7_776_000)
    assert len(offsets) == 2_592_000
    assert int(offsets[-1]) == 2_591_999 * 3 * NS


def test_twenty_million_arrivals_at_an_awkward_rate_are_exact_to_the_last() -> None:
    rate = Fraction(99_991, 7)
    offsets = constant(float(rate), 1400)
    assert len(offsets) == rate * 1400
    for i in (0, 65_535, 65_536, 7_654_321, len(offsets) - 1):
        assert int(offsets[i]) == (i * NS / rate).__floor__()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 500), st.integers(0, 500), st.integers(1, 20))
def test_ramp_follows_the_integral_of_its_rate(rate: int, rate_to: int, length: int) -> None:
    if rate + rate_to == 0:
        with pytest.raises(ValueError, match="never arrives"):
            ramp(rate, rate_to, length)
        return
    offsets = ramp(rate, rate_to, length)
    assert len(offsets) == -(-(rate + rate_to) * length // 2)
    assert np.all(np.diff(offsets) >= 0)
    t = offsets / NS
    made = rate * t + (rate_to - rate) * t * t / (2 * length)
    assert np.allclose(made, np.arange(len(offsets)), atol=1e-3)


def test_a_flat_ramp_is_a_constant_rate() -> None:
    assert np.abs(ramp(50, 50, 10) - constant(50, 10)).max() <= 1


@given(st.integers(1, 50), st.sampled_from([0.1, 0.25, 1.0, 3.0]), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_bursts_come_whole_and_on_time(size: int, every: float, length: int) -> None:
    offsets = burst(size, every, length)
    moments, counts = np.unique(offsets, return_counts=True)
    assert set(counts.tolist()) == {size}
    assert [int(m) for m in moments] == [int(i * exact(every) * NS) for i in range(len(moments))]
    assert len(moments) == -(-length // exact(every))


def test_poisson_has_the_rate_and_the_spread_of_poisson_and_comes_from_the_seed() -> None:
    offsets = poisson(1000, 200, 7)
    assert abs(len(offsets) - 200_000) < 4 * 200_000**0.5
    gaps = np.diff(offsets) / NS
    assert abs(gaps.mean() * 1000 - 1) < 0.01
    assert abs(gaps.std() * 1000 - 1) < 0.02
    assert 0.35 < np.mean(gaps > 0.001) < 0.385  # 1/e
    assert np.array_equal(offsets, poisson(1000, 200, 7))
    assert not np.array_equal(offsets[:100], poisson(1000, 200, 8)[:100])
    assert int(offsets[-1]) < 200 * NS


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 300))
def test_shards_are_disjoint_and_make_up_the_whole(users: int, workers: int, count: int) -> None:
    offsets = constant(float(count or 1), 1)
    shards = [of_shard(offsets, users, w, workers) for w in range(workers)]
    assert sorted(np.concatenate(shards).tolist()) == list(range(len(offsets)))
    for worker, shard in enumerate(shards):
        assert all((int(i) % users) % workers == worker for i in shard)


@pytest.mark.parametrize(
    ("arrivals", "text"),
    [
        (Arrivals(pattern="constant", rate=0), "never arrives"),
        (Arrivals(pattern="poisson", rate=0), "never arrives"),
        (Arrivals(pattern="burst", burst_size=0, burst_every_s=1), "burst_size"),
        (Arrivals(pattern="burst", burst_size=5, burst_every_s=0), "between bursts"),
        (Arrivals(pattern="ramp", rate=-1, rate_to=5), "negative"),
        (Arrivals(pattern="sawtooth", rate=1), "'sawtooth' is not one of"),
    ],
)
def test_a_pattern_that_never_arrives_is_refused(arrivals: Arrivals, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        schedule(arrivals, 10, 1)


def test_closed_has_no_schedule_and_spreads_its_first_starts() -> None:
    assert len(schedule(Arrivals(model="closed"), 10, 1)) == 0
    starts = first_starts(1000, 5.0, 3)
    assert 0 <= starts.min() < 50_000_000
    assert 4_900_000_000 < starts.max() < 5 * NS
    assert np.array_equal(starts, first_starts(1000, 5.0, 3))


def test_digest_tells_schedules_apart() -> None:
    assert digest(constant(10, 10)) == digest(constant(10, 10)) != digest(constant(10, 11))
