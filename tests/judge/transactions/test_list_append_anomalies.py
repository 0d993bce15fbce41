"""Every anomaly of list-append has a history that shows it and a twin that does not, and the levels it rules out."""

from __future__ import annotations

import pytest
from transaction_samples import history

from seatrial.judge.modelling import Options
from seatrial.judge.transactions.append_check import check, explain
from seatrial.judge.transactions.levels import LEVELS, rules_out
from seatrial.verdict import Outcome

# name, history, a level that it breaks, a level that it keeps (None: it breaks all)
SHOWN = [
    ("G0", "a@0-9 x+1 y+1\nb@1-8 x+2 y+2\nc@10-11 x:1,2 y:2,1", "read-uncommitted", None),
    ("G1a", "a@0-1! x+1\nb@2-3 x:1", "read-committed", "read-uncommitted"),
    ("G1b", "a@0-9 x+1 x+2\nb@1-8 x:1\nc@10-11 x:1,2", "read-committed", "read-uncommitted"),
    ("G1c", "a@0-9 x+1 y:1\nb@1-8 y+1 x:1", "read-committed", "read-uncommitted"),
    ("G-single", "a@0-9 x+1 y+1\nb@1-8 x:[] y:1\nc@10-11 x:1", "consistent-view", "read-committed"),
    ("G-nonadjacent", "a@0-9 x+1\nb@0-9 y+1\nc@0-9 x:1 y:[]\nd@0-9 x:[] y:1", "snapshot-isolation", "consistent-view"),
    ("G2-item", "a@0-9 x:[] y+1\nb@1-8 y:[] x+1\nc@10-11 x:1 y:1", "serializable", "snapshot-isolation"),
    ("lost-update", "a@0-9 x:[] x+1\nb@1-8 x:[] x+2\nc@10-11 x:1,2", "snapshot-isolation", "read-committed"),
    ("incompatible-order", "a@0-9 x+1\nb@0-9 x+2\nc@10-11 x:1,2\nd@10-11 x:2,1", "read-uncommitted", None),
    ("duplicate-elements", "a@0-9 x+1\nc@10-11 x:1,1", "read-uncommitted", None),
    ("dirty-update", "a@0-1! x+1\nb@2-3 x+2\nc@4-5 x:1,2", "read-committed", "read-uncommitted"),
    ("internal", "a@0-1 x+1 x:[]", "read-uncommitted", None),
    ("non-repeatable-read", "a@0-9 x:[] x:1\nb@1-8 x+1", "read-atomic", "read-committed"),
    ("unwritten-read", "a@0-1 x+1\nb@2-3 x:1,7", "read-uncommitted", None),
    ("G-single-process", "a@0-9 x+1\na@10-11 x:[]\nb@12-13 x:1", "strong-session-serializable", "serializable"),
    ("G-single-realtime", "a@0-1 x+1\nb@2-3 x:[]\nc@4-5 x:1", "strict-serializable", "strong-session-serializable"),
    ("G0-process", "a@0-1 x+1\na@2-3 x+2\nb@4-5 x:2,1", "strong-session-read-uncommitted", "serializable"),
    ("G0-realtime", "a@0-1 x+1\nb@2-3 x+2\nc@4-5 x:2,1", "strong-read-uncommitted", "strong-session-serializable"),
    ("G1c-process", "a@0-1 x:1\na@2-3 x+1\nb@0-9 y+1", "strong-session-read-committed", "serializable"),
    ("G1c-realtime", "a@0-1 x:1\nb@2-3 x+1", "strong-read-committed", "strong-session-serializable"),
    (
        "G-nonadjacent-process",
        "a@0-9 x+1\na@20-29 y:[]\nb@0-9 y+1\nb@20-29 x:[]\nc@30-31 x:1 y:1",
        "strong-session-snapshot-isolation",
        "serializable",
    ),
    (
        "G2-item-realtime",
        "a@0-3 x:[]\nb@4-5 y+1\nc@0-9 y:[] x+1\nd@10-11 x:1 y:1\ne@6-7 x:[]",
        "strict-serializable",
        None,
    ),
    ("causal-violation", "a x+1\nb x:1 y+1\nc y:1 x:[]", "causal", "read-committed"),
]
SOUND = """a@0-9 x+1 y+1
b@1-8? x+2
c@10-11 x:1,2 y:1
d@12-13! x+3
e@14-15 x:1,2 x+4 x:1,2,4
a@16-17 x:1,2,4 y:1"""


