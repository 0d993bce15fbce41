"""The public recordings of these models come out as their manifest says: a failure where one is, and only there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from seatrial.formats import read
from seatrial.formats.source import Source
from seatrial.judge.modelling import Options
from seatrial.judge.models import load
from seatrial.verdict import Outcome

CORPORA = Path(os.environ.get("SEATRIAL_CORPORA", Path(__file__).parents[4] / "shared" / "corpora"))
MODELS = {"bank", "counter", "set", "set-full", "long-fork"}


def _entries() -> list[dict[str, Any]]:
    manifest = CORPORA / "manifest.json"
    if not manifest.exists():
        return []
    return [e for e in json.loads(manifest.read_text()) if e.get("model") in MODELS and "expected_valid" in e]


def test_the_corpora_are_there() -> None:
    if not _entries():
        if os.environ.get("CI"):
            pytest.fail("corpora absent")
        pytest.skip("corpora absent")
    assert len(_entries()) >= 7


@pytest.mark.parametrize("entry", _entries(), ids=lambda e: str(e["path"]))
def test_a_public_recording_comes_out_as_its_manifest_says(entry: dict[str, Any]) -> None:
    path = CORPORA / str(entry["path"])
    recorded = read([Source(str(path), [path.read_bytes()])])
    found = load(str(entry["model"]))(recorded, Options())
    assert (found.outcome is Outcome.FAIL) == (entry["expected_valid"] is False), found
    assert found.outcome is Outcome.PASS or found.reason
