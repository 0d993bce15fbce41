"""The observer against real processes: a small HTTP server that is frozen, killed, slow, flooding its log."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import psutil
import pytest

from seatrial.clock import NS, SystemClock
from seatrial.errors import UsageError
from seatrial.history import AnyEvent, HostSample, LogCount, LogMatch, ObserverEvent, ProbeSample, ResourceSample
from seatrial.observe.control import Observer
from seatrial.plan import LogPattern, Plan, Probe
from seatrial.ports import Address, Watched

pytestmark = pytest.mark.real

SERVER = """
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(0.35)
        body = b"all is well aboard"
        self.send_response(503 if self.path == "/ill" else 200)
        if self.path == "/close":
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body) + (100 if self.path == "/short" else 0)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True
    def log_message(self, *args):
        print("served", self.path, flush=True)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
print("port", server.server_port, flush=True)
server.serve_forever()
"""
TAG = f"observer-test-{os.getpid()}"
T = TypeVar("T")


class Ship:
    """A server with a helper process that left its session, its log, and its data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.data = folder, folder / "logs" / "ship.log", folder / "data"
        self.log.parent.mkdir()
        self.data.mkdir()
        (self.data / "cargo").write_bytes(b"x" * 5000)
        env = {**os.environ, "SEATRIAL_RUN": TAG, "SEATRIAL_PROCESS": "ship"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=log, stderr=log, env=env)
        end = time.monotonic() + 10
        while b"\n" not in self.log.read_bytes():
            assert time.monotonic() < end
            time.sleep(0.01)
        self.address = Address(host="127.0.0.1", port=int(self.log.read_text().split()[1]))
        self.tree = [self.process.pid, *(child.pid for child in psutil.Process(self.process.pid).children())]

    def watched(self) -> Watched:
        return Watched(process="ship", log=self.log, data=(self.data,))

    def sink(self) -> None:
        for pid in self.tree:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()


@pytest.fixture
def ship(tmp_path: Path) -> Iterator[Ship]:
    vessel = Ship(tmp_path)
    yield vessel
    vessel.sink()


def plan(*probes: Probe, logs: tuple[LogPattern, ...] = ()) -> Plan:
    return Plan(seatrial="0", app="ship", app_dir="", scenario="s", runtime="process", seed=1, probes=probes, logs=logs)


def probe(name: str = "health", **more: object) -> Probe:
    return msgspec.structs.replace(Probe(name=name, to="ship.http", every_s=0.1, timeout_s=0.3), **more)


def read(folder: Path, name: str) -> list[AnyEvent]:
    decoder = msgspec.json.Decoder(AnyEvent)
    return [decoder.decode(line) for line in (folder / "journal" / name).read_bytes().splitlines()]


def of(kind: type[T], events: list[AnyEvent]) -> list[T]:
    return [event for event in events if isinstance(event, kind)]


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


Story = Callable[[Observer], Awaitable[None]]


def observe(ship: Ship, what: Plan, story: Story) -> list[AnyEvent]:
    """Run an observer over the ship while the story goes on; return what the conductor heard."""
    heard: list[AnyEvent] = []

    async def main() -> None:
        observer = Observer(what, TAG, ship.folder, SystemClock(), heard.append)
        await observer.start({p.name: ship.address for p in what.probes}, [ship.watched()])
        try:
            await story(observer)
        finally:
            await observer.stop()
            await observer.stop()
            assert not observer.pids

    asyncio.run(main())
    return heard


async def _rest(seconds: float) -> None:
    await asyncio.sleep(seconds)


@pytest.mark.proves("S0-31")
def test_the_rate_is_exact_and_slow_answers_do_not_delay_the_next_probe(ship: Ship) -> None:
    what = plan(probe(), probe("slow", path="/slow", timeout_s=1.0), probe("port", kind="tcp"))
    observe(ship, what, lambda observer: _rest(3.0))
    samples = of(ProbeSample, read(ship.folder, "probes.jsonl"))
    for name in ("health", "slow", "port"):
        mine = [sample for sample in samples if sample.probe == name]
        times = sorted(sample.t_ns for sample in mine)
        assert {late - early for early, late in itertools.pairwise(times)} == {NS // 10}
        assert 29 <= len(mine) <= 36
        assert all(sample.ok for sample in mine), [sample.reason for sample in mine]
    latencies = sorted(sample.latency_ns for sample in samples if sample.probe == "slow")
    assert 0.35 * NS <= latencies[0] < 0.5 * NS
    assert {sample.status for sample in samples if sample.probe == "port"} == {0}


@pytest.mark.proves("S2P-9", "S3-103")
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"path": "/ill"}, "status-503"),
        ({"contains": "all is lost"}, "content"),
        ({"path": "/short"}, "closed"),
        ({"path": "/ill", "codes": (503,)}, ""),
        ({"contains": "well aboard", "path": "/close"}, ""),
    ],
)
def test_what_is_a_good_answer(ship: Ship, more: dict[str, object], reason: str) -> None:
    async def story(observer: Observer) -> None:
        await until(lambda: (ship.folder / "journal" / "probes.jsonl").stat().st_size > 300)

    observe(ship, plan(probe(**more)), story)
    samples = of(ProbeSample, read(ship.folder, "probes.jsonl"))
    assert {sample.reason for sample in samples} == {reason}
    assert {sample.ok for sample in samples} == {not reason}


