"""Collections, several registers at once, leases and a user's own object, as pure step functions."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from typing import Any

from seatrial.history.recorded import Recorded
from seatrial.judge.linear.problem import CAS, LOOK, MOVE, NEVER, READ, SET, Misfit, Part, Space, Step, freeze, said
from seatrial.judge.linear.reading import Call, Parts, Problem, calls, first_value, is_keyed, says_keyed
from seatrial.judge.modelling import Options

ENQUEUES = {"enqueue": "in", "enq": "in", "send": "in", "push": "in", "add": "in", "put": "in", "insert": "in"}
DEQUEUES = {"dequeue": "out", "deq": "out", "receive": "out", "pop": "out", "poll": "out", "take": "out", "get": "out"}
BAG = {**ENQUEUES, **DEQUEUES}
PRIORITY = {**BAG, "delete-min": "out", "extract-min": "out", "pop-min": "out", "delete-max": "out", "pop-max": "out"}
SETS = {"add": "add", "insert": "add", "remove": "remove", "delete": "remove", "contains": "contains", "read": "read"}
UNKNOWN = ("unknown",)  # the answer of an open call; no frozen value is equal to it
EMPTY = (None, "empty", ":empty")


def fifo_queue(recorded: Recorded, options: Options) -> Problem:
    """Encode enqueue and dequeue; a dequeue that answers nil found it empty."""
    return _bag(recorded, options, BAG, _fifo, "queue")


def stack(recorded: Recorded, options: Options) -> Problem:
    """Encode push and pop; a pop that answers nil found it empty."""
    return _bag(recorded, options, BAG, _lifo, "stack")


def priority_queue(recorded: Recorded, options: Options) -> Problem:
    """Encode insert and removal of the least (options.extra["order"]="max": the greatest).

    A value is comparable, or [priority, anything]. Among equal priorities any may go first.
    """
    return _bag(recorded, options, PRIORITY, _priority(bool((options.extra or {}).get("order") == "max")), "priority")


def _fifo(state: Any, move: Any) -> Any:
    kind, value = move
    if kind == "in":
        return (*state, value)
    if value == UNKNOWN:
        return state[1:]
    if value is None:
        return state if not state else None
    return state[1:] if state and state[0] == value else None


def _lifo(state: Any, move: Any) -> Any:
    kind, value = move
    if kind == "in":
        return (*state, value)
    if value == UNKNOWN:
        return state[:-1]
    if value is None:
        return state if not state else None
    return state[:-1] if state and state[-1] == value else None


def _priority(greatest: bool) -> Step:
    def step(state: Any, move: Any) -> Any:
        kind, value = move
        if kind == "in":
            grown = list(state)
            insort(grown, value, key=lambda v: (v[0], repr(v[1])))
            return tuple(grown)
        if value == UNKNOWN:
            return state[:-1] if greatest else state[1:]
        if value is None:
            return state if not state else None
        best = (state[-1] if greatest else state[0])[0] if state else None
        if best is None or value[0] != best or value not in state:
            return None
        at = state.index(value)
        return state[:at] + state[at + 1 :]

    return step


def _ranked(call: Call, value: Any) -> Any:
    """Return (priority, value); numbers and texts are their own priority."""
    first = value[0] if isinstance(value, (list, tuple)) and len(value) == 2 else value
    if isinstance(first, bool) or not isinstance(first, (int, float)):
        raise Misfit(f"op {call.op.index} ({call.f}) has {said(value)} where a number or [priority, value] is expected")
    return (first, freeze(value))


def _bag(recorded: Recorded, options: Options, verbs: dict[str, str], step: Step, method: str) -> Problem:
    keyed = says_keyed(recorded, options)
    parts, examined, observing = Parts(), 0, 0
    shape: Callable[[Call, Any], Any] = _ranked if method == "priority" else lambda _, value: freeze(value)
    for call in calls(recorded, verbs, keyed):
        part = parts.of(call.key, freeze(call.key))
        if part.space is None:
            part.space, part.group = Space(step), []
            held = first_value(recorded, options, part.key, ())
            start = tuple(shape(call, v) for v in (held if isinstance(held, (list, tuple)) else ()))
            part.initial = part.space.state(tuple(sorted(start, key=repr)) if method == "priority" else start)
        examined += 1
        raw = call.arg if call.f == "in" else call.value
        if call.f == "in":
            value = shape(call, raw)
        elif call.open:
            value = UNKNOWN
        else:
            observing += 1
            value = None if raw is None or raw in EMPTY else shape(call, raw)
        assert part.group is not None
        part.group.append(value)
        kind = LOOK if value is None and call.f == "out" else MOVE
        part.add(call.op.index, call.start, call.end, kind, part.space.move((call.f, value)), 0)
    return Problem(list(parts.found.values()), examined, observing, (), method)


def a_set(recorded: Recorded, options: Options) -> Problem:
    """Encode add, remove, contains and reads of the whole set.

    Without reads of the whole set every element is an object of its own; an answer true or false of add and
    remove says whether it changed the set.
    """
    keyed = says_keyed(recorded, options)
    found = list(calls(recorded, SETS, keyed))
    if any(c.f == "read" for c in found):
        return _whole_set(recorded, options, found)
    parts, observing = Parts(), 0
    for call in found:
        name = (freeze(call.key), freeze(call.arg))
        part = parts.of(call.arg if call.key is None else [call.key, call.arg], name)
        part.names = {0: "absent", 1: "present"}
        held = first_value(recorded, options, call.key, ())
        part.initial = int(any(freeze(v) == freeze(call.arg) for v in (held or ())))
        answered = isinstance(call.value, bool) and not call.open
        where = (call.op.index, call.start, call.end)
        present = int(call.f != "remove") if call.f != "contains" else 0
        observing += answered
        if call.f == "contains":
            if answered:
                part.add(*where, READ, int(call.value), 0)
        elif not answered:
            part.add(*where, SET, 0, present)
        elif call.value:
            part.add(*where, CAS, 1 - present, present)
        else:
            part.add(*where, READ, present, 0)
    return Problem(list(parts.found.values()), len(found), observing)


def _set_step(state: Any, move: Any) -> Any:
    f, value, answer = move
    if f == "read":
        return state if state == value else None
    has = value in state
    if f == "contains":
        return state if has == answer else None
    changed = has if f == "remove" else not has
    if answer is not None and answer != changed:
        return None
    return state - {value} if f == "remove" else state | {value}


def _whole_set(recorded: Recorded, options: Options, found: list[Call]) -> Problem:
    parts, observing = Parts(), 0
    for call in found:
        part = parts.of(call.key, freeze(call.key))
        if part.space is None:
            held = first_value(recorded, options, part.key, ())
            part.space = Space(_set_step)
            part.initial = part.space.state(frozenset(freeze(v) for v in (held or ())))
        answer = call.value if isinstance(call.value, bool) and not call.open else None
        if call.f == "read":
            if call.open or (call.value is None and options.nil == "wildcard"):
                continue
            move: Any = ("read", frozenset(freeze(v) for v in _elements(call)), None)
        elif call.f == "contains" and (call.open or not isinstance(call.value, bool)):
            continue
        else:
            move = (call.f, freeze(call.arg), answer)
        observing += move[2] is not None or call.f == "read"
        kind = LOOK if call.f in ("read", "contains") or answer is False else MOVE
        part.add(call.op.index, call.start, call.end, kind, part.space.move(move), 0)
    return Problem(list(parts.found.values()), len(found), observing, (), "grow-set")


def _elements(call: Call) -> Any:
    if call.value is None:
        return ()
    if not isinstance(call.value, (list, tuple, set, frozenset)):
        raise Misfit(f"op {call.op.index} (read) answered {said(call.value)} where a collection is expected")
    return call.value


def multi_register(recorded: Recorded, options: Options) -> Problem:
    """Encode transactions [[f, key, value], ...] over several registers that take effect at once."""
    part, examined, observing, wildcard = Part(None), 0, 0, options.nil == "wildcard"
    declared = recorded.initial or {}
    start = (
        options.initial if isinstance(options.initial, dict) else {k: v for k, v in declared.items() if k is not None}
    )
    default = None if isinstance(options.initial, dict) else options.initial

    def step(state: Any, move: Any) -> Any:
        now = dict(state)
        for kind, key, value in move:
            if kind == "write":
                now[key] = value
            elif now.get(key, freeze(default)) != value:
                return None
        return frozenset(now.items())

    part.space = Space(step)
    part.initial = part.space.state(frozenset((freeze(k), freeze(v)) for k, v in start.items()))
    for call in calls(recorded, {"txn": "txn", "read": "read", "write": "write"}, keyed=False):
        examined += 1
        move = _micro(call, wildcard)
        observing += not call.open and any(kind == "read" for kind, _, _ in move)
        if move:
            kind = LOOK if all(one[0] == "read" for one in move) else MOVE
            part.add(call.op.index, call.start, call.end, kind, part.space.move(move), 0)
    return Problem([part] if examined else [], examined, observing)


def _micro(call: Call, wildcard: bool) -> Any:
    """Return the reads and writes that matter; of an open transaction only its writes."""
    value = call.arg if call.open else call.value
    if isinstance(value, dict):  # {x: 1, y: 2} of a read or write op
        value = [[call.f, k, v] for k, v in value.items()]
    found = []
    for one in value or ():
        if not isinstance(one, (list, tuple)) or len(one) != 3:
            raise Misfit(f"op {call.op.index} has {said(one)} where [f, key, value] is expected")
        kind = {"r": "read", "read": "read", "w": "write", "write": "write"}.get(str(one[0]))
        if kind is None:
            raise Misfit(f"op {call.op.index} has {said(one[0])} where read or write is expected")
        if kind == "write" or not (call.open or (wildcard and one[2] is None)):
            found.append((kind, freeze(one[1]), freeze(one[2])))
    return tuple(found)


def own(recorded: Recorded, options: Options) -> Problem:
    """Encode for a user's model: options.extra["step"](state, f, arg, value) -> (ok, next state).

    extra["initial"] (or options.initial) is the first state; states must be hashable. extra["partition"](op), when
    given, names the object an op is on. An open op is tried with value None.
    """
    extra = options.extra or {}
    if not callable(extra.get("step")):
        raise Misfit("the model 'own' needs options.extra['step'], a function (state, f, arg, value) -> (ok, state)")
    user_step, partition = extra["step"], extra.get("partition")
    initial = extra.get("initial", options.initial)
    arguments: dict[Any, Any] = {}

    def step(state: Any, move: Any) -> Any:
        ok, then = user_step(state[0], *arguments[move])
        return (then,) if ok else None  # a tuple, so that None can be a state

    parts, examined, observing = Parts(), 0, 0
    for call in calls(recorded, {op.f: op.f for op in recorded.ops}, keyed=False):
        key = partition(call.op) if partition else None
        part = parts.of(key, freeze(key))
        if part.space is None:
            part.space = Space(step)
            part.initial = part.space.state((initial,))
        value = None if call.open else call.value
        move = (call.f, freeze(call.arg), freeze(value), call.open)
        arguments[move] = (call.f, call.arg, value)
        examined += 1
        observing += not call.open
        part.add(call.op.index, call.start, call.end, MOVE, part.space.move(move), 0)
    return Problem(list(parts.found.values()), examined, observing)


def lease(recorded: Recorded, options: Options) -> Problem:
    """Encode acquire, renew and release of a lease that ends by itself options.extra["ttl_ns"] after it was granted.

    Needs recorded times. A grant may lie anywhere in the op's interval, so a second grant is illegal only where no
    choice of instants lets the first lease run out before. Releasing one's own lease that ran out, but that nobody
    else was granted meanwhile, is legal.
    """
    ttl = (options.extra or {}).get("ttl_ns")
    if not isinstance(ttl, (int, float)) or ttl <= 0:
        raise Misfit("the model 'lease' needs options.extra['ttl_ns'], the length of a lease in nanoseconds")
    keyed = is_keyed(recorded, options)
    verbs = {"acquire": "acquire", "lock": "acquire", "release": "release", "unlock": "release"}
    parts, examined, observing = Parts(), 0, 0
    for call in calls(recorded, {**verbs, "renew": "renew", "keepalive": "renew"}, keyed):
        part = parts.of(call.key, freeze(call.key))
        if part.space is None:
            part.space = Space(_lease_step(int(ttl)))
            part.initial = part.space.state((None, 0, -NEVER))
        if call.op.start_ns is None or (not call.open and call.op.end_ns is None):
            raise Misfit(f"op {call.op.index} has no recorded time; the model 'lease' judges by time")
        who = freeze(call.op.process if call.arg is None else call.arg)
        until = NEVER if call.open or call.op.end_ns is None else call.op.end_ns
        examined += 1
        observing += not call.open
        move = part.space.move((call.f, who, call.op.start_ns, until))
        part.add(call.op.index, call.start, call.end, MOVE, move, 0)
    return Problem(list(parts.found.values()), examined, observing)


def _lease_step(ttl: int) -> Step:
    def step(state: Any, move: Any) -> Any:
        """state: (owner, when the lease ends, earliest instant of the last step). The earliest choice is the best."""
        owner, ends, now = state
        f, who, start, until = move
        now = max(now, start)
        if f == "acquire":
            if owner is not None and owner != who:
                now = max(now, ends)
            return (who, now + ttl, now) if now <= until else None
        if owner != who or now > until:
            return None
        return (who, now + ttl, now) if f == "renew" else (None, 0, now)

    return step
