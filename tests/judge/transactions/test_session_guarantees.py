"""Monotonic reads and writes, read your writes, writes follow reads, causal and write skew: each alone."""

from __future__ import annotations

import pytest
from transaction_samples import history

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge import models
from seatrial.judge.modelling import Options
from seatrial.verdict import Outcome

GUARANTEES = ["monotonic-reads", "monotonic-writes", "read-your-writes", "writes-follow-reads"]
BROKEN = {  # the only guarantee that the history breaks
    "monotonic-reads": "a x=1\nb x=2\nc x?1\nc x?2\nc x?1",
    "monotonic-writes": "a x=1\na y=1\nb y?1 x?nil",
    "read-your-writes": "a x=1\na x?nil",
    "writes-follow-reads": "a x=1\nb x?1 z?nil\nb y=1\nc y?1 x?nil",
}


@pytest.mark.parametrize("broken", GUARANTEES)
def test_a_history_breaks_the_one_guarantee_and_no_other(broken: str) -> None:
    for name in GUARANTEES:
        finding = models.load(name)(history(BROKEN[broken]), Options())
        if name == broken:
            assert finding.outcome is Outcome.FAIL
            assert finding.evidence
        else:
            assert finding.outcome in (Outcome.PASS, Outcome.NOT_TESTED), (name, finding.reason)


@pytest.mark.parametrize("name", [*GUARANTEES, "causal", "write-skew"])
def test_a_serial_history_keeps_them_all(name: str) -> None:
    text = "a x?nil x=1\na y=1 x?1\nb y?1 x?1 z=1\nb z?1 x?1\nc z?1 y?1 x?1\nc x=2 y?1\na x?2 z?1"
    finding = models.load(name)(history(text), Options())
    assert finding.outcome is Outcome.PASS, finding.reason
    assert finding.examined


def test_single_reads_and_writes_are_judged_too() -> None:
    def op(at: int, f: str, value: int | None) -> RecordedOp:
        return RecordedOp(
            index=at, process=0, f=f, arg=value, value=value, outcome=OpOutcome.OK, start=2 * at, end=2 * at + 1
        )

    recorded = Recorded(ops=(op(0, "write", 1), op(1, "read", 1), op(2, "write", 2), op(3, "read", 1)))
    assert models.load("read-your-writes")(recorded, Options()).outcome is Outcome.FAIL
    assert models.load("read-your-writes")(Recorded(ops=recorded.ops[:3]), Options()).outcome is Outcome.PASS


def test_write_skew_is_told_from_worse() -> None:
    check = models.load("write-skew")
    assert check(history("a@0-9 x?nil y=1\nb@1-8 y?nil x=1"), Options()).outcome is Outcome.FAIL
    assert check(history("a@0-9 x:[] y+1\nb@1-8 y:[] x+1"), Options()).outcome is Outcome.FAIL
    worse = check(history("a@0-9 x?nil x=1\nb@1-8 x?nil x=2\nc@10-11 x?2"), Options())
    assert worse.outcome is Outcome.INCONCLUSIVE
    assert "worse" in worse.reason


def test_causal_sees_through_a_chain_that_no_guarantee_alone_does() -> None:
    text = "a x=1\nb x?1 y=1\nc y?1 z=1\nd z?1 x?nil"
    assert models.load("causal")(history(text), Options()).outcome is Outcome.FAIL
    assert models.load("writes-follow-reads")(history(text), Options()).outcome is not Outcome.FAIL
