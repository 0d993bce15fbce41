"""From a run folder to a History: ops, events, the anchor, and everything that could not be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from journal_kit import Op, rows, shown, write

from seatrial.clock import Anchor
from seatrial.errors import UsageError
from seatrial.history import RunStarted, StageEvent
from seatrial.store import layout
from seatrial.store.events import EventWriter
from seatrial.store.load import load_history, load_run
from seatrial.store.seal import seal

OPS = [Op(started=i, key=f"k{i}", value="v") for i in range(6)]
EVENTS = (
    RunStarted(t_ns=100, run="r", wall_ns=5_000, seatrial="1"),
    StageEvent(t_ns=200, stage="drive", what="begin"),
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with ops and events."""
    write(tmp_path / "journal", 0, OPS)
    with EventWriter(tmp_path / "journal" / "events.jsonl") as emit:
        for event in EVENTS:
            emit(event)
    return tmp_path


@pytest.mark.parametrize("sealed", [False, True])
def test_a_whole_run(run: Path, sealed: bool) -> None:
    if sealed:
        seal(run / "journal")
    loaded = load_run(run)
    assert rows(loaded.history.ops) == [shown(op) for op in OPS]
    assert loaded.history.events == EVENTS
    assert loaded.history.anchor == Anchor(wall_ns=5_000, mono_ns=100)
    assert (loaded.history.torn, loaded.problems) == (0, ())


@pytest.mark.parametrize("sealed", [False, True])
def test_what_is_missing_is_counted_and_said(run: Path, sealed: bool) -> None:
    events = run / "journal" / "events.jsonl"
    events.write_bytes(b"{damaged}\n" + events.read_bytes()[:-3])
    records = layout.rec_path(run / "journal", 0, 0)
    records.write_bytes(records.read_bytes()[:-1])
    if sealed:
        seal(run / "journal")
    loaded = load_run(run)
    assert loaded.history.torn == 3
    assert len(loaded.problems) == 3
    assert loaded.problems[2].startswith("damaged line: events.jsonl:1: ")
    assert load_history(run).events == EVENTS[:1]
    assert len(loaded.history.ops) == 5


def test_a_run_without_ops_or_events_is_empty(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    history = load_history(tmp_path)
    assert (len(history.ops), history.events, history.torn) == (0, (), 0)


def test_a_folder_that_is_no_run_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no journal folder"):
        load_history(tmp_path / "typo")
