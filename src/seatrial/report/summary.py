"""What every report says, put in words once: why, what was examined, what was not, how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from seatrial.history import History
from seatrial.plan import Plan
from seatrial.report.text import MEANING, WORDS, between_s, one_line, plural, seconds
from seatrial.verdict import SEVERITY, FaultResult, Finding, Level, Outcome, StageResult, Teardown, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A figure of the first screen: what it is, the figure, and a note."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that this run did not show, and why."""

    what: str
    why: str


def why(verdict: Verdict) -> str:
    """Return the one sentence that says why the outcome is what it is."""
    if verdict.reason:
        return one_line(verdict.reason)
    bad = [c for c in ranked(verdict.checks) if c.level is Level.GATE and c.outcome is verdict.outcome]
    if verdict.outcome is Outcome.PASS or not bad:
        stage = next((s for s in verdict.stages if s.outcome is verdict.outcome and s.reason), None)
        if stage and verdict.outcome is not Outcome.PASS:
            return one_line(f"Stage {stage.name}: {stage.reason}")
        return meaning(verdict)
    return one_line(f"{bad[0].name}: {finding_line(bad[0])}" + _more(len(bad) - 1))


def meaning(verdict: Verdict) -> str:
    """Return what the outcome means; a pass with exceptions names them."""
    gates = [c for c in verdict.checks if c.level is Level.GATE and c.outcome is not Outcome.PASS]
    if verdict.outcome is not Outcome.PASS or not gates:
        return MEANING[verdict.outcome]
    waived = {w.check for w in verdict.waivers if not w.expired}
    named = (f"{c.name} ({c.outcome.value}{', waived' if c.name in waived else ''})" for c in gates)
    return one_line(f"Every gate check held, except {', '.join(named)}.")


def _more(count: int) -> str:
    return f" (and {plural(count, 'more check')})" if count > 0 else ""


def finding_line(finding: Finding) -> str:
    """Return the shortest true sentence on a finding."""
    if finding.outcome is not Outcome.PASS and finding.reason:
        return finding.reason
    return finding.observed or finding.reason or finding.claim


def ranked(checks: Sequence[Finding]) -> list[Finding]:
    """Return the findings with the worst first, gates before reports, else in the order of the verdict."""
    return sorted(checks, key=lambda c: (c.level is not Level.GATE, -SEVERITY.index(c.outcome)))


def counts(verdict: Verdict, level: Level | None = None) -> dict[Outcome, int]:
    """Return how many checks (of a level) came out how, the worst first; outcomes that did not occur are left out."""
    chosen = [c.outcome for c in verdict.checks if level is None or c.level is level]
    return {o: chosen.count(o) for o in reversed(SEVERITY) if o in chosen}


def tally(found: dict[Outcome, int]) -> str:
    """Return "1 fail, 7 pass", or "none"."""
    return ", ".join(f"{n} {o.value}" for o, n in found.items()) or "none"


def fault_tally(faults: Sequence[FaultResult]) -> str:
    """Return how far the faults came in their life, e.g. "3 injected, 3 verified, 3 gone"."""
    if not faults:
        return "none planned"
    steps = {
        "injected": sum(f.injected is not None for f in faults),
        "verified": sum(f.verified is not None for f in faults),
        "gone": sum(f.gone is not None for f in faults),
    }
    return f"{len(faults)} planned, " + ", ".join(f"{n} {step}" for step, n in steps.items())


def examined(verdict: Verdict) -> tuple[Fact, ...]:
    """Return the figures of the first screen."""
    ops, checks = verdict.accounting, verdict.checks
    planted = sum(c.proof.planted for c in checks)
    caught = sum(c.proof.caught for c in checks)
    verified = sum(f.verified is not None for f in verdict.faults)
    length = between_s(verdict.started, verdict.ended)
    flight = f" · {ops.in_flight:,} in flight" if ops.in_flight else ""
    return (
        Fact(label="checks", value=f"{len(checks):,}", note=tally(counts(verdict))),
        Fact(
            label="ops sent",
            value=f"{ops.sent:,}",
            note=f"{ops.ok:,} ok · {ops.fail:,} fail · {ops.unknown:,} unknown{flight}",
        ),
        Fact(
            label="faults that bit",
            value=f"{verified} of {len(verdict.faults)}" if verdict.faults else "none",
            note=_recovery(verdict.faults),
        ),
        Fact(
            label="self-proof",
            value=f"{caught:,} of {planted:,}" if planted else "none",
            note="planted violations caught" if planted else "no check proved that it can fail",
        ),
        Fact(label="length", value=seconds(length), note=plural(len(verdict.stages), "stage")),
        _left_behind(verdict.teardown),
    )


