"""Zones on columns: the same verdicts as zones on calls, and many keys in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded
from seatrial.judge.linear import zone_columns, zones
from seatrial.judge.linear.encoders import ENCODERS
from seatrial.judge.linear.problem import JUNK, SET, Part
from seatrial.judge.linear.sampling import Dice, disturb, sample
from seatrial.judge.linear.zone_columns import scan, zones_hold
from seatrial.judge.linear.zones import _holds_as_columns, unique_register
from seatrial.judge.modelling import Options


def columns(parts: list[Part]) -> tuple[Any, ...]:
    """Return the columns of parts of reads and unique writes."""
    rows: list[tuple[int, bool, int, int]] = []
    owners: list[int] = []
    for number, part in enumerate(parts):
        clusters: dict[int, int] = {}

        def of(value: int, clusters: dict[int, int] = clusters, number: int = number) -> int:
            if value == JUNK or value not in clusters:
                owners.append(number)
                if value == JUNK:
                    return len(owners) - 1
                clusters[value] = len(owners) - 1
            return clusters[value]

        if part.initial != JUNK:
            rows.append((of(part.initial), True, -1, -1))
        for i, kind in enumerate(part.kind):
            rows.append((of(part.b[i] if kind == SET else part.a[i]), kind == SET, part.start[i], part.end[i]))
    cluster, write, start, end = (np.array(c) for c in zip(*rows, strict=True))
    return cluster, write, start, end, np.array(owners)


def histories(count: int) -> list[Part]:
    dice, found = Dice(21), []
    while len(found) < count:
        recorded = disturb(sample("register-unique", dice, 9, open_percent=0), dice)
        kept = tuple(op for op in recorded.ops if op.outcome is OpOutcome.OK)
        parts = ENCODERS["register"](Recorded(ops=kept, initial={None: 0}), Options(nil="strict")).parts
        if parts and len(parts[0]) and unique_register(parts[0]) is not None:
            found.append(parts[0])
    return found


def test_columns_agree_with_calls() -> None:
    verdicts = []
    for part in histories(1500):
        answer = unique_register(part)
        assert answer is not None
        verdicts.append(answer[1] is None)
        assert (zones_hold(*columns([part])) is None) is verdicts[-1], part
        if len(part) > 2:
            assert not _holds_as_columns(part) or verdicts[-1]
    assert 100 < sum(verdicts) < 1400, "both verdicts must come up for this to show anything"


def test_many_keys_in_one_pass() -> None:
    parts = histories(300)
    legal = [p for p in parts if unique_register(p) == ("zones", None)]
    assert zones_hold(*columns(legal)) is None
    wrong = next(p for p in parts if p not in legal)
    found = zones_hold(*columns([*legal, wrong]))
    assert found is not None
    assert columns([*legal, wrong])[4][found] == len(legal), "the bad cluster is of the bad key"


def test_a_value_written_twice_is_refused() -> None:
    ones = np.array([0, 0])
    with pytest.raises(ValueError, match="written twice"):
        zones_hold(ones, np.array([True, True]), np.array([1, 3]), np.array([2, 4]), np.array([0]))


def test_compiled_scan_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba", reason="numba is not installed: the compiled scan is not tested")
    parts = histories(100)
    plain = [zones_hold(*columns([p])) for p in parts]
    monkeypatch.setattr(zone_columns, "WORTH", 0)
    assert zone_columns._scan(1) is not scan
    assert [zones_hold(*columns([p])) for p in parts] == plain


def test_large_registers_are_judged_as_columns_and_still_name_the_ops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zones, "COLUMNS_FROM", 1)
    for part in histories(400):
        as_columns = unique_register(part)
        with monkeypatch.context() as plain:
            plain.setattr(zones, "COLUMNS_FROM", 1 << 60)
            assert unique_register(part) == as_columns
