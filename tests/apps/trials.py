"""Runs an enrolled app as a user would, and gives the verdict back."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from seatrial.verdict import Finding, Verdict

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Done:
    """A finished run."""

    verdict: Verdict
    folder: Path
    code: int
    said: str

    def check(self, name: str) -> Finding:
        """Return a finding by name."""
        return next(f for f in self.verdict.checks if f.name == name)


def trial(out: Path, app: str, scenario: str = "default", *sets: str, seed: int = 7) -> Done:
    """Run `seatrial run` from the root of the repository and read what it left on disk."""
    knobs = [word for text in sets for word in ("--set", text)]
    command = [sys.executable, "-m", "seatrial", "run", app, scenario, *knobs, "--seed", str(seed), "--out", str(out)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=280, env={**os.environ, "NO_COLOR": "1"}, check=False
    )
    said = done.stdout + done.stderr
    folder = (out / "latest").resolve()
    assert (folder / "verdict.json").is_file(), said
    verdict = msgspec.json.decode((folder / "verdict.json").read_bytes(), type=Verdict)
    return Done(verdict=verdict, folder=folder, code=done.returncode, said=said)
