"""All checks of a plan on one history, their self-proof, and the verdict that follows from them.

What turns a finding, in this order: the check's own answer; the self-proof (a pass that is not proved is inconclusive);
a fault that did not bite (a pass under faults is not-tested); a saturated crew (a latency is neither pass nor fail);
a crew that broke down (how the users fared is inconclusive, because their last ops were cut off by us); trouble of the
machine, with evidence (a measured failure is environment). A waiver changes no outcome: it takes a failed finding out
of the decision, and puts it first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from seatrial import plan as plans
from seatrial.history import History, RunStarted
from seatrial.judge import accounting, teardown
from seatrial.judge.base import Check, Params, complete
from seatrial.judge.environment import Machine, MachineLimits, crew_lost, describe, machine, saturation
from seatrial.judge.faults import unbitten
from seatrial.judge.proof import prove, with_proof
from seatrial.judge.results import artefacts_seen, fault_results, interruption, stage_results, waivers
from seatrial.judge.table import CHECKS
from seatrial.verdict import Finding, Level, Outcome, StageResult, Teardown, Verdict, Waiver, merge


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """What every check of a run is judged with."""

    plan: plans.Plan
    history: History
    machine: Machine
    unbitten: list[str]
    checks: Mapping[str, Check]


@dataclass(frozen=True, slots=True)
class _Claim:
    """One thing that decides: an outcome and the sentence that explains it."""

    outcome: Outcome
    reason: str


@dataclass(slots=True)
class _Decision:
    claims: list[_Claim] = field(default_factory=list)

    def add(self, outcome: Outcome, reason: str) -> None:
        self.claims.append(_Claim(outcome, reason))

    def settled(self) -> tuple[Outcome, str]:
        """Return the worst outcome and the first sentence that has it."""
        outcome = merge(c.outcome for c in self.claims)
        return outcome, next((c.reason for c in self.claims if c.outcome is outcome), "nothing was judged")


def judge_run(
    plan: plans.Plan,
    history: History,
    *,
    limits: MachineLimits | None = None,
    checks: Mapping[str, Check] = CHECKS,
) -> tuple[Finding, ...]:
    """Run every check of the plan with its self-proof, in the plan's order. A check that raises is inconclusive."""
    bench = _Bench(
        plan=plan,
        history=history,
        machine=machine(history, limits or MachineLimits()),
        unbitten=unbitten(history, tuple(f.id for f in plan.faults)),
        checks=checks,
    )
    return tuple(_judge_one(planned, bench) for planned in plan.checks)


def _judge_one(planned: plans.Check, bench: _Bench) -> Finding:
    try:
        finding = _judged(planned, bench)
    except Exception as error:  # a check that breaks has not told anything; the run's other findings stand
        finding = Finding(
            name="",
            claim=planned.kind,
            outcome=Outcome.INCONCLUSIVE,
            examined=0,
            required=1,
            reason=f"the check broke: {type(error).__name__}: {error}",
        )
    level = Level.REPORT if planned.level == Level.REPORT else Level.GATE
    return msgspec.structs.replace(finding, name=planned.name, level=level)


def _judged(planned: plans.Check, bench: _Bench) -> Finding:
    check = bench.checks.get(planned.kind)
    if check is None:
        raise ValueError(f"there is no check of kind {planned.kind!r}")
    params = complete(check, planned.params, check.facts(bench.plan))
    finding = check.judge(bench.history, params)
    if finding.outcome is Outcome.PASS and finding.examined < finding.required:
        finding = _turned(finding, Outcome.NOT_TESTED, f"examined {finding.examined} of {finding.required}")
    finding = with_proof(finding, prove(check, bench.history, params, bench.plan.seed))
    return _in_its_circumstances(finding, check, params, bench)


def _in_its_circumstances(finding: Finding, check: Check, params: Params, bench: _Bench) -> Finding:
    """Turn a finding by what happened around it: faults that did not bite, our crew, the machine."""
    if check.under_faults and bench.unbitten and finding.outcome is Outcome.PASS:
        why = f"not tested under every planned fault: {'; '.join(bench.unbitten[:3])}"
        finding = _turned(finding, Outcome.NOT_TESTED, why)
    if check.latency and finding.outcome in (Outcome.PASS, Outcome.FAIL):
        why = saturation(bench.history, params[check.latency], params)
        finding = _turned(finding, Outcome.INCONCLUSIVE, why) if why else finding
    if check.by_crew and finding.outcome is Outcome.FAIL and (lost := crew_lost(bench.history)):
        finding = _turned(finding, Outcome.INCONCLUSIVE, f"{lost}; without that: {finding.reason}")
    excuses = sorted(check.excused_by & _excuses(bench))
    if excuses and finding.outcome is Outcome.FAIL:
        why = f"{bench.machine.troubles[excuses[0]]}; without that: {finding.reason}"
        finding = _turned(finding, Outcome.ENVIRONMENT, why)
    return finding


