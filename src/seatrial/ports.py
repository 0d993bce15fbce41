"""What the engine needs of the world. Adapters implement these; the engine knows nothing else of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Protocol

from seatrial.clock import Clock
from seatrial.history import AnyEvent
from seatrial.params import Param
from seatrial.plan import Artefact, Link, Plan, PlannedFault
from seatrial.undo import AnyUndo

Emit = Callable[[AnyEvent], None]
Say = Callable[[str], None]  # one line of progress for a person


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return host:port."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An artefact on this machine. root is immutable and shared between runs; values are for templates.

    values always has: root, bin (folder of executables), version, digest.
    """

    artefact: Artefact
    version: str
    digest: str
    root: Path
    values: Mapping[str, str]


class Provider(Protocol):
    """Where artefacts come from (pypi, npm, apt, path)."""

    async def install(self, artefact: Artefact, say: Say) -> Installed:
        """Return the artefact from the cache, filling it first if need be.

        Raises EnvironmentTrouble (no network, unknown version, wrong Python, no disk), with the next step in the text.
        """
        ...


class Ledger(Protocol):
    """The run's list of everything it made. Lines reach the disk before the thing is made."""

    def open(self, kind: str, name: str, undo: AnyUndo) -> int:
        """Write down what is about to be made; return its id."""
        ...

    def close(self, entry: int, how: str = "") -> None:
        """Write down that it is gone, after that was verified."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """How a process ended when it was asked to. how: exited | killed (the grace was used up) | was-down."""

    process: str
    how: str
    took_s: float
    code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a process itself, or the runtime, says it is."""

    artefact: str
    source: str
    expected: str
    observed: str
    ok: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What the observer is told of one process of the app."""

    process: str
    log: Path
    data: tuple[Path, ...]
    cgroup: Path | None = None


class Deployment(Protocol):
    """One live instance of an app in a runtime. Verbs are bounded, report what they measured, and never retry."""

    async def start(self, names: Sequence[str] = (), *, by: str = "engine") -> None:
        """Start these processes (all, in order of `after`, when empty) and wait for each to be ready.

        Raises NotReady or StageFailed with the last thing seen and the end of the log.
        """
        ...

    async def stop(self, names: Sequence[str] = (), *, by: str = "engine") -> list[Stopped]:
        """Stop with the declared signal and grace, then kill; in reverse order."""
        ...

    async def kill(self, names: Sequence[str], *, by: str) -> None:
        """SIGKILL the whole trees of these processes at once; return when none of them lives."""
        ...

    async def freeze(self, name: str) -> None:
        """Stop all execution of the process tree."""
        ...

    async def thaw(self, name: str) -> None:
        """Let a frozen process tree go on."""
        ...

    def expect_down(self, names: Sequence[str], by: str) -> None:
        """Say that exits of these processes are ours (fault id) until they are started again: no restart policy."""
        ...

    def pids(self, name: str) -> list[int]:
        """Return the live pids of the process's tree, freshly read from the system."""
        ...

    def names(self) -> Sequence[str]:
        """Return the names of the processes of the app."""
        ...

    def address(self, process: str, port: str) -> Address:
        """Return where a port of a process listens."""
        ...

    async def claims(self) -> list[Claim]:
        """Ask for identity: from the runtime (executable, listening socket's owner) and from the app's own mouth."""
        ...

    async def teardown(self) -> None:
        """End everything that deploying made; closes its ledger entries. Safe to call twice."""
        ...

    def watched(self) -> list[Watched]:
        """Return what the observer needs to know of each process."""
        ...

    def template_values(self) -> Mapping[str, Any]:
        """Return what templates and the crew see: port, link, data, artefact, process values."""
        ...

    async def residue(self) -> list[str]:
        """List, independently of what teardown believes, what is left of this deployment."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a runtime is given to deploy into. All paths are inside the run folder."""

    run: str  # the run tag, in SEATRIAL_RUN of every process
    folder: Path  # the run folder
    work: Path  # data and rendered configs; removed at teardown unless kept
    logs: Path
    ledger: Ledger
    clock: Clock
    emit: Emit
    say: Say
    keep: bool = False  # keep the work folder


class Runtime(Protocol):
    """How an app is deployed: process, compose, swarm, kubernetes."""

    async def prepare(
        self, plan: Plan, installed: Mapping[str, Installed], links: Mapping[str, Address], site: Site
    ) -> Deployment:
        """Allocate ports and folders, render configs. Starts nothing of the app."""
        ...


