"""A trial's own ops against the models of recorded histories: what passes, what fails, and what is planted."""

from __future__ import annotations

import json

import pytest

from seatrial.history import History, OpOutcome, OpRow, ops_from_rows
from seatrial.judge.base import complete
from seatrial.judge.model import CHECK
from seatrial.judge.recording import recorded
from seatrial.verdict import Finding, Outcome

LOCK = json.dumps("one")


def op(user: int, name: str, begin: int, end: int, outcome: OpOutcome = OpOutcome.OK) -> OpRow:
    return OpRow(user=user, name=name, value=LOCK, started_ns=begin, ended_ns=end, outcome=outcome)


def turns(*, overlap: bool) -> History:
    """Two workers take turns; each waits for the lock while the other one has it."""
    rows = [op(9, "other", 0, 1)]  # not judged, and shifts the op numbers
    for n in range(10):
        at = 100 * n
        rows.append(op(n % 2, "acquire", at + 1, at + 20))
        rows.append(
            op(n % 2, "release", at + (150 if overlap and n == 4 else 90), at + (160 if overlap and n == 4 else 99))
        )
    return History(ops=ops_from_rows(sorted(rows, key=lambda row: row.started_ns)))


def judge(history: History, **params: object) -> Finding:
    return CHECK.judge(history, complete(CHECK, {"model": "lock", "op": ("acquire", "release"), **params}))


def test_turns_pass_and_an_overlap_fails_with_the_run_s_own_op_numbers() -> None:
    assert judge(turns(overlap=False), min_examined=5).outcome is Outcome.PASS
    failed = judge(turns(overlap=True), min_examined=5)
    assert failed.outcome is Outcome.FAIL
    ops = turns(overlap=True).ops
    names = [ops.names[int(ops.name[row])] for row in failed.evidence[0].ops]
    assert "acquire" in names
    assert "other" not in names


def test_too_few_ops_are_not_tested() -> None:
    assert judge(turns(overlap=False), min_examined=500).outcome is Outcome.NOT_TESTED


def test_a_plant_of_the_model_is_caught() -> None:
    history, params = turns(overlap=False), complete(CHECK, {"model": "lock", "op": ("acquire", "release")})
    planted = list(CHECK.plant(history, params, 3))
    assert planted
    assert all(CHECK.judge(copy, params).outcome is Outcome.FAIL for _, copy in planted)


def test_a_model_without_plants_of_its_own_gets_an_answer_nobody_wrote() -> None:
    rows = [
        OpRow(user=0, name="write", value="1", key="x", started_ns=1, ended_ns=2),
        OpRow(user=1, name="read", value=None, result="1", key="x", started_ns=3, ended_ns=4),
    ]
    history = History(ops=ops_from_rows(rows))
    params = complete(CHECK, {"model": "register", "keyed": True, "min_examined": 1})
    assert CHECK.judge(history, params).outcome is Outcome.PASS
    planted = list(CHECK.plant(history, params, 3))
    assert [CHECK.judge(copy, params).outcome for _, copy in planted] == [Outcome.FAIL]


@pytest.mark.parametrize("outcome", [OpOutcome.UNKNOWN, OpOutcome.IN_FLIGHT])
def test_ops_without_an_answer_stay_open_and_equal_instants_are_concurrent(outcome: OpOutcome) -> None:
    rows = [op(0, "acquire", 5, 9), op(1, "acquire", 9, 12), op(2, "acquire", 6, 7, outcome)]
    ops = recorded(History(ops=ops_from_rows(rows))).ops
    assert ops[1].start < (ops[0].end or 0)
    assert ops[2].end is None
    assert ops[2].outcome is OpOutcome.UNKNOWN
