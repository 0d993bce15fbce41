"""Long fork: two reads that each saw a write which the other one missed. Forbidden by snapshot isolation and above."""

from __future__ import annotations

import itertools
from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.modelling import Options
from seatrial.judge.recorded_checks.partition import each_object
from seatrial.judge.recorded_checks.troubles import Troubles, finding, option
from seatrial.judge.recorded_checks.words import FAIL, OK, show, token, told
from seatrial.verdict import Finding

CLAIM = "reads of the same keys can be put in one order, in which writes only appear and never go away"
State = dict[Any, Any]


@each_object
def check(recorded: Recorded, options: Options) -> Finding:
    """Judge reads of groups of keys, each key written at most once. extra: group_size (else any size is taken)."""
    troubles = Troubles()
    doubts: list[str] = []
    written = _writes(recorded, doubts)
    groups: dict[frozenset[Any], list[tuple[RecordedOp, State]]] = {}
    for op in recorded.ops:
        state = _read_state(op)
        if state:
            groups.setdefault(frozenset(state), []).append((op, state))
    size = option(options.extra, "group_size", None)
    if size and any(len(keys) != size for keys in groups):
        doubts.append(f"a read asked for another number of keys than {size}")
    for keys, reads in groups.items():
        _judge_group(keys, reads, written, troubles, doubts)
    count = sum(len(reads) for reads in groups.values())
    return finding(
        "long-fork",
        CLAIM,
        troubles,
        examined=count,
        vacuous=_vacuous(groups),
        doubts=doubts[:3],
        figures={"reads": count, "groups": len(groups), "writes": len(written)},
    )


def _mops(value: Any) -> list[Any]:
    good = isinstance(value, (list, tuple)) and all(isinstance(m, (list, tuple)) and len(m) == 3 for m in value)
    return list(value) if good else []


def _writes(recorded: Recorded, doubts: list[str]) -> dict[Any, set[Any]]:
    """Return what was written to each key; the empty mapping when the history records no write at all."""
    written: dict[Any, set[Any]] = {}
    for op in recorded.ops:
        if op.outcome == FAIL:
            continue
        for kind, key, value in _mops(op.arg):
            if kind in ("w", "write"):
                held = written.setdefault(token(key), set())
                if held:
                    doubts.append(f"key {show(key)} is written more than once (again by op {op.index})")
                held.add(token(value))
    return written


def _read_state(op: RecordedOp) -> State | None:
    """Return the state that a read of several keys saw; None for any other op."""
    mops = _mops(op.value) if op.outcome == OK else []
    if not mops or any(kind not in ("r", "read") for kind, _, _ in mops):
        return None
    return {token(key): None if value is None else token(value) for _, key, value in mops}


def _judge_group(
    keys: frozenset[Any],
    reads: list[tuple[RecordedOp, State]],
    written: dict[Any, set[Any]],
    troubles: Troubles,
    doubts: list[str],
) -> None:
    seen: dict[Any, tuple[Any, RecordedOp]] = {}
    distinct: dict[frozenset[Any], RecordedOp] = {}
    for op, state in reads:
        present = frozenset(key for key, value in state.items() if value is not None)
        distinct.setdefault(present, op)
        for key in present:
            first = seen.setdefault(key, (state[key], op))
            if first[0] != state[key]:
                told_both = f"ops {first[1].index} and {op.index} saw different values of key {show(key)}"
                doubts.append(f"{told_both}; the model takes one write a key")
            if written and state[key] not in written.get(key, ()):
                words = f"op {op.index} saw {show(state[key])} at key {show(key)}, which nobody wrote"
                troubles.add("unexpected value", words, [op], key=key, observed=state[key])
    _judge_chain(distinct, troubles, keys)


def _judge_chain(distinct: dict[frozenset[Any], RecordedOp], troubles: Troubles, keys: frozenset[Any]) -> None:
    """Sets that are pairwise comparable form a chain; sorted by size, each then holds the one before."""
    chain = sorted(distinct.items(), key=lambda item: (len(item[0]), item[1].index))
    for (small, a), (large, b) in itertools.pairwise(chain):
        if not small <= large:
            only_a, only_b = show(sorted(small - large, key=str)[0]), show(sorted(large - small, key=str)[0])
            words = f"op {a.index} saw the write of {only_a} and not that of {only_b}, op {b.index} the other way round"
            troubles.add("long fork", words, [a, b], key=sorted(keys, key=str), expected=told(a), observed=told(b))


def _vacuous(groups: dict[frozenset[Any], list[tuple[RecordedOp, State]]]) -> str:
    if not any(len(keys) > 1 for keys in groups):
        return "no read of two or more keys succeeded"
    if not any(len(reads) > 1 for reads in groups.values()):
        return "no group of keys was read twice"
    if not any(value is not None for reads in groups.values() for _, state in reads for value in state.values()):
        return "no read saw any write"
    return ""


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare with the definition on n random histories, and plant violations."""
    from seatrial.judge.recorded_checks.selftesting import run

    return run(("long-fork",), n, seed)
