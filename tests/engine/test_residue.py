"""SIGKILL of the conductor at random moments over all fault kinds: nothing is left; what was journalled is judged."""

from __future__ import annotations

import json
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from residue_kit import Ship, Wreck, ashore, kill_at, kill_in, moments, residue  # noqa: F401

from seatrial import kinds
from seatrial.engine.healing import ended_in_order

UNTIL_S = 11.0  # a storm takes 10 s, with its start and its verdict 11 s
AT_ONCE = 3


@dataclass
class Tally:
    """What a series of kills came to."""

    went_s: list[float] = field(default_factory=list)
    situations: dict[str, int] = field(default_factory=dict)
    ops: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return the figures for a person."""
        inside = sorted({kind for where in self.situations for kind in where.partition(" with ")[2].split("+") if kind})
        return (
            f"{len(self.went_s)} kills, {len(self.wrong)} wrong; clean after {statistics.median(self.went_s):.2f} s "
            f"(median), {max(self.went_s):.2f} s (max); ops judged: {sum(self.ops)}; faults in force: {inside}"
        )


def judged(wreck: Wreck) -> tuple[int, list[str]]:
    """Judge what was journalled; return the number of ops and what is wrong with the verdict."""
    ship = wreck.ship
    if ship.folder is None:
        return 0, []
    told = ship.command("judge", ship.folder.name, "--json")
    if not (ship.folder.path / "plan.json").exists():
        clear = told.returncode == 64 and "has no plan.json" in told.stderr
        return 0, [] if clear else [f"no plan, and judge says {told.returncode} {told.stderr!r}"]
    if "Traceback" in told.stderr or not told.stdout:
        return 0, [f"judge: {told.returncode} {told.stderr[-500:]}"]
    verdict = json.loads(told.stdout)
    sent = verdict["accounting"]["sent"]
    if ended_in_order(ship.folder.path):
        return sent, [] if verdict["outcome"] != "fail" else [f"ended in order, and {verdict['reason']}"]
    wrong = []
    if (told.returncode, verdict["outcome"]) != (2, "inconclusive"):
        wrong.append(f"exit code {told.returncode}, {verdict['outcome']}: {verdict['reason']}")
    if "conductor" not in verdict["reason"]:
        wrong.append(f"the reason does not say what happened: {verdict['reason']!r}")
    if not verdict["teardown"]["clean"]:
        wrong.append(f"teardown is not clean: {verdict['teardown']}")
    if (
        "drive with" in wreck.situation
        and not sent
        and "kill" not in wreck.situation
        and "latency" not in wreck.situation
    ):
        wrong.append(f"no op is readable after {wreck.situation}")
    return sent, wrong


STEPS = ("injecting", "injected", "verified", "healing")


def one(root: Path, number: int, moment_s: float, cache: Path) -> tuple[Wreck, int, list[str]]:
    """Two of five kills are at a moment of the clock; the others within a fault, of each kind and step in turn."""
    ship = Ship(root / f"{number}", cache=cache, seed=number)
    if number % 5 in (1, 3, 4):
        kind = list(kinds.FAULTS)[number // 5 * 3 % 12 + (number % 5) // 2]
        step = STEPS[(number + number // 20) % 4]
        wreck = kill_in(ship, kind, step, moment_s / 100)
    else:
        wreck = kill_at(ship, moment_s)
    wrong = residue(ship, wreck.held)
    ops, more = judged(wreck)
    return wreck, ops, wrong + more + residue(ship, wreck.held)


def series(root: Path, label: str, count: int) -> Tally:
    tally = Tally()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {pool.submit(one, root, n, at, root / "cache"): (n, at) for n, at in moments(label, count, UNTIL_S)}
    for future, (number, moment_s) in futures.items():
        try:
            wreck, ops, wrong = future.result()
        except AssertionError as error:
            tally.went_s.append(float("inf"))
            tally.wrong.append(f"kill {number} of {label} at {moment_s:.3f} s: {error}")
            continue
        tally.went_s.append(wreck.went_s)
        tally.ops.append(ops)
        tally.situations[wreck.situation] = tally.situations.get(wreck.situation, 0) + 1
        tally.wrong += [f"kill {number} of {label} at {moment_s:.3f} s, {wreck.situation}: {what}" for what in wrong]
    return tally


@pytest.mark.proves("S2P-8", "S3-8", "S3-119", "H-21")
@pytest.mark.real
def test_twenty_kills_of_the_conductor_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tally = series(tmp_path, "twenty", 20)
    with capsys.disabled():
        print(f"\nresidue: {tally.line()}")
    assert not tally.wrong, "\n".join([tally.line(), *tally.wrong])
    assert sum(tally.ops) > 1000


@pytest.mark.soak
def test_two_hundred_kills_of_the_conductor_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tally = series(tmp_path, "two hundred", 200)
    with capsys.disabled():
        print(f"\nresidue: {tally.line()}")
    assert not tally.wrong, "\n".join([tally.line(), *tally.wrong])
    assert len(tally.went_s) == 200
    hit = {kind for where in tally.situations for kind in where.partition(" with ")[2].split("+")}
    assert set(kinds.FAULTS) <= hit, f"never killed during: {sorted(set(kinds.FAULTS) - hit)}"