def test_a_frozen_and_a_dead_server_are_noticed_and_timed(ship: Ship) -> None:
    seen: list[float] = []

    async def story(observer: Observer) -> None:
        await until(lambda: (ship.folder / "journal" / "probes.jsonl").stat().st_size > 300)
        assert observer.dead_for_s("health") == 0.0
        assert observer.dead_for_s("no such probe") == 0.0
        os.kill(ship.process.pid, signal.SIGSTOP)
        await until(lambda: observer.dead_for_s("health") > 1.0)
        seen.append(observer.dead_for_s("health"))
        os.kill(ship.process.pid, signal.SIGCONT)
        await until(lambda: observer.dead_for_s("health") == 0.0)
        ship.sink()
        await until(lambda: observer.dead_for_s("health") > 0.3)

    observe(ship, plan(probe()), story)
    assert 1.0 < seen[0] < 2.5
    samples = sorted(of(ProbeSample, read(ship.folder, "probes.jsonl")), key=lambda sample: sample.t_ns)
    reasons = [sample.reason for sample in samples]
    assert reasons[0] == ""
    assert "timeout" in reasons
    assert reasons[-1] == "refused"
    assert not samples[-1].ok
    timed_out = [sample.latency_ns for sample in samples if sample.reason == "timeout"]
    assert all(0.3 * NS <= latency < 0.45 * NS for latency in timed_out)


