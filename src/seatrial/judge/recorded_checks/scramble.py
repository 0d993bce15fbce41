"""Random damage to histories, so that the checkers are compared with the definitions on good and on bad ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.recorded_checks.dice import Dice


def scrambled(recorded: Recorded, dice: Dice, times: int) -> Recorded:
    """Return a copy in which `times` random ops are damaged: values changed, answers taken away, order swapped."""
    ops = list(recorded.ops)
    for _ in range(times):
        if len(ops) > 1:
            _damage(ops, dice)
    return replace(recorded, ops=tuple(ops))


def _damage(ops: list[RecordedOp], dice: Dice) -> None:
    at, kind = dice.roll(len(ops)), dice.roll(6)
    op = ops[at]
    if kind == 0:
        del ops[at]
    elif kind == 1:
        ops[at] = _other_outcome(op)
    elif kind == 2 and op.outcome == OpOutcome.OK:
        ops[at] = replace(op, outcome=OpOutcome.UNKNOWN, value=op.arg, end=None, end_ns=None)
    elif kind == 3:
        other = dice.roll(len(ops))
        _swap(ops, at, other)
    elif op.outcome == OpOutcome.OK:
        ops[at] = replace(op, value=changed(op.value, dice))


def _other_outcome(op: RecordedOp) -> RecordedOp:
    if op.end is None:
        return op
    if op.outcome == OpOutcome.FAIL and op.f == "acquire":
        return replace(op, outcome=OpOutcome.OK, error="")
    return replace(op, outcome=OpOutcome.FAIL, value=op.arg)


def _swap(ops: list[RecordedOp], a: int, b: int) -> None:
    """Let two answered ops of one name change their answers."""
    one, two = ops[a], ops[b]
    if one.f == two.f and one.outcome == two.outcome == OpOutcome.OK and one.arg == two.arg:
        ops[a], ops[b] = replace(one, value=two.value), replace(two, value=one.value)


def changed(value: Any, dice: Dice) -> Any:
    """Return the value with one part of it changed, left out, doubled or exchanged."""
    if isinstance(value, dict) and value:
        key = dice.pick(list(value))
        return {**value, key: changed(value[key], dice)}
    if isinstance(value, list) and value:
        at, kind = dice.roll(len(value)), dice.roll(4)
        if isinstance(value[at], list) and isinstance(value[at][0], str):
            return [*value[:at], _changed_mop(value[at], dice), *value[at + 1 :]]
        if kind == 0:
            return value[:at] + value[at + 1 :]
        if kind == 1:
            return [*value, value[at]]
        if kind == 2 and len(value) > 1:
            return [*value[:at], *value[at + 1 :], value[at]]
        return [*value[:at], _bumped(value[at], dice), *value[at + 1 :]]
    if isinstance(value, int):
        return value + dice.pick((-3, -1, 1, 4))
    return value


def _changed_mop(mop: list[Any], dice: Dice) -> list[Any]:
    if mop[0] == "r":
        return [mop[0], mop[1], None if mop[2] is not None else 1]
    if len(mop) > 1:
        return [*mop[:-1], _bumped(mop[-1], dice)]
    return mop


def _bumped(value: Any, dice: Dice) -> Any:
    """Change one number of a pair, so that it stays a pair."""
    if isinstance(value, list) and value:
        at = dice.roll(len(value))
        return [*value[:at], changed(value[at], dice), *value[at + 1 :]]
    return changed(value, dice)
