"""Every victim is caught by the check that is there for it and says why; its healthy twin passes the same scenario."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from matrix import SCENARIOS, VICTIMS, Victim
from victim_kit import Trip, problems, sail, twin_of, twin_problems

from seatrial.history import ProcessEvent
from seatrial.store.load import load_history

pytestmark = pytest.mark.real
BY_NAME = {victim.name: victim for victim in VICTIMS}
SPECIAL = ("double-forks", "foreign-port")  # they have a test of their own, with more to look at

Twin = Callable[[str], Trip]


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    """Return a function that runs the healthy twin of a scenario, once."""
    trips: dict[str, Trip] = {}

    def run(scenario: str) -> Trip:
        if scenario not in trips:
            trips[scenario] = sail(twin_of(scenario), tmp_path_factory.mktemp(f"twin-{scenario}"))
        return trips[scenario]

    return run


@pytest.mark.proves("S3-36", "H-12")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_healthy_twin_passes_every_check_and_every_check_proves_itself(scenario: str, twin: Twin) -> None:
    trip = twin(scenario)
    assert not twin_problems(trip), trip.told


@pytest.mark.proves("S0-35", "S0-37", "S0-39", "S0-46", "S1-29", "S2P-18", "S3-36", "S3-43", "S4-13", "H-12")
@pytest.mark.parametrize("victim", [v for v in VICTIMS if v.name not in SPECIAL], ids=lambda v: v.name)
def test_the_victim_is_caught_by_the_check_that_is_there_for_it(victim: Victim, tmp_path: Path) -> None:
    trip = sail(victim, tmp_path)
    assert not problems(victim, trip), trip.told


def test_a_daemon_is_taken_down_by_a_kill_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    victim = BY_NAME["double-forks"]
    trip = sail(victim, tmp_path)
    assert not problems(victim, trip), trip.told
    events = [e for e in load_history(trip.result.folder).of(ProcessEvent) if e.process == "server"]
    daemons = [e.pid for e in events if e.what == "start" and e.reason == "went on as a daemon"]
    assert len(set(daemons)) == 3, "one for each start: the first, after the kill, after the restart"
    kill, restart = trip.verdict.faults
    assert all((kill.verified, kill.gone, restart.verified, restart.gone))


def test_a_foreign_server_on_the_port_is_named_and_not_judged(tmp_path: Path) -> None:
    victim = BY_NAME["foreign-port"]
    trip = sail(victim, tmp_path)
    assert not problems(victim, trip), trip.told
    assert trip.verdict.accounting.sent == 0
    judged = {f.name for f in trip.verdict.checks if f.outcome == "pass"}
    assert judged <= {"stability", "teardown"}, "the foreign server is healthy, but it is not the app"
    assert set(trip.neighbour.splitlines()) <= {"GET /health"}, "no user ever spoke to it"
