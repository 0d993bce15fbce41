"""`ps` shows what a dead run left, and `heal` undoes it and says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.clock import SystemClock
from seatrial.store.folder import RunFolder
from seatrial.store.ledger import FileLedger
from seatrial.undo import RemoveTree


def seatrial(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "seatrial", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def left(tmp_path: Path) -> RunFolder:
    """A run folder whose conductor is gone and whose ledger still holds a folder that is there."""
    folder = RunFolder.create(tmp_path / "runs", SystemClock(), app="shop", scenario="default", seed=1)
    thing = folder.work / "data"
    thing.mkdir()
    (thing / "file").write_text("x")
    ledger = FileLedger(folder.ledger, SystemClock())
    ledger.open("folder", "data of web", RemoveTree(path=str(thing), inside=str(folder.path)))
    ledger.dispose()
    return folder


@pytest.mark.proves("S3-119", "H-21")
def test_ps_shows_a_dead_run_and_heal_undoes_it(left: RunFolder, tmp_path: Path) -> None:
    (row,) = json.loads(seatrial("ps", "--json", cwd=tmp_path).stdout)["runs"]
    assert row == {"run": left.name, "state": "dead", "judged": False, "open": ["folder data of web"]}
    text = seatrial("ps", cwd=tmp_path).stdout
    assert f"next: seatrial heal {left.name}" in text
    healed = seatrial("heal", cwd=tmp_path)
    assert healed.returncode == 0, healed.stderr
    assert f"{left.name}: 1 open, clean" in healed.stdout
    assert not (left.work / "data").exists()
    text = seatrial("ps", cwd=tmp_path).stdout
    assert f"{left.name}  dead  nothing left behind, no verdict" in text
    assert f"next: seatrial judge {left.name}" in text


def test_a_run_that_goes_is_shown_and_not_healed(left: RunFolder, tmp_path: Path) -> None:
    left.write_conductor(SystemClock())  # this very process
    (row,) = json.loads(seatrial("ps", "--json", cwd=tmp_path).stdout)["runs"]
    assert row["state"] == "going"
    told = seatrial("heal", left.name, cwd=tmp_path)
    assert told.returncode == 64
    assert "is still going" in told.stderr
    assert (left.work / "data").exists()
    assert seatrial("heal", cwd=tmp_path).stdout == "nothing to heal\n"
    assert os.getpid() == left.read_conductor().pid
