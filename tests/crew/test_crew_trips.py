"""Whole trips of a crew against a real server: accounting, pacing, outages, and what is left when a worker dies."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from crew_kit import children, rows, sail, trip, wire, worker_config

from seatrial.crew.control import ProcessCrew
from seatrial.errors import StageFailed
from seatrial.generate.arrivals import constant, poisson
from seatrial.history import CrewEvent, CrewStats, Flag, OpOutcome, Verb
from seatrial.plan import Arrivals

pytestmark = pytest.mark.real
NS = 1_000_000_000


@pytest.mark.proves("S0-14", "S0-16", "S0-18", "S1-10", "S1P-4", "S1P-22", "H-7")
def test_every_row_is_a_request_and_every_arrival_a_row_at_its_intended_time(tmp_path: Path) -> None:
    with wire(tmp_path) as server:
        journey = trip(tmp_path, server.port, workers=2, users=5, arrivals=Arrivals(rate=100.5), length_s=2)
        before = children()
        assert sail(journey) == []
        seen = server.requests()
        assert children() == before
    ops = journey.ops()
    driven = (ops.flags & Flag.READBACK) == 0
    start_ns = next(e.t_ns for e in journey.of(CrewEvent) if e.what == "started")
    assert np.array_equal(np.sort(ops.intended_ns[driven]) - start_ns, constant(100.5, 2))
    assert np.all(ops.started_ns >= ops.intended_ns), "an op was sent early"
    assert len(seen) == len(ops)
    assert set(ops.outcome.tolist()) == {OpOutcome.OK}
    assert Counter(int(v) for v in ops.verb) == Counter(Verb.WRITE if m == "PUT" else Verb.READ for _, m, _ in seen)
    users = ops.user[driven]
    assert np.array_equal(users[np.argsort(ops.intended_ns[driven], kind="stable")], np.arange(201) % 5)
    assert journey.ledger.closed == [1]
    stats = journey.of(CrewStats)
    assert sum(s.arrivals for s in stats) == 201
    assert np.median([s.lag_p50_ns for s in stats if s.arrivals]) < 5_000_000


@pytest.mark.proves("S0P-13", "S3-42")
def test_what_was_written_is_read_back_and_only_own_keys_are_marked_owned(tmp_path: Path) -> None:
    with wire(tmp_path) as server:
        journey = trip(tmp_path, server.port, hot_share=0.4, hot_keys=3, arrivals=Arrivals(rate=150))
        sail(journey)
    found = rows(journey.ops())
    assert {bool(r["flags"] & Flag.HOT) for r in found if "-hot-" in (r["key"] or "")} == {True}
    hot = [r for r in found if r["verb"] == Verb.WRITE and r["flags"] & Flag.HOT]
    writes = [r for r in found if r["verb"] == Verb.WRITE]
    assert 0.25 < len(hot) / len(writes) < 0.55
    assert {r["key"] for r in hot} <= {"item-hot-0", "item-hot-1", "item-hot-2"}
    owned = [r for r in found if r["flags"] & Flag.OWNED]
    assert all(r["key"].split("-")[1] == str(r["user"]) for r in owned)
    assert len({r["value"] for r in writes}) == len(writes)
    last = {r["key"]: r["value"] for r in writes if r["flags"] & Flag.OWNED}
    assert {r["key"]: r["result"] for r in found if r["flags"] & Flag.READBACK} == last


@pytest.mark.proves("S1P-22")
def test_a_connection_closed_after_the_send_is_unknown_and_never_sent_again(tmp_path: Path) -> None:
    with wire(tmp_path, "close-second") as server:
        journey = trip(tmp_path, server.port, users=2, arrivals=Arrivals(rate=40))
        sail(journey)
        seen = server.requests()
    found = rows(journey.ops())
    assert len(found) == len(seen)
    bad = [r for r in found if r["outcome"] != OpOutcome.OK]
    assert {(r["outcome"], r["error"]) for r in bad} == {(OpOutcome.UNKNOWN, "closed-after-send")}
    assert 0.4 < len(bad) / len(found) < 0.55  # every second request on a connection
    for user in (0, 1):
        mine = [r for r in found if r["user"] == user]
        expected = user
        for row in mine:
            assert row["actor"] == expected
            expected += 2 if row["outcome"] == OpOutcome.UNKNOWN else 0


def test_a_connection_that_the_server_closed_while_idle_costs_nothing(tmp_path: Path) -> None:
    with wire(tmp_path, "close-idle") as server:
        journey = trip(tmp_path, server.port, users=1, arrivals=Arrivals(rate=10), length_s=1.5)
        sail(journey)
        found, seen = rows(journey.ops()), server.requests()
    assert len(found) == len(seen)
    driven = [r for r in found if not r["flags"] & Flag.READBACK]
    assert {r["outcome"] for r in driven} == {OpOutcome.OK}


@pytest.mark.proves("S1P-2", "H-7")
def test_a_freeze_of_two_seconds_is_measured_from_the_intended_start(tmp_path: Path) -> None:
    times: list[int] = []
    with wire(tmp_path) as server:

        async def freeze(_: ProcessCrew) -> None:
            await asyncio.sleep(1.0)
            server.process.send_signal(signal.SIGSTOP)
            times.append(time.monotonic_ns())
            await asyncio.sleep(2.0)
            times.append(time.monotonic_ns())
            server.process.send_signal(signal.SIGCONT)

        journey = trip(tmp_path, server.port, users=20, arrivals=Arrivals(rate=200), length_s=4, timeout_s=5.0)
        sail(journey, freeze)
    ops = journey.ops().take((journey.ops().flags & Flag.READBACK) == 0)
    assert len(ops) == 800
    frozen, thawed = times
    measured = np.sort(ops.ended_ns - ops.intended_ns) / NS
    inside = (ops.intended_ns >= frozen) & (ops.intended_ns < thawed)
    truth = np.sort(np.where(inside, thawed - ops.intended_ns, 0)) / NS
    for quantile in (0.75, 0.9, 0.95, 0.99):
        wanted, found = np.quantile(truth, quantile), np.quantile(measured, quantile)
        assert abs(found - wanted) <= max(0.02 * wanted, 0.03), (quantile, wanted, found)
    ok = np.sort(ops.ended_ns[ops.outcome == OpOutcome.OK])
    assert abs(np.diff(ok).max() / NS - (thawed - frozen) / NS) < 0.05


def test_refused_is_a_certain_failure_and_the_crew_finds_its_way_back(tmp_path: Path) -> None:
    with wire(tmp_path) as server:

        async def kill(_: ProcessCrew) -> None:
            await asyncio.sleep(0.5)
            server.process.kill()

        journey = trip(tmp_path, server.port, arrivals=Arrivals(rate=100), length_s=1.2)
        sail(journey, kill)
        seen = server.requests()
    found = rows(journey.ops())
    counts = Counter((r["outcome"], r["error"]) for r in found if not r["flags"] & Flag.READBACK)
    assert counts[OpOutcome.FAIL, "refused"] > 40
    assert sum(counts.values()) == 120
    assert {k for k in counts if k[0] == OpOutcome.UNKNOWN} <= {
        (OpOutcome.UNKNOWN, "closed-after-send"),
        (OpOutcome.UNKNOWN, "reset-after-send"),
    }
    assert len([r for r in found if r["outcome"] == OpOutcome.OK]) <= len(seen)


def order(found: list[dict[str, object]]) -> dict[object, list[tuple[object, ...]]]:
    """Return what each user did, in its own order."""
    out: dict[object, list[tuple[object, ...]]] = {}
    for row in found:
        out.setdefault(row["user"], []).append((row["name"], row["key"], row["value"]))
    return out


@pytest.mark.proves("S0-21")
def test_the_same_seed_does_the_same_with_any_number_of_workers_and_whatever_the_app_does(tmp_path: Path) -> None:
    did = []
    trips = [("keep", 1, 5), ("keep", 2, 5), ("close-second", 1, 5), ("keep", 1, 6)]
    for number, (mode, workers, seed) in enumerate(trips):
        folder = tmp_path / str(number)
        with wire(folder, mode) as server:
            journey = trip(
                folder, server.port, workers=workers, seed=seed, users=3, hot_share=0.2, hot_keys=2,
                arrivals=Arrivals(pattern="poisson", rate=80), length_s=0.8,
            )  # fmt: skip
            sail(journey)
        did.append(order([r for r in rows(journey.ops()) if not r["flags"] & Flag.READBACK]))
    assert did[0] == did[1] == did[2] != did[3]
    assert sum(len(v) for v in did[0].values()) == len(poisson(80, 0.8, 5))


def test_a_killed_worker_ends_the_drive_and_leaves_a_readable_journal(tmp_path: Path) -> None:
    with wire(tmp_path) as server:

        async def kill(crew: ProcessCrew) -> None:
            await asyncio.sleep(0.7)
            os.kill(crew._hands[1]._process.pid, signal.SIGKILL)

        journey = trip(tmp_path, server.port, workers=2, arrivals=Arrivals(rate=200), length_s=20)
        with pytest.raises(StageFailed, match="crew worker 1 was ended by SIGKILL while it was at work"):
            sail(journey, kill)
        seen = server.requests()
    ops = journey.ops()
    assert 0 <= len(ops) - len(seen) <= 4
    assert {int(u) % 2 for u in ops.user} == {0, 1}
    assert [(e.worker, e.what) for e in journey.of(CrewEvent) if e.what == "crashed"] == [(1, "crashed")]


MIDDLE = """
import subprocess, sys, time
command = [sys.executable, "-m", "seatrial.crew.worker", sys.argv[1]]
p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
p.stdout.readline()
print(p.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_end_when_the_conductor_is_killed(tmp_path: Path) -> None:
    with wire(tmp_path) as server:
        config = worker_config(trip(tmp_path, server.port, length_s=60))
        command = [sys.executable, "-c", MIDDLE, str(config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout
            pid = int(parent.stdout.readline())
            assert alive(pid)
            parent.kill()
        deadline = time.monotonic() + 5
        while alive(pid):
            assert time.monotonic() < deadline, "the worker outlived its conductor"
            time.sleep(0.01)


@pytest.mark.proves("S0-15", "S0P-51")
def test_closed_users_wait_think_and_start_spread_out(tmp_path: Path) -> None:
    closed = Arrivals(model="closed", think_min_s=0.05, think_max_s=0.1)
    with wire(tmp_path) as server:
        journey = trip(tmp_path, server.port, users=6, arrivals=closed, start_jitter_s=0.5, length_s=2)
        assert sail(journey) == []
    ops = journey.ops().take((journey.ops().flags & Flag.READBACK) == 0)
    firsts = []
    for user in range(6):
        mine = ops.take(ops.user == user)
        gaps = (mine.started_ns[1:] - mine.ended_ns[:-1]) / NS
        assert gaps.min() >= 0.05
        assert np.median(gaps) < 0.12
        firsts.append(int(mine.started_ns[0]))
    start_ns = next(e.t_ns for e in journey.of(CrewEvent) if e.what == "started")
    spread = (np.array(firsts) - start_ns) / NS
    assert spread.min() >= 0
    assert 0.2 < spread.max() < 0.6


SLOW = """
import asyncio
from seatrial.crew.users import User, Verb, task
class Slow(User):
    @task
    async def nap(self):
        async with self.op("nap", Verb.OTHER):
            await asyncio.sleep(%s)
"""


@pytest.mark.proves("S1P-5", "S1P-23")
def test_arrivals_that_no_user_was_free_for_are_counted_and_written_down_as_never_sent(tmp_path: Path) -> None:
    slow = {"users": 2, "length_s": 2.0, "arrivals": Arrivals(rate=50), "timeout_s": 0.5}
    journey = trip(tmp_path, 1, module=SLOW % 0.5, **slow)
    assert sail(journey, calm_s=2.0) == []
    found = rows(journey.ops())
    assert len(found) == 100
    counts = Counter((r["outcome"], r["error"]) for r in found)
    assert counts[OpOutcome.OK, None] + counts[OpOutcome.FAIL, "never-sent"] == 100
    assert counts[OpOutcome.FAIL, "never-sent"] > 75
    assert max(s.waiting for s in journey.of(CrewStats)) > 50
    late = [r["started_ns"] - r["intended_ns"] for r in found if r["outcome"] == OpOutcome.OK]
    assert max(late) > NS, "the wait for a free user counts"
    quiet = next(e for e in journey.of(CrewEvent) if e.what == "quiet")
    assert quiet.detail["never_sent"] == counts[OpOutcome.FAIL, "never-sent"]


@pytest.mark.proves("S0-48")
def test_what_is_in_flight_at_the_bound_is_named_and_ends_unknown(tmp_path: Path) -> None:
    journey = trip(tmp_path, 1, module=SLOW % 60, users=2, length_s=0.5, arrivals=Arrivals(rate=2), timeout_s=0.5)
    assert sail(journey, calm_s=1.0) == ["worker 0: user 0: nap"]
    assert [(r["outcome"], r["error"]) for r in rows(journey.ops())] == [(OpOutcome.UNKNOWN, "cancelled")]


def test_warm_up_is_flagged_and_weights_of_the_scenario_come_first(tmp_path: Path) -> None:
    with wire(tmp_path) as server:
        journey = trip(tmp_path, server.port, warmup_s=0.4, mix={"get": 0}, arrivals=Arrivals(rate=50))
        sail(journey)
    found = [r for r in rows(journey.ops()) if not r["flags"] & Flag.READBACK]
    assert {r["name"] for r in found} == {"put"}
    assert sum(bool(r["flags"] & Flag.WARMUP) for r in found) == 20


HEAVY = """
import sys, seatrial.crew.worker
print([m for m in ("pyarrow", "duckdb", "pandas", "jinja2", "bokeh", "rich", "pydantic") if m in sys.modules])
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_worker_is_ready_and_imports_nothing_heavy(tmp_path: Path, loop: str) -> None:
    done = subprocess.run([sys.executable, "-c", HEAVY], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with wire(tmp_path) as server:
        config = worker_config(trip(tmp_path, server.port, length_s=0.2), loop)
        command = [sys.executable, "-m", "seatrial.crew.worker", str(config)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
            assert worker.stdout
            assert b'"type":"ready"' in worker.stdout.readline()
    assert worker.returncode == 0, "it ends by itself when stdin closes"
