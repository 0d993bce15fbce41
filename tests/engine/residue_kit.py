"""Runs of the victim as processes of their own, and a look at the machine that believes nobody: what is left."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from seatrial.history import FaultEvent, StageEvent
from seatrial.host import cgroups, marks, proc, sockets
from seatrial.store.events import read_events
from seatrial.store.folder import RunFolder, list_runs

VICTIM = Path(__file__).parent.parent / "victims" / "kv"
CLEAN_WITHIN_S = 30.0
SHARED = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))


AFLOAT: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def ashore() -> Iterator[None]:
    """End the runs that a failed test left; import this where ships are started."""
    yield
    while AFLOAT:
        process = AFLOAT.pop()
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_for(holds: Callable[[], bool], within_s: float, what: str) -> float:
    """Wait until something holds; return how long that took, in seconds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within_s, f"{what}: not within {within_s:g} s"
        time.sleep(0.01)
    return time.monotonic() - began


@dataclass
class Ship:
    """One `seatrial run` in a session, a home and a temporary folder of its own."""

    root: Path
    app: Path = VICTIM
    scenario: str = "storm"
    seed: int = 7
    sets: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    cache: Path | None = None
    out: Path | None = None
    user: int | None = None
    options: tuple[str, ...] = ()
    python: str = sys.executable
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.home, self.tmp, self.runs = self.root / "home", self.root / "tmp", self.out or self.root / "runs"
        for folder in (self.home, self.tmp):
            folder.mkdir(parents=True)
            if self.user is not None:
                os.chown(folder, self.user, self.user)
        self.mounts = _mounts()
        self.shared = {entry for folder in SHARED for entry in _listing(folder)}

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SEATRIAL_", "XDG_", "PYTEST_"))}
        cache = self.cache or self.root / "cache"
        return {**kept, "HOME": str(self.home), "TMPDIR": str(self.tmp), "SEATRIAL_CACHE": str(cache), **self.env}

    def start(self, stdout: int | None = None, stderr: int | None = None) -> Ship:
        words = ["run", str(self.app), self.scenario, "--seed", str(self.seed), "--out", str(self.runs), *self.options]
        words += [word for name, value in self.sets.items() for word in ("--set", f"{name}={value}")]
        with (self.root / "said.txt").open("ab") as said, (self.root / "out.txt").open("ab") as out:
            self.process = subprocess.Popen(
                [self.python, "-P", "-m", "seatrial", *words],
                stdin=subprocess.DEVNULL,
                stdout=out if stdout is None else stdout,
                stderr=said if stderr is None else stderr,
                env=self.environment,
                cwd=self.root,
                start_new_session=True,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
            )
        AFLOAT.append(self.process)
        return self

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another seatrial command on the runs of this ship."""
        return subprocess.run(
            [self.python, "-P", "-m", "seatrial", *words, "--out", str(self.runs)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=self.environment,
            cwd=self.root,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
        )

    @property
    def said(self) -> str:
        return (self.root / "said.txt").read_text()

    @property
    def printed(self) -> str:
        return (self.root / "out.txt").read_text()

    @property
    def folder(self) -> RunFolder | None:
        """Return the run folder, when there is one already."""
        return next(iter(list_runs(self.runs)), None)

    def verdict(self) -> dict[str, object]:
        assert self.folder is not None
        return dict(json.loads((self.folder.path / "verdict.json").read_text()))

    def crew(self) -> dict[int, int]:
        """Return what lives below the conductor, carries the run's tag or was given a path of it: pid to start."""
        stats = proc.all_stats()
        found = proc.descendants({self.process.pid}, stats) | {self.process.pid}
        pids = {pid: stats[pid].start_ticks for pid in found if pid in stats and not stats[pid].dead}
        pids |= {pid: proc.start_ticks(pid) for pid in _mentioning(str(self.root))}
        return pids | (marks.of_run(self.folder.tag) if self.folder else {})

    def wait_stage(self, stage: str, what: str = "begin", within_s: float = 30.0) -> None:
        """Wait until a stage is in the journal."""
        self._wait(lambda: any(s.stage == stage and s.what == what for s in self.events(StageEvent)), within_s, stage)

    def wait_fault(self, fault: str, what: str, within_s: float = 30.0) -> None:
        """Wait until a step of a fault is in the journal; fault: its kind."""
        self._wait(lambda: any(f.kind == fault and f.what == what for f in self.events(FaultEvent)), within_s, fault)

    def _wait(self, holds: Callable[[], bool], within_s: float, what: str) -> None:
        def happened() -> bool:
            over = self.process.poll() is not None
            if not holds():
                assert not over, f"ended with {self.process.returncode} before {what}: {self.said}"
                return False
            return True

        wait_for(happened, within_s, what)

    def events(self, kind: type) -> list:  # type: ignore[type-arg]
        folder = self.folder
        return [e for e in read_events(folder.journal) if isinstance(e, kind)] if folder else []

    def finish(self, within_s: float = 90.0) -> int:
        return self.process.wait(within_s)


