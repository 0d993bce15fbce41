"""Binary recordings of transactions: dbcop's history.bincode, and the logs of Cobra's clients, one a session."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from seatrial.errors import Mistake, UsageError
from seatrial.formats.sessions import INITIAL, Mop, Sessions, Transaction
from seatrial.formats.source import Source
from seatrial.history.recorded import Recorded
from seatrial.history.words import OpOutcome

_LITTLE = struct.Struct("<q")
_DBCOP_OP = struct.Struct("<BqqB")
_COBRA = {b"S": struct.Struct(">q"), b"C": struct.Struct(">q"), b"A": struct.Struct(">q")}
_COBRA |= {b"W": struct.Struct(">qqq"), b"R": struct.Struct(">qqqq")}
NOT_WRITTEN = {0xBEBEEBEE, 0xDEADBEEF}  # Cobra's ids of "the initial write" and "no write": the value before any write
MOST = 1 << 40  # a count beyond this is not a count


class _Cut(Exception):
    """The bytes end too early."""


@dataclass(slots=True)
class _Bytes:
    name: str
    data: bytes
    at: int = 0

    def number(self, what: str, most: int = MOST) -> int:
        """Return the next number; raises UsageError when it cannot be a count of what it should count."""
        found = self.unpack(_LITTLE)[0]
        if not 0 <= found <= most:
            problem = f"{found} cannot be the {what}"
            raise _bad(self.name, self.at - 8, problem, "a dbcop history, little endian")
        return int(found)

    def unpack(self, shape: struct.Struct) -> tuple[int, ...]:
        """Return the next fields. Raises _Cut."""
        if self.at + shape.size > len(self.data):
            raise _Cut
        found = shape.unpack_from(self.data, self.at)
        self.at += shape.size
        return found

    def skip(self, size: int) -> None:
        """Go on by so many bytes. Raises _Cut."""
        if self.at + size > len(self.data):
            raise _Cut
        self.at += size


def _bad(name: str, at: int, problem: str, expected: str) -> UsageError:
    return UsageError([Mistake(file=name, key=f"byte {at}", problem=problem, hint=f"expected {expected}")])


def read_dbcop(source: Source) -> Recorded:
    """Read dbcop's binary. Raises UsageError for bytes that cannot be one; one that is cut off has `problems`."""
    data = _Bytes(source.name, b"".join(source.take()))
    sessions = Sessions(source.name, "dbcop")
    try:
        _dbcop(data, sessions)
        if data.at != len(data.data):
            raise _bad(source.name, data.at, f"{len(data.data) - data.at} bytes follow the last session", "the end")
    except _Cut:
        sessions.problems.append(f"byte {data.at}: the file ends before its last session does: it is cut off")
    return sessions.recorded(zero=True)


def _dbcop(data: _Bytes, sessions: Sessions) -> None:
    data.skip(8)  # the id of the history
    for what in ("number of nodes", "number of variables", "number of transactions", "number of events"):
        data.number(what)
    for what in ("length of the information", "length of the start time", "length of the end time"):
        data.skip(data.number(what, 1 << 20))
    for session in range(data.number("number of sessions")):
        for _ in range(data.number("number of transactions of a session")):
            _dbcop_transaction(data, sessions, session)


def _dbcop_transaction(data: _Bytes, sessions: Sessions, session: int) -> None:
    many = data.number("number of ops of a transaction")
    mops: list[Mop] = []
    failed: list[Mop] = []
    for _ in range(many):
        write, key, value, success = data.unpack(_DBCOP_OP)
        if write > 1 or success > 1:
            raise _bad(data.name, data.at - _DBCOP_OP.size, "this is no op", "0 or 1 for `write` and `success`")
        (mops if success else failed).append(["w" if write else "r", key, value])
    committed = data.unpack(struct.Struct("<B"))[0]
    outcome = OpOutcome.OK if committed else OpOutcome.FAIL
    sessions.transactions.append(Transaction(session, mops, outcome))
    lost = [m for m in failed if m[0] == "w"]
    if lost and committed:  # a write that did not succeed inside a transaction that did: nobody may read it
        sessions.transactions.append(Transaction(session, lost, OpOutcome.FAIL))


def read_cobra(sources: Sequence[Source], name: str) -> Recorded:
    """Read Cobra's logs, a session each. Raises UsageError for bytes that cannot be one; a cut log is in `problems`."""
    sessions = Sessions(name, "cobra")
    for number, source in enumerate(sources):
        data = _Bytes(source.name, b"".join(source.take()))
        try:
            _cobra(data, sessions, number)
        except _Cut:
            sessions.problems.append(f"{source.name}, byte {data.at}: the file ends inside a record: it is cut off")
    return sessions.recorded(zero=True)


def _cobra(data: _Bytes, sessions: Sessions, session: int) -> None:
    mops: list[Mop] | None = None
    while data.at < len(data.data):
        at, kind = data.at, data.data[data.at : data.at + 1]
        if kind not in _COBRA or (mops is None) != (kind == b"S"):
            raise _bad(data.name, at, f"record {kind!r} cannot stand here", "S, then W and R, then C or A")
        data.at += 1
        try:
            fields = data.unpack(_COBRA[kind])
        except _Cut:
            data.at = at
            raise
        if kind == b"S":
            mops = []
        elif mops is not None and kind in (b"W", b"R"):
            mops.append(_cobra_op(kind, fields))
        elif mops is not None:
            outcome = OpOutcome.OK if kind == b"C" else OpOutcome.FAIL
            sessions.transactions.append(Transaction(session, mops, outcome))
            mops = None
    if mops is not None:
        sessions.transactions.append(Transaction(session, mops, OpOutcome.UNKNOWN))
        sessions.problems.append(f"{data.name}: the file ends inside a transaction: it is cut off")


def _cobra_op(kind: bytes, fields: tuple[int, ...]) -> Mop:
    """Return a read or write; the value is the id of the write, which is unique where the stored value is not."""
    if kind == b"W":
        return ["w", fields[1], fields[0]]
    return ["r", fields[2], INITIAL if fields[1] in NOT_WRITTEN else fields[1]]
