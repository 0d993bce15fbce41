"""junit.xml: one suite a run, one case for the verdict, each stage and each check; red wherever it is no pass.

fail -> failure. environment and inconclusive -> error. not-tested, waived and report-level trouble -> skipped, with
the reason. Readers of JUnit take a file of skipped cases for green, so the case "verdict" is red unless the run passed.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass

from seatrial.plan import Plan
from seatrial.report import summary
from seatrial.report.text import between_s, clip, one_line, parse_iso, printable
from seatrial.verdict import Evidence, Finding, Level, Outcome, StageResult, Verdict

_MESSAGE, _BODY, _EVIDENCE = 500, 4000, 10
_RED = {Outcome.FAIL: "failure", Outcome.INCONCLUSIVE: "error", Outcome.ENVIRONMENT: "error"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    name: str
    tag: str = ""  # failure | error | skipped | "" when it passed
    kind: str = ""
    message: str = ""
    body: str = ""
    out: str = ""
    time_s: float = 0.0


def junit(verdict: Verdict, plan: Plan) -> str:
    """Return junit.xml, the same text for the same verdict, well-formed whatever the texts hold."""
    cases = [_verdict_case(verdict, plan)]
    cases += [_stage_case(stage) for stage in verdict.stages]
    cases += [_check_case(finding, verdict) for finding in verdict.checks]
    totals = {
        "tests": str(len(cases)),
        "failures": str(sum(c.tag == "failure" for c in cases)),
        "errors": str(sum(c.tag == "error" for c in cases)),
        "skipped": str(sum(c.tag == "skipped" for c in cases)),
        "time": f"{between_s(verdict.started, verdict.ended) or 0.0:.3f}",
    }
    root = ET.Element("testsuites", {"name": "seatrial", **totals})
    name = one_line(f"{verdict.app} {verdict.scenario}")
    suite = ET.SubElement(root, "testsuite", {"name": name, **totals, **_when(verdict), "hostname": _hostname(verdict)})
    _properties(suite, verdict)
    classname = ".".join(("seatrial", _dotless(verdict.app), _dotless(verdict.scenario)))
    for case in _unique(cases):
        _add(suite, classname, case)
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _dotless(name: str) -> str:
    """Return a name as one part of a classname: readers split it at dots."""
    return one_line(name).replace(".", "_").replace(" ", "_") or "unnamed"


def _when(verdict: Verdict) -> dict[str, str]:
    moment = parse_iso(verdict.started)
    return {"timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S")} if moment else {}


def _hostname(verdict: Verdict) -> str:
    return one_line(str(verdict.environment.get("hostname") or verdict.environment.get("host") or "localhost"))


def _properties(suite: ET.Element, verdict: Verdict) -> None:
    holder = ET.SubElement(suite, "properties")
    facts = [
        ("outcome", verdict.outcome.value),
        ("exit_code", str(verdict.exit_code)),
        ("run", verdict.run),
        ("seed", str(verdict.seed)),
        ("runtime", verdict.runtime),
        ("seatrial", verdict.seatrial),
        *((f"artefact.{a.name}", f"{a.version} {a.digest}") for a in verdict.artefacts),
        *((f"waiver.{w.check}", f"{w.reason} ({w.author}, until {w.expires})") for w in verdict.waivers),
    ]
    for name, value in facts:
        ET.SubElement(holder, "property", {"name": one_line(name), "value": one_line(value)})


def _verdict_case(verdict: Verdict, plan: Plan) -> _Case:
    accounting = verdict.accounting
    out = [
        f"outcome: {verdict.outcome.value}",
        f"checks: {summary.tally(summary.counts(verdict))}",
        f"ops: {accounting.sent} sent, {accounting.ok} ok, {accounting.fail} fail, {accounting.unknown} unknown, "
        f"{accounting.in_flight} in flight",
        f"faults: {summary.fault_tally(verdict.faults)}",
        *(f"not shown: {g.what}: {one_line(g.why)}" for g in summary.not_examined(verdict)[:40]),
        f"replay: {summary.replay(verdict)}",
        f"same trial: {summary.same_trial(verdict, plan)}",
    ]
    tag = "" if verdict.outcome is Outcome.PASS else "failure" if verdict.outcome is Outcome.FAIL else "error"
    return _Case(
        name="verdict",
        tag=tag,
        kind=verdict.outcome.value,
        message=summary.why(verdict),
        body=summary.why(verdict),
        out="\n".join(out),
        time_s=between_s(verdict.started, verdict.ended) or 0.0,
    )


def _stage_case(stage: StageResult) -> _Case:
    tag = "" if stage.outcome is Outcome.PASS else _RED.get(stage.outcome, "skipped")
    reason = stage.reason or stage.outcome.value
    return _Case(
        name=f"stage {stage.name}",
        tag=tag,
        kind=stage.outcome.value,
        message=reason,
        body=reason,
        time_s=between_s(stage.started, stage.ended) or 0.0,
    )


def _check_case(finding: Finding, verdict: Verdict) -> _Case:
    tag = "" if finding.outcome is Outcome.PASS else _RED.get(finding.outcome, "skipped")
    message = f"{finding.outcome.value}: {summary.finding_line(finding)}"
    waiver = next((w for w in verdict.waivers if w.check == finding.name and not w.expired), None)
    if tag and waiver is not None:
        tag, message = "skipped", f"waived by {waiver.author} until {waiver.expires}: {waiver.reason} ({message})"
    elif tag and finding.level is Level.REPORT:
        tag, message = "skipped", f"report only, {message}"
    return _Case(
        name=f"check {finding.name}",
        tag=tag,
        kind=finding.outcome.value,
        message=message,
        body=_finding_text(finding),
        out="" if tag in ("failure", "error") else _finding_text(finding),
    )


def _finding_text(finding: Finding) -> str:
    lines = [
        finding.claim,
        f"examined {finding.examined}, required {finding.required}",
        f"limit: {finding.limit}" if finding.limit else "",
        f"observed: {finding.observed}" if finding.observed else "",
        f"reason: {finding.reason}" if finding.reason else "",
        f"proof: {finding.proof.planted} planted, {finding.proof.caught} caught",
        *(evidence_line(e) for e in finding.evidence[:_EVIDENCE]),
    ]
    if len(finding.evidence) > _EVIDENCE:
        lines.append(f"{len(finding.evidence) - _EVIDENCE} more in verdict.json")
    return "\n".join(clip(line, _MESSAGE) for line in lines if line)


def evidence_line(evidence: Evidence) -> str:
    """Return one piece of evidence on one line."""
    parts = [
        evidence.what,
        f"key {evidence.key}" if evidence.key else "",
        f"expected {evidence.expected}" if evidence.expected else "",
        f"observed {evidence.observed}" if evidence.observed else "",
        f"fault {evidence.fault}" if evidence.fault else "",
        f"user {evidence.actor}" if evidence.actor else "",
        f"ops {', '.join(map(str, evidence.ops[:8]))}" if evidence.ops else "",
        f"at {evidence.at}" if evidence.at else "",
        evidence.line,
    ]
    return one_line(" | ".join(p for p in parts if p))


def _unique(cases: Iterable[_Case]) -> Iterable[tuple[str, _Case]]:
    """Yield each case with a name of its own: some readers keep only the first of two equal ones."""
    seen: set[str] = set()
    for case in cases:
        name, count = one_line(case.name), 1
        while (shown := name if count == 1 else f"{name} #{count:02d}") in seen:
            count += 1
        seen.add(shown)
        yield shown, case


def _add(suite: ET.Element, classname: str, named: tuple[str, _Case]) -> None:
    name, case = named
    attributes = {"classname": classname, "name": name, "time": f"{case.time_s:.3f}"}
    element = ET.SubElement(suite, "testcase", attributes)
    message = clip(one_line(case.message), _MESSAGE)
    if case.tag == "skipped":
        ET.SubElement(element, "skipped", {"message": message})
    elif case.tag:
        ET.SubElement(element, case.tag, {"type": case.kind, "message": message}).text = clip(case.body, _BODY)
    if case.out:
        ET.SubElement(element, "system-out").text = printable(case.out)