def _recovery(faults: Sequence[FaultResult]) -> str:
    longest = max((f.recovered_s for f in faults if f.recovered_s is not None), default=None)
    if longest is not None:
        return f"slowest recovery {seconds(longest)}"
    return "recovery was not measured" if faults else "none was planned"


def _left_behind(teardown: Teardown) -> Fact:
    if teardown.clean:
        return Fact(label="left behind", value="nothing", note="by an independent listing")
    if teardown.residue:
        return Fact(label="left behind", value=plural(len(teardown.residue), "thing"), note="listed at the end")
    return Fact(label="left behind", value="not known", note="teardown was not verified")


def not_examined(verdict: Verdict, history: History | None = None) -> tuple[Gap, ...]:
    """Return everything that this run did not show, in the order in which it matters."""
    gaps = [
        Gap(what=f"check {c.name}", why=c.reason or f"examined {c.examined:,} of {c.required:,} needed")
        for c in ranked(verdict.checks)
        if c.outcome in (Outcome.NOT_TESTED, Outcome.INCONCLUSIVE, Outcome.ENVIRONMENT)
    ]
    if not verdict.checks:
        gaps.append(Gap(what="everything", why="the run ended without a single check"))
    gaps += [_fault_gap(f) for f in verdict.faults if f.verified is None]
    gaps += _stage_gaps(verdict.stages)
    gaps += [
        Gap(what=f"whether {c.name} can fail", why=f"missed the planted {', '.join(c.proof.missed) or 'violations'}")
        for c in verdict.checks
        if c.proof.caught < c.proof.planted
    ]
    if not verdict.teardown.clean and not verdict.teardown.residue:
        gaps.append(Gap(what="a clean teardown", why="no independent listing said so"))
    if verdict.accounting.in_flight:
        gaps.append(Gap(what=plural(verdict.accounting.in_flight, "op"), why="still in flight when the run ended"))
    if history is not None and history.torn:
        gaps.append(Gap(what=plural(history.torn, "journal record"), why="cut off when their writer died"))
    return tuple(gaps)


def _stage_gaps(stages: tuple[StageResult, ...]) -> list[Gap]:
    """One line for each reason of its own; all stages that only follow from an earlier one share a line."""
    gaps: list[Gap] = []
    told: list[str] = [s.reason for s in stages if s.outcome is Outcome.FAIL]
    followed: list[str] = []
    for stage in stages:
        if stage.outcome not in (Outcome.NOT_TESTED, Outcome.INCONCLUSIVE, Outcome.ENVIRONMENT):
            continue
        if any(reason and stage.reason.endswith(reason) for reason in told):
            followed.append(stage.name)
            continue
        told.append(stage.reason)
        gaps.append(Gap(what=f"stage {stage.name}", why=stage.reason or WORDS[stage.outcome].lower()))
    if followed:
        gaps.append(Gap(what=f"stage {', '.join(followed)}", why="skipped, for the same reason"))
    return gaps


def _fault_gap(fault: FaultResult) -> Gap:
    step = "never injected" if fault.injected is None else "injected, but no effect was measured at the target"
    return Gap(what=f"fault {fault.id} ({fault.kind} {fault.target})", why=fault.reason or step)


def replay(verdict: Verdict) -> str:
    """Return the command that runs the plan of this run again."""
    return f"seatrial replay {shlex.quote(one_line(verdict.run))}"


def same_trial(verdict: Verdict, plan: Plan) -> str:
    """Return the command that makes the same trial where this run's folder is not at hand."""
    given = [f"--set {shlex.quote(one_line(f'{k.name}={k.value}'))}" for k in plan.knobs if k.origin == "--set"]
    parts = ["seatrial run", *map(shlex.quote, (one_line(verdict.app), one_line(verdict.scenario)))]
    return " ".join([*parts, f"--seed {verdict.seed}", f"--runtime {shlex.quote(one_line(verdict.runtime))}", *given])


def guide() -> tuple[tuple[str, str], ...]:
    """Return how to read a verdict: what to look at, and what it means."""
    return (
        ("Outcome first", "Only pass is a pass. Not tested, inconclusive and environment trouble are not."),
        ("Fail", "Look at the first finding: its evidence names the ops, the key, and the fault in force then."),
        ("Examined / required", "Below what is required a check is not tested, however good it looks."),
        ("Proof", "How many violations were planted into copies of this run's history, and how many were caught."),
        ("Fail and environment", "A proven failure of the app stands even when the machine was in trouble too."),
        ("Unknown", "An op without an answer may have had its effect; it is never counted as lost or as a success."),
        ("A fault that did not bite", "The checks that needed it are not tested; look at its reason below."),
    )