@pytest.mark.proves("S1-20", "S3-115", "H-17")
def test_samples_are_of_the_whole_tree_and_of_the_host(ship: Ship) -> None:
    observe(ship, plan(probe()), lambda observer: _rest(2.2))
    events = read(ship.folder, "samples.jsonl")
    mine, host = of(ResourceSample, events), of(HostSample, events)
    assert len(mine) in (3, 4)
    assert {sample.pids for sample in mine} == {2}  # also the helper that left the session
    last = mine[-1]
    assert last.rss > last.pss > 1024 * 1024 or last.pss == -1
    assert max(sample.pss for sample in mine) > 1024 * 1024
    assert last.fds >= 6
    assert last.threads >= 2
    assert last.cpu_ns > 0
    assert mine[0].data_bytes == 5000
    assert 0 < mine[0].log_bytes < last.log_bytes <= ship.log.stat().st_size
    assert len(host) == len(mine)
    assert all(sample.mem_available > 0 and sample.disk_free > 0 and sample.oom_kills >= 0 for sample in host)
    assert all(abs(sample.clock_jump_ns) < NS // 100 for sample in host)
    assert 0 <= host[-1].cpu_percent <= 100


def test_a_dead_process_has_no_pids_and_unknown_memory(ship: Ship) -> None:
    async def story(observer: Observer) -> None:
        ship.sink()
        await asyncio.sleep(1.3)

    observe(ship, plan(), story)
    last = of(ResourceSample, read(ship.folder, "samples.jsonl"))[-1]
    assert (last.pids, last.rss, last.fds) == (0, -1, -1)


def test_a_program_that_overwrote_its_environment_is_found_by_hint(ship: Ship) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:

        async def story(observer: Observer) -> None:
            observer.hint("ship", child.pid)
            await asyncio.sleep(1.3)

        observe(ship, plan(), story)
    finally:
        child.kill()
        child.wait()
    assert of(ResourceSample, read(ship.folder, "samples.jsonl"))[-1].pids == 3


@pytest.mark.proves("S0-32")
def test_log_patterns_are_counted_also_those_that_never_matched(ship: Ship) -> None:
    logs = (
        LogPattern(name="served", pattern=r"served (?P<path>\S+)"),
        LogPattern(name="panic", pattern="panic", forbidden=True),
        LogPattern(name="other", pattern="x", process="another"),
    )
    observe(ship, plan(probe(), logs=logs), lambda observer: _rest(1.0))
    events = read(ship.folder, "logs.jsonl")
    counts = {count.pattern: count.count for count in of(LogCount, events)}
    matches = of(LogMatch, events)
    asked = len(of(ProbeSample, read(ship.folder, "probes.jsonl")))
    assert counts == {"served": len(matches), "panic": 0}
    assert counts["served"] == asked
    assert {match.groups["path"] for match in matches} == {"/"}


def test_a_flood_is_counted_exactly_in_flat_memory_without_late_probes(ship: Ship) -> None:
    logs = (LogPattern(name="every", pattern=r"flood \d+"), LogPattern(name="one", pattern=r"flood 777777 "))
    line_count, peak = 1_500_000, [0]

    async def story(observer: Observer) -> None:
        with ship.log.open("a") as log:
            for start in range(0, line_count, 10_000):
                log.writelines(f"flood {n} {'x' * 60}\n" for n in range(start, start + 10_000))
                peak[0] = max(peak[0], *(psutil.Process(pid).memory_info().rss for pid in observer.pids))
                await asyncio.sleep(0)

    observe(ship, plan(probe(path="/"), logs=logs), story)
    events = read(ship.folder, "logs.jsonl")
    counts = {count.pattern: count.count for count in of(LogCount, events)}
    assert counts == {"every": line_count, "one": 1}
    assert 1000 <= len(of(LogMatch, events)) < 1500
    assert peak[0] < 80 * 1024 * 1024
    assert all(sample.ok for sample in of(ProbeSample, read(ship.folder, "probes.jsonl")))


def test_a_killed_observer_leaves_readable_files_and_is_told_as_crashed(ship: Ship) -> None:
    async def story(observer: Observer) -> None:
        await asyncio.sleep(0.8)
        for pid in observer.pids:
            os.kill(pid, signal.SIGKILL)
        await until(lambda: not observer.pids)
        await asyncio.sleep(1.2)
        assert observer.dead_for_s("health") == 0.0

    heard = of(ObserverEvent, observe(ship, plan(probe()), story))
    assert [event.what for event in heard] == ["started", "crashed", "crashed", "stopped"]
    assert {event.detail.get("code") for event in heard[1:3]} == {-signal.SIGKILL}
    assert 6 <= len(of(ProbeSample, read(ship.folder, "probes.jsonl"))) <= 14
    assert read(ship.folder, "samples.jsonl")


def test_a_frozen_observer_is_noticed_and_its_gap_is_not_the_apps(ship: Ship) -> None:
    heard: list[AnyEvent] = []

    async def main() -> None:
        observer = Observer(plan(probe()), TAG, ship.folder, SystemClock(), heard.append)
        await observer.start({"health": ship.address}, [ship.watched()])
        await asyncio.sleep(0.5)
        pids = observer.pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        await until(lambda: len([e for e in of(ObserverEvent, heard) if e.what == "silent"]) == 2)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(0.5)
        await observer.stop()

    asyncio.run(main())
    events = read(ship.folder, "probes.jsonl")
    gaps = [event for event in of(ObserverEvent, events) if event.what == "silent"]
    assert gaps
    assert gaps[0].detail["gap_ns"] > 2.5 * NS
    assert all(sample.ok for sample in of(ProbeSample, events))


CONDUCTOR = """
import asyncio, sys
from pathlib import Path
import msgspec
from seatrial.clock import SystemClock
from seatrial.observe.control import Observer
from seatrial.plan import decode
from seatrial.ports import Address, Watched
async def main():
    plan = decode(Path(sys.argv[1], "plan.json").read_bytes())
    observer = Observer(plan, "observer-test-conductor", Path(sys.argv[1]), SystemClock(), lambda event: None)
    log = Path(sys.argv[1], "logs/ship.log")
    await observer.start(
        {"health": Address(host="127.0.0.1", port=int(sys.argv[2]))}, [Watched(process="ship", log=log, data=())]
    )
    print(*observer.pids, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def test_the_observer_ends_when_its_conductor_is_killed_and_still_writes_its_counts(ship: Ship) -> None:
    what = plan(probe(), logs=(LogPattern(name="served", pattern="served"),))
    (ship.folder / "plan.json").write_bytes(msgspec.json.encode(what))
    command = [sys.executable, "-c", CONDUCTOR, str(ship.folder), str(ship.address.port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as conductor:
        assert conductor.stdout is not None
        pids = [int(word) for word in conductor.stdout.readline().split()]
        assert len(pids) == 2
        time.sleep(0.5)
        conductor.kill()
    end = time.monotonic() + 8
    while alive := [pid for pid in pids if psutil.pid_exists(pid)]:
        assert time.monotonic() < end, alive
        time.sleep(0.02)
    assert of(LogCount, read(ship.folder, "logs.jsonl"))[0].count > 0


def test_a_bad_pattern_is_the_users_mistake(tmp_path: Path) -> None:
    logs = (
        LogPattern(name="one", pattern="("),
        LogPattern(name="two", pattern="[a"),
        LogPattern(name="3", pattern="a"),
    )
    with pytest.raises(UsageError) as caught:
        Observer(plan(logs=logs), TAG, tmp_path, SystemClock(), lambda event: None)
    assert len(caught.value.mistakes) == 2