class LinkControl(Protocol):
    """A link's fault proxy. Toxics are named; each has a kind and parsed parameters."""

    @property
    def address(self) -> Address:
        """Return the near end, to which clients connect."""
        ...

    async def aim(self, upstream: Address) -> None:
        """Say where the far end is (after ports are known, and again after a restart that moved it)."""
        ...

    async def add(self, toxic: str, kind: str, params: Mapping[str, Any]) -> None:
        """Put a toxic into force; returns when it is in force for new and live connections."""
        ...

    async def remove(self, toxic: str) -> None:
        """Take a toxic out of force."""
        ...

    async def stats(self) -> Mapping[str, Any]:
        """Return counters: accepted, open, refused, reset, bytes_up, bytes_down, held_bytes, toxics (in force)."""
        ...

    async def admit(self, port: int, far: Address | None) -> None:
        """Expect one connection of a prober from that local port, and carry it through all toxics, uncounted.

        far: a listener of the prober's own, so that the app sees nothing; None for the real upstream.
        """
        ...

    async def seen(self, port: int) -> str:
        """Return what became of that connection: expected, waiting, dialling, joined, or why it is over."""
        ...


class Links(Protocol):
    """All fault proxies of a run."""

    async def open(self, link: Link) -> LinkControl:
        """Start the proxy of a link. It listens; it is aimed later."""
        ...

    async def close(self) -> None:
        """End all proxies."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultWorld:
    """What a fault may use: nothing beyond this plan's blast radius is reachable from here."""

    plan: Plan
    deployment: Deployment
    links: Mapping[str, LinkControl]
    ledger: Ledger
    clock: Clock
    rng: Random  # seeded per injection
    emit: Emit
    run: str


class NotBitten(Exception):
    """The effect of a fault was looked for at the target and not found. The text says what was measured."""


class Fault(Protocol):
    """A harm: put it in, measure that it took effect, take it out, measure that it is gone. One object an injection.

    Order of calls: preflight, inject, verify, [hold], heal, verify_gone. heal is also called when inject or verify
    failed, and must be safe then. Details for the report are returned by verify and verify_gone.
    """

    KIND: ClassVar[str]
    SUMMARY: ClassVar[str]
    TARGETS: ClassVar[tuple[str, ...]]  # of "process", "link", "all"
    PARAMS: ClassVar[tuple[Param, ...]]
    NEEDS: ClassVar[tuple[str, ...]]  # capabilities by name, as `seatrial doctor` lists them
    HOLDS: ClassVar[bool]  # whether it stays in force for hold_s

    def __init__(self, planned: PlannedFault, world: FaultWorld) -> None:
        """Bind a planned fault to the world of its run."""
        ...

    async def preflight(self) -> None:
        """Raise StageFailed (environment) when the machine cannot do it, NotBitten when the target is not there."""
        ...

    async def inject(self) -> None:
        """Put the harm in, after writing its undo to the ledger."""
        ...

    async def verify(self) -> dict[str, Any]:
        """Measure at the target that the harm took effect. Raises NotBitten."""
        ...

    async def heal(self) -> None:
        """Take the harm out."""
        ...

    async def verify_gone(self) -> dict[str, Any]:
        """Measure that it is gone, and close the ledger entry. Raises NotBitten when it is still there."""
        ...


class CrewControl(Protocol):
    """The crew of a run: worker processes that run simulated users and write ops journals."""

    async def start(self) -> None:
        """Start the workers and let them load and build their users. Raises StageFailed with the module's own error."""
        ...

    async def drive(self) -> None:
        """Let users work for the length of the load; return when the last arrival was made or a worker is lost.

        Raises StageFailed when a worker crashed, hung or printed garbage.
        """
        ...

    async def calm(self, within_s: float) -> list[str]:
        """Stop users; return when all are confirmed quiet (nothing in flight), or the names of those that are not."""
        ...

    async def readback(self, within_s: float) -> None:
        """Let users read back what they own, as ops flagged READBACK. Raises StageFailed when it takes too long."""
        ...

    async def close(self) -> None:
        """End all workers. Safe to call twice."""
        ...

    def completed(self) -> int:
        """Return how many ops have completed so far (a little stale); for triggers and the live view."""
        ...


class ObserverControl(Protocol):
    """The observer: a process of its own that probes, samples, and follows logs."""

    async def start(self, addresses: Mapping[str, Address], watched: Sequence[Watched]) -> None:
        """Start it. addresses: by probe name."""
        ...

    async def stop(self) -> None:
        """End it; every line it wrote is on disk and log counts are written."""
        ...

    def dead_for_s(self, probe: str) -> float:
        """Return for how long the probe has been failing, 0.0 when the last answer was good; for early abort."""
        ...


RuntimeMaker = Callable[[], Runtime]
