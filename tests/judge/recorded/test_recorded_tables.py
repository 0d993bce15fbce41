# ruff: noqa: E501
"""Small histories with known answers, one row each: what must fail, what must not, what proves nothing."""

from __future__ import annotations

from typing import Any

import pytest
from recorded_ops import history

from seatrial.judge.modelling import Options
from seatrial.judge.models import load
from seatrial.verdict import Outcome

R0 = {"a": 5, "b": 5}
SEND = [["send", "k", "x"]]
ROWS: list[tuple[str, str, list[tuple[Any, ...]], dict[str, Any], str, str]] = [
    # model, what, ops, extra, outcome, category
    ("bank", "no reads", [(0, "transfer", {}, {})], {}, "not-tested", ""),
    ("bank", "conserved", [(0, "read", 0, R0), (0, "transfer", {}, {}), (0, "read", 0, {"a": 9, "b": 1})], {}, "pass", ""),
    ("bank", "total", [(0, "read", 0, R0), (0, "read", 0, {"a": 9, "b": 2})], {}, "fail", "wrong total"),
    ("bank", "declared total", [(0, "read", 0, R0)], {"total": 11}, "fail", "wrong total"),
    ("bank", "below", [(0, "read", 0, R0), (0, "read", 0, {"a": 11, "b": -1})], {}, "fail", "negative balance"),
    (
        "bank",
        "below, allowed",
        [(0, "read", 0, R0), (0, "transfer", {}, {}), (0, "read", 0, {"a": 11, "b": -1})],
        {"negative_balances": True},
        "pass",
        "",
    ),
    ("bank", "account", [(0, "read", 0, R0), (0, "read", 0, {"a": 5, "c": 5})], {}, "fail", "unexpected account"),
    ("bank", "nil", [(0, "read", 0, R0), (0, "read", 0, {"a": 10, "b": None})], {}, "fail", "balance missing"),
    ("counter", "no reads", [(0, "add", 1, 1)], {}, "not-tested", ""),
    ("counter", "sure", [(0, "add", 1, 1), (0, "read", None, 0)], {}, "fail", "below what was added"),
    ("counter", "failed add", [(0, "add", 1, 1, "fail"), (0, "add", 2, 2), (0, "read", None, 3)], {}, "fail", "above what was added"),
    ("counter", "open add, later", [(0, "add", 1, 1, "info"), (1, "read", None, 0), (1, "read", None, 1)], {}, "pass", ""),
    ("counter", "down", [(0, "add", 5, 5), (0, "add", -2, -2), (0, "read", None, 5)], {}, "fail", "above what was added"),
    ("set", "never read", [(0, "add", 1, 1)], {}, "not-tested", ""),
    ("set", "lost", [(0, "add", 1, 1), (0, "read", None, [])], {}, "fail", "lost"),
    ("set", "recovered", [(0, "add", 1, 1, "info"), (1, "add", 2, 2), (1, "read", None, [1, 2])], {}, "pass", ""),
    ("set", "foreign", [(0, "add", 1, 1), (0, "read", None, [1, 2])], {}, "fail", "unexpected"),
    ("set", "failed", [(0, "add", 1, 1, "fail"), (0, "read", None, [1])], {}, "fail", "failed add present"),
    ("set", "still adding", [(0, "add", 1, 1, "ok", (0, 9)), (1, "add", 2, 2, "ok", (1, 2)), (1, "read", None, [2], "ok", (3, 4))], {}, "pass", ""),
    ("set-full", "stays", [(0, "add", 1, 1), (0, "read", None, [1])], {}, "pass", ""),
    ("set-full", "lost", [(0, "add", 1, 1), (0, "read", None, [1]), (0, "read", None, [])], {}, "fail", "lost"),
    ("set-full", "lost, open add", [(0, "add", 1, 1, "info"), (1, "read", None, [1]), (1, "read", None, [])], {}, "fail", "lost"),
    ("set-full", "stale", [(0, "add", 1, 1), (0, "read", None, []), (0, "read", None, [1])], {}, "pass", "stale"),
    ("set-full", "stale, strict", [(0, "add", 1, 1), (0, "read", None, []), (0, "read", None, [1])], {"linearizable": True}, "fail", "stale"),
    ("set-full", "doubled", [(0, "add", 1, 1), (0, "read", None, [1, 1])], {}, "fail", "duplicated"),
    ("set-full", "read before", [(0, "add", 1, 1), (0, "read", None, [1], "ok", (3, 9)), (1, "read", None, [], "ok", (4, 5))], {}, "fail", "lost"),
    ("queue", "foreign", [(0, "dequeue", None, 1)], {}, "fail", "unexpected"),
    ("queue", "twice", [(0, "enqueue", 1, 1), (0, "dequeue", None, 1), (0, "dequeue", None, 1)], {}, "fail", "duplicated"),
    ("queue", "open put", [(0, "enqueue", 1, 1, "info"), (1, "dequeue", None, 1)], {}, "pass", ""),
    ("queue", "failed put", [(0, "enqueue", 1, 1, "fail"), (1, "dequeue", None, 1)], {}, "fail", "failed put taken"),
    ("queue", "too early", [(1, "dequeue", None, 1), (0, "enqueue", 1, 1)], {}, "fail", "unexpected"),
    ("total-queue", "drained", [(0, "enqueue", 1, 1), (0, "drain", None, [])], {}, "fail", "lost"),
    ("total-queue", "not drained", [(0, "enqueue", 1, 1), (0, "enqueue", 2, 2), (0, "dequeue", None, 1)], {}, "inconclusive", ""),
    ("total-queue", "crashed take", [(0, "enqueue", 1, 1), (1, "dequeue", None, None, "info"), (0, "drain", None, [])], {}, "inconclusive", ""),
    ("total-queue", "crashed take returns", [(0, "enqueue", 1, 1), (1, "dequeue", None, None, "info"), (0, "drain", None, [])], {"crashed_takes": "return"}, "fail", "lost"),
    ("total-queue", "all out", [(0, "enqueue", 1, 1), (0, "drain", None, [1])], {}, "pass", ""),
    ("unique-ids", "one", [(0, "generate", None, 1)], {}, "not-tested", ""),
    ("unique-ids", "two", [(0, "generate", None, 1), (1, "generate", None, 1)], {}, "fail", "duplicated"),
    ("monotonic", "back", [(0, "read", None, 2), (1, "read", None, 1)], {}, "fail", "went back"),
    ("monotonic", "overlap", [(0, "read", None, 2, "ok", (0, 3)), (1, "read", None, 1, "ok", (1, 2)), (1, "read", None, 2, "ok", (4, 5))], {}, "pass", ""),
    ("monotonic", "other process", [(0, "read", None, 2), (1, "read", None, 1), (1, "read", None, 1)], {"scope": "process"}, "pass", ""),
    ("monotonic-ids", "equal", [(0, "generate", None, 2), (1, "generate", None, 2)], {}, "fail", "went back"),
    ("lock", "two holders", [(0, "acquire", None, None), (1, "acquire", None, None), (0, "release", None, None)], {}, "fail", "two holders"),
    ("lock", "handed over", [(0, "acquire", None, None), (0, "release", None, None), (1, "acquire", None, None)], {}, "pass", ""),
    ("lock", "releasing", [(0, "acquire", None, None), (0, "release", None, None, "ok", (3, 9)), (1, "acquire", None, None, "ok", (4, 5))], {}, "pass", ""),
    ("lock", "other lock", [(0, "acquire", "a", "a"), (1, "acquire", "b", "b")], {}, "not-tested", ""),
    ("lock", "lease over", [(0, "acquire", None, None), (1, "acquire", None, None, "ok", (3, 4))], {"lease_ns": 2_000_000_000}, "pass", ""),
    ("lock", "lease holds", [(0, "acquire", None, None), (1, "acquire", None, None, "ok", (3, 4))], {"lease_ns": 9_000_000_000}, "fail", "two holders"),
    ("lock", "paused holder", [(0, "acquire", None, None, "ok", (0, 1)), (1, "acquire", None, None, "ok", (2, 3)), (1, "release", None, None, "ok", (4, 5)), (0, "release", None, None, "ok", (6, 7))], {}, "fail", "two holders"),
    ("lock", "again", [(0, "acquire", None, None), (0, "acquire", None, None)], {}, "fail", "acquired again by its owner"),
    ("at-most-once", "twice", [(0, "send", 1, 1), (1, "receive", None, 1), (1, "receive", None, 1)], {}, "fail", "received twice"),
    ("at-most-once", "lost", [(0, "send", 1, 1), (0, "send", 2, 2), (1, "receive", None, 1)], {}, "pass", ""),
    ("at-least-once", "twice", [(0, "send", 1, 1), (1, "receive", None, 1), (1, "receive", None, 1)], {}, "pass", "received twice"),
    ("at-least-once", "lost", [(0, "send", 1, 1), (1, "receive", None, None)], {}, "fail", "not received"),
    ("at-least-once", "not yet", [(0, "send", 1, 1), (0, "send", 2, 2), (1, "receive", None, 1)], {}, "inconclusive", ""),
    ("exactly-once", "failed send", [(0, "send", 1, 1, "fail"), (1, "receive", None, 1)], {}, "not-tested|fail", "failed send received"),
    ("long-fork", "same way", [(0, "read", None, [["r", 0, 1], ["r", 1, None]]), (0, "read", None, [["r", 0, 1], ["r", 1, 1]])], {}, "pass", ""),
    ("long-fork", "fork", [(0, "read", None, [["r", 0, 1], ["r", 1, None]]), (0, "read", None, [["r", 1, 1], ["r", 0, None]])], {}, "fail", "long fork"),
    ("long-fork", "one key", [(0, "read", None, [["r", 0, 1]]), (0, "read", None, [["r", 0, None]])], {}, "not-tested", ""),
    ("log", "lost", [(0, "send", SEND, [["send", "k", [0, "x"]]]), (0, "send", [["send", "k", "y"]], [["send", "k", [1, "y"]]]), (1, "poll", [["poll"]], [["poll", {"k": [[1, "y"]]}]])], {}, "fail", "lost"),
    ("log", "not read yet", [(0, "send", SEND, [["send", "k", [0, "x"]]]), (0, "send", [["send", "k", "y"]], [["send", "k", [1, "y"]]]), (1, "poll", [["poll"]], [["poll", {"k": [[0, "x"]]}]])], {}, "inconclusive", ""),
    ("log", "two values", [(0, "send", SEND, [["send", "k", [0, "x"]]]), (0, "send", [["send", "k", "y"]], [["send", "k", [0, "y"]]])], {}, "fail", "inconsistent offsets"),
    ("log", "own message", [(0, "txn", [*SEND, ["poll"]], [["send", "k", [0, "x"]], ["poll", {"k": [[0, "x"]]}]])], {}, "fail", "own uncommitted message polled"),
    ("log", "failed send", [(0, "send", SEND, SEND, "fail"), (1, "poll", [["poll"]], [["poll", {"k": [[0, "x"]]}]])], {}, "fail", "failed send polled"),
    ("log", "read again", [(0, "send", SEND, [["send", "k", [0, "x"]]]), *[(1, "poll", [["poll"]], [["poll", {"k": [[0, "x"]]}]])] * 2], {}, "fail", "nonmonotonic poll"),
    ("log", "rebalanced", [(0, "send", SEND, [["send", "k", [0, "x"]]]), (1, "subscribe", ["k"], ["k"]), *[(1, "poll", [["poll"]], [["poll", {"k": [[0, "x"]]}]])] * 2], {}, "pass", "nonmonotonic poll"),
    ("subscription", "gap", [(1, "subscribe", None, None), (0, "publish", 1, 1), (0, "publish", 2, 2), (1, "event", None, 2)], {}, "fail", "gap"),
    ("subscription", "not yet", [(1, "subscribe", None, None), (0, "publish", 1, 1), (0, "publish", 2, 2), (1, "event", None, 1)], {}, "inconclusive", ""),
    ("subscription", "again after a reconnect", [(1, "subscribe", None, None), (0, "publish", 1, 1), (1, "event", None, 1), (1, "reconnect", None, None), (1, "event", None, 1)], {}, "fail", "duplicated"),
    ("subscription", "order", [(1, "subscribe", None, None), (0, "publish", 1, 1), (0, "publish", 2, 2), (1, "event", None, [2, 1])], {}, "fail", "out of order"),
    ("subscription", "before", [(0, "publish", 1, 1), (1, "subscribe", None, None), (0, "publish", 2, 2), (1, "event", None, 2)], {}, "pass", ""),
    ("subscription", "left", [(1, "subscribe", None, None), (1, "unsubscribe", None, None), (0, "publish", 1, 1)], {}, "not-tested", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "what", "ops", "extra", "outcome", "category"), ROWS, ids=[f"{r[0]}-{r[1]}" for r in ROWS]
)
def test_a_small_history(
    model: str, what: str, ops: list[tuple[Any, ...]], extra: dict[str, Any], outcome: str, category: str
) -> None:
    found = load(model)(history(*ops), Options(extra=extra or None))
    assert found.outcome in [Outcome(o) for o in outcome.split("|")], found
    if category:
        assert found.figures[category] >= 1, found
    if found.outcome is Outcome.FAIL:
        shown = found.evidence[0]
        assert shown.ops
        assert all(f"op {i}" in shown.line for i in shown.ops)
        assert "op " in found.reason
    else:
        assert found.outcome is Outcome.PASS or found.reason


