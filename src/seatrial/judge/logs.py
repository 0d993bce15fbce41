"""Logs: forbidden patterns never match, required ones do, and somebody really read the lines."""

from __future__ import annotations

from typing import Any

from seatrial.history import History, LogCount, LogMatch
from seatrial.judge.base import Check, Params, Planted, conclude, pick
from seatrial.params import Kind, Param
from seatrial.plan import Plan
from seatrial.verdict import Evidence, Finding

CLAIM = "no forbidden line was logged, and every required one was"
PARAMS = (
    Param(name="forbidden", kind=Kind.TEXTS, default=(), help="patterns by name; those of the app when not given"),
    Param(name="required", kind=Kind.TEXTS, default=(), help="patterns by name; those of the app when not given"),
    Param(name="max_forbidden", kind=Kind.COUNT, default=0, help="forbidden lines that are accepted, in all"),
    Param(name="min_lines", kind=Kind.COUNT, default=1, least=1, help="lines that must have been read"),
)


def _facts(plan: Plan) -> dict[str, Any]:
    return {
        "forbidden": tuple(p.name for p in plan.logs if p.forbidden),
        "required": tuple(p.name for p in plan.logs if p.required),
    }


def lines_read(history: History) -> int:
    """Return how many log lines the followers read in all processes."""
    lines: dict[str, int] = {}
    for count in history.of(LogCount):
        lines[count.process] = max(lines.get(count.process, 0), count.lines)
    return sum(lines.values())


def _matches(history: History, pattern: str) -> int:
    lines = sum(1 for m in history.of(LogMatch) if m.pattern == pattern)
    return max(lines, sum(c.count for c in history.of(LogCount) if c.pattern == pattern))


def judge(history: History, params: Params) -> Finding:
    """Judge the matches of the declared patterns."""
    forbidden, required = tuple(params["forbidden"]), tuple(params["required"])
    hits = {name: _matches(history, name) for name in (*forbidden, *required)}
    lines = lines_read(history) if hits else 0
    bad = sum(hits[name] for name in forbidden)
    missing = [name for name in required if not hits[name]] if lines else []
    evidence = [Evidence(what=f"required pattern {name} never matched", expected=name) for name in missing]
    if bad > params["max_forbidden"]:
        evidence = [*_bad_lines(history, forbidden, hits), *evidence]
    return conclude(
        CLAIM,
        examined=lines,
        required=params["min_lines"],
        violations=len(evidence),
        evidence=evidence,
        observed=f"{bad} forbidden lines, {len(missing)} required patterns missing, of {lines} lines",
        limit=f"{params['max_forbidden']} forbidden lines",
        untested="no pattern is declared" if not hits else f"{lines} log lines were read",
        figures={f"matches:{name}": count for name, count in hits.items()},
    )


def _bad_lines(history: History, forbidden: tuple[str, ...], hits: dict[str, int]) -> list[Evidence]:
    shown = [m for m in history.of(LogMatch) if m.pattern in forbidden]
    found = [
        Evidence(
            what=f"{m.process} logged a line that matches {m.pattern}",
            actor=m.process,
            observed=m.line[:200],
            line=m.line[:500],
            at=history.anchor.iso(m.t_ns),
        )
        for m in shown[:10]
    ]
    seen = {m.pattern for m in shown}
    counted = [name for name in forbidden if hits[name] and name not in seen]
    return [*found, *(Evidence(what=f"{name} matched {hits[name]} times") for name in counted)]


def plant(history: History, params: Params, seed: int) -> Planted:
    """Plant forbidden lines, and take every match of a required pattern away."""
    forbidden, required = tuple(params["forbidden"]), tuple(params["required"])
    if not lines_read(history):
        return
    if forbidden:
        name = forbidden[pick(seed, "logs", len(forbidden))]
        line = LogMatch(t_ns=history.end_ns, process="planted", pattern=name, line="planted")
        extra = (line,) * (params["max_forbidden"] + 1)
        yield f"a line that matches {name}", history.with_events((*history.events, *extra))
    for name in required:
        kept = tuple(e for e in history.events if not (isinstance(e, LogMatch) and e.pattern == name))
        silent = tuple(_silenced(e, name) for e in kept)
        yield f"no line matches {name}", history.with_events(silent)


def _silenced(event: Any, name: str) -> Any:
    if isinstance(event, LogCount) and event.pattern == name:
        return LogCount(t_ns=event.t_ns, process=event.process, pattern=name, count=0, lines=event.lines)
    return event


CHECK = Check(
    kind="logs",
    summary="forbidden log patterns that matched, required ones that never did",
    params=PARAMS,
    needs=frozenset({"logs"}),
    judge=judge,
    plant=plant,
    facts=_facts,
)
