"""The brute force that the checkers are compared with: it tries every order, and shares no code with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp


def brute_force(model: str, recorded: Recorded, nil_is_any: bool) -> bool:
    """Return whether some order of the ops is legal. Exponential: for a dozen ops at most.

    Registers start at the recording's initial value, locks free, collections empty, counters and texts at nothing.
    """
    ops = [op for op in recorded.ops if op.outcome is not OpOutcome.FAIL]
    state = (recorded.initial or {}).get(None) if "register" in model else _first(model)
    return _solve(model, ops, state, nil_is_any)


def _first(model: str) -> Any:
    return {"counter": 0, "kv": {}, "mutex": None, "owner-lock": None, "set": frozenset()}.get(model, ())


def _solve(model: str, left: list[RecordedOp], state: Any, nil_is_any: bool) -> bool:
    ends = [op.end for op in left if op.outcome is OpOutcome.OK and op.end is not None]
    if not ends:
        return True
    for i, op in enumerate(left):
        if op.start <= min(ends):
            rest = left[:i] + left[i + 1 :]
            for after in _after(model, state, op, nil_is_any):
                if _solve(model, rest, after, nil_is_any):
                    return True
    return False


def _after(model: str, state: Any, op: RecordedOp, nil_is_any: bool) -> Iterable[Any]:
    """Return the states that may follow; none where the answer is not legal."""
    done = op.outcome is OpOutcome.OK
    if model in ("register", "cas-register"):
        return _register(state, op, done, nil_is_any)
    if model == "multi-register":
        return _multi(dict(state or {}), op, done, nil_is_any)
    if model == "counter":
        if op.f == "read":
            return [state] if not done or op.value == state else []
        return [state + op.arg]
    if model == "kv":
        key, text = op.arg
        held = state.get(key, "")
        if op.f == "get":
            return [state] if not done or op.value[1] == held else []
        return [{**state, key: text if op.f == "put" else held + text}]
    if model in ("mutex", "owner-lock"):
        who = "someone" if model == "mutex" else op.arg
        old, new = (None, who) if op.f == "acquire" else (who, None)
        return [new] if state == old else []
    return _set(state, op, done) if model == "set" else _bag(model, state, op, done)


def _register(state: Any, op: RecordedOp, done: bool, nil_is_any: bool) -> Iterable[Any]:
    if op.f == "read":
        return [state] if not done or op.value == state or (nil_is_any and op.value is None) else []
    if op.f == "write":
        return [op.arg]
    return [op.arg[1]] if state == op.arg[0] else []


def _multi(state: dict[Any, Any], op: RecordedOp, done: bool, nil_is_any: bool) -> Iterable[Any]:
    for kind, key, value in op.value if done else op.arg:
        if kind == "w":
            state[key] = value
        elif done and state.get(key, 0) != value and not (nil_is_any and value is None):
            return []
    return [state]


def _set(state: Any, op: RecordedOp, done: bool) -> Iterable[Any]:
    if op.f == "read":
        return [state] if not done or frozenset(op.value) == state else []
    if op.f == "contains":
        return [state] if not done or op.value == (op.arg in state) else []
    after = state | {op.arg} if op.f == "add" else state - {op.arg}
    wrong = done and isinstance(op.value, bool) and op.value != (after != state)
    return [] if wrong else [after]


def _bag(model: str, state: Any, op: RecordedOp, done: bool) -> Iterable[Any]:
    if op.f == "enqueue":
        return [(*state, op.arg)]
    if not state:
        return [state] if not done or op.value is None else []
    at = {"fifo-queue": 0, "stack": len(state) - 1}.get(model, state.index(min(state)))
    if done and op.value != state[at]:
        return []
    return [state[:at] + state[at + 1 :]]
