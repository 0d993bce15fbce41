"""Figures of trust: disagreements with the brute force, planted violations caught, changes that must change nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from seatrial.history.recorded import Recorded
from seatrial.judge.linear.encoders import ENCODERS
from seatrial.judge.linear.oracle import brute_force
from seatrial.judge.linear.planner import judge_parts
from seatrial.judge.linear.sampling import KINDS, Dice, disturb, sample
from seatrial.judge.linear.search import LEGAL, NOT_LEGAL
from seatrial.judge.modelling import Options

ENGINES: tuple[dict[str, Any], ...] = ({}, {"method": "search"})


def verdict(model: str, recorded: Recorded, extra: dict[str, Any]) -> bool | None:
    """Return whether the history is linearizable, None when that was not decided."""
    initial = 0 if model == "multi-register" else None
    found = judge_parts(
        ENCODERS[model](recorded, Options(nil="strict", initial=initial, extra=extra)), Options(extra=extra)
    )
    if any(j.outcome == NOT_LEGAL for j in found):
        return False
    return True if all(j.outcome == LEGAL for j in found) else None


def run(n: int, seed: int, engines: tuple[dict[str, Any], ...] = ENGINES) -> dict[str, Any]:
    """Judge n small random histories by every method and by brute force, and count.

    killed of planted: disturbed histories that the brute force calls illegal, and how many of those were caught.
    """
    dice, kinds = Dice(seed), list(KINDS)
    figures: dict[str, Any] = {"histories": n, "disagreements": 0, "illegal": 0, "planted": 0, "killed": 0, "moved": 0}
    examples: list[str] = []
    for i in range(n):
        kind = kinds[i % len(kinds)]
        model = KINDS[kind][0]
        recorded = sample(kind, dice, 3 + dice.below(6), 2 + dice.below(3))
        planted = dice.chance(60)
        for _ in range(1 + dice.below(3) if planted else 0):
            recorded = disturb(recorded, dice)
        truth = brute_force(model, recorded, nil_is_any=False)
        answers = [verdict(model, recorded, extra) for extra in engines]
        figures["illegal"] += not truth
        figures["planted"] += planted and not truth
        figures["killed"] += planted and not truth and answers[0] is False
        if any(a is not truth for a in answers) or (not planted and not truth):
            figures["disagreements"] += 1
            examples.append(f"{kind} number {i} of seed {seed}: brute force {truth}, found {answers}")
        if i % 8 == 0:
            figures["moved"] += any(verdict(model, m, {}) is not truth for m in same(recorded))
    return {**figures, "examples": examples[:5]}


def same(recorded: Recorded) -> list[Recorded]:
    """Return histories that must get the same verdict: later by a shift, every op by an actor of its own."""
    shifted = [
        replace(op, start=op.start * 3 + 7, end=None if op.end is None else op.end * 3 + 7) for op in recorded.ops
    ]
    split = [replace(op, process=f"actor {op.index}") for op in recorded.ops]
    return [replace(recorded, ops=tuple(shifted)), replace(recorded, ops=tuple(split))]
