"""The checkers of linearizability, one a model: a recording and options in, a finding out."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from seatrial.history.recorded import Recorded
from seatrial.judge.linear.encoders import ENCODERS
from seatrial.judge.linear.minimise import prefix, smallest, suffix
from seatrial.judge.linear.planner import Judged, judge_parts
from seatrial.judge.linear.problem import NEVER, Misfit, Part, said
from seatrial.judge.linear.reading import Problem
from seatrial.judge.linear.search import LEGAL, MORE, NOT_LEGAL, TOO_BIG, Search
from seatrial.judge.modelling import Options
from seatrial.verdict import Evidence, Finding, Outcome

SHOWN_OPS = 12
COLLECT_BELOW = 10_000
WITNESS_STEPS = 200_000


def check(model: str, recorded: Recorded, options: Options) -> Finding:
    """Judge whether the recording is linearizable as the model. Never raises on any history."""
    if not recorded.realtime:
        why = "the recording has no order between processes, and linearizability is about real time"
        return _finding(model, Outcome.NOT_TESTED, len(recorded.ops), why)
    try:
        with _no_collection(len(recorded.ops)):
            problem = ENCODERS[model](recorded, options)
            found = judge_parts(problem, options)
            return _conclude(model, problem, found, recorded, options)
    except Misfit as misfit:
        return _finding(model, Outcome.INCONCLUSIVE, len(recorded.ops), f"the history does not fit the model: {misfit}")
    except Exception as error:  # a user's step function may raise anything, and a history may hold anything
        why = f"the model could not read the history: {type(error).__name__}: {error}"
        return _finding(model, Outcome.INCONCLUSIVE, len(recorded.ops), why)


@contextmanager
def _no_collection(ops: int) -> Iterator[None]:
    """Hold the cyclic collector back: it would walk millions of live ops again and again, and find nothing."""
    if ops < COLLECT_BELOW or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _conclude(model: str, problem: Problem, found: list[Judged], recorded: Recorded, options: Options) -> Finding:
    figures = _figures(problem, found)
    bad = next((j for j in found if j.outcome == NOT_LEGAL), None)
    if bad is not None:
        reason, evidence = _violation(bad, recorded, options)
        return _finding(model, Outcome.FAIL, problem.examined, reason, figures, (evidence,))
    undecided = [j for j in found if j.outcome != LEGAL]
    if undecided:
        return _finding(model, Outcome.INCONCLUSIVE, problem.examined, _how_far(undecided, found), figures)
    if not problem.observing:
        why = "no op answers anything (there is no completed read), so that no answer could have been wrong"
        return _finding(model, Outcome.NOT_TESTED, problem.examined, why, figures)
    if recorded.problems:
        why = f"what could be read is linearizable, but: {recorded.problems[0]}"
        return _finding(model, Outcome.PASS, problem.examined, why, figures)
    return _finding(model, Outcome.PASS, problem.examined, "", figures)


def _finding(
    model: str,
    outcome: Outcome,
    examined: int,
    reason: str,
    figures: dict[str, float] | None = None,
    evidence: tuple[Evidence, ...] = (),
) -> Finding:
    return Finding(
        name=f"linearizable-{model}",
        claim=f"some order of the ops, within their real times, is legal for one {model}",
        outcome=outcome,
        examined=examined,
        required=1,
        reason=reason,
        figures=figures or {},
        evidence=evidence,
    )


def _figures(problem: Problem, found: list[Judged]) -> dict[str, float]:
    figures: dict[str, float] = {
        "partitions": len(found),
        "partitions_decided": sum(j.outcome in (LEGAL, NOT_LEGAL) for j in found),
        "calls": sum(len(j.part) for j in found),
        "observing": problem.observing,
        "configurations": sum(j.steps for j in found),
    }
    for judged in found:
        name = f"by_{judged.method.replace(' ', '_')}"
        figures[name] = figures.get(name, 0) + 1
    return figures


def _how_far(undecided: list[Judged], found: list[Judged]) -> str:
    least = min(undecided, key=lambda j: j.reached / max(len(j.part), 1))
    required = sum(e < NEVER for e in least.part.end)
    why = "the memory budget was used up" if least.outcome == TOO_BIG else "the time budget was used up"
    hard = f"{len(undecided)} of {len(found)} partitions are undecided" if len(found) > 1 else "it is undecided"
    return (
        f"{why} and {hard}; the longest order found{of_key(least.part)} takes {least.reached} of its {required} "
        f"completed ops (give it more time or memory, or record with fewer ops at once on one key)"
    )


def of_key(part: Part) -> str:
    """Return " of key K", or nothing for the only object."""
    return "" if part.key is None else f" of key {said(part.key)}"


def _violation(bad: Judged, recorded: Recorded, options: Options) -> tuple[str, Evidence]:
    """Say which ops cannot be put in any order, as few as can be found."""
    core, last = proof_of(bad, options)
    ops = tuple(sorted({core.index[r] for r in range(len(core))}))
    search = Search(core)
    search.run(WITNESS_STEPS)
    stuck = search.layout.rows[min(search.reached, search.layout.required - 1)]
    by_index = {op.index: op for op in recorded.ops}
    shown = ", ".join(describe(by_index[i]) for i in ops[:SHOWN_OPS])
    more = f" and {len(ops) - SHOWN_OPS} more" if len(ops) > SHOWN_OPS else ""
    least = "" if last else " (smaller sets were not looked for to the end)"
    reason = (
        f"no order explains op {core.index[stuck]}{of_key(core)}; these {len(ops)} ops show it{least}: {shown}{more}"
        f"{'' if core.starts is None else ', whatever was held before them'}; "
        f"the longest order takes {max(search.reached, 0)} of them and then holds {core.word(search.best_state)}"
    )
    way = [core.index[r] for r in search.way()]
    evidence = Evidence(
        what=f"no legal order; the longest is {way}, then op {core.index[stuck]} has no place",
        ops=ops,
        key="" if core.key is None else said(core.key),
        expected=f"an order that is legal from {core.word(core.initial)}" if core.starts is None else "a legal order",
        observed=describe(by_index[core.index[stuck]]),
        line=str(by_index[core.index[stuck]].line or ""),
    )
    return reason, evidence


def proof_of(bad: Judged, options: Options) -> tuple[Part, bool]:
    """Return a small part that is illegal by itself, and whether it is as small as leaving out can make it."""
    if bad.rows:
        witness = bad.part.keep(sorted(set(bad.rows)))
        search = Search(witness)
        if search.run(WITNESS_STEPS) == NOT_LEGAL:
            return smallest(suffix(witness, options.expired), options.expired)
        search = Search(bad.part, options.memory_bytes)
        while search.outcome == MORE and not options.expired() and search.steps < 10 * WITNESS_STEPS:
            search.run(WITNESS_STEPS)
        if search.outcome != NOT_LEGAL:
            return witness, False
        bad.frontier = search.frontier
    return smallest(suffix(prefix(bad.part, bad.frontier), options.expired), options.expired)


def describe(op: Any) -> str:
    """Return an op in words: op 3 (process 1) write 5."""
    answer = "" if op.value == op.arg else f" -> {said(op.value)}"
    ending = "" if op.end is not None else ", never completed"
    return f"op {op.index} (process {op.process}) {op.f} {said(op.arg)}{answer}{ending}"


def _checker(model: str) -> Callable[[Recorded, Options], Finding]:
    def run(recorded: Recorded, options: Options) -> Finding:
        return check(model, recorded, options)

    run.__doc__ = f"Judge a recording as one linearizable {model}."
    return run


register = _checker("register")
cas_register = _checker("cas-register")
multi_register = _checker("multi-register")
kv = _checker("kv")
mutex = _checker("mutex")
owner_lock = _checker("owner-lock")
lease = _checker("lease")
a_set = _checker("set")
fifo_queue = _checker("fifo-queue")
stack = _checker("stack")
priority_queue = _checker("priority-queue")
counter = _checker("counter")
own = _checker("own")


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare every method with the brute force on n small random histories, and plant violations."""
    from seatrial.judge.linear.selftest import run

    return run(n, seed)
