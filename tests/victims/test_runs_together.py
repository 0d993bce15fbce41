"""Runs that go on at the same time, of one app, scenario and seed, have nothing to do with each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

KV = Path(__file__).parent / "kv"


@pytest.mark.proves("S0-2", "S0P-34", "S3P-13")
@pytest.mark.real
def test_two_runs_of_one_name_begun_in_the_same_second_both_pass(tmp_path: Path) -> None:
    """The names of their folders are the same; what they start must still not be taken for the other's."""
    command = [sys.executable, "-m", "seatrial", "run", str(KV), "steady", "--seed", "7", "--set", "length=3s", "--out"]
    runs = [
        subprocess.Popen([*command, str(tmp_path / name)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for name in ("one", "two")
    ]
    ended = [(run.communicate(timeout=120)[0], run.returncode) for run in runs]
    assert [code for _, code in ended] == [0, 0], "\n\n".join(text for text, _ in ended)
