"""Recorded histories of public corpora come out as their manifest says. The corpora are read, never copied."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from seatrial import judging
from seatrial.clock import SystemClock
from seatrial.verdict import Finding, Outcome

ROOT = Path(__file__).parents[2]
CORPORA = Path(os.environ.get("SEATRIAL_CORPORA") or ROOT.parent / "shared" / "corpora")
MANIFEST = CORPORA / "manifest.json"
SLOW_BYTES = 1_000_000  # larger files are judged in the long part
# A history without a single read cannot be shown right: the manifest calls it valid, we say that it shows nothing.
# Called valid by its manifest, and left open by us: the reason that the finding must give.
UNDECIDED = {"ligurio__elle-cli/histories/elle/rw-register.edn": "no op of the recording wrote"}
NOT_INVALID = {Outcome.PASS, Outcome.NOT_TESTED}


@dataclass(frozen=True, slots=True)
class Case:
    """One file, how to judge it, and whether it is right."""

    path: str
    asked: judging.Asked
    valid: bool
    keyed: bool = False
    slow: bool = False


def entries() -> list[dict[str, Any]]:
    return [e for e in json.loads(MANIFEST.read_text()) if e.get("expected_valid") is not None]


def cases() -> Iterator[Case]:
    if MANIFEST.exists():
        for entry in entries():
            yield from cases_of(entry)


def cases_of(entry: dict[str, Any]) -> Iterator[Case]:
    """One entry may tell verdicts of several levels: each is a case."""
    expected, slow = entry["expected_valid"], entry["bytes"] > SLOW_BYTES
    if isinstance(expected, dict):
        path = entry["path"]
        if "cobra" in entry["format"]:  # a log is one session: the folder of logs is the recording
            path = str(Path(path).parent)
        for level, valid in expected.items():
            yield Case(path, judging.Asked(model="rw-register", level=slug(level)), valid, slow=slow)
        return
    asked = asked_of(entry)
    yield Case(entry["path"], asked, expected, slow=slow)
    for level in entry.get("expected_not", ()):
        yield Case(entry["path"], judging.Asked(model=asked.model, level=level), False, slow=slow)
    basis = re.search(r"VALID under ([a-z-]+(?: [a-z]+)*), INVALID under ([a-z-]+)", entry["basis"])
    if basis:
        for level, valid in ((basis[1], True), (basis[2], False)):
            yield Case(entry["path"], judging.Asked(model=asked.model, level=slug(level)), valid, slow=slow)


LEVELS = {
    "si": "snapshot-isolation",
    "ser": "serializable",
    "sser": "strict-serializable",
    "rc": "read-committed",
    "ra": "read-atomic",
    "cc": "causal",
    "tcc": "causal",
}


def slug(text: str) -> str:
    level = text.strip().lower().replace(" ", "-").replace("_", "-")
    return LEVELS.get(level, level)


def asked_of(entry: dict[str, Any]) -> judging.Asked:
    """Return how to judge an entry, from the words of its model and its options alone."""
    words = entry["model"]
    model = words.split("(")[0].split(" ")[0]
    extra = {name: int(value) for name, value in re.findall(r"--([a-z-]+) (\d+)", entry.get("opts", ""))}
    options: dict[str, Any] = {"extra": {name.replace("-", "_"): value for name, value in extra.items()}}
    if found := re.search(r"\binit (\d+|nil|\"\")", words):
        options["initial"] = {"nil": None, '""': ""}.get(found[1], found[1])
        if isinstance(options["initial"], str) and options["initial"].isdigit():
            options["initial"] = int(options["initial"])
    if entry["format"] == "jepsen-log-text":
        options["nil"] = "strict"  # there a read of nil says that the key was not there
    return judging.Asked(model=model, **options)


def judged(case: Case) -> Finding:
    recorded = judging.load(str(CORPORA / case.path), keyed=case.keyed)
    assert not recorded.problems
    return judging.check(recorded, case.asked, SystemClock())


def parameters() -> list[Any]:
    named = {f"{case.path}:{case.asked.level or case.asked.model}": case for case in cases()}
    return [pytest.param(case, id=name, marks=[pytest.mark.real] if case.slow else []) for name, case in named.items()]


def test_the_corpora_are_there() -> None:
    if not MANIFEST.exists():
        reason = f"corpora absent: no {MANIFEST}; set SEATRIAL_CORPORA to their folder"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    judged_paths = {case.path for case in cases()}
    untested = [e["path"] for e in entries() if not {e["path"], str(Path(e["path"]).parent)} & judged_paths]
    assert not untested, "entries with a verdict that no case judges"
    assert all((CORPORA / e["path"]).exists() for e in entries())


@pytest.mark.parametrize("case", parameters())
def test_a_corpus_file_comes_out_as_its_manifest_says(case: Case) -> None:
    finding = judged(case)
    if case.path in UNDECIDED and finding.outcome is Outcome.INCONCLUSIVE:
        assert UNDECIDED[case.path] in finding.reason
    elif case.valid:
        assert finding.outcome in NOT_INVALID, finding.reason
        assert finding.outcome is Outcome.PASS or not finding.examined or "read" in finding.reason, finding.reason
    else:
        assert finding.outcome is Outcome.FAIL, finding.reason
        assert finding.reason
        assert finding.evidence
