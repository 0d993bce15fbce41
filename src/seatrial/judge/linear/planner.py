"""Judges every part of a history by the cheapest exact method, and shares the budgets fairly among the hard ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from seatrial.judge.linear.problem import Part
from seatrial.judge.linear.quick import quick
from seatrial.judge.linear.reading import Problem
from seatrial.judge.linear.search import LEGAL, MORE, NOT_LEGAL, TOO_BIG, Search
from seatrial.judge.modelling import Options

FIRST_SLICE = 2_000  # configurations a part gets in the first round; four times as many in each next
GROWTH = 4
MOST_SLICE = 50_000  # between two looks at the clock
KERNEL_FROM_CALLS = 100_000  # compiled code is loaded for so many calls ...
KERNEL_FROM_STEPS = 200_000  # ... or for a part that took so many steps and is not done


class Engine(Protocol):
    """A search in slices, plain or compiled."""

    outcome: str
    steps: int
    reached: int

    @property
    def frontier(self) -> int:
        """Return the last return that was taken into account."""
        ...

    @property
    def memory(self) -> int:
        """Return bytes held by what is remembered."""
        ...

    def run(self, steps: int) -> str:
        """Go on for so many configurations."""
        ...


@dataclass(slots=True)
class Judged:
    """What is known of one part. outcome is LEGAL, NOT_LEGAL, MORE (out of time) or TOO_BIG (out of memory).

    rows: calls that show the violation, when the method names them. reached: calls linearized by the longest try.
    frontier: the last return (by end) that was taken into account; the part is illegal up to there.
    """

    part: Part
    outcome: str
    method: str
    rows: list[int] = field(default_factory=list)
    steps: int = 0
    reached: int = 0
    frontier: int = 0
    engine: Engine | None = None


@dataclass(slots=True)
class _Work:
    judged: Judged
    limit: int
    slice: int = FIRST_SLICE
    before: int = 0  # configurations looked at by an engine that was replaced


def judge_parts(problem: Problem, options: Options) -> list[Judged]:
    """Judge all parts, or until one is found illegal; parts not looked at to the end have outcome MORE."""
    found = [_first(part, problem, options) for part in problem.parts]
    if any(j.outcome == NOT_LEGAL for j in found):
        return found
    waiting = [_Work(j, options.memory_bytes) for j in found if j.outcome == MORE]
    calls = sum(len(w.judged.part) for w in waiting)
    make = _maker(options, calls)
    stuck = False
    while waiting and not stuck:
        for work in waiting:
            _slice(work, make, options)
            if work.judged.outcome == NOT_LEGAL:
                return found
            if options.expired():
                stuck = True
                break
        waiting = [w for w in waiting if w.judged.outcome == MORE]
        _bound_memory(waiting, options.memory_bytes)
    return found


def _first(part: Part, problem: Problem, options: Options) -> Judged:
    plain = (options.extra or {}).get("method") == "search"
    answer = None if plain else quick(part, problem.method)
    if answer is None:
        return Judged(part, MORE, "search")
    method, rows = answer
    return Judged(part, LEGAL if rows is None else NOT_LEGAL, method, rows or [])


def _maker(options: Options, calls: int) -> Callable[[Part, int, int], Engine]:
    asked = (options.extra or {}).get("engine", "auto")

    def make(part: Part, limit: int, steps: int) -> Engine:
        big = calls >= KERNEL_FROM_CALLS or steps >= KERNEL_FROM_STEPS
        if asked == "kernel" or (asked == "auto" and big):
            from seatrial.judge.linear.compiled import compiled_search

            found: Engine | None = compiled_search(part, limit)
            if found is not None:
                return found
        return Search(part, limit)

    return make


def _slice(work: _Work, make: Callable[[Part, int, int], Engine], options: Options) -> None:
    """Run one part for its share of this round."""
    judged = work.judged
    if judged.engine is None:
        judged.engine = make(judged.part, work.limit, 0)
    elif isinstance(judged.engine, Search) and judged.steps >= KERNEL_FROM_STEPS > work.before == 0:
        work.before = judged.steps
        judged.engine = make(judged.part, work.limit, judged.steps)
    engine, done = judged.engine, 0
    while done < work.slice and engine.outcome == MORE:
        engine.run(min(MOST_SLICE, work.slice - done))
        done += min(MOST_SLICE, work.slice - done)
        if options.expired():
            break
    work.slice *= GROWTH
    judged.outcome, judged.reached, judged.frontier = engine.outcome, engine.reached, engine.frontier
    judged.steps = work.before + engine.steps
    if engine.outcome == LEGAL:
        judged.engine = None


def _bound_memory(waiting: list[_Work], most: int) -> None:
    """Give up the greediest parts until the rest fits."""
    total = sum(w.judged.engine.memory for w in waiting if w.judged.engine)
    while total > most and waiting:
        greedy = max(waiting, key=lambda w: w.judged.engine.memory if w.judged.engine else 0)
        total -= greedy.judged.engine.memory if greedy.judged.engine else 0
        greedy.judged.outcome, greedy.judged.engine = TOO_BIG, None
        waiting.remove(greedy)
