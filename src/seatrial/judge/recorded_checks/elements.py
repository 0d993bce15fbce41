"""What a recording says of the elements of a set: who tried to add each, when it was surely in, what each read held."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.modelling import Options
from seatrial.judge.recorded_checks.words import FAIL, OK, initial_of, listed, token, tokens

ADDS = frozenset(("add", "insert", "conj"))
READS = frozenset(("read", "r"))


@dataclass(slots=True)
class Element:
    """One element: its first attempt that may have had an effect, its first acknowledgement, its failed adds."""

    attempt: RecordedOp | None = None
    acked: RecordedOp | None = None
    failed: RecordedOp | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """One successful read: the distinct elements, and those that it showed more than once."""

    op: RecordedOp
    held: frozenset[Any]
    repeated: tuple[Any, ...] = ()


@dataclass(slots=True)
class Seen:
    """All adds by element, all successful reads in order of completion, and the declared initial elements."""

    elements: dict[Any, Element] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    initial: frozenset[Any] = frozenset()
    adds: int = 0


def look(recorded: Recorded, options: Options) -> Seen:
    """Return what the adds and reads of a recording say."""
    seen = Seen(initial=frozenset(tokens(listed(initial_of(recorded, options.initial)) or ())))
    for op in recorded.ops:
        if op.f in ADDS:
            seen.adds += 1
            _note_add(seen.elements.setdefault(token(op.arg), Element()), op)
        elif op.f in READS and op.outcome == OK and _is_collection(op.value):
            seen.reads.append(_read_of(op))
    seen.reads.sort(key=lambda r: -1 if r.op.end is None else r.op.end)
    return seen


def _is_collection(value: Any) -> bool:
    return isinstance(value, (list, tuple, set, frozenset))


def _read_of(op: RecordedOp) -> Read:
    given = tokens(op.value)
    held = frozenset(given)
    return Read(op, held, _repeated(given) if len(held) < len(given) else ())


def _repeated(values: Iterable[Any]) -> tuple[Any, ...]:
    once: set[Any] = set()
    twice: dict[Any, None] = {}
    for value in values:
        if value in once:
            twice[value] = None
        once.add(value)
    return tuple(twice)


def _note_add(element: Element, op: RecordedOp) -> None:
    if op.outcome == FAIL:
        element.failed = element.failed or op
        return
    if element.attempt is None or op.start < element.attempt.start:
        element.attempt = op
    if op.outcome == OK and op.end is not None and (element.acked is None or op.end < (element.acked.end or 0)):
        element.acked = op
