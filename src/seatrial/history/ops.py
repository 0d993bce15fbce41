"""Ops as columns: what simulated users intended, when, and what came of it. Immutable, one row an op."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seatrial.history.words import NONE as NONE
from seatrial.history.words import Flag as Flag
from seatrial.history.words import OpOutcome as OpOutcome
from seatrial.history.words import Verb as Verb

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]
Bytes8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ops:
    """All ops of a run, sorted by (started_ns, worker order); row number = op number in evidence.

    verb, outcome, flags: uint8, values of Verb, OpOutcome, Flag.
    name, error: int32 codes into `names` (the app's word for the op; the error code, NONE when ok).
    actor, user: int32. An actor is a user until one of its ops ends unknown; then it goes on under a new actor.
    status: int32, protocol status (HTTP code ...), 0 when there is none.
    intended_ns, started_ns, ended_ns: int64 monotonic; ended_ns is 0 while in flight.
    key, value, result: int64 codes into `strings`, NONE when absent. Equal text has equal code in all three columns.
    """

    verb: Bytes8
    outcome: Bytes8
    flags: Bytes8
    name: Int32s
    error: Int32s
    actor: Int32s
    user: Int32s
    status: Int32s
    intended_ns: Int64s
    started_ns: Int64s
    ended_ns: Int64s
    key: Int64s
    value: Int64s
    result: Int64s
    names: Sequence[str] = ()
    strings: Sequence[str] = ()

    def __len__(self) -> int:
        """Return the number of ops."""
        return int(self.verb.shape[0])

    def text(self, code: int) -> str | None:
        """Return the string of a code in key, value or result; None for NONE."""
        return None if code < 0 else str(self.strings[int(code)])

    def take(self, rows: NDArray[Any]) -> Ops:
        """Return the ops of a boolean mask or of row numbers, in that order, sharing the tables."""
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})

    def with_columns(self, **columns: NDArray[Any]) -> Ops:
        """Return a copy with some columns replaced; used to plant violations."""
        return replace(self, **columns)  # type: ignore[arg-type]


COLUMNS: Mapping[str, Any] = {
    "verb": np.uint8,
    "outcome": np.uint8,
    "flags": np.uint8,
    "name": np.int32,
    "error": np.int32,
    "actor": np.int32,
    "user": np.int32,
    "status": np.int32,
    "intended_ns": np.int64,
    "started_ns": np.int64,
    "ended_ns": np.int64,
    "key": np.int64,
    "value": np.int64,
    "result": np.int64,
}
assert set(COLUMNS) == {f.name for f in fields(Ops)} - {"names", "strings"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpRow:
    """One op in plain words, for tests, importers and hand-made histories."""

    verb: Verb = Verb.OTHER
    outcome: OpOutcome = OpOutcome.OK
    user: int = 0
    actor: int | None = None
    key: str | None = None
    value: str | None = None
    result: str | None = None
    name: str = "op"
    error: str | None = None
    status: int = 0
    flags: Flag = Flag.OWNED
    started_ns: int = 0
    ended_ns: int = 0
    intended_ns: int | None = None


@dataclass(slots=True)
class _Interner:
    codes: dict[str, int] = field(default_factory=dict)

    def code(self, text: str | None) -> int:
        return NONE if text is None else self.codes.setdefault(text, len(self.codes))


def ops_from_rows(rows: Sequence[OpRow]) -> Ops:
    """Build columns from rows, in the order given. For thousands of ops; journals have a faster way."""
    names, strings = _Interner(), _Interner()
    table = [
        {
            "verb": int(r.verb),
            "outcome": int(r.outcome),
            "flags": int(r.flags),
            "name": names.code(r.name),
            "error": names.code(r.error),
            "actor": r.user if r.actor is None else r.actor,
            "user": r.user,
            "status": r.status,
            "intended_ns": r.started_ns if r.intended_ns is None else r.intended_ns,
            "started_ns": r.started_ns,
            "ended_ns": r.ended_ns,
            "key": strings.code(r.key),
            "value": strings.code(r.value),
            "result": strings.code(r.result),
        }
        for r in rows
    ]
    columns = {c: np.array([t[c] for t in table], dtype=d) for c, d in COLUMNS.items()}
    return Ops(**columns, names=tuple(names.codes), strings=tuple(strings.codes))


def no_ops() -> Ops:
    """Return an empty Ops."""
    return ops_from_rows(())
