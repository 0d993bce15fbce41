"""Undo whatever a run left in its ledger: used by the guardian, by `seatrial heal`, and after a power cut."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seatrial.clock import Clock
from seatrial.host import undoing
from seatrial.store.ledger import FileLedger, read_ledger

LEDGER = "ledger.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Healed:
    """What healing a run found and did. left: what is still there, in plain words; empty is clean."""

    run: Path
    open_entries: int
    done: tuple[str, ...]
    left: tuple[str, ...]


def heal_run(run: Path, clock: Clock, how: str) -> Healed:
    """Perform the undo of every open ledger entry, last made first, and verify each by an independent listing.

    An entry is closed in the ledger only when nothing of it is left, so healing can be repeated.
    """
    path = run / LEDGER
    entries = read_ledger(path)
    done: list[str] = []
    left: list[str] = []
    with FileLedger(path, clock) as ledger:
        for entry in entries:
            if entry.undo is None:
                left.append(f"{entry.kind} {entry.name}: {entry.how}")
                continue
            done += undoing.perform(entry.undo)
            still = undoing.still_there(entry.undo)
            left += [f"{entry.kind} {entry.name}: {item}" for item in still]
            if not still:
                ledger.close(entry.id, how)
    return Healed(run=run, open_entries=len(entries), done=tuple(done), left=tuple(left))
