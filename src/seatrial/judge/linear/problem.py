"""What a search for a linearization works on: one partition of a history, its ops as small integers."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

READ, SET, CAS, ADD, MOVE, LOOK = range(6)  # kinds of call: see Part
JUNK = 0  # stands for every value that no op of the partition can observe
NEVER = 1 << 60  # the end of an op that stays open
ILLEGAL = -(1 << 62)  # the "next state" of a call that a state does not allow

Step = Callable[[Any, Any], Any]


class Misfit(Exception):
    """The history does not fit the model; the text says which op and why."""


@dataclass(slots=True)
class Space:
    """States and moves of an object that is more than one number, found as they are needed.

    step(state, move) gives the next state, or None when the state does not allow the move.
    default: what follows a pair that is not in `known` when there is no step.
    """

    step: Step | None
    states: list[Any] = field(default_factory=list)
    moves: list[Any] = field(default_factory=list)
    known: dict[tuple[int, int], int] = field(default_factory=dict)
    default: int = JUNK
    _state_ids: dict[Any, int] = field(default_factory=dict)
    _move_ids: dict[Any, int] = field(default_factory=dict)

    def state(self, value: Hashable) -> int:
        """Return the number of a state, a new one when it was not met before."""
        found = self._state_ids.setdefault(value, len(self.states))
        if found == len(self.states):
            self.states.append(value)
        return found

    def move(self, what: Hashable) -> int:
        """Return the number of a move."""
        found = self._move_ids.setdefault(what, len(self.moves))
        if found == len(self.moves):
            self.moves.append(what)
        return found

    def next(self, state: int, move: int) -> int:
        """Return the number of the state after a move, or ILLEGAL."""
        after = self.known.get((state, move))
        if after is None:
            after = self._ask(state, move)
            self.known[(state, move)] = after
        return after

    def _ask(self, state: int, move: int) -> int:
        if self.step is None:
            return self.default
        value = self.step(self.states[state], self.moves[move])
        return ILLEGAL if value is None else self.state(value)


@dataclass(slots=True)
class Part:
    """The calls on one object. Row i of all lists is one call.

    index: op numbers in the recording. start, end: positions in its order; end is NEVER for an op that stays open
    and may have had no effect at all.
    kind, a, b: READ (legal where the state is a), SET (state becomes b), CAS (where a, becomes b),
    ADD (state grows by a), MOVE (move number a of `space`), LOOK (a move that never changes a state).
    names: what the numbers of states mean, for words and pictures; None where the number is the value.
    group: calls of one group (the same element) may be left out together without making a legal history illegal;
    None when there is no such thing.
    starts: states it may have held at first, where only the end of a history is kept; None: just `initial`.
    """

    key: Any
    initial: int = JUNK
    index: list[int] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    a: list[int] = field(default_factory=list)
    b: list[int] = field(default_factory=list)
    space: Space | None = None
    names: dict[int, Any] | None = None
    group: list[Any] | None = None
    starts: list[int] | None = None

    def __len__(self) -> int:
        """Return the number of calls."""
        return len(self.index)

    def add(self, index: int, start: int, end: int, kind: int, a: int, b: int) -> None:
        """Add a call."""
        self.index.append(index)
        self.start.append(start)
        self.end.append(end)
        self.kind.append(kind)
        self.a.append(a)
        self.b.append(b)

    def fill(self, rows: list[tuple[int, int, int, int, int, int]]) -> None:
        """Take rows (index, start, end, kind, a, b) as the calls, all at once."""
        columns = map(list, zip(*rows, strict=True)) if rows else ([] for _ in range(6))
        self.index, self.start, self.end, self.kind, self.a, self.b = columns

    def next(self, state: int, call: int) -> int:
        """Return the state after a call, or ILLEGAL."""
        kind = self.kind[call]
        if kind == READ:
            return state if state == self.a[call] else ILLEGAL
        if kind == SET:
            return self.b[call]
        if kind == CAS:
            return self.b[call] if state == self.a[call] else ILLEGAL
        if kind == ADD:
            return state + self.a[call]
        assert self.space is not None
        return self.space.next(state, self.a[call])

    def keep(self, rows: list[int]) -> Part:
        """Return the part with only these rows, in this order."""

        def pick(column: list[Any]) -> list[Any]:
            return [column[r] for r in rows]

        return Part(
            self.key,
            self.initial,
            pick(self.index),
            pick(self.start),
            pick(self.end),
            pick(self.kind),
            pick(self.a),
            pick(self.b),
            self.space,
            self.names,
            None if self.group is None else pick(self.group),
            self.starts,
        )

    def word(self, state: int) -> str:
        """Return the state in words."""
        if self.space is not None:
            return said(self.space.states[state]) if 0 <= state < len(self.space.states) else "?"
        if self.names is None:
            return str(state)
        return said(self.names[state]) if state in self.names else "a value that no op observes"


def said(value: Any, most: int = 60) -> str:
    """Return a value as short text; nil for None."""
    if isinstance(value, Frozen):
        value = value.shown
    text = "nil" if value is None else value if isinstance(value, str) and value else repr(value)
    return text if len(text) <= most else f"{text[: most // 2]}...{text[-most // 2 :]}"


@dataclass(frozen=True, slots=True)
class Frozen:
    """A value of a history made hashable; equal only to values of the same type and text."""

    text: str
    shown: Any = field(compare=False)


def freeze(value: Any) -> Hashable:
    """Return something hashable that is equal exactly for equal values; 1, 1.0 and true are three values."""
    if value is None or type(value) is int or type(value) is str:
        return value
    if type(value) is frozenset:
        return value
    return Frozen(f"{type(value).__name__} {_canonical(value)}", value)


def _canonical(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{_canonical(k)}:{_canonical(v)}" for k, v in value.items())) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_canonical(v) for v in value) + "]"
    if isinstance(value, (set, frozenset)):
        return "#{" + ",".join(sorted(_canonical(v) for v in value)) + "}"
    return repr(value)
