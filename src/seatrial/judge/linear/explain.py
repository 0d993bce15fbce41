"""What a picture of a failed check needs: the calls of the partition, the orders tried, where each of them stops."""

from __future__ import annotations

from typing import Any

from seatrial.history.recorded import Recorded
from seatrial.judge.linear.checks import proof_of
from seatrial.judge.linear.encoders import ENCODERS
from seatrial.judge.linear.minimise import prefix
from seatrial.judge.linear.planner import Judged, judge_parts
from seatrial.judge.linear.problem import ILLEGAL, NEVER, Misfit, Part, said
from seatrial.judge.linear.search import LEGAL, NOT_LEGAL, Search
from seatrial.judge.modelling import LinearPicture, Options, Prefix

ORDERS = 8  # furthest orders shown of a partition
CALLS = 400  # latest calls shown of a partition
TRIES = 200_000
TRIED_ENDS = 64


def explain(model: str, recorded: Recorded, options: Options) -> dict[str, Any]:
    """Return model, outcome and, for each partition that is not legal, what was tried.

    {"model", "outcome": "legal" | "illegal" | "undecided" | "misfit", "problem", "partitions": [{"key", "outcome",
    "method", "initial": words, "core": op numbers that are illegal by themselves, "calls": [{"op", "process", "f",
    "arg", "value", "start", "end" (None while open), "required", "core"}], "orders": [{"calls": [{"op", "state": words,
    after it}], "stops_at": op that ends next and has no place, "refused": [{"op", "state"}]: illegal there}]}]}
    """
    try:
        found = judge_parts(ENCODERS[model](recorded, options), options)
    except Misfit as misfit:
        return {"model": model, "outcome": "misfit", "problem": str(misfit), "partitions": []}
    shown = [j for j in found if j.outcome == NOT_LEGAL] or [j for j in found if j.outcome != LEGAL]
    outcome = "legal" if not shown else "illegal" if shown[0].outcome == NOT_LEGAL else "undecided"
    by_index = {op.index: op for op in recorded.ops} if shown else {}
    partitions = [_partition(judged, options, by_index) for judged in shown]
    return {"model": model, "outcome": outcome, "problem": "", "partitions": partitions}


def pictures(model: str, recorded: Recorded, options: Options) -> tuple[LinearPicture, ...]:
    """Return a picture for each partition that is illegal or undecided; none for a legal history."""
    by_index = {op.index: op for op in recorded.ops}
    return tuple(_picture(model, p, by_index) for p in explain(model, recorded, options)["partitions"])


def _picture(model: str, found: dict[str, Any], by_index: dict[int, Any]) -> LinearPicture:
    prefixes = []
    for order in found["orders"]:
        refused = next((r for r in order["refused"] if r["op"] == order["stops_at"]), None)
        why = "" if refused is None else f"it is not legal where the state is {refused['state']}"
        prefixes.append(
            Prefix(
                order=tuple(c["op"] for c in order["calls"]),
                states=tuple(c["state"] for c in order["calls"]),
                next_op=order["stops_at"],
                why=why,
            )
        )
    return LinearPicture(
        model=model,
        partition="" if found["key"] is None else said(found["key"]),
        ops=tuple(by_index[c["op"]] for c in found["calls"]),
        prefixes=tuple(prefixes),
        stuck_at=prefixes[0].next_op if prefixes else None,
        initial=found["initial"],
    )


def _partition(judged: Judged, options: Options, by_index: dict[int, Any]) -> dict[str, Any]:
    illegal = judged.outcome == NOT_LEGAL
    core, _ = proof_of(judged, options) if illegal else (None, True)
    numbers = [] if core is None else sorted(set(core.index))
    part = judged.part
    search = Search(part, options.memory_bytes, TRIED_ENDS)
    search.run(TRIES)
    if search.outcome == NOT_LEGAL:
        part = prefix(part, search.frontier)
        search = Search(part, options.memory_bytes, TRIED_ENDS)
        search.run(TRIES)
    return {
        "key": part.key,
        "outcome": "illegal" if illegal else "undecided",
        "method": judged.method,
        "initial": part.word(part.initial),
        "core": numbers,
        "calls": _calls(part, set(numbers), by_index)[-CALLS:],
        "orders": [_order(part, search, way) for way, _ in _furthest(search)],
    }


def _calls(part: Part, core: set[int], by_index: dict[int, Any]) -> list[dict[str, Any]]:
    found = []
    for row in sorted(range(len(part)), key=part.start.__getitem__):
        op = by_index[part.index[row]]
        found.append(
            {
                "op": op.index,
                "process": op.process,
                "f": op.f,
                "arg": op.arg,
                "value": op.value,
                "start": op.start,
                "end": op.end,
                "required": part.end[row] < NEVER,
                "core": op.index in core,
            }
        )
    return found


def _furthest(search: Search) -> list[tuple[Any, int]]:
    """Return the furthest orders, the longest first, one of those that took the same calls to the same state."""
    ends = [(search.way(chain), state) for chain, state in search.ends if chain is not None]
    found: list[tuple[Any, int]] = []
    met: list[tuple[frozenset[int], int]] = []
    for way, state in sorted(ends, key=lambda e: -len(e[0])):
        calls = frozenset(way)
        if any(calls <= other for other, _ in met):
            continue
        met.append((calls, state))
        found.append((way, state))
    return found[:ORDERS]


def _order(part: Part, search: Search, way: list[int]) -> dict[str, Any]:
    steps, state = [], part.initial
    for row in way:
        state = part.next(state, row)
        steps.append({"op": part.index[row], "state": part.word(state)})
    left = [r for r in range(len(part)) if r not in set(way) and part.end[r] < NEVER]
    left.sort(key=part.end.__getitem__)
    limit = part.end[left[0]] if left else NEVER
    refused = [
        {"op": part.index[r], "state": part.word(state)}
        for r in left
        if part.start[r] <= limit and part.next(state, r) == ILLEGAL
    ]
    stops = part.index[left[0]] if left else None
    return {"calls": steps[-CALLS:], "stops_at": stops, "refused": refused}
