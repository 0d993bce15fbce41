"""A key-value store of strings with get, put and append, as Porcupine's model has it: one part a key."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from typing import Any

from seatrial.history.recorded import Recorded
from seatrial.judge.linear.problem import JUNK, MOVE, READ, SET, Misfit, Part, Space, freeze, said
from seatrial.judge.linear.reading import Call, Parts, Problem, calls, first_value
from seatrial.judge.modelling import Options

VERBS = {
    "get": "get",
    "read": "get",
    "r": "get",
    "put": "put",
    "write": "put",
    "w": "put",
    "set": "put",
    "append": "append",
}


def kv(recorded: Recorded, options: Options) -> Problem:
    """Encode gets, puts and appends. Every value is [key, text]; a get that answers nil found nothing ("")."""
    parts = Parts()
    by_part: dict[Any, list[Call]] = {}
    examined = observing = 0
    for call in calls(recorded, VERBS, keyed=True):
        examined += 1
        key = freeze(call.key)
        parts.of(call.key, key)
        by_part.setdefault(key, []).append(call)
        observing += call.f == "get" and not call.open
    for key, part in parts.found.items():
        _fill(part, by_part[key], _text(first_value(recorded, options, part.key, "")))
    return Problem(list(parts.found.values()), examined, observing, (), "zones")


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else said(value)


def _answer(call: Call) -> str:
    if call.value is not None and not isinstance(call.value, (str, int)):
        raise Misfit(f"op {call.op.index} (get) answered {said(call.value)} where text is expected")
    return _text(call.value)


def _fill(part: Part, found: list[Call], first: str) -> None:
    """Encode a key. Only texts that begin some observed answer are states of their own.

    From any other text no sequence of appends leads to an observed answer, so all of those are one state, JUNK,
    in which an append changes nothing. That keeps the search exact, and small.
    """
    answers = {_answer(c) for c in found if c.f == "get" and not c.open}
    appends = {_text(c.arg) for c in found if c.f == "append"} - {""}
    puts = {_text(c.arg) for c in found if c.f == "put"}
    space = Space(step=None, default=JUNK)
    space.state("(no observed text)")
    tops = _longest(answers)
    for text in sorted({first} | puts | answers):
        if _begins(tops, text):
            space.state(text)
    if appends:
        _grow(space, appends, tops)
    useful = set(space.moves)  # all others lead to JUNK from everywhere: they are one move
    ids = {text: number for number, text in enumerate(space.states) if number}
    part.space, part.initial = space, ids.get(first, JUNK)
    for call in found:
        where = (call.op.index, call.start, call.end)
        if call.f == "get":
            if not call.open:
                part.add(*where, READ, ids[_answer(call)], 0)
        elif call.f == "put":
            part.add(*where, SET, 0, ids.get(_text(call.arg), JUNK))
        elif _text(call.arg):  # an append of nothing changes nothing
            move = space.move(_text(call.arg)) if _text(call.arg) in useful else space.move(None)
            part.add(*where, MOVE, move, 0)


def _longest(answers: set[str]) -> list[str]:
    """Return the answers that begin no other answer, sorted."""
    ordered = sorted(answers)
    last = ordered[-1:]
    return [t for t, after in itertools.pairwise(ordered) if not after.startswith(t)] + last


def _begins(tops: list[str], text: str) -> bool:
    at = bisect_left(tops, text)
    return at < len(tops) and tops[at].startswith(text)


def _grow(space: Space, appends: set[str], tops: list[str]) -> None:
    """Number every text that appends can make on the way to an observed answer, and the moves between them."""
    lengths = sorted({len(a) for a in appends})
    at = 1
    while at < len(space.states):
        text = space.states[at]
        top = bisect_left(tops, text)
        grown = set()
        while top < len(tops) and tops[top].startswith(text):
            grown |= {tops[top][len(text) : len(text) + n] for n in lengths} & appends
            top += 1
        for piece in grown:
            space.known[(at, space.move(piece))] = space.state(text + piece)
        at += 1
