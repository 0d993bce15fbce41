"""From a recording to the calls of a model: which ops count, which object they are on, what it held at first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.linear.problem import NEVER, Misfit, Part, freeze, said
from seatrial.judge.modelling import Options


@dataclass(slots=True)
class Problem:
    """A recording, encoded. observing: calls whose answer can be wrong; 0 of them prove nothing.

    method: the planner may use what this names ("zones", "grow-set", "queue", ...), "" for the search alone.
    """

    parts: list[Part]
    examined: int
    observing: int
    words: tuple[str, ...] = ()
    method: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


class Call(NamedTuple):
    """An op that counts: on what, what was asked, what was answered. end is NEVER while it may still happen."""

    op: RecordedOp
    key: Any
    f: str
    arg: Any
    value: Any
    start: int
    end: int

    @property
    def open(self) -> bool:
        """Return whether it never completed: it may have had its effect at any time after its start, or never."""
        return self.end == NEVER


def calls(recorded: Recorded, verbs: dict[str, str], keyed: bool) -> Iterator[Call]:
    """Yield the ops that may have had an effect; verbs maps the names of ops to the model's own.

    A failed op had no effect and is left out. Raises Misfit for an op that the model does not have.
    """
    fail, ok, new = OpOutcome.FAIL, OpOutcome.OK, tuple.__new__
    key = None
    for op in recorded.ops:
        outcome = op.outcome
        if outcome is fail:
            continue
        f = verbs.get(op.f)
        if f is None:
            known = ", ".join(sorted(set(verbs)))
            raise Misfit(f"op {op.index} is {op.f!r}, which this model does not have; it has {known}")
        end = op.end
        if outcome is not ok or end is None:
            end = NEVER
        arg, value = op.arg, op.value
        if keyed:
            key, arg = arg if type(arg) is list and len(arg) == 2 else _split(op, arg)
            if type(value) in (list, tuple) and len(value) == 2:
                value = value[1]
        yield new(Call, (op, key, f, arg, value, op.start, end))


def by_object(recorded: Recorded, verbs: dict[str, str], keyed: bool) -> list[tuple[Any, list[Call]]]:
    """Return the calls on each object with its key, in order of first use."""
    found: dict[Any, tuple[Any, list[Call]]] = {}
    for call in calls(recorded, verbs, keyed):
        key = call[1]
        frozen = key if type(key) is str else freeze(key)
        try:
            found[frozen][1].append(call)
        except KeyError:
            found[frozen] = (key, [call])
    return list(found.values())


def _split(op: RecordedOp, value: Any) -> tuple[Any, Any]:
    if not _is_pair(value):
        raise Misfit(f"op {op.index} ({op.f}) has {said(value)} where [key, value] is expected")
    return value[0], value[1]


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2


def is_keyed(recorded: Recorded, options: Options, pairs: frozenset[str] = frozenset()) -> bool:
    """Return whether values are [key, value]: as options.extra["keyed"] says, else by their looks.

    pairs: verbs whose own value is a pair already (cas: [old, new]); theirs must be [key, [old, new]].
    """
    asked = (options.extra or {}).get("keyed")
    if asked is not None:
        return bool(asked)
    if recorded.keyed or not recorded.ops:
        return recorded.keyed
    for op in recorded.ops:
        if not _is_pair(op.arg) or isinstance(op.arg[0], (list, tuple, dict)):
            return False
        if op.f in pairs and not _is_pair(op.arg[1]):
            return False
        if op.outcome is OpOutcome.OK and not (_is_pair(op.value) and op.value[0] == op.arg[0]):
            return False
    return True


def says_keyed(recorded: Recorded, options: Options) -> bool:
    """Return whether values are [key, value] where looks cannot tell: as the options or the recording say."""
    return bool((options.extra or {}).get("keyed", recorded.keyed))


def first_value(recorded: Recorded, options: Options, key: Any, default: Any) -> Any:
    """Return what the object held at first: as the recording declares, else the options, else the model's own."""
    declared = recorded.initial
    if declared:
        try:
            if key in declared:
                return declared[key]
        except TypeError:
            pass
        if None in declared:
            return declared[None]
    return default if options.initial is None else options.initial


class Parts:
    """The parts of a history by key, in order of first use."""

    def __init__(self) -> None:
        self.found: dict[Any, Part] = {}

    def of(self, key: Any, frozen: Any) -> Part:
        """Return the part of a key, a new one at first."""
        part = self.found.get(frozen)
        if part is None:
            part = self.found[frozen] = Part(key)
        return part
