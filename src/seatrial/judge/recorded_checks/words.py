"""Values of ops as dictionary keys, and ops and values in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp

OK, FAIL = OpOutcome.OK, OpOutcome.FAIL
_PLAIN = frozenset((int, str, float, bytes, type(None)))
_MOST = 120


def token(value: Any) -> Any:
    """Return something hashable that is equal for equal values: lists and tuples alike, True apart from 1."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is bool:
        return ("bool", value)
    if isinstance(value, (list, tuple)):
        return tuple(token(v) for v in value)
    if isinstance(value, Mapping):
        return ("map", frozenset((token(k), token(v)) for k, v in value.items()))
    if isinstance(value, (set, frozenset)):
        return ("set", frozenset(token(v) for v in value))
    return str(value)


def listed(value: Any) -> list[Any] | None:
    """Return the items of a list, tuple or set; None for anything else."""
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else None


def tokens(values: Iterable[Any]) -> list[Any]:
    """Return the tokens of many values; plain values cost no call each."""
    given = values if isinstance(values, (list, tuple, set, frozenset)) else list(values)
    if set(map(type, given)) <= _PLAIN:
        return list(given)
    return [token(v) for v in given]


def show(value: Any, most: int = _MOST) -> str:
    """Return a value for a reader: nil for None, lists as [1 2], long ones cut."""
    text = _show(value, most)
    return text if len(text) <= most else text[: most - 1] + "…"


def _show(value: Any, most: int) -> str:
    if value is None:
        return "nil"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "{" + _some((f"{_show(k, most)}: {_show(v, most)}" for k, v in value.items()), most, ", ") + "}"
    if isinstance(value, (list, tuple)):
        return "[" + _some((_show(v, most) for v in value), most) + "]"
    if isinstance(value, (set, frozenset)):
        return "{" + _some(sorted(_show(v, most) for v in value), most) + "}"
    return str(value)


def _some(parts: Iterable[str], most: int, between: str = " ") -> str:
    kept, length = [], 0
    for part in parts:
        kept.append(part)
        length += len(part) + 1
        if length > most:
            break
    return between.join(kept)


def told(op: RecordedOp) -> str:
    """Return an op in plain words: "op 7 (process 2): read → 4"."""
    asked = "" if op.arg is None else f" {show(op.arg)}"
    if op.outcome == OK:
        same = op.value is None or token(op.value) == token(op.arg)
        answer = "ok" if same else show(op.value)
    elif op.outcome == FAIL:
        answer = "failed"
    else:
        answer = "never completed"
    return f"op {op.index} (process {show(op.process, 30)}): {op.f}{asked} → {answer}"


def initial_of(recorded: Recorded, given: Any) -> Any:
    """Return the declared initial value of the only object: the recording's, else the user's, else None."""
    if recorded.initial and None in recorded.initial:
        return recorded.initial[None]
    return given
