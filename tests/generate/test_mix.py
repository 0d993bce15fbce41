"""Mix: shares by weight, the same choice however it is asked for, users interleaved evenly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.generate.mix import assign, mix, stream, uniform, uniforms

weights = st.lists(st.floats(0.01, 100), min_size=1, max_size=6).map(lambda w: {f"t{i}": x for i, x in enumerate(w)})


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**63), st.integers(0, 10**9), weights)
def test_one_choice_and_many_choices_agree(seed: int, start: int, shares: dict[str, float]) -> None:
    chosen, state = mix(shares), stream(seed, "tasks", 3)
    numbers = np.arange(start, start + 50, dtype=np.int64)
    assert chosen.picks(state, numbers).tolist() == [chosen.pick(state, int(n)) for n in numbers]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**63), st.integers(0, 1000))
def test_scalar_and_vector_uniforms_agree(seed: int, start: int) -> None:
    many = uniforms(seed, b"x", start, 20)
    assert many.tolist() == [uniform(stream(seed, "x"), start + i) for i in range(20)]
    assert np.all((many >= 0) & (many < 1))


def test_shares_follow_the_weights() -> None:
    chosen = mix({"put": 3, "get": 6, "none": 0, "list": 1})
    counts = np.bincount(chosen.picks(stream(1, "tasks"), np.arange(200_000, dtype=np.int64)))
    assert chosen.names == ("put", "get", "list")
    assert np.allclose(counts / 200_000, [0.3, 0.6, 0.1], atol=0.005)


def test_streams_of_neighbouring_users_are_not_alike() -> None:
    chosen = mix({"a": 1, "b": 1})
    numbers = np.arange(10_000, dtype=np.int64)
    first, second = (chosen.picks(stream(1, "tasks", user), numbers) for user in (0, 1))
    assert 0.47 < np.mean(first == second) < 0.53


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 200))
def test_users_are_interleaved_by_weight(shares: list[int], users: int) -> None:
    classes = assign(shares, users)
    for number in range(1, users + 1):
        for index, share in enumerate(shares):
            assert abs(classes[:number].count(index) - number * share / sum(shares)) <= 1.0 + 1e-9 + len(shares) / 4


@pytest.mark.parametrize(("bad", "text"), [({}, "nothing to choose"), ({"a": 0}, "nothing"), ({"a": -1}, "a = -1")])
def test_impossible_weights_are_refused(bad: dict[str, float], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        mix(bad)
    with pytest.raises(ValueError, match="at least one"):
        assign(list(bad.values()), 3)
