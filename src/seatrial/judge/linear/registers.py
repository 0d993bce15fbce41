"""Registers, locks and counters as calls on small integers."""

from __future__ import annotations

from typing import Any

from seatrial.history.recorded import Recorded
from seatrial.judge.linear.problem import ADD, CAS, JUNK, NEVER, READ, SET, Misfit, Part, freeze, said
from seatrial.judge.linear.reading import Call, Parts, Problem, by_object, calls, first_value, is_keyed
from seatrial.judge.modelling import Options

READS = {"read": "read", "r": "read", "get": "read"}
WRITES = {"write": "write", "w": "write", "put": "write", "set": "write"}
SWAPS = {"cas": "cas", "compare-and-set": "cas", "compare_and_set": "cas"}
LOCKS = {"acquire": "acquire", "lock": "acquire", "release": "release", "unlock": "release"}
COUNTS = {
    "add": "add",
    "increment": "add",
    "inc": "add",
    "incr": "add",
    "decrement": "sub",
    "dec": "sub",
    "decr": "sub",
    "read": "read",
    "get": "read",
}


def register(recorded: Recorded, options: Options) -> Problem:
    """Encode reads and writes."""
    return _registers(recorded, options, {**READS, **WRITES})


def cas_register(recorded: Recorded, options: Options) -> Problem:
    """Encode reads, writes and compare-and-set, value [old, new]."""
    return _registers(recorded, options, {**READS, **WRITES, **SWAPS})


def _registers(recorded: Recorded, options: Options, verbs: dict[str, str]) -> Problem:
    keyed = is_keyed(recorded, options, frozenset(SWAPS))
    parts, examined, observing = [], 0, 0
    for key, found in by_object(recorded, verbs, keyed):
        part = Part(key)
        examined += len(found)
        start = freeze(first_value(recorded, options, key, None))
        observing += _fill_register(part, found, start, options.nil == "wildcard")
        parts.append(part)
    words = ("values are [key, value]",) if keyed else ()
    return Problem(parts, examined, observing, words, "zones")


def _fill_register(part: Part, found: list[Call], start: Any, wildcard: bool) -> int:
    """Number the values that some op observes; all others are one. Returns how many calls observe."""
    rows: list[tuple[Call, str, Any, Any]] = []
    ids: dict[Any, int] = {}
    observing = 0
    opened = False
    for call in found:
        opened = opened or call.end == NEVER
        f = call.f
        if f == "read":
            value = call.value
            if call.end == NEVER or (wildcard and value is None):
                continue
            value = value if type(value) is int else freeze(value)
            if value not in ids:
                ids[value] = len(ids) + 1
            rows.append((call, f, value, None))
            observing += 1
        elif f == "write":
            rows.append((call, f, None, freeze(call.arg)))
        else:
            old, new = _old_new(call)
            rows.append((call, f, old, new))
            observing += call.end != NEVER
            ids.setdefault(old, len(ids) + 1)
    if opened:
        rows, ids = _useful(rows)
    part.initial = ids.get(start, JUNK)
    part.names = {number: value for value, number in ids.items()}
    part.fill([_row(call, f, ids.get(old, JUNK), ids.get(new, JUNK)) for call, f, old, new in rows])
    return observing


def _row(call: Call, f: str, old: int, new: int) -> tuple[int, int, int, int, int, int]:
    if f == "write":
        return call.op.index, call.start, call.end, SET, 0, new
    if f == "read" or old == new:
        return call.op.index, call.start, call.end, READ, old, 0
    return call.op.index, call.start, call.end, CAS, old, new


def _old_new(call: Call) -> tuple[Any, Any]:
    if not isinstance(call.arg, (list, tuple)) or len(call.arg) != 2:
        raise Misfit(f"op {call.op.index} (cas) has {said(call.arg)} where [old, new] is expected")
    return freeze(call.arg[0]), freeze(call.arg[1])


def _useful(rows: list[Any]) -> tuple[list[Any], dict[Any, int]]:
    """Leave out open calls whose value nobody observes (they need not have happened), until none is left."""
    while True:
        wanted = {old for _, f, old, _ in rows if f != "write"}
        kept = [r for r in rows if not (r[0].open and (r[3] not in wanted or r[2] == r[3]))]
        if len(kept) == len(rows):
            ids: dict[Any, int] = {}
            for _, f, old, _ in rows:
                if f != "write":
                    ids.setdefault(old, len(ids) + 1)
            return rows, ids
        rows = kept


def mutex(recorded: Recorded, options: Options) -> Problem:
    """Encode acquire and release of a lock that does not know its owner."""
    return _locks(recorded, options, lambda _: 1)


def owner_lock(recorded: Recorded, options: Options) -> Problem:
    """Encode a lock that only its owner can release. The owner is the op's value where it has one, else its process."""
    owners: dict[Any, int] = {}

    def owner(call: Call) -> int:
        who = call.op.process if call.arg is None else call.arg
        return owners.setdefault(freeze(who), len(owners) + 1)

    problem = _locks(recorded, options, owner)
    for part in problem.parts:
        part.names = {0: "free", **{number: f"held by {said(who)}" for who, number in owners.items()}}
    return problem


def _locks(recorded: Recorded, options: Options, owner: Any) -> Problem:
    keyed = is_keyed(recorded, options)
    parts, examined, observing = Parts(), 0, 0
    for call in calls(recorded, LOCKS, keyed):
        part = parts.of(call.key, freeze(call.key))
        part.names = {0: "free", 1: "held"}
        who = owner(call)
        examined += 1
        observing += not call.open
        old, new = (0, who) if call.f == "acquire" else (who, 0)
        part.add(call.op.index, call.start, call.end, CAS, old, new)
    for part in parts.found.values():
        part.initial = 1 if first_value(recorded, options, part.key, False) not in (False, 0, "free") else 0
    return Problem(list(parts.found.values()), examined, observing)


def counter(recorded: Recorded, options: Options) -> Problem:
    """Encode additions and reads of a number."""
    keyed = is_keyed(recorded, options)
    parts, examined, observing = Parts(), 0, 0
    for call in calls(recorded, COUNTS, keyed):
        part = parts.of(call.key, freeze(call.key))
        examined += 1
        if call.f == "read":
            if call.open or (call.value is None and options.nil == "wildcard"):
                continue
            observing += 1
            part.add(call.op.index, call.start, call.end, READ, _whole(call, call.value), 0)
            continue
        amount = _whole(call, 1 if call.arg is None else call.arg)
        part.add(call.op.index, call.start, call.end, ADD, -amount if call.f == "sub" else amount, 0)
    for part in parts.found.values():
        initial = first_value(recorded, options, part.key, 0)
        part.initial = initial if type(initial) is int else 0
    return Problem(list(parts.found.values()), examined, observing)


def _whole(call: Call, value: Any) -> int:
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is not int or abs(value) > 1 << 60:
        raise Misfit(f"op {call.op.index} ({call.f}) has {said(value)} where a whole number is expected")
    return value
