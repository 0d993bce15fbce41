"""A verdict as a few lines for a terminal: the outcome, why, what was examined, and where the report is."""

from __future__ import annotations

from pathlib import Path

from seatrial.report import summary
from seatrial.report.text import WORDS
from seatrial.verdict import Level, Verdict


def lines(verdict: Verdict, folder: Path) -> list[str]:
    """Return the verdict for a person; the worst checks first, waivers before them."""
    found = [f"{WORDS[verdict.outcome].upper()}: {summary.why(verdict)}"]
    found += [f"  waived: {w.check}: {w.reason} ({w.author}, until {w.expires})" for w in verdict.waivers]
    width = max((len(c.name) for c in verdict.checks), default=0)
    for check in summary.ranked(verdict.checks):
        level = "" if check.level is Level.GATE else " (report only)"
        count = f"{check.examined}/{check.required} examined"
        found.append(f"  {check.outcome.value:12} {check.name:{width}}  {summary.finding_line(check)} [{count}]{level}")
    found += [f"  left behind: {line}" for line in verdict.teardown.residue]
    found.append(f"  faults: {summary.fault_tally(verdict.faults)}")
    report = folder / "report.html"
    found.append(f"  report: {report}" if report.exists() else f"  run: {folder}")
    found.append(f"  again: seatrial replay {folder}")
    return found