@dataclass
class Wreck:
    """A run whose conductor was killed. went: how long it took until nothing of it lived."""

    ship: Ship
    went_s: float
    held: set[int]  # inodes of the listening sockets of the run at the moment of the kill
    situation: str


def situation(folder: RunFolder | None) -> str:
    """Return in what stage the run was, and which faults were in force."""
    if folder is None:
        return "before the run folder"
    stage, inside = "before the first stage", {}
    for event in read_events(folder.journal):
        if isinstance(event, StageEvent):
            stage = event.stage if event.what == "begin" else f"after {event.stage}"
        elif isinstance(event, FaultEvent) and event.what != "planned":
            inside[event.id] = event
    going = sorted(e.kind for e in inside.values() if e.what not in ("gone", "failed"))
    return f"{stage}{' with ' + '+'.join(going) if going else ''}"


def kill_at(ship: Ship, moment_s: float) -> Wreck:
    """Start a run, SIGKILL its conductor at that moment, and wait until nothing lives that it had started."""
    ship.start()
    try:
        ship.process.wait(moment_s)
    except subprocess.TimeoutExpired:
        pass
    return kill_now(ship)


def kill_in(ship: Ship, fault: str, step: str, later_s: float) -> Wreck:
    """Start a run, and SIGKILL its conductor when a fault of that kind has come to that step, or a little later."""
    ship.start()
    ship.wait_fault(fault, step, within_s=60.0)
    time.sleep(later_s)
    return kill_now(ship)


def kill_now(ship: Ship, *, guardian_too: bool = False) -> Wreck:
    """SIGKILL the conductor, and wait, in bounded time, until nothing lives that it had started."""
    before = ship.crew()
    held = _listening(before)
    if guardian_too:
        for pid in [pid for pid in before if b"seatrial.engine.guardian" in _command(pid)]:
            os.kill(pid, signal.SIGKILL)
    ship.process.kill()
    before |= ship.crew()
    ship.process.wait()
    where = situation(ship.folder)
    if guardian_too:
        return Wreck(ship, 0.0, held, where)

    def over() -> bool:
        return not any(proc.alive(pid, ticks) for pid, ticks in (before | ship.crew()).items())

    return Wreck(ship, wait_for(over, CLEAN_WITHIN_S, f"{where}: processes of {ship.root}"), held, where)


def residue(ship: Ship, held: set[int] = frozenset()) -> list[str]:  # type: ignore[assignment]
    """List whatever is left of a run anywhere on this machine, outside of its run folder."""
    found = [f"process {proc.describe(pid)}" for pid in ship.crew()]
    found += [f"mount {line}" for line in _mounts() - ship.mounts if str(ship.root) in line]
    found += [f"in the temporary folder: {path}" for path in _listing(ship.tmp)]
    found += [f"in the home folder: {path}" for path in _listing(ship.home) if path.name != ".rustup"]  # pip asks rustc
    inodes = {one.inode: one for one in sockets.listening_sockets()}
    found += [f"still listening: {inodes[inode]}" for inode in held & set(inodes)]
    beside = {".latest", "latest"} | ({ship.folder.name} if ship.folder else set())
    found += [f"beside the run folder: {p}" for p in _listing(ship.runs) if p.name not in beside]
    if ship.folder:
        name = ship.folder.name
        found += [f"cgroup {path}" for path in _groups(ship.folder.tag)]
        found += [
            f"files in {ship.folder.work}" for _ in range(ship.folder.work.exists() and any(ship.folder.work.iterdir()))
        ]
        now = {entry for folder in SHARED for entry in _listing(folder)}
        found += [f"file {path}" for path in now - ship.shared if name in path.name]
    return found


def _groups(tag: str) -> Iterator[Path]:
    places = cgroups.parents()
    for parent in {place for place in (places.v2, *places.v1.values()) if place}:
        path = cgroups.folder(parent, tag, "x").parent
        if path.exists():
            yield path


def _listening(pids: Mapping[int, int]) -> set[int]:
    inodes = {one.inode for one in sockets.listening_sockets()}
    return set(sockets.holders(inodes, pids))


def _mentioning(text: str) -> list[int]:
    me = {os.getpid(), os.getppid()}
    return [p for p in proc.pids() if p not in me and proc.alive(p) and text.encode() in _command(p)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _mounts() -> set[str]:
    return set(Path("/proc/self/mountinfo").read_text().splitlines())


def _listing(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def moments(label: str, count: int, until_s: float) -> list[tuple[int, float]]:
    """Return (number, moment in seconds), the same each time for the same label."""
    chosen = random.Random(label)
    return [(number, chosen.uniform(0.0, until_s)) for number in range(count)]
