"""What a check is: a pure function from a history to a finding, with its limits, its needs and its own violations."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seatrial.history import History
from seatrial.params import Param
from seatrial.plan import Plan
from seatrial.verdict import Evidence, Finding, Outcome

Params = Mapping[str, Any]
Planted = Iterable[tuple[str, History]]

EVIDENCE_MOST = 10  # a finding shows at most so many; the figures hold the exact counts
NEEDS = ("ops", "readback", "probe", "faults", "samples", "logs", "identity", "processes")


def _no_facts(_: Plan) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One kind of check.

    params: every limit, with its default. needs: parts of the plan (of NEEDS) without which it examines nothing.
    judge: History, complete params -> Finding. plant: violations in copies of the very history, chosen by the seed.
    facts: params that come from the plan when the scenario does not give them (declared patterns, planned faults).
    caught_by: outcomes that count as "went red" on a planted copy.
    under_faults: the claim is made for the planned faults, so a pass needs every one of them to have bitten.
    latency: the name of the param with a latency limit; the measurement is void when the crew was saturated.
    by_crew: it measures how the users fared, so a crew that broke down makes a failure inconclusive.
    excused_by: evidence about the machine (see environment.py) that turns a failure into `environment`.
    """

    kind: str
    summary: str
    params: tuple[Param, ...]
    needs: frozenset[str]
    judge: Callable[[History, Params], Finding]
    plant: Callable[[History, Params, int], Planted]
    facts: Callable[[Plan], dict[str, Any]] = field(default=_no_facts)
    caught_by: frozenset[Outcome] = frozenset({Outcome.FAIL})
    under_faults: bool = False
    latency: str = ""
    by_crew: bool = False
    excused_by: frozenset[str] = frozenset()


def complete(check: Check, given: Params, facts: Params | None = None) -> dict[str, Any]:
    """Return all params of a check: given over facts over defaults. Raises ValueError for a missing or unknown one."""
    known = {p.name: p for p in check.params}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"check {check.kind} has no parameter {unknown[0]!r}; it has {', '.join(sorted(known))}")
    params = {name: p.default for name, p in known.items()} | dict(facts or {}) | dict(given)
    missing = [p.name for p in check.params if p.required and params[p.name] is None]
    if missing:
        raise ValueError(f"check {check.kind} needs a value for {missing[0]!r}")
    return params


def conclude(
    claim: str,
    *,
    examined: int,
    required: int,
    violations: int = 0,
    evidence: Sequence[Evidence] = (),
    observed: str = "",
    limit: str = "",
    reason: str = "",
    untested: str = "",
    figures: Mapping[str, float] | None = None,
) -> Finding:
    """Make a finding: any violation fails, however little was examined; too little examined is not-tested.

    reason says why it failed; untested says why too little could be examined.
    """
    outcome = Outcome.PASS
    why = ""
    if violations:
        outcome, why = Outcome.FAIL, reason or (evidence[0].what if evidence else f"{violations} violations")
    elif examined < required:
        outcome, why = Outcome.NOT_TESTED, untested or f"examined {examined}, {required} are required"
    return Finding(
        name="",
        claim=claim,
        outcome=outcome,
        examined=examined,
        required=required,
        observed=observed,
        limit=limit,
        reason=why,
        evidence=tuple(evidence[:EVIDENCE_MOST]),
        figures={k: float(v) for k, v in (figures or {}).items()},
    )


def pick(seed: int, label: str, among: int) -> int:
    """Return a number in 0..among-1 that depends on nothing but the seed and the label."""
    return zlib.crc32(f"{seed}:{label}".encode()) % among


def plural(count: int, noun: str) -> str:
    """Return "1 key", "2 keys"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
