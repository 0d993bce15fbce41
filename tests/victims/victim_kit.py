"""Runs a victim, or the healthy twin, through a scenario, and says what came of it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
from matrix import SEED, Victim

from seatrial.config.build import Request, make_plan
from seatrial.plan import Crew, Plan
from seatrial.run import RunResult, run_plan
from seatrial.verdict import Verdict

HERE = Path(__file__).parent
RED = ("fail", "inconclusive", "environment")


@dataclass(frozen=True, kw_only=True)
class Trip:
    """One run: its result, how long it took, and what the neighbour printed."""

    result: RunResult
    took_s: float
    neighbour: str = ""

    @property
    def verdict(self) -> Verdict:
        """Return the verdict."""
        return self.result.verdict

    @property
    def outcomes(self) -> dict[str, str]:
        """Return the outcome of every check by name."""
        return {finding.name: finding.outcome.value for finding in self.verdict.checks}

    @property
    def told(self) -> str:
        """Return everything that findings, evidence, stages and faults say."""
        lines = [self.verdict.reason]
        for finding in self.verdict.checks:
            lines += [f"{finding.name}: {finding.outcome}: {finding.reason}; {finding.observed}"]
            lines += [evidence.what for evidence in finding.evidence]
        lines += [f"stage {stage.name}: {stage.outcome}: {stage.reason}" for stage in self.verdict.stages]
        lines += [f"fault {fault.id}: {fault.reason}" for fault in self.verdict.faults]
        return "\n".join(lines)


def plan_of(victim: Victim) -> Plan:
    """Return the plan of a victim: the scenario of its twin, but for the defect."""
    sets = {"bug": victim.bug, **victim.knobs}
    made = make_plan(Request(app=str(HERE / "kv"), scenario=victim.scenario, seed=SEED, sets=sets))
    if victim.crew:
        made = msgspec.structs.replace(made, crew=Crew(module=victim.crew))
    return msgspec.structs.replace(made, crew=Crew(program=victim.program)) if victim.program else made


def twin_of(scenario: str) -> Victim:
    """Return the healthy twin of all victims of a scenario."""
    return Victim(name="healthy", defect="", scenario=scenario, words=(), outcome="pass")


def sail(victim: Victim, out: Path) -> Trip:
    """Run a victim and judge the run."""
    made, began = plan_of(victim), time.monotonic()
    with neighbour(victim.neighbour, out) as printed:
        result = run_plan(made, out=out, say=lambda line: None)
    return Trip(result=result, took_s=time.monotonic() - began, neighbour=printed.read_text())


@contextlib.contextmanager
def neighbour(how: str, out: Path) -> Iterator[Path]:
    """Keep a foreign process there that gets in the way; yield the file of what it prints."""
    out.mkdir(parents=True, exist_ok=True)
    printed = out / "neighbour.txt"
    with printed.open("w") as file:
        if not how:
            yield printed
            return
        process = subprocess.Popen([sys.executable, str(HERE / "foreign.py"), how, str(out)], stdout=file)
        try:
            yield printed
        finally:
            process.kill()
            process.wait()


def problems(victim: Victim, trip: Trip) -> list[str]:
    """Return everything in which a run of a victim came out other than the matrix says."""
    outcomes, verdict = trip.outcomes, trip.verdict
    found = [] if verdict.outcome == victim.outcome else [f"the verdict is {verdict.outcome}, not {victim.outcome}"]
    for check, wanted in victim.catches.items():
        if outcomes[check] != wanted:
            found.append(f"{check} is {outcomes[check]}, not {wanted}")
    red = {check for check, outcome in outcomes.items() if outcome in RED}
    found += [f"{check} went red by accident" for check in sorted(red - set(victim.catches) - set(victim.also))]
    found += [f"nobody says {words!r}" for words in victim.words if words not in trip.told]
    if victim.stage:
        name, wanted = victim.stage
        seen = next(s.outcome for s in verdict.stages if s.name == name)
        found += [] if seen == wanted else [f"stage {name} is {seen}, not {wanted}"]
    return found + [f"left behind: {line}" for line in still_running(trip)]


def twin_problems(trip: Trip) -> list[str]:
    """Return everything that is not as it must be with the healthy twin: all pass, and all proved."""
    found = [] if trip.verdict.outcome == "pass" else [f"the verdict is {trip.verdict.outcome}"]
    for finding in trip.verdict.checks:
        if finding.outcome != "pass":
            found.append(f"{finding.name} is {finding.outcome}: {finding.reason}")
        if finding.proof is None or not finding.proof.planted or finding.proof.caught != finding.proof.planted:
            found.append(f"{finding.name} did not catch all that was planted: {finding.proof}")
    return found + [f"left behind: {line}" for line in still_running(trip)]


def still_running(trip: Trip) -> list[str]:
    """Return the command lines of live processes that have to do with the run; looked for without seatrial's help."""
    folder = str(trip.result.folder)
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if folder in line]
