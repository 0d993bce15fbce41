"""What the tests of the journal share: ops as plain values, writing them, and reading them back as the same values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from seatrial.history import Ops
from seatrial.store.journal import JournalWriter
from seatrial.store.text import to_bytes

Item = bytes | str | None


@dataclass(frozen=True)
class Op:
    """An op as the crew knows it; outcome 1 is never completed."""

    started: int
    verb: int = 1
    name: str = "put"
    key: Item = None
    value: Item = None
    flags: int = 1
    user: int = 0
    actor: int = 0
    intended: int = 0
    outcome: int = 2
    ended: int = 0
    status: int = 0
    error: str | None = None
    result: Item = None


def begin(writer: JournalWriter, op: Op) -> int:
    return writer.begin(op.verb, op.name, op.key, op.value, op.flags, op.user, op.actor, op.intended, op.started)


def complete(writer: JournalWriter, handle: int, op: Op) -> None:
    if op.outcome != 1:
        writer.complete(handle, op.outcome, op.ended, op.status, op.error, op.result)


def text(item: Item) -> str | None:
    return None if item is None else to_bytes(item).decode("utf-8", "surrogateescape")


def shown(op: Op) -> tuple[object, ...]:
    """Return what a History must show of an op."""
    done = op.outcome != 1
    ending = (op.ended, op.status, op.error, text(op.result)) if done else (0, 0, None, None)
    beginning = (op.verb, op.name, text(op.key), text(op.value), op.flags, op.user, op.actor, op.intended, op.started)
    return (*beginning, op.outcome, *ending)


def rows(ops: Ops) -> list[tuple[object, ...]]:
    """Return all ops of a History in the form of `shown`."""
    numbers = ("verb", "flags", "user", "actor", "intended_ns", "started_ns", "outcome", "ended_ns", "status")
    columns = {c: getattr(ops, c).tolist() for c in numbers}
    words = {c: [None if i < 0 else ops.names[i] for i in getattr(ops, c)] for c in ("name", "error")}
    items = {c: [ops.text(i) for i in getattr(ops, c)] for c in ("key", "value", "result")}
    order = ["verb", "name", "key", "value", "flags", "user", "actor", "intended_ns", "started_ns", "outcome"]
    order += ["ended_ns", "status", "error", "result"]
    return list(zip(*({**columns, **words, **items}[c] for c in order), strict=True))


def write(folder: Path, worker: int, ops: list[Op], segment_records: int = 8) -> None:
    """Write ops that are all completed, in order of their begin, after the last one began."""
    with JournalWriter(folder, worker, segment_records) as writer:
        handles = [begin(writer, op) for op in ops]
        for handle, op in zip(handles, ops, strict=True):
            complete(writer, handle, op)


items = st.none() | st.text(max_size=8) | st.binary(max_size=8) | st.sampled_from(["k", b"k", "", b"\xff", "\ud800"])
marked = st.sampled_from(["\x00base64:", "\x00base64:aGk=", b"\x00base64:\xff"])
instants = st.integers(0, 2**62)


@st.composite
def some_ops(draw: st.DrawFn, most: int = 20) -> list[Op]:
    """Draw ops; instants are few, so that equal ones occur."""
    make = st.builds(
        Op,
        started=st.integers(0, 30) | instants,
        verb=st.integers(0, 5),
        name=st.sampled_from(["put", "get", "é"]),
        key=items | marked,
        value=items | marked,
        flags=st.integers(0, 15),
        user=st.integers(0, 2**31 - 1),
        actor=st.integers(0, 2**31 - 1),
        intended=instants,
        outcome=st.integers(1, 4),
        ended=instants,
        status=st.integers(-(2**31), 2**31 - 1),
        error=st.none() | st.sampled_from(["refused", "timeout", ""]),
        result=items | marked | st.binary(min_size=250, max_size=300),
    )
    return draw(st.lists(make, max_size=most))
