"""How to take back what a run made, as data: written to the ledger before the thing is made.

Performed by `seatrial.engine.undoing` in three places: the block that made it, the guardian, and `seatrial heal`.
A pid is always paired with its start time (field 22 of /proc/PID/stat, in clock ticks), so that a pid that was used
again for another program is never touched.
"""

from __future__ import annotations

import msgspec


class Undo(msgspec.Struct, frozen=True, kw_only=True, tag_field="undo", tag=str.lower):
    """Base of all undo recipes."""


class KillTagged(Undo, frozen=True, kw_only=True):
    """End every process whose environment holds SEATRIAL_RUN=<tag>, and all of their descendants."""

    tag: str


class KillPid(Undo, frozen=True, kw_only=True):
    """End one helper process of ours."""

    pid: int
    start_ticks: int


class KillCgroup(Undo, frozen=True, kw_only=True):
    """Thaw, end all members of, and remove a cgroup folder that the run made."""

    path: str


class RemoveTree(Undo, frozen=True, kw_only=True):
    """Remove a file or folder that the run made. Refused when `path` is not inside `inside`."""

    path: str
    inside: str


class Continue(Undo, frozen=True, kw_only=True):
    """Send SIGCONT to every process that carries the tag."""

    tag: str


class ThawCgroup(Undo, frozen=True, kw_only=True):
    """Thaw a frozen cgroup that the run made."""

    path: str


class Nothing(Undo, frozen=True, kw_only=True):
    """Nothing outlives its maker; `why` says what ends it (for example a proxy that ends with its parent)."""

    why: str


AnyUndo = KillTagged | KillPid | KillCgroup | RemoveTree | Continue | ThawCgroup | Nothing


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of ledger.jsonl. what: open (before the thing is made) | close (after it is verified gone).

    kind: process | helper | cgroup | folder | freeze | proxy | ... ; name: in plain words, for ps and for residue.
    """

    id: int
    what: str
    wall_ns: int
    kind: str = ""
    name: str = ""
    undo: AnyUndo | None = None
    how: str = ""
