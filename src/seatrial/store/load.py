"""From the folder of a run to the History that judges take; also of a run that was cut short."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seatrial.clock import Anchor
from seatrial.errors import UsageError
from seatrial.history import AnyEvent, History, RunStarted
from seatrial.store.events import read_events_counted
from seatrial.store.seal import load_recorded


@dataclass(frozen=True, slots=True)
class Loaded:
    """A history, and what of the journal could not be read, in plain words, to be shown to the user."""

    history: History
    problems: tuple[str, ...] = ()


def load_history(run: Path | str) -> History:
    """Return the history of a run folder. `torn` counts torn records, torn last lines, and damaged lines.

    Raises UsageError when the folder has no journal.
    """
    return load_run(run).history


def load_run(run: Path | str) -> Loaded:
    """Return the history of a run folder together with what could not be read."""
    journal = Path(run) / "journal"
    if not journal.is_dir():
        raise UsageError(f"{run} has no journal folder: it is not a run folder; see `seatrial ps` for the runs")
    recorded = load_recorded(journal)
    read = read_events_counted(journal)
    torn = recorded.torn + read.torn + len(read.damaged)
    history = History(ops=recorded.ops, events=read.events, anchor=_anchor(read.events), torn=torn)
    cut = [f"{recorded.torn} torn records in the ops journal"] if recorded.torn else []
    tails = [f"{read.torn} files of events end in a torn line"] if read.torn else []
    return Loaded(history, (*cut, *tails, *(f"damaged line: {d}" for d in read.damaged)))


def _anchor(events: tuple[AnyEvent, ...]) -> Anchor:
    for event in events:
        if isinstance(event, RunStarted):
            return Anchor(wall_ns=event.wall_ns, mono_ns=event.t_ns)
    return Anchor(wall_ns=0, mono_ns=0)
