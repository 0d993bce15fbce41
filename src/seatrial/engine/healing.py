"""Undo whatever a run left in its ledger: used by the guardian, by `seatrial heal`, and after a power cut."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seatrial.clock import Clock
from seatrial.errors import SeatrialError
from seatrial.history import Interruption, Residue, StageEvent
from seatrial.host import undoing
from seatrial.store.events import EventWriter, read_events
from seatrial.store.ledger import FileLedger, read_ledger
from seatrial.undo import LedgerLine

LEDGER = "ledger.jsonl"
JOURNAL = "journal"
_PASSES = 3  # a folder may be filled again by a process that is ended only after it


@dataclass(frozen=True, slots=True, kw_only=True)
class Healed:
    """What healing a run found and did. left: what is still there, in plain words; empty is clean."""

    run: Path
    open_entries: int
    done: tuple[str, ...]
    left: tuple[str, ...]


def heal_run(run: Path, clock: Clock, how: str) -> Healed:
    """Perform the undo of every open ledger entry, last made first, and verify each by an independent listing.

    An entry is closed in the ledger only when nothing of it is left, so healing can be repeated. An undo that breaks
    keeps no other from being performed. Needs no room on the disk: what cannot be written down is done all the same.
    """
    path = run / LEDGER
    entries = read_ledger(path)
    done: list[str] = []
    waiting = list(entries)
    left: list[str] = []
    for _ in range(_PASSES):
        gone: list[LedgerLine] = []
        left = []
        for entry in waiting:
            found = _undone(entry, done)
            left += found
            gone += [] if found else [entry]
        _close(path, clock, gone, how)
        waiting = [entry for entry in waiting if entry not in gone]
        if not waiting:
            break
    return Healed(run=run, open_entries=len(entries), done=tuple(dict.fromkeys(done)), left=tuple(left))


def heal_dead_run(run: Path, clock: Clock, how: str) -> Healed:
    """Heal a run whose conductor is gone, and put into its journal that it was cut short and what is left of it."""
    healed = heal_run(run, clock, how)
    if not ended_in_order(run):
        _tell(run, clock, healed)
    return healed


def ended_in_order(run: Path) -> bool:
    """Return whether the conductor came to the end of its teardown, as its journal says."""
    events = read_events(run / JOURNAL)
    return any(isinstance(e, StageEvent) and e.stage == "teardown" and e.what == "end" for e in events)


def _undone(entry: LedgerLine, done: list[str]) -> list[str]:
    """Undo one entry and return what is still there of it, in plain words."""
    name = f"{entry.kind} {entry.name}"
    if entry.undo is None:
        return [f"{name}: {entry.how}"]
    try:
        done += undoing.perform(entry.undo)
        return [f"{name}: {item}" for item in undoing.still_there(entry.undo)]
    except OSError as error:
        return [f"{name}: could not be undone: {error}"]


def _close(path: Path, clock: Clock, gone: list[LedgerLine], how: str) -> None:
    if not gone:
        return
    try:
        with FileLedger(path, clock) as ledger:
            for entry in gone:
                ledger.close(entry.id, how)
    except (SeatrialError, OSError):
        pass  # no room: the entries stay open, and undoing them again does no harm


def _tell(run: Path, clock: Clock, healed: Healed) -> None:
    reason = "the conductor ended before the teardown"
    try:
        with EventWriter(run / JOURNAL / "guardian.jsonl") as writer:
            writer.write(Interruption(t_ns=clock.now_ns(), by="conductor-died", reason=reason))
            writer.write(Residue(t_ns=clock.now_ns(), clean=not healed.left, items=healed.left))
    except (SeatrialError, OSError):
        pass  # no room: the journal ends without a teardown, which says the same
