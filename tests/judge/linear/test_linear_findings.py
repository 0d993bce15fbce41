"""What a finding of linearizability says: the smallest evidence, budgets that end, and what a picture needs."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from linear_samples import history, judged

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded
from seatrial.judge.linear.encoders import ENCODERS
from seatrial.judge.linear.explain import explain, pictures
from seatrial.judge.linear.planner import judge_parts
from seatrial.judge.linear.sampling import Dice, sample
from seatrial.judge.linear.search import LEGAL
from seatrial.judge.modelling import Options
from seatrial.judge.models import MODELS, load
from seatrial.verdict import Outcome


def long_history(model_kind: str, ops: int, actors: int, seed: int = 1) -> Recorded:
    return sample(model_kind, Dice(seed), ops, actors, open_percent=0)


def with_stale_read(recorded: Recorded) -> tuple[Recorded, int]:
    """Let the last read of a register answer what was never written."""
    at = max(i for i, op in enumerate(recorded.ops) if op.f == "read" and op.outcome is OpOutcome.OK)
    ops = list(recorded.ops)
    ops[at] = replace(ops[at], value=2 if ops[at].value != 2 else 1)
    return replace(recorded, ops=tuple(ops)), at


@pytest.mark.parametrize("model", ["register", "cas-register"])
def test_one_stale_read_in_a_long_history_is_shown_by_few_ops(model: str) -> None:
    rows = [(n, n + 1, "write", n // 2 % 3) for n in range(1, 900, 2)]
    recorded = history(*rows, (901, 902, "read", None, (rows[-1][3] + 1) % 3))
    finding = judged(model, recorded)
    assert finding.outcome is Outcome.FAIL
    evidence = finding.evidence[0]
    assert len(evidence.ops) == 2, finding.reason
    assert evidence.ops[-1] == recorded.ops[-1].index
    assert "read" in evidence.observed
    assert f"op {recorded.ops[-1].index}" in finding.reason


def test_the_key_and_the_values_are_named() -> None:
    rows = [(n, n + 1, "write", [f"k{n % 5}", n]) for n in range(1, 100, 2)]
    finding = judged("register", history(*rows, (200, 201, "read", ["k3", None], ["k3", 3])))
    assert finding.evidence[0].key == "k3"
    assert "-> ['k3', 3]" in finding.evidence[0].observed
    assert len(finding.evidence[0].ops) == 2  # a later write of another value, and the read
    assert finding.figures["partitions"] == 5


def test_lost_append_of_a_long_text_is_shown_by_few_ops() -> None:
    rows = [(n, n + 1, "append", ["k", f"<{n}>"]) for n in range(1, 100, 2)]
    text = "".join(r[3][1] for r in rows if r[0] != 41)
    finding = judged("kv", history(*rows, (200, 201, "get", ["k", None], ["k", text])))
    assert finding.outcome is Outcome.FAIL
    assert finding.evidence[0].key == "k"


def hard_stack() -> Recorded:
    """Thirty concurrent actors, few values, then a pop of what was never pushed: too many orders."""
    recorded = long_history("stack", 400, 30)
    last = max(op.end or op.start for op in recorded.ops)
    wrong = history((last + 1, last + 2, "dequeue", None, 99)).ops[0]
    return replace(recorded, ops=(*recorded.ops, replace(wrong, index=400)))


def test_hard_history_ends_when_its_time_is_up_and_says_how_far_it_came() -> None:
    looks = iter(range(1_000_000))
    finding = judged("stack", hard_stack(), expired=lambda: next(looks) > 1)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "time budget" in finding.reason
    assert "takes 400 of its 401 completed ops" in finding.reason


@pytest.mark.parametrize("engine", ["python", "kernel"])
def test_memory_budget_ends_a_search(engine: str) -> None:
    if engine == "kernel":
        pytest.importorskip("numba", reason="numba is not installed: the compiled search is not tested")
    finding = judged("stack", hard_stack(), memory_bytes=1_000_000, extra={"engine": engine})
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "memory budget" in finding.reason


def test_a_hard_partition_does_not_hide_an_easy_violation() -> None:
    """One key has a search that does not end within reason; the other, later in the file, is wrong at once."""
    hard = [replace(op, arg=["hard", op.arg], value=["hard", op.value]) for op in hard_stack().ops]
    last = max(op.end or op.start for op in hard)
    easy = history((last + 1, last + 2, "pop", ["easy", None], ["easy", 5])).ops[0]
    finding = judged("stack", Recorded(ops=(*hard, replace(easy, index=len(hard)))), extra={"keyed": True})
    assert finding.outcome is Outcome.FAIL
    assert finding.evidence[0].key == "easy"


@pytest.mark.parametrize("engine", ["python", "kernel"])
def test_engines_find_a_whole_legal_order(engine: str) -> None:
    if engine == "kernel":
        pytest.importorskip("numba", reason="numba is not installed: the compiled search is not tested")
    recorded = long_history("cas-register", 3000, 8)
    problem = ENCODERS["cas-register"](recorded, Options(nil="strict"))
    found = judge_parts(problem, Options(extra={"engine": engine}))
    assert [j.outcome for j in found] == [LEGAL]


def test_small_history_does_not_load_the_compiler() -> None:
    before = "numba" in sys.modules
    judged("kv", long_history("kv", 2000, 5))
    assert ("numba" in sys.modules) == before


def test_explanation_says_where_every_order_stops() -> None:
    recorded = history(
        (1, 20, "write", 1),
        (2, 21, "write", 2),
        (3, 4, "read", None, 1),
        (5, 6, "read", None, 2),
        (7, 8, "read", None, 1),
    )
    found = explain("register", recorded, Options(nil="strict"))
    assert found["outcome"] == "illegal"
    part = found["partitions"][0]
    assert {c["op"] for c in part["calls"]} == {0, 1, 2, 3, 4}
    assert part["core"] == [0, 1, 2, 3, 4]
    assert part["orders"], "at least one order is shown"
    for order in part["orders"]:
        taken = [c["op"] for c in order["calls"]]
        assert order["stops_at"] == 4
        assert order["stops_at"] not in taken
        assert {"op": 4, "state": "2"} in order["refused"]


def test_picture_has_the_partition_and_its_longest_orders() -> None:
    rows = [(1, 2, "write", ["a", 1]), (3, 4, "write", ["b", 2]), (5, 6, "read", ["b", None], ["b", 1])]
    found = pictures("register", history(*rows, initial=0), Options(nil="strict"))
    assert [(p.partition, p.initial, p.stuck_at) for p in found] == [("b", "a value that no op observes", 2)]
    assert {op.index for op in found[0].ops} == {1, 2}
    assert found[0].prefixes[0].order == (1,)
    assert "not legal" in found[0].prefixes[0].why


def test_explanation_of_a_legal_history_is_short() -> None:
    found = explain("register", history((1, 2, "write", 1), (3, 4, "read", None, 1)), Options(nil="strict"))
    assert found == {"model": "register", "outcome": "legal", "problem": "", "partitions": []}


def test_every_model_of_the_table_loads() -> None:
    mine = [name for name, model in MODELS.items() if model.check.startswith("seatrial.judge.linear")]
    assert len(mine) == 13
    for name in mine:
        assert load(name)(history(), Options()).outcome in (Outcome.NOT_TESTED, Outcome.INCONCLUSIVE)


def test_ops_of_a_slice_keep_their_numbers() -> None:
    rows = history((1, 2, "write", 1), (3, 4, "write", 2), (5, 6, "read", None, 1)).ops
    sliced = tuple(replace(op, index=op.index * 2) for op in reversed(rows))
    finding = judged("register", Recorded(ops=sliced))
    assert finding.evidence[0].ops == (2, 4)
    assert "op 4 (process 2) read" in finding.reason
