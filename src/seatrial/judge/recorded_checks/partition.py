"""A recording of many objects, judged object by object; and one without real time, with no order made up."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.base import EVIDENCE_MOST
from seatrial.judge.modelling import Options
from seatrial.judge.recorded_checks.words import show, token
from seatrial.verdict import Evidence, Finding, Outcome

Check = Callable[[Recorded, Options], Finding]
_WORST = (Outcome.FAIL, Outcome.ENVIRONMENT, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.NOT_TESTED)


def each_object(check: Check) -> Check:
    """Make a check of one object a check of any recording; findings of the objects become one."""

    @functools.wraps(check)
    def checked(recorded: Recorded, options: Options) -> Finding:
        known = recorded if recorded.realtime else overlapped(recorded)
        if not known.keyed:
            return check(known, options)
        parts = split(known)
        if not parts:
            return check(replace(known, keyed=False), options)
        return _merged([(key, check(part, options)) for key, part in parts])

    return checked


def overlapped(recorded: Recorded) -> Recorded:
    """Return the recording with all ops overlapping, for one that says nothing about time between processes."""
    many = len(recorded.ops)
    ops = [
        replace(op, start=place, end=None if op.end is None else many + place) for place, op in enumerate(recorded.ops)
    ]
    return replace(recorded, ops=tuple(ops), realtime=True)


def split(recorded: Recorded) -> list[tuple[Any, Recorded]]:
    """Return one recording a key, in order of first appearance; ops keep their index."""
    parts: dict[Any, tuple[Any, list[RecordedOp]]] = {}
    for op in recorded.ops:
        if isinstance(op.arg, (list, tuple)) and len(op.arg) == 2:
            key = op.arg[0]
            value = op.value[1] if isinstance(op.value, (list, tuple)) and len(op.value) == 2 else op.value
            parts.setdefault(token(key), (key, []))[1].append(replace(op, arg=op.arg[1], value=value))
    initial = recorded.initial or {}
    found = []
    for key, ops in parts.values():
        declared = initial.get(token(key), initial.get(None))
        own = None if declared is None else {None: declared}
        found.append((key, replace(recorded, ops=tuple(ops), keyed=False, initial=own)))
    return found


def _merged(findings: list[tuple[Any, Finding]]) -> Finding:
    """The worst outcome stands; an object that proves nothing does not take from one that passed."""
    worst = min((f.outcome for _, f in findings), key=_WORST.index)
    chosen = [(key, f) for key, f in findings if f.outcome is worst]
    key, first = chosen[0]
    figures: dict[str, float] = {}
    for _, one in findings:
        for name, value in one.figures.items():
            figures[name] = figures.get(name, 0.0) + value
    more = f" ({len(chosen)} keys of {len(findings)} are so)" if len(findings) > 1 and first.reason else ""
    evidence = [_of_key(e, key) for key, f in chosen for e in f.evidence]
    return Finding(
        name=first.name,
        claim=first.claim,
        outcome=worst,
        examined=sum(f.examined for _, f in findings),
        required=first.required,
        observed=first.observed,
        limit=first.limit,
        reason=f"key {show(key)}: {first.reason}{more}" if first.reason else "",
        evidence=tuple(evidence[:EVIDENCE_MOST]),
        figures={**figures, "keys": len(findings)},
    )


def _of_key(evidence: Evidence, key: Any) -> Evidence:
    return msgspec.structs.replace(evidence, what=f"key {show(key)}: {evidence.what}")