def _excuses(bench: _Bench) -> set[str]:
    """Return the troubles that may excuse. The kernel also counts kills by the plan's own memory limits: no excuse."""
    limited = any(p.limits.memory is not None for p in bench.plan.processes)
    return set(bench.machine.troubles) - ({"oom"} if limited else set())


def _turned(finding: Finding, outcome: Outcome, why: str) -> Finding:
    return msgspec.structs.replace(finding, outcome=outcome, reason=why)


def verdict(
    plan: plans.Plan,
    history: History,
    *,
    run: str,
    today: str,
    limits: MachineLimits | None = None,
    before_teardown: bool = False,
    checks: Mapping[str, Check] = CHECKS,
) -> Verdict:
    """Judge a whole run.

    run: its name. today: the ISO date on which waivers are held against their expiry.
    before_teardown: the app is still up, so teardown decides nothing yet. The same arguments give the same bytes.
    """
    findings = judge_run(plan, history, limits=limits, checks=checks)
    waived = waivers(plan, today)
    findings = _waived_first(findings, waived)
    stages = stage_results(plan, history)
    residue = teardown.seen(history)
    outcome, reason = _decide(findings, waived, stages, history, residue, before_teardown)
    started = next(history.of(RunStarted), None)
    return Verdict(
        seatrial=started.seatrial if started else plan.seatrial,
        run=run,
        app=plan.app,
        scenario=plan.scenario,
        runtime=plan.runtime,
        seed=plan.seed,
        started=history.anchor.iso(started.t_ns) if started else None,
        ended=history.anchor.iso(history.end_ns) if started else None,
        outcome=outcome,
        reason=reason,
        artefacts=artefacts_seen(plan, history),
        stages=stages,
        checks=findings,
        faults=fault_results(plan, history),
        accounting=accounting.account(history),
        teardown=residue or Teardown(clean=False),
        waivers=waived,
        environment=describe(history, machine(history, limits or MachineLimits())),
    )


def waiver_of(finding: Finding, waived: tuple[Waiver, ...]) -> Waiver | None:
    """Return the waiver in force for a failed finding, by the name of the check."""
    if finding.outcome is not Outcome.FAIL:
        return None
    return next((w for w in waived if w.check == finding.name and not w.expired), None)


def _waived_first(findings: tuple[Finding, ...], waived: tuple[Waiver, ...]) -> tuple[Finding, ...]:
    first, others = [], []
    for finding in findings:
        waiver = waiver_of(finding, waived)
        if waiver is None:
            others.append(finding)
            continue
        why = f"waived by {waiver.author} until {waiver.expires} ({waiver.reason}): {finding.reason}"
        first.append(msgspec.structs.replace(finding, reason=why))
    return (*first, *others)


def _decide(
    findings: tuple[Finding, ...],
    waived: tuple[Waiver, ...],
    stages: tuple[StageResult, ...],
    history: History,
    residue: Teardown | None,
    before_teardown: bool,
) -> tuple[Outcome, str]:
    """Merge everything that decides into the outcome, and say in one sentence which part of it did."""
    decision = _Decision()
    if cut := interruption(history):  # first, because it explains every other "could not tell"
        decision.add(Outcome.INCONCLUSIVE, cut)
    gates = [f for f in findings if f.level is Level.GATE and waiver_of(f, waived) is None]
    for finding in gates:
        decision.add(finding.outcome, f"{finding.name}: {finding.reason or finding.claim}")
    if not gates:
        decision.add(Outcome.NOT_TESTED, "no check at gate level decides this run")
    for stage in stages:
        if stage.outcome is not Outcome.PASS and not (before_teardown and stage.name == "teardown"):
            decision.add(stage.outcome, f"stage {stage.name}: {stage.reason or stage.outcome}")
    if not before_teardown:
        _add_teardown(decision, residue)
    outcome, reason = decision.settled()
    if outcome is Outcome.PASS:
        held = [f for f in findings if waiver_of(f, waived) is not None]
        reason = f"all {len(gates)} gate checks hold" + (f"; waived: {', '.join(f.name for f in held)}" if held else "")
    return outcome, reason


def _add_teardown(decision: _Decision, residue: Teardown | None) -> None:
    if residue is None:
        decision.add(Outcome.NOT_TESTED, "teardown: nobody looked for residue")
    elif not residue.clean:
        decision.add(Outcome.FAIL, f"teardown: left behind: {'; '.join(residue.residue) or 'something'}")


__all__ = ["judge_run", "verdict", "waiver_of"]
