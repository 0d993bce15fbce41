"""A key-value store of strings with get, put and append, as Porcupine's model has it: one part a key."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from typing import Any

from seatrial.history.recorded import Recorded
from seatrial.judge.linear.problem import JUNK, MOVE, NEVER, READ, SET, Misfit, Part, Space, said
from seatrial.judge.linear.reading import Call, Problem, by_object, first_value
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
    parts, examined, observing = [], 0, 0
    for key, found in by_object(recorded, VERBS, keyed=True):
        part = Part(key)
        examined += len(found)
        observing += _fill(part, found, _text(first_value(recorded, options, key, "")))
        parts.append(part)
    return Problem(parts, examined, observing, (), "zones")


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else said(value)


def _answer(call: Call) -> str:
    if call.value is not None and not isinstance(call.value, (str, int)):
        raise Misfit(f"op {call.op.index} (get) answered {said(call.value)} where text is expected")
    return _text(call.value)


def _fill(part: Part, found: list[Call], first: str) -> int:
    """Encode a key. Only texts that begin some observed answer are states of their own.

    From any other text no sequence of appends leads to an observed answer, so all of those are one state, JUNK,
    in which an append changes nothing. That keeps the search exact, and small. Returns the number of answers.
    """
    gets = [(c, _answer(c)) for c in found if c.f == "get" and c.end != NEVER]
    puts = [(c, _text(c.arg)) for c in found if c.f == "put"]
    appends = [(c, text) for c in found if c.f == "append" and (text := _text(c.arg))]  # "" changes nothing
    answers = {text for _, text in gets}
    space = Space(step=None, default=JUNK)
    space.state("(no observed text)")
    tops = _longest(answers)
    for text in sorted({first, *answers, *(text for _, text in puts)}):
        if text in answers or _begins(tops, text):
            space.state(text)
    if appends:
        _grow(space, {text for _, text in appends}, tops)
    useful = set(space.moves)  # all others lead to JUNK from everywhere: they are one move
    ids = {text: number for number, text in enumerate(space.states) if number}
    part.space, part.initial = space, ids.get(first, JUNK)
    rows = [(c.op.index, c.start, c.end, READ, ids[text], 0) for c, text in gets]
    rows += [(c.op.index, c.start, c.end, SET, 0, ids.get(text, JUNK)) for c, text in puts]
    moves = {text: space.move(text if text in useful else None) for _, text in appends}
    rows += [(c.op.index, c.start, c.end, MOVE, moves[text], 0) for c, text in appends]
    part.fill(rows)
    return len(gets)


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
