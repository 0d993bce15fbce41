"""Joins recordings and models, and keeps to the budgets of time and memory."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import msgspec

from seatrial.clock import NS, Clock
from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge import models
from seatrial.judge.modelling import LinearPicture, Options, Picture, Prefix
from seatrial.judging.asking import Asked
from seatrial.verdict import Finding, Outcome


def check(recorded: Recorded, asked: Asked, clock: Clock) -> Finding:
    """Judge a recording. A pass on half a file is no pass: what could not be read makes it inconclusive.

    Raises UsageError when the model is not known.
    """
    judge = models.load(asked.model)
    gc.freeze()  # the recording is all there: the collector need not look through it while the checker works
    try:
        return _told_of(recorded, judge(recorded, _options(asked, clock)))
    finally:
        gc.unfreeze()


def pictures(recorded: Recorded, asked: Asked, clock: Clock) -> list[Picture]:
    """Return what can be drawn of a recording that is wrong by a model; it is judged again for that."""
    options = _options(asked, clock)
    if _is_linear(asked.model):
        return _linear(recorded, asked.model, options)
    explain = models.beside(asked.model, "explain")
    return list(explain(recorded, options)) if explain else []


def _is_linear(model: str) -> bool:
    return models.MODELS[model].check.startswith("seatrial.judge.linear.")


def _options(asked: Asked, clock: Clock) -> Options:
    end = clock.now_ns() + int(asked.budget_s * NS)
    return Options(
        nil=asked.nil,
        initial=asked.initial,
        expired=lambda: clock.now_ns() >= end,
        memory_bytes=asked.memory,
        level=asked.level,
        extra=dict(asked.extra or {}),
    )


def _linear(recorded: Recorded, model: str, options: Options) -> list[Picture]:
    from seatrial.judge.linear.explain import explain

    function = models.MODELS[model].check.partition(":")[2]
    told = explain(function.removeprefix("a_").replace("_", "-"), recorded, options)
    by_index = {op.index: op for op in recorded.ops}
    return [_partition(model, one, by_index) for one in told["partitions"]]


def _partition(model: str, told: dict[str, Any], by_index: dict[int, RecordedOp]) -> LinearPicture:
    calls = told["calls"]
    prefixes = tuple(_prefix(order) for order in told["orders"])
    return LinearPicture(
        model=model,
        partition="" if told["key"] is None else str(told["key"]),
        ops=tuple(replace(by_index[call["op"]], arg=call["arg"], value=call["value"]) for call in calls),
        prefixes=prefixes,
        stuck_at=prefixes[0].next_op if prefixes else None,
    )


def _prefix(order: dict[str, Any]) -> Prefix:
    refused = ", ".join(f"op {one['op']} in state {one['state']}" for one in order["refused"])
    return Prefix(
        order=tuple(step["op"] for step in order["calls"]),
        states=tuple(str(step["state"]) for step in order["calls"]),
        next_op=order["stops_at"],
        why=f"not allowed here: {refused}" if refused else "",
    )


def _told_of(recorded: Recorded, finding: Finding) -> Finding:
    if not recorded.problems:
        return finding
    unread = "; ".join(recorded.problems[:3])
    if finding.outcome is Outcome.PASS:
        reason = f"what was read is right, but not all could be read: {unread}"
        return msgspec.structs.replace(finding, outcome=Outcome.INCONCLUSIVE, reason=reason)
    reason = f"{finding.reason} (not all could be read: {unread})".lstrip()
    return msgspec.structs.replace(finding, reason=reason)
