"""Runs every victim and its twin, records what caught them, and writes docs/kill-matrix.md from the record.

`python -m tools.kill_matrix` writes the document again from the record; with --run it makes a new record first.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
DOC = ROOT / "docs" / "kill-matrix.md"
RECORD = ROOT / "tests" / "victims" / "recorded.json"
sys.path.insert(0, str(ROOT / "tests" / "victims"))

from matrix import SCENARIOS, VICTIMS, Victim  # noqa: E402 - the table lies with its tests

HEAD = """# Kill matrix

Every check must catch the services that were built to break its claim, and must pass the healthy twin: the same
program without the defect, under the same scenario and seed. A check without a victim, a victim that no check of its
own catches, and a check that goes red by accident each fail a test (`tests/victims/`). This table is generated from a
recorded run by `python -m tools.kill_matrix`.

*Must catch* is what the matrix asks for; *went red* is what the run showed. A check in brackets may go red as a
consequence, for the reason given below the table. Seconds are of the whole run, with its reports.

| victim | what is wrong with it | scenario | must catch | went red | verdict | s |
|---|---|---|---|---|---|---|
"""


def read_record() -> dict[str, Any]:
    """Return the recorded run."""
    record: dict[str, Any] = json.loads(RECORD.read_text())
    return record


def render(record: dict[str, Any]) -> str:
    """Return the document for a record."""
    rows = {row["victim"]: row for row in record["victims"]}
    lines = [_row(victim, rows[victim.name]) for victim in VICTIMS]
    parts = [HEAD + "\n".join(lines), _twins(record), _reasons(), _totals(record)]
    return "\n\n".join(parts) + "\n"


def _row(victim: Victim, row: dict[str, Any]) -> str:
    must = [_check(name, outcome) for name, outcome in victim.catches.items()]
    if victim.stage:
        must.append(f"stage {_check(*victim.stage)}")
    red = [f"({_check(n, o)})" if n in victim.also else _check(n, o) for n, o in row["red"].items()]
    red += [f"stage {_check(name, outcome)}" for name, outcome in row["stages"].items()]
    cells = [victim.name, victim.defect, victim.scenario, ", ".join(must) or "nothing: it must be survived"]
    return f"| {' | '.join([*cells, ', '.join(red) or 'nothing', row['outcome'], format(row['took_s'], '.1f')])} |"


def _check(name: str, outcome: str) -> str:
    return name if outcome == "fail" else f"{name} {outcome}"


def _twins(record: dict[str, Any]) -> str:
    lines = ["## Healthy twins", "", "| scenario | checks passed | violations planted and caught | verdict | s |"]
    lines.append("|---|---|---|---|---|")
    for name in SCENARIOS:
        twin = record["twins"][name]
        passed, caught = f"{twin['passed']} of {twin['checks']}", f"{twin['caught']} of {twin['planted']}"
        lines.append(f"| {name} | {passed} | {caught} | {twin['outcome']} | {twin['took_s']:.1f} |")
    return "\n".join(lines)


def _reasons() -> str:
    lines = ["## Why other checks may go red, too", ""]
    for victim in VICTIMS:
        lines += [f"- {victim.name}, {check}: {reason}" for check, reason in victim.also.items()]
    return "\n".join(lines)


def _totals(record: dict[str, Any]) -> str:
    caught = sum(1 for row in record["victims"] if not row["problems"])
    took_s = sum(row["took_s"] for row in (*record["victims"], *record["twins"].values()))
    return (
        f"{caught} of {len(VICTIMS)} victims came out as they must, and"
        f" {sum(1 for twin in record['twins'].values() if not twin['problems'])} of {len(SCENARIOS)} twins passed."
        f" All runs took {took_s:.0f} s."
    )


def record_all(folder: Path) -> dict[str, Any]:
    """Run all victims and twins below a folder; return the record."""
    from victim_kit import RED, problems, sail, twin_of, twin_problems

    twins, victims = {}, []
    for name in SCENARIOS:
        trip = sail(twin_of(name), folder / f"twin-{name}")
        proofs = [finding.proof for finding in trip.verdict.checks if finding.proof]
        twins[name] = {
            "outcome": trip.verdict.outcome.value,
            "checks": len(trip.outcomes),
            "passed": sum(1 for outcome in trip.outcomes.values() if outcome == "pass"),
            "planted": sum(proof.planted for proof in proofs),
            "caught": sum(proof.caught for proof in proofs),
            "took_s": round(trip.took_s, 1),
            "problems": twin_problems(trip),
        }
        print(f"twin {name}: {twins[name]}", file=sys.stderr, flush=True)
    for victim in VICTIMS:
        trip = sail(victim, folder / victim.name)
        if trip.result.interrupted:
            raise SystemExit("interrupted: no record is written")
        stages = {s.name: s.outcome.value for s in trip.verdict.stages}
        row = {
            "victim": victim.name,
            "outcome": trip.verdict.outcome.value,
            "red": {name: outcome for name, outcome in trip.outcomes.items() if outcome in RED},
            "stages": {name: outcome for name, outcome in stages.items() if outcome in RED},
            "took_s": round(trip.took_s, 1),
            "problems": problems(victim, trip),
        }
        victims.append(row)
        print(f"{victim.name}: {row}", file=sys.stderr, flush=True)
    return {"twins": twins, "victims": victims}


def main() -> None:
    """Write the document, after a new record when --run is given."""
    if "--run" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            RECORD.write_text(json.dumps(record_all(Path(folder)), indent=1) + "\n")
    DOC.write_text(render(read_record()))
    print(f"{DOC.relative_to(ROOT)} is written", file=sys.stderr)


if __name__ == "__main__":
    main()
