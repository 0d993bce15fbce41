"""Self-tests of these checkers: against the definitions, on correct stores, with planted violations, and unchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.modelling import ModelCheck, Options
from seatrial.judge.recorded_checks import oracles, oracles_order, plants, stores
from seatrial.judge.recorded_checks.dice import Dice
from seatrial.judge.recorded_checks.scramble import scrambled
from seatrial.judge.recorded_checks.simulate import Store, simulate
from seatrial.verdict import Outcome

_KEPT = 5  # counter-examples that a result names


@dataclass(frozen=True, slots=True)
class Case:
    """What the self-test of one model needs."""

    store: Callable[[], Store]
    bad: Callable[[Recorded], bool]
    plant: plants.Plant
    ops: int = 9  # of a small history, at most; the definitions are exponential for some


CASES = {
    "bank": Case(stores.Bank, oracles.bank, plants.bank),
    "long-fork": Case(stores.Forks, oracles.long_fork, plants.long_fork),
    "set": Case(stores.Set, oracles.last_set, plants.sets),
    "set-full": Case(stores.Set, oracles.set_full, plants.set_full),
    "queue": Case(stores.Queue, oracles.queue, plants.queue),
    "total-queue": Case(stores.Queue, oracles.total_queue, plants.total_queue),
    "log": Case(stores.Log, oracles_order.log, plants.log, ops=16),
    "counter": Case(stores.Counter, oracles.counter, plants.counter),
    "unique-ids": Case(stores.Ids, oracles.unique_ids, plants.unique_ids),
    "monotonic": Case(lambda: stores.Ids("read"), oracles.monotonic, plants.monotonic),
    "monotonic-ids": Case(stores.Ids, oracles.monotonic_ids, plants.monotonic_ids),
    "lock": Case(stores.Locks, oracles.lock, plants.lock, ops=16),
    "at-most-once": Case(stores.Delivery, oracles.at_most_once, plants.at_most_once),
    "at-least-once": Case(stores.Delivery, oracles.at_least_once, plants.at_least_once),
    "exactly-once": Case(stores.Delivery, oracles.exactly_once, plants.exactly_once),
    "subscription": Case(stores.Feed, oracles_order.subscription, plants.subscription, ops=24),
}


def run(names: Sequence[str], n: int, seed: int) -> dict[str, Any]:
    """Return figures by model; n histories are compared with the definition for each.

    differential: compared, disagreed. correct: histories of a correct store, accused. mutations: planted, caught.
    metamorphic: changes that mean nothing, changed verdicts. examples: seeds of what went wrong, "" for nothing.
    """
    return {name: _run_one(name, n, seed) for name in names}


def _run_one(name: str, n: int, seed: int) -> dict[str, Any]:
    from seatrial.judge.models import load

    case, check = CASES[name], load(name)
    result = {"compared": 0, "bad": 0, "disagreed": 0, "correct": 0, "accused": 0, "planted": 0, "caught": 0}
    result |= {"metamorphic": 0, "changed": 0}
    wrong: list[str] = []
    for i in range(n):
        wrong += _differential(case, check, seed + i, result)
    for i in range(max(1, n // 50)):
        wrong += _planting(case, check, seed + i, result)
    return {**result, "examples": wrong[:_KEPT]}


def small(case: Case, seed: int) -> Recorded:
    """Return the small history of a seed: of a correct store, or damaged in up to three places."""
    dice = Dice(seed)
    recorded = simulate(case.store(), dice, 3 + dice.roll(case.ops), 1 + dice.roll(3), trouble=6)
    return scrambled(recorded, dice, dice.roll(4))


def _differential(case: Case, check: ModelCheck, seed: int, result: dict[str, int]) -> list[str]:
    recorded = small(case, seed)
    bad = case.bad(recorded)
    result["compared"] += 1
    result["bad"] += bad
    if (check(recorded, Options()).outcome is Outcome.FAIL) == bad:
        return []
    result["disagreed"] += 1
    return [f"differential, seed {seed}"]


def _planting(case: Case, check: ModelCheck, seed: int, result: dict[str, int]) -> list[str]:
    dice, wrong = Dice(seed), []
    recorded = simulate(case.store(), dice, 60, 4, trouble=12)
    outcome = check(recorded, Options()).outcome
    result["correct"] += 1
    if outcome is Outcome.FAIL:
        result["accused"] += 1
        wrong.append(f"correct store, seed {seed}")
    for what, planted in case.plant(recorded, dice):
        result["planted"] += 1
        if check(planted, Options()).outcome is Outcome.FAIL:
            result["caught"] += 1
        else:
            wrong.append(f"planted {what!r}, seed {seed}")
        for name, same in unchanged(planted):
            result["metamorphic"] += 1
            if check(same, Options()).outcome is not check(planted, Options()).outcome:
                result["changed"] += 1
                wrong.append(f"{name} of {what!r}, seed {seed}")
    return wrong


def unchanged(recorded: Recorded) -> list[tuple[str, Recorded]]:
    """Return copies that mean the same: other processes' names, later, wider apart, with ops that no model knows."""
    return [
        ("renamed processes", _each(recorded, lambda op: replace(op, process=f"client {op.process}"))),
        ("shifted time", _each(recorded, lambda op: _shifted(op, 1000))),
        ("no-ops", _with_noops(recorded)),
    ]


def _each(recorded: Recorded, change: Callable[[RecordedOp], RecordedOp]) -> Recorded:
    return replace(recorded, ops=tuple(change(op) for op in recorded.ops))


def _shifted(op: RecordedOp, by: int) -> RecordedOp:
    return replace(op, start=op.start * 2 + by, end=None if op.end is None else op.end * 2 + by)


def _with_noops(recorded: Recorded) -> Recorded:
    stretched = [_shifted(op, 0) for op in recorded.ops]
    noops = [
        replace(op, f="ping", arg=None, value=None, process="pinger", index=len(stretched) + place, start=op.start + 1)
        for place, op in enumerate(stretched)
        if place % 7 == 0
    ]
    return replace(recorded, ops=tuple(sorted(stretched + noops, key=lambda op: op.start)))