@pytest.mark.parametrize(("name", "text", "broken", "kept"), SHOWN, ids=[s[0] for s in SHOWN])
def test_an_anomaly_is_found_and_named_and_rules_out_its_levels(
    name: str, text: str, broken: str, kept: str | None
) -> None:
    finding = check(history(text), Options(level=broken))
    assert finding.outcome is Outcome.FAIL
    if name != "G2-item-realtime":
        assert name in finding.figures, finding.figures
        assert broken in rules_out(name)
    assert finding.evidence
    assert "op" in finding.reason
    if kept:
        assert check(history(text), Options(level=kept)).outcome is Outcome.PASS


@pytest.mark.parametrize("level", LEVELS)
def test_a_sound_history_is_of_every_level(level: str) -> None:
    finding = check(history(SOUND), Options(level=level))
    assert finding.outcome is Outcome.PASS, finding.reason
    assert finding.examined == 4


def test_the_cycle_is_smallest_and_told_in_plain_words() -> None:
    text = "a@0-9 x:[] y+1\nb@1-8 y:[] x+1\nc@10-11 x:1 y:1\nd@12-13 x:1 x+2\ne@14-15 x:1,2"
    finding = check(history(text), Options(level="serializable"))
    assert finding.evidence[0].ops == (0, 1)
    assert "op 0 read x as [], without 1 that op 1 appended" in finding.reason
    (picture,) = explain(history(text), Options(level="serializable"))
    assert [e.kind for e in picture.edges] == ["rw", "rw"]
    assert picture.edges[0].target == picture.edges[1].source
    assert picture.edges[1].target == picture.edges[0].source
    assert "serializable" in picture.rules_out
    assert "snapshot-isolation" not in picture.rules_out


def test_an_open_append_that_nobody_saw_may_not_have_happened() -> None:
    assert check(history("a@0-? x+1\nb@2-3 x:[]\nb@4-5 y+1"), Options()).outcome is Outcome.PASS


def test_nothing_read_shows_nothing() -> None:
    finding = check(history("a x+1\nb x+2"), Options())
    assert finding.outcome is Outcome.NOT_TESTED
    assert "read" in finding.reason


def test_an_element_appended_twice_cannot_be_told() -> None:
    finding = check(history("a x+1\nb x+1\nc x:1"), Options())
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "appended before" in finding.reason


def test_elements_from_outside_a_partial_recording_are_no_anomaly() -> None:
    text = "a x:7\nb x+1\nc x:7,1"
    assert check(history(text), Options()).outcome is Outcome.FAIL
    assert check(history(text), Options(extra={"partial": True})).outcome is Outcome.INCONCLUSIVE


def test_a_recording_of_sessions_says_what_was_judged_instead_of_real_time() -> None:
    finding = check(history("a x+1\nb x:[]\nb x:1", realtime=False), Options())
    assert finding.outcome is Outcome.PASS
    assert "order of its sessions" in finding.reason


def test_appends_that_no_read_saw_still_order_what_read_before_them() -> None:
    """Write skew whose appends nobody read afterwards: each comes after the list that the other had read."""
    finding = check(history("a@0-9 x:[] y+1\nb@1-8 y:[] x+1"), Options(level="serializable"))
    assert finding.outcome is Outcome.FAIL
    assert "G2-item" in finding.figures


def test_an_open_transaction_of_which_something_was_seen_took_effect_as_a_whole() -> None:
    finding = check(history("a@0-? y+1 x+2\nb@0-9 y:1 x:[]"), Options(level="snapshot-isolation"))
    assert finding.outcome is Outcome.FAIL
    assert "G-single" in finding.figures