def test_open_ops_count_for_ever_and_keys_are_judged_apart() -> None:
    rows = [(0, "add", ["x", 1], ["x", 1]), (0, "add", ["y", 5], ["y", 5]), (0, "read", ["x", None], ["x", 1])]
    both = load("counter")(history(*rows, keyed=True), Options())
    assert (both.outcome, both.examined) == (Outcome.PASS, 1)
    wrong = [*rows, (0, "read", ["y", None], ["y", 1])]
    found = load("counter")(history(*wrong, keyed=True), Options())
    assert found.outcome is Outcome.FAIL
    assert found.reason.startswith("key y: ")
    assert found.evidence[0].ops == (3,)


def test_a_recording_without_real_time_accuses_nobody_of_a_late_answer() -> None:
    rows = [(0, "read", None, 2), (1, "read", None, 1)]
    assert load("monotonic")(history(*rows), Options()).outcome is Outcome.FAIL
    assert load("monotonic")(history(*rows, realtime=False), Options()).outcome is Outcome.NOT_TESTED


def test_declared_initial_values_count() -> None:
    rows = [(0, "add", 1, 1), (0, "read", None, 11)]
    assert load("counter")(history(*rows, initial={None: 10}), Options()).outcome is Outcome.PASS
    assert load("counter")(history(*rows), Options(initial=10)).outcome is Outcome.PASS
    assert load("counter")(history(*rows), Options()).outcome is Outcome.FAIL
    rows = [(0, "add", 1, 1), (0, "read", None, [1])]
    lost = load("set")(history(*rows, initial={None: [7]}), Options())
    assert lost.figures["lost"] == 1
