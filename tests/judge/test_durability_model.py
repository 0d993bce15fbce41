"""Durability and session against a reference store: a correct one never fails, a broken one always does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_store import correct_history

from seatrial.history import Flag, History, OpOutcome, Ops, Verb
from seatrial.judge.base import complete
from seatrial.judge.table import CHECKS
from seatrial.verdict import Finding, Outcome

SEEDS = st.integers(0, 2**32)
KINDS = ("durability", "session")


def judge(kind: str, history: History, **params: object) -> Finding:
    check = CHECKS[kind]
    return check.judge(history, complete(check, params))


@pytest.mark.proves("H-6")
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(seed=SEEDS)
def test_a_history_of_a_correct_store_never_fails(kind: str, seed: int) -> None:
    finding = judge(kind, correct_history(seed))
    assert finding.outcome in (Outcome.PASS, Outcome.NOT_TESTED), (finding.reason, finding.evidence)


@pytest.mark.proves("H-6")
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=80, deadline=None)
@given(seed=SEEDS, plant_seed=SEEDS)
def test_every_planted_violation_is_caught(kind: str, seed: int, plant_seed: int) -> None:
    check, history = CHECKS[kind], correct_history(seed)
    params = complete(check, {})
    for label, copy in check.plant(history, params, plant_seed):
        assert check.judge(copy, params).outcome is Outcome.FAIL, label


def test_planting_finds_a_place_for_every_kind_of_violation() -> None:
    labels = set()
    for seed in range(30):
        history = correct_history(seed, ops=200)
        for kind in KINDS:
            check = CHECKS[kind]
            labels |= {f"{kind} {label.split()[0]}" for label, _ in check.plant(history, complete(check, {}), seed)}
    wanted = {"lost:", "stale:", "resurrected:", "phantom:"}
    assert {f"{k} {w}" for k in KINDS for w in wanted} <= labels
    assert {"durability lost", "durability duplicated", "durability reordered", "durability phantom"} <= labels


def _drop_last_acked_write(ops: Ops, pick: int) -> Ops | None:
    """Return the history of a store that acknowledged one write and dropped it, or None when nothing would show."""
    acked = np.flatnonzero((ops.verb == Verb.WRITE) & (ops.outcome == OpOutcome.OK) & (ops.flags == Flag.OWNED))
    places = []
    for row in acked.tolist():
        later = (ops.key == ops.key[row]) & (ops.verb != Verb.READ)
        later[: row + 1] = False
        others = (ops.key == ops.key[row]) & (ops.outcome >= OpOutcome.UNKNOWN)
        in_flight = (ops.key == ops.key[row]) & (ops.outcome == OpOutcome.IN_FLIGHT)
        if not later.any() and not others.any() and not in_flight.any():
            places.append(row)
    if not places:
        return None
    row = places[pick % len(places)]
    before = np.flatnonzero(
        (ops.key == ops.key[row])
        & np.isin(ops.verb, (Verb.WRITE, Verb.DELETE))
        & (ops.outcome == OpOutcome.OK)
        & (np.arange(len(ops)) < row)
    )
    state = -1
    if len(before) and ops.verb[before[-1]] == Verb.WRITE:
        state = int(ops.value[before[-1]])
    result = ops.result.copy()
    reads = (ops.key == ops.key[row]) & (ops.verb == Verb.READ) & (np.arange(len(ops)) > row)
    result[reads] = state
    return ops.with_columns(result=result)


@settings(max_examples=80, deadline=None)
@given(seed=SEEDS, pick=st.integers(0, 1000))
def test_a_store_that_drops_one_acknowledged_write_always_fails(seed: int, pick: int) -> None:
    history = correct_history(seed)
    dropped = _drop_last_acked_write(history.ops, pick)
    if dropped is None:
        return
    finding = judge("durability", history.with_ops(dropped))
    assert finding.outcome is Outcome.FAIL
    assert finding.figures["lost"] + finding.figures["stale"] == 1
    assert finding.figures["undone_ops"] == 1


def _renamed(history: History) -> History:
    ops = history.ops
    return history.with_ops(replace(ops, names=tuple(f"x{n}" for n in ops.names)))


def _keys_renamed(history: History) -> History:
    ops = history.ops
    codes = sorted({int(k) for k in ops.key if k >= 0})
    fresh = {code: len(ops.strings) + i for i, code in enumerate(codes)}
    key = np.array([fresh.get(int(k), -1) for k in ops.key], dtype=np.int64)
    strings = (*ops.strings, *(f"renamed-{c}" for c in codes))
    return history.with_ops(replace(ops, key=key, strings=strings))


def _later(history: History, by: int = 7_000_000_000) -> History:
    ops = history.ops
    ended = np.where(ops.ended_ns > 0, ops.ended_ns + by, 0)
    moved = ops.with_columns(started_ns=ops.started_ns + by, intended_ns=ops.intended_ns + by, ended_ns=ended)
    return history.with_ops(moved)


def _with_a_no_op(history: History) -> History:
    ops = history.ops
    at = len(ops) // 2
    rows = np.insert(np.arange(len(ops)), at, at)
    more = ops.take(rows)
    verb, key = more.verb.copy(), more.key.copy()
    verb[at], key[at] = Verb.OTHER, -1
    return history.with_ops(more.with_columns(verb=verb, key=key))


@pytest.mark.parametrize("change", [_renamed, _keys_renamed, _later, _with_a_no_op])
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, spoil=st.booleans())
def test_what_does_not_matter_changes_nothing(change: object, seed: int, spoil: bool) -> None:
    history = correct_history(seed)
    if spoil and (dropped := _drop_last_acked_write(history.ops, seed)) is not None:
        history = history.with_ops(dropped)
    for kind in KINDS:
        before, after = judge(kind, history), judge(kind, change(history))  # type: ignore[operator]
        assert (before.outcome, before.figures, before.examined) == (after.outcome, after.figures, after.examined)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_the_same_history_gives_the_same_finding(seed: int) -> None:
    assert judge("durability", correct_history(seed)) == judge("durability", correct_history(seed))


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_strict_only_turns_what_is_ambiguous(seed: int) -> None:
    history = correct_history(seed)
    lax, strict = judge("durability", history), judge("durability", history, strict=True)
    assert (strict.outcome is Outcome.FAIL) == (lax.figures["ambiguous"] > 0)
