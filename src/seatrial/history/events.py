"""What else happened in a run: stages, faults, processes, identity, probes, samples, log matches, crew.

Every event is one JSON line with `type` and `t_ns` (CLOCK_MONOTONIC nanoseconds, the clock of the ops).
"""

from __future__ import annotations

from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower, omit_defaults=True):
    """Base of all events; t_ns is monotonic nanoseconds."""

    t_ns: int


class RunStarted(Event, frozen=True, kw_only=True):
    """First line of events.jsonl: ties the monotonic clock to wall time."""

    run: str
    wall_ns: int
    seatrial: str
    host: dict[str, Any] = {}


class StageEvent(Event, frozen=True, kw_only=True):
    """A stage began ("begin") or ended ("end", with outcome and reason)."""

    stage: str
    what: str
    outcome: str = ""
    reason: str = ""


class FaultEvent(Event, frozen=True, kw_only=True):
    """A step in the life of an injection.

    what: planned | injecting | injected | verified | healing | healed | gone | failed.
    `injected` .. `healed` is the time the fault was in force; `failed` says in reason which step did not succeed.
    """

    id: str
    kind: str
    target: str
    what: str
    params: dict[str, Any] = {}
    detail: dict[str, Any] = {}
    reason: str = ""


class ProcessEvent(Event, frozen=True, kw_only=True):
    """A process of the app started or exited.

    what: start | exit | ready | killed-after-grace | survived-teardown | start-failed and not-ready (of a restart by
    policy) | log-limit | disk-limit.
    by: what caused it: "engine" (a stage), a fault id, "restart-policy", or "" when nobody of ours did.
    code: exit code, or -signal.
    """

    process: str
    what: str
    pid: int = 0
    code: int | None = None
    by: str = ""
    took_s: float | None = None
    reason: str = ""


class ArtefactInstalled(Event, frozen=True, kw_only=True):
    """An artefact is on this machine: the exact version and digest that the provider found."""

    artefact: str
    provider: str
    version: str
    digest: str


class IdentitySeen(Event, frozen=True, kw_only=True):
    """A reading of who the app says it is. source: artefact | runtime | app."""

    moment: str
    artefact: str
    source: str
    expected: str
    observed: str
    ok: bool
    reason: str = ""


class ProbeSample(Event, frozen=True, kw_only=True):
    """One health probe. t_ns is its intended time; latency counts from there."""

    probe: str
    ok: bool
    latency_ns: int
    status: int = 0
    reason: str = ""


class ResourceSample(Event, frozen=True, kw_only=True):
    """Resources of one process tree. Bytes and cumulative nanoseconds; -1 for what could not be read."""

    process: str
    rss: int = -1
    pss: int = -1
    cpu_ns: int = -1
    threads: int = -1
    fds: int = -1
    pids: int = -1
    data_bytes: int = -1
    log_bytes: int = -1


class HostSample(Event, frozen=True, kw_only=True):
    """Pressure of the machine: shares in percent, bytes free, cumulative OOM kills; -1 for what could not be read.

    clock_jump_ns: change of (wall - monotonic) since the sample before.
    """

    cpu_percent: float = -1
    steal_percent: float = -1
    load1: float = -1
    mem_available: int = -1
    disk_free: int = -1
    oom_kills: int = -1
    psi_cpu: float = -1
    psi_io: float = -1
    psi_memory: float = -1
    clock_jump_ns: int = 0


class LogMatch(Event, frozen=True, kw_only=True):
    """A line of a process's log that matched a declared pattern. t_ns is when the follower read it."""

    process: str
    pattern: str
    line: str
    groups: dict[str, str] = {}


class LogCount(Event, frozen=True, kw_only=True):
    """At the end: how often each declared pattern matched, and how many lines the follower read."""

    process: str
    pattern: str
    count: int
    lines: int


class CrewEvent(Event, frozen=True, kw_only=True):
    """What a crew worker did: ready | started | quiet | readback-done | exited | crashed | hung | garbage | error."""

    worker: int
    what: str
    reason: str = ""
    detail: dict[str, Any] = {}


class CrewStats(Event, frozen=True, kw_only=True):
    """Self-measurement of one worker over the interval since its stats before.

    lag: how late the pacer fired arrivals, ns. busy: share of one core that the worker used, 0..1.
    waiting: arrivals that are due and wait for a free user.
    """

    worker: int
    arrivals: int
    lag_p50_ns: int = 0
    lag_p99_ns: int = 0
    lag_max_ns: int = 0
    busy: float = 0.0
    waiting: int = 0


class ObserverEvent(Event, frozen=True, kw_only=True):
    """The observer's own life: started | stopped | crashed | silent (a gap in its own heartbeat, `detail` has ns)."""

    what: str
    reason: str = ""
    detail: dict[str, Any] = {}


class Residue(Event, frozen=True, kw_only=True):
    """Teardown, verified by an independent listing. items: what was left, in plain words."""

    clean: bool
    items: tuple[str, ...] = ()


class Interruption(Event, frozen=True, kw_only=True):
    """The run was cut short: by "signal", by "limit" (a declared early abort), or by "conductor-died"."""

    by: str
    reason: str = ""


AnyEvent = (
    RunStarted
    | StageEvent
    | FaultEvent
    | ProcessEvent
    | ArtefactInstalled
    | IdentitySeen
    | ProbeSample
    | ResourceSample
    | HostSample
    | LogMatch
    | LogCount
    | CrewEvent
    | CrewStats
    | ObserverEvent
    | Residue
    | Interruption
)
