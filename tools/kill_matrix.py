"""Runs every victim and its twin, records what caught them, and writes docs/kill-matrix.md from the record.

`python -m tools.kill_matrix` writes the document again from the record; with --run it makes a new record first, and
with --run NAME... it renews only the rows of these victims and twins (twin-SCENARIO).
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
    recorded: dict[str, Any] = json.loads(RECORD.read_text())
    return recorded


def render(recorded: dict[str, Any]) -> str:
    """Return the document for a record."""
    rows = {row["victim"]: row for row in recorded["victims"]}
    lines = [_row(victim, rows[victim.name]) for victim in VICTIMS]
    parts = [HEAD + "\n".join(lines), _twins(recorded), _reasons(), _totals(recorded)]
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


def _twins(recorded: dict[str, Any]) -> str:
    lines = ["## Healthy twins", "", "| scenario | checks passed | violations planted and caught | verdict | s |"]
    lines.append("|---|---|---|---|---|")
    for name in SCENARIOS:
        twin = recorded["twins"][name]
        passed, caught = f"{twin['passed']} of {twin['checks']}", f"{twin['caught']} of {twin['planted']}"
        lines.append(f"| {name} | {passed} | {caught} | {twin['outcome']} | {twin['took_s']:.1f} |")
    return "\n".join(lines)


def _reasons() -> str:
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}  # by reason: victims and checks, each once, in order
    for victim in VICTIMS:
        for check, reason in victim.also.items():
            victims, checks = found.setdefault(reason, ({}, {}))
            victims[victim.name] = checks[check] = None
    lines = [f"- {', '.join(victims)}: {', '.join(checks)}: {why}" for why, (victims, checks) in found.items()]
    return "\n".join(["## Why other checks may go red, too", "", *lines])


def _totals(recorded: dict[str, Any]) -> str:
    caught = sum(1 for row in recorded["victims"] if not row["problems"])
    took_s = sum(row["took_s"] for row in (*recorded["victims"], *recorded["twins"].values()))
    return (
        f"{caught} of {len(VICTIMS)} victims came out as they must, and"
        f" {sum(1 for twin in recorded['twins'].values() if not twin['problems'])} of {len(SCENARIOS)} twins passed."
        f" All runs took {took_s:.0f} s."
    )


def record_twin(name: str, folder: Path) -> dict[str, Any]:
    """Run the healthy twin of a scenario; return what is recorded of it."""
    from victim_kit import sail, twin_of, twin_problems

    trip = sail(twin_of(name), folder / f"twin-{name}")
    proofs = [finding.proof for finding in trip.verdict.checks if finding.proof]
    return {
        "outcome": trip.verdict.outcome.value,
        "checks": len(trip.outcomes),
        "passed": sum(1 for outcome in trip.outcomes.values() if outcome == "pass"),
        "planted": sum(proof.planted for proof in proofs),
        "caught": sum(proof.caught for proof in proofs),
        "took_s": round(trip.took_s, 1),
        "problems": twin_problems(trip),
    }


def record_victim(victim: Victim, folder: Path) -> dict[str, Any]:
    """Run a victim; return its row. An interrupt ends the whole recording."""
    from victim_kit import RED, problems, sail

    trip = sail(victim, folder / victim.name)
    if trip.result.interrupted:
        raise SystemExit("interrupted: no record is written")
    stages = {s.name: s.outcome.value for s in trip.verdict.stages}
    return {
        "victim": victim.name,
        "outcome": trip.verdict.outcome.value,
        "red": {name: outcome for name, outcome in trip.outcomes.items() if outcome in RED},
        "stages": {name: outcome for name, outcome in stages.items() if outcome in RED},
        "took_s": round(trip.took_s, 1),
        "problems": problems(victim, trip),
    }


def record(names: list[str], folder: Path) -> dict[str, Any]:
    """Run these victims and twins (all when none is named) below a folder; return the record, old rows kept."""
    old: dict[str, Any] = read_record() if names else {"twins": {}, "victims": []}
    twins, rows = dict(old["twins"]), {row["victim"]: row for row in old["victims"]}
    for name in SCENARIOS:
        if not names or f"twin-{name}" in names:
            twins[name] = record_twin(name, folder)
            print(f"twin {name}: {twins[name]}", file=sys.stderr, flush=True)
    for victim in VICTIMS:
        if not names or victim.name in names:
            rows[victim.name] = record_victim(victim, folder)
            print(rows[victim.name], file=sys.stderr, flush=True)
    return {"twins": twins, "victims": [rows[victim.name] for victim in VICTIMS]}


def main() -> None:
    """Write the document, after a new record when --run is given."""
    if "--run" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            made = record(sys.argv[2:], Path(folder))
        RECORD.write_text(json.dumps(made, indent=1) + "\n")
    DOC.write_text(render(read_record()))
    print(f"{DOC.relative_to(ROOT)} is written", file=sys.stderr)


if __name__ == "__main__":
    main()
