"""A history recorded by any tool, as rows: what processes asked, what they were told, in the order it was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seatrial.history.words import OpOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedOp:
    """One operation: invocation and, unless it never came, completion.

    index: number of the op, by order of invocation, from 0. process: who did it, as the file names it.
    f: the operation's name as the file has it ("read", "cas", "txn", "append" ...).
    arg: the invocation's value. value: the completion's value; for an op that is not OK, the invocation's.
    start, end: positions in one total order of all invocations and completions, end None when it never completed;
    UNKNOWN ops have end None too: they stay open. start_ns, end_ns: recorded times, or None.
    line: where it stands in the file (1-based), 0 when not known.
    A transaction is f="txn" with a value of [[kind, key, value], ...], kind "r", "w" or "append".
    An op on one of many objects has arg and value [key, value]; Recorded.keyed says that the whole recording is so.
    EDN keywords are plain str without the colon, vectors are lists, sets are frozensets, nil is None.
    """

    index: int
    process: int | str
    f: str
    arg: Any
    value: Any
    outcome: OpOutcome
    start: int
    end: int | None
    start_ns: int | None = None
    end_ns: int | None = None
    error: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """All ops of a recording. problems: what could not be read; a verdict on it must say so.

    initial: declared initial values by key (None key = the only object, or any key that is not named), when the format
    or the user declares them.
    realtime: False when only the order within a process is known (session formats): start and end then order the
    ops of one process, and mean nothing between processes.
    keyed: every arg and value is [key, value] (many independent objects in one recording).
    notes: what was no client's op (the nemesis: faults going in and out), positions in the same order as the ops.
    """

    ops: tuple[RecordedOp, ...]
    format: str = ""
    source: str = ""
    problems: tuple[str, ...] = ()
    initial: dict[Any, Any] | None = None
    keyed: bool = False
    realtime: bool = True
    notes: tuple[RecordedOp, ...] = ()
