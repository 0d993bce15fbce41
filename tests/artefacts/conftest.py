"""Fixtures for provider tests: a workshop with an empty cache, and what was said."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.artefacts import Cache, Workshop
from seatrial.clock import SystemClock


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(cache=Cache(tmp_path / "cache"), clock=SystemClock(), base=tmp_path)


@pytest.fixture
def said() -> list[str]:
    return []
