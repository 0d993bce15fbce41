"""Every model against small histories whose verdict can be seen by eye, with open and failed ops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from linear_samples import history, judged

from seatrial.verdict import Outcome

PASS, FAIL = Outcome.PASS, Outcome.FAIL
SECOND = 1_000  # of the histories' clock, in nanoseconds

TABLE: list[tuple[str, str, Any, Outcome]] = [
    ("register", "reads what was written", history((1, 2, "write", 1), (3, 4, "read", None, 1)), PASS),
    (
        "register",
        "reads what was overwritten",
        history((1, 2, "write", 1), (3, 4, "write", 2), (5, 6, "read", None, 1)),
        FAIL,
    ),
    (
        "register",
        "either order of two writes",
        history((1, 5, "write", 1), (2, 6, "write", 2), (7, 8, "read", None, 1)),
        PASS,
    ),
    (
        "register",
        "two readers see two writes in opposite order",
        history(
            (1, 20, "write", 1),
            (2, 21, "write", 2),
            (3, 4, "read", None, 1),
            (5, 6, "read", None, 2),
            (7, 8, "read", None, 1),
        ),
        FAIL,
    ),
    (
        "register",
        "open write is seen late",
        history((1, None, "write", 1), (2, 3, "read", None, None), (8, 9, "read", None, 1)),
        PASS,
    ),
    (
        "register",
        "open write is seen, then not",
        history((1, None, "write", 1), (2, 3, "read", None, 1), (4, 5, "read", None, None)),
        FAIL,
    ),
    ("register", "failed write is seen", history((1, "fail", "write", 1), (2, 3, "read", None, 1)), FAIL),
    ("register", "from nowhere", history((1, 2, "read", None, 7)), FAIL),
    ("register", "declared initial value", history((1, 2, "read", None, 7), initial=7), PASS),
    ("register", "read begins before the write ends", history((1, 4, "write", 1), (3, 5, "read", None, None)), PASS),
    ("register", "one is not true", history((1, 2, "write", 1), (3, 4, "read", None, True)), FAIL),
    (
        "register",
        "keys are apart",
        history((1, 2, "write", ["x", 1]), (3, 4, "write", ["y", 2]), (5, 6, "read", ["x", None], ["x", 1])),
        PASS,
    ),
    (
        "register",
        "one key of two is wrong",
        history((1, 2, "write", ["x", 1]), (3, 4, "write", ["y", 2]), (5, 6, "read", ["x", None], ["x", 2])),
        FAIL,
    ),
    (
        "cas-register",
        "swap from what is there",
        history((1, 2, "cas", [0, 1]), (3, 4, "read", None, 1), initial=0),
        PASS,
    ),
    ("cas-register", "swap from what is not there", history((1, 2, "cas", [5, 1]), initial=0), FAIL),
    (
        "cas-register",
        "two swaps from one value",
        history((1, 9, "cas", [0, 1]), (2, 8, "cas", [0, 2]), initial=0),
        FAIL,
    ),
    (
        "cas-register",
        "a chain against real time",
        history((1, 2, "cas", [1, 2]), (3, 4, "cas", [0, 1]), initial=0),
        FAIL,
    ),
    (
        "cas-register",
        "open swap explains the read",
        history((1, None, "cas", [0, 1]), (2, 3, "read", None, 1), initial=0),
        PASS,
    ),
    (
        "cas-register",
        "a foreign write inside a chain",
        history((1, 2, "write", 1), (3, 4, "write", 9), (5, 6, "cas", [1, 2]), initial=0),
        FAIL,
    ),
    ("kv", "append to nothing", history((1, 2, "append", ["k", "a"]), (3, 4, "get", ["k", None], ["k", "a"])), PASS),
    ("kv", "nothing there", history((1, 2, "get", ["k", None], ["k", ""]), (3, 4, "put", ["k", "a"])), PASS),
    (
        "kv",
        "appends in either order",
        history((1, 5, "append", ["k", "a"]), (2, 6, "append", ["k", "b"]), (7, 8, "get", ["k", None], ["k", "ba"])),
        PASS,
    ),
    (
        "kv",
        "a lost append",
        history((1, 2, "append", ["k", "a"]), (3, 4, "append", ["k", "b"]), (7, 8, "get", ["k", None], ["k", "b"])),
        FAIL,
    ),
    (
        "kv",
        "put forgets what was appended",
        history((1, 2, "append", ["k", "a"]), (3, 4, "put", ["k", "c"]), (7, 8, "get", ["k", None], ["k", "c"])),
        PASS,
    ),
    (
        "kv",
        "open append counts or not",
        history((1, None, "append", ["k", "a"]), (2, 3, "get", ["k", None], ["k", "a"])),
        PASS,
    ),
    ("kv", "keys are apart", history((1, 2, "put", ["k", "a"]), (3, 4, "get", ["j", None], ["j", "a"])), FAIL),
    (
        "mutex",
        "one after the other",
        history((1, 2, "acquire", None), (3, 4, "release", None), (5, 6, "acquire", None)),
        PASS,
    ),
    ("mutex", "two hold it", history((1, 2, "acquire", None), (3, 4, "acquire", None)), FAIL),
    (
        "mutex",
        "open release",
        history((1, 2, "acquire", None), (3, None, "release", None), (5, 6, "acquire", None)),
        PASS,
    ),
    ("mutex", "failed acquire holds nothing", history((1, "fail", "acquire", None), (3, 4, "acquire", None)), PASS),
    (
        "owner-lock",
        "released by its owner",
        history((1, 2, "acquire", "p"), (3, 4, "release", "p"), (5, 6, "acquire", "q")),
        PASS,
    ),
    ("owner-lock", "released by another", history((1, 2, "acquire", "p"), (3, 4, "release", "q")), FAIL),
    (
        "set",
        "elements are apart",
        history((1, 2, "add", 1), (3, 4, "contains", 2, False), (5, 6, "contains", 1, True)),
        PASS,
    ),
    ("set", "an element is gone", history((1, 2, "add", 1, True), (5, 6, "contains", 1, False)), FAIL),
    ("set", "added twice says no", history((1, 2, "add", 1, True), (3, 4, "add", 1, False)), PASS),
    ("set", "added twice says yes", history((1, 2, "add", 1, True), (3, 4, "add", 1, True)), FAIL),
    (
        "set",
        "whole reads grow",
        history((1, 2, "add", 1), (3, 9, "add", 2), (4, 5, "read", None, [1]), (6, 7, "read", None, [2, 1])),
        PASS,
    ),
    (
        "set",
        "whole reads disagree",
        history((1, 9, "add", 1), (2, 9, "add", 2), (3, 4, "read", None, [1]), (5, 6, "read", None, [2])),
        FAIL,
    ),
    ("set", "an acknowledged add is missing", history((1, 2, "add", 1), (3, 4, "read", None, [])), FAIL),
    ("set", "removed and read", history((1, 2, "add", 1), (3, 4, "remove", 1), (5, 6, "read", None, [])), PASS),
    (
        "fifo-queue",
        "in order",
        history((1, 2, "enqueue", 1), (3, 4, "enqueue", 2), (5, 6, "dequeue", None, 1), (7, 8, "dequeue", None, 2)),
        PASS,
    ),
    (
        "fifo-queue",
        "out of order",
        history((1, 2, "enqueue", 1), (3, 4, "enqueue", 2), (5, 6, "dequeue", None, 2)),
        FAIL,
    ),
    (
        "fifo-queue",
        "taken twice",
        history((1, 2, "enqueue", 1), (3, 4, "dequeue", None, 1), (5, 6, "dequeue", None, 1)),
        FAIL,
    ),
    ("fifo-queue", "empty although not", history((1, 2, "enqueue", 1), (3, 4, "dequeue", None, None)), FAIL),
    ("fifo-queue", "empty before", history((1, 5, "enqueue", 1), (3, 4, "dequeue", None, None)), PASS),
    (
        "fifo-queue",
        "an open dequeue took the first",
        history((1, 2, "enqueue", 1), (3, 4, "enqueue", 2), (5, None, "dequeue", None), (6, 7, "dequeue", None, 2)),
        PASS,
    ),
    (
        "fifo-queue",
        "an early dequeue shortens the enqueue",
        history((1, 99, "enqueue", 1), (2, 3, "dequeue", None, 1), (4, 5, "enqueue", 2), (6, 7, "dequeue", None, 2)),
        PASS,
    ),
    (
        "stack",
        "last first",
        history((1, 2, "push", 1), (3, 4, "push", 2), (5, 6, "pop", None, 2), (7, 8, "pop", None, 1)),
        PASS,
    ),
    ("stack", "first first", history((1, 2, "push", 1), (3, 4, "push", 2), (5, 6, "pop", None, 1)), FAIL),
    (
        "priority-queue",
        "least first",
        history((1, 2, "insert", 5), (3, 4, "insert", 3), (5, 6, "delete-min", None, 3)),
        PASS,
    ),
    (
        "priority-queue",
        "not the least",
        history((1, 2, "insert", 5), (3, 4, "insert", 3), (5, 6, "delete-min", None, 5)),
        FAIL,
    ),
    (
        "priority-queue",
        "among equals any",
        history((1, 2, "insert", [1, "a"]), (3, 4, "insert", [1, "b"]), (5, 6, "delete-min", None, [1, "b"])),
        PASS,
    ),
    ("counter", "sums", history((1, 2, "add", 2), (3, 4, "increment", None), (5, 6, "read", None, 3)), PASS),
    ("counter", "a lost addition", history((1, 2, "add", 2), (3, 4, "add", 2), (5, 6, "read", None, 2)), FAIL),
    ("counter", "below nothing", history((1, 2, "decrement", None), (5, 6, "read", None, -1)), PASS),
    (
        "counter",
        "open addition counts or not",
        history((1, None, "add", 2), (3, 4, "read", None, 0), (5, 6, "read", None, 2)),
        PASS,
    ),
    ("counter", "it goes back", history((1, None, "add", 2), (3, 4, "read", None, 2), (5, 6, "read", None, 0)), FAIL),
    (
        "multi-register",
        "both at once",
        history((1, 2, "txn", [["w", "x", 1], ["w", "y", 1]]), (3, 4, "txn", [], [["r", "x", 1], ["r", "y", 1]])),
        PASS,
    ),
    (
        "multi-register",
        "half of a transaction",
        history((1, 2, "txn", [["w", "x", 1], ["w", "y", 1]]), (3, 4, "txn", [], [["r", "x", 1], ["r", "y", None]])),
        FAIL,
    ),
]


@pytest.mark.parametrize(
    ("model", "what", "recorded", "expected"), TABLE, ids=lambda v: v if isinstance(v, str) else ""
)
def test_verdict_that_can_be_seen_by_eye(model: str, what: str, recorded: Any, expected: Outcome) -> None:
    finding = judged(model, recorded)
    assert finding.outcome is expected, (what, finding.reason)
    if expected is FAIL:
        assert finding.evidence[0].ops, "a failure names the ops that show it"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(1, 2, "acquire", "p"), (5, 6, "acquire", "q")], FAIL),
        ([(1, 2, "acquire", "p"), (11, 12, "acquire", "q")], PASS),
        ([(1, 9, "acquire", "p"), (10, 12, "acquire", "q")], PASS),  # granted at 1, over at 11, granted at 11
        ([(1, 2, "acquire", "p"), (3, 4, "release", "p"), (5, 6, "acquire", "q")], PASS),
        ([(1, 2, "acquire", "p"), (8, 9, "renew", "p"), (12, 13, "acquire", "q")], FAIL),
        ([(1, 2, "acquire", "p"), (12, 13, "acquire", "q"), (14, 15, "release", "p")], FAIL),
        ([(1, 2, "acquire", "p"), (4, 12, "acquire", "q"), (13, 20, "acquire", "r")], FAIL),  # q's grant: 11 at least
        ([(1, 2, "acquire", "p"), (4, 12, "acquire", "q"), (13, 22, "acquire", "r")], PASS),
    ],
)
def test_lease_judges_by_time(rows: list[Any], expected: Outcome) -> None:
    assert judged("lease", history(*rows), extra={"ttl_ns": 10 * SECOND}).outcome is expected


def test_lease_without_its_length_says_what_is_missing() -> None:
    finding = judged("lease", history((1, 2, "acquire", "p")))
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "ttl_ns" in finding.reason


def bounded(state: Any, f: str, arg: Any, value: Any) -> tuple[bool, Any]:
    """A counter that stops at two."""
    if f == "read":
        return value is None or value == state, state
    return True, min(state + 1, 2)


@pytest.mark.parametrize(("answer", "expected"), [(2, PASS), (3, FAIL)])
def test_own_model_is_a_step_function(answer: int, expected: Outcome) -> None:
    rows = [(n, n + 1, "up", None) for n in range(1, 6, 2)]
    finding = judged("own", history(*rows, (8, 9, "read", None, answer)), extra={"step": bounded, "initial": 0})
    assert finding.outcome is expected


def test_own_model_that_breaks_is_inconclusive_not_a_crash() -> None:
    finding = judged("own", history((1, 2, "x", None)), extra={"step": lambda *a: a[9], "initial": 0})
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "IndexError" in finding.reason


def test_nil_read_is_any_value_only_as_wildcard() -> None:
    recorded = history((1, 2, "write", 1), (3, 4, "read", None, None), (5, 6, "read", None, 1))
    assert judged("register", recorded, nil="wildcard").outcome is PASS
    assert judged("register", recorded, nil="strict").outcome is FAIL


def test_history_without_answers_proves_nothing() -> None:
    assert judged("register", history((1, 2, "write", 1), (3, 4, "write", 2))).outcome is Outcome.NOT_TESTED
    assert judged("kv", history()).outcome is Outcome.NOT_TESTED


def test_recording_without_real_time_is_not_tested() -> None:
    recorded = replace(history((1, 2, "write", 1), (3, 4, "read", None, 1)), realtime=False)
    finding = judged("register", recorded)
    assert finding.outcome is Outcome.NOT_TESTED
    assert "real time" in finding.reason


def test_recording_that_says_it_is_keyed_is_split() -> None:
    rows = [(1, 2, "enqueue", ["a", 1]), (3, 4, "enqueue", ["b", 2]), (5, 6, "dequeue", ["b", None], ["b", 2])]
    assert judged("fifo-queue", replace(history(*rows), keyed=True)).outcome is PASS
    assert judged("fifo-queue", history(*rows)).outcome is FAIL


@pytest.mark.parametrize("model", ["register", "kv", "counter", "multi-register", "priority-queue", "mutex"])
def test_history_of_another_model_is_inconclusive(model: str) -> None:
    finding = judged(model, history((1, 2, "jump", {"no": ["sense"]})))
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "op 0" in finding.reason
