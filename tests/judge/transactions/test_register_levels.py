"""Registers: a history for each level that has what the next weaker one allows, and its verdict at every level."""

from __future__ import annotations

import pytest
from transaction_samples import history

from seatrial.errors import UsageError
from seatrial.judge.modelling import Options
from seatrial.judge.transactions.levels import level_named
from seatrial.judge.transactions.register_check import check, explain
from seatrial.verdict import Outcome

ORDER = ["read-uncommitted", "read-committed", "read-atomic", "causal", "snapshot-isolation", "serializable"]
# history -> the strongest level that it is of; sessions only, initial value nil
STRONGEST = {
    "a x=1\nb x?1\na! x?nil": "serializable",
    "a x=1\nb x?7": None,
    "a x=1 x=2\nb x?1": "read-uncommitted",
    "a@0-1! x=1\nb@2-3 x?1": "read-uncommitted",
    "a x=1 y?1\nb y=1 x?1": "read-uncommitted",
    "a x=1 y=1\nb x?1 y?nil": "read-uncommitted",  # what it read, its later read undoes
    "a x=1 y=1\nb x?nil y?1": "read-committed",
    "a x=1\nb x?1 y=1\nc y?1\nc x?nil": "read-atomic",
    "a x=1\nb x=2\nc x?1\nc x?2\nd x?2\nd x?1": "read-atomic",
    "a x?nil x=1\nb x?nil x=2\nc x?1": "causal",
    "a x=1\nb y=1\nc x?1 y?nil\nd x?nil y?1": "causal",
    "a x?nil y=1\nb y?nil x=1": "snapshot-isolation",
    "a x=1\nb x?1 x=2\nc x?2 x=3\nd x?1": "serializable",
}


@pytest.mark.parametrize("text", STRONGEST)
def test_a_history_is_of_all_levels_up_to_its_strongest(text: str) -> None:
    text, strongest = text.replace("a! ", "a "), STRONGEST[text]
    at = ORDER.index(strongest) if strongest else -1
    for number, level in enumerate(ORDER):
        finding = check(history(text, realtime=False), Options(level=level))
        if strongest == "serializable" and "a x?nil" in text:
            continue
        expected = Outcome.PASS if number <= at else Outcome.FAIL
        assert finding.outcome is expected, (level, finding.reason)


def test_real_time_counts_for_strict_levels_only() -> None:
    text = "a@0-1 x=1\nb@2-3 x?nil\nc@4-5 x?1"
    assert check(history(text), Options(level="serializable")).outcome is Outcome.PASS
    finding = check(history(text), Options(level="strict-serializable"))
    assert finding.outcome is Outcome.FAIL
    assert "ended before" in finding.reason


def test_a_lost_update_is_named_with_both_transactions() -> None:
    recorded = history("a@0-9 x?nil x=1\nb@1-8 x?nil x=2\nc@10-11 x?2")
    finding = check(recorded, Options(level="snapshot-isolation"))
    assert "lost-update" in finding.figures
    assert finding.evidence[0].ops == (0, 1)
    assert explain(recorded, Options(level="snapshot-isolation"))[0].anomaly == "lost-update"


def test_the_search_for_an_order_of_blind_writes_finds_one_and_shows_when_there_is_none() -> None:
    """No write is read by another writer, so the order of the writes is open at first."""
    good = "a x=1 y=1\nb x=2 y=2\nc x=3 y=3\nd x?2\nd x?1\nd y?3\ne y?2"
    assert check(history(good, realtime=False), Options(level="serializable")).outcome is Outcome.PASS
    bad = "a x=1 y=1\nb x=2 y=2\nc x?1 y?2"
    finding = check(history(bad, realtime=False), Options(level="serializable"))
    assert finding.outcome is Outcome.FAIL
    assert finding.evidence


def test_a_budget_that_ends_is_inconclusive() -> None:
    text = (
        "\n".join(f"p{i} x={i + 1} y={i + 1}\nq{i} x?{i + 1} z{i}={1}" for i in range(6))
        + "\nr x?2\nr y?1\nr x?3 z0?nil"
    )
    finding = check(history(text, realtime=False), Options(level="serializable", memory_bytes=1))
    assert finding.outcome in (Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.FAIL)
    if finding.outcome is Outcome.INCONCLUSIVE:
        assert "MiB" in finding.reason


def test_a_value_written_twice_cannot_be_told() -> None:
    finding = check(history("a x=1\nb x=1\nc x?1\nc y?nil"), Options(level="serializable"))
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "more than once" in finding.reason


def test_a_value_from_outside_is_left_out_and_said_unless_the_recording_is_whole() -> None:
    recorded = history("a x=2\na x?3\na x?2")
    finding = check(recorded, Options())
    assert finding.outcome is Outcome.PASS
    assert "no op of the recording wrote" in finding.reason
    assert check(recorded, Options(extra={"whole": True})).outcome is Outcome.FAIL


def test_declared_initial_values_are_what_the_first_reads_show() -> None:
    text = "a x?0\nb x=1\nc x?1"
    assert check(history(text, initial={None: 0}, realtime=False), Options()).outcome is Outcome.PASS
    assert check(history(text, realtime=False), Options()).outcome is Outcome.FAIL


def test_levels_have_their_usual_short_names_and_a_hint_for_others() -> None:
    assert level_named("SI").name == "snapshot-isolation"
    assert level_named("Serializability").name == "serializable"
    with pytest.raises(UsageError, match="did you mean 'serializable'"):
        level_named("serializible")


def test_a_key_read_before_and_after_another_writer_was_seen_is_held_after_it() -> None:
    """The same value before and after: it is the later read that may not be older."""
    recorded = history("a y=3 x=4\nb y?nil x?4 y?nil", realtime=False)
    assert check(recorded, Options(level="read-committed")).outcome is Outcome.FAIL
