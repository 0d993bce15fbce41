"""The parts of a verdict that are read from the events: stages, faults, artefacts, interruption, waivers."""

from __future__ import annotations

import datetime

from seatrial import plan as plans
from seatrial.history import ArtefactInstalled, FaultEvent, History, IdentitySeen, Injection, Interruption, StageEvent
from seatrial.judge import recovery
from seatrial.judge.base import complete
from seatrial.judge.faults import missing_step
from seatrial.verdict import ArtefactSeen, FaultResult, Outcome, StageResult, Waiver


def stage_results(plan: plans.Plan, history: History) -> tuple[StageResult, ...]:
    """Return every stage in order of its begin, then those of the plan that never began, as not-tested."""
    results: dict[str, StageResult] = {}
    for event in history.of(StageEvent):
        at = history.anchor.iso(event.t_ns)
        if event.what == "begin":
            results[event.stage] = StageResult(
                name=event.stage, outcome=Outcome.INCONCLUSIVE, started=at, reason="began and did not end"
            )
        else:
            begun = results[event.stage].started if event.stage in results else None
            results[event.stage] = StageResult(
                name=event.stage, outcome=_outcome(event.outcome), started=begun, ended=at, reason=event.reason
            )
    for stage in plan.stages:
        if stage.name not in results:
            results[stage.name] = StageResult(name=stage.name, outcome=Outcome.NOT_TESTED, reason="never began")
    return tuple(results.values())


def _outcome(text: str) -> Outcome:
    try:
        return Outcome(text)
    except ValueError:
        return Outcome.INCONCLUSIVE


def fault_results(plan: plans.Plan, history: History) -> tuple[FaultResult, ...]:
    """Return the life of every planned fault, and of any other that the history knows."""
    known = {i.id: i for i in history.injections()}
    params = {e.id: e.params for e in reversed(list(history.of(FaultEvent))) if e.params}
    took = {r.fault.id: r for r in recovery.recoveries(history, _recovery_params(plan))}
    planned = {f.id: f for f in plan.faults}
    results = []
    for fault_id in dict.fromkeys((*planned, *known)):
        injection = known.get(fault_id) or _of_plan(planned[fault_id])
        recovered = took.get(fault_id)
        reason = missing_step(known.get(fault_id)) or (recovered.why if recovered else "")
        results.append(
            FaultResult(
                id=fault_id,
                kind=injection.kind,
                target=injection.target,
                params=dict(params.get(fault_id) or (planned[fault_id].params if fault_id in planned else {})),
                planned=history.anchor.iso(injection.planned_ns),
                injected=history.anchor.iso(injection.injected_ns),
                verified=history.anchor.iso(injection.verified_ns),
                healed=history.anchor.iso(injection.healed_ns),
                gone=history.anchor.iso(injection.gone_ns),
                recovered_s=recovered.took_s if recovered else None,
                reason=reason,
            )
        )
    return tuple(results)


def _of_plan(fault: plans.PlannedFault) -> Injection:
    return Injection(id=fault.id, kind=fault.kind, target=fault.target)


def _recovery_params(plan: plans.Plan) -> dict[str, object]:
    given = next((dict(c.params) for c in plan.checks if c.kind == "recovery"), {})
    try:
        return complete(recovery.CHECK, given)
    except ValueError:
        return complete(recovery.CHECK, {})


def artefacts_seen(plan: plans.Plan, history: History) -> tuple[ArtefactSeen, ...]:
    """Return each artefact of the plan: the version and digest that were installed, and what the app said last."""
    installed = {event.artefact: event for event in history.of(ArtefactInstalled)}
    said = {reading.artefact: reading.observed for reading in history.of(IdentitySeen) if reading.source == "app"}
    results = []
    for artefact in plan.artefacts:
        found = installed.get(artefact.name)
        results.append(
            ArtefactSeen(
                name=artefact.name,
                version=found.version if found else artefact.version,
                digest=found.digest if found else "",
                observed=said.get(artefact.name, ""),
                provider=artefact.provider,
            )
        )
    return tuple(results)


def interruption(history: History) -> str:
    """Return why the run was cut short, "" when it was not."""
    for event in history.of(Interruption):
        return f"interrupted by {event.by}" + (f": {event.reason}" if event.reason else "")
    return ""


def waivers(plan: plans.Plan, today_iso: str) -> tuple[Waiver, ...]:
    """Return the waivers of the plan; one is expired after its day, and when either day cannot be read."""
    return tuple(
        Waiver(
            check=w.check,
            reason=w.reason,
            author=w.author,
            expires=w.expires,
            expired=not _not_after(today_iso, w.expires),
        )
        for w in plan.waivers
    )


def _not_after(today_iso: str, expires: str) -> bool:
    try:
        return datetime.date.fromisoformat(today_iso[:10]) <= datetime.date.fromisoformat(expires[:10])
    except ValueError:
        return False
