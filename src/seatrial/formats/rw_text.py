"""Reads and writes as text: `r(key,value,session,transaction)` a line, and blocks of `r key value` (AWDIT's tests).

In the first form transaction -1 is an aborted one, and 0 the value before any write. In the second form a line of `-`
begins the next transaction, a line of `=` the next session.
"""

from __future__ import annotations

import re

from seatrial.formats.sessions import Sessions, Transaction
from seatrial.formats.source import Source, Wrongs
from seatrial.history.recorded import Recorded
from seatrial.history.words import OpOutcome

ABORTED = -1
_CALL = re.compile(r"\s*([rw])\(\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*\)\s*")
_WORDS = re.compile(r"\s*([rw])\s+(-?\d+)\s+(-?\d+)\s*")
CALL_EXPECTED = "r(key,value,session,transaction) or w(...), whole numbers"
WORDS_EXPECTED = "r key value, w key value, ----- or ====="


def read_calls(source: Source) -> Recorded:
    """Read `r(...)` and `w(...)` lines. Raises UsageError with every bad line; a cut last line is in `problems`."""
    sessions, wrongs = Sessions(source.name, "rw-text"), Wrongs(source.name)
    open_now: dict[tuple[int, int], Transaction] = {}
    last = 0
    for number, line in source.lines():
        last = number
        match = _CALL.fullmatch(line)
        if match is None:
            if line.strip() and not line.lstrip().startswith("#"):
                wrongs.add(number, "this is no read or write", CALL_EXPECTED, line)
            continue
        key, value, session, txn = (int(match[n]) for n in (2, 3, 4, 5))
        if txn == ABORTED:
            if match[1] == "w":
                sessions.transactions.append(Transaction(session, [["w", key, value]], OpOutcome.FAIL, number))
            continue
        known = open_now.get((session, txn))
        if known is None:
            known = open_now[session, txn] = Transaction(session, [], line=number)
            sessions.transactions.append(known)
        known.mops.append([match[1], key, value])
    _forgive_last(source, wrongs, sessions, last)
    return sessions.recorded(zero=True)


def read_words(source: Source) -> Recorded:
    """Read blocks of `r key value` lines. Raises UsageError with every bad line; a cut last line is in `problems`."""
    sessions, wrongs = Sessions(source.name, "awdit"), Wrongs(source.name)
    session, current, last = 0, None, 0
    for number, line in source.lines():
        last, text = number, line.strip()
        if text and not text.strip("="):
            session, current = session + 1, None
        elif text and not text.strip("-"):
            current = None
        elif match := _WORDS.fullmatch(line):
            if current is None:
                current = Transaction(session, [], line=number)
                sessions.transactions.append(current)
            current.mops.append([match[1], int(match[2]), int(match[3])])
        elif text:
            wrongs.add(number, "this is no read or write", WORDS_EXPECTED, line)
    _forgive_last(source, wrongs, sessions, last)
    return sessions.recorded(zero=False)


def _forgive_last(source: Source, wrongs: Wrongs, sessions: Sessions, last: int) -> None:
    """A last line without its newline may be cut off: that is a problem of the recording, not a mistake in it."""
    bad = [m for m in wrongs.found if m.key == f"line {last}"]
    if not source.ended and bad and len(wrongs.found) == 1:
        sessions.problems.append(f"line {last}: the file ends inside this line: {bad[0].value}")
        wrongs.found.clear()
    wrongs.tell()
