"""What goes between the conductor and an observer process: one JSON line each."""

from __future__ import annotations

import msgspec

from seatrial.plan import LogPattern


class ProbeTask(msgspec.Struct, frozen=True, kw_only=True):
    """A probe with the address it goes to."""

    name: str
    kind: str
    host: str
    port: int
    path: str = "/"
    codes: tuple[int, ...] = (200,)
    contains: str = ""
    every_s: float = 1.0
    timeout_s: float = 2.0


class WatchTask(msgspec.Struct, frozen=True, kw_only=True):
    """A process of the app: its log, its data folders, its cgroup when it has one."""

    process: str
    log: str
    data: tuple[str, ...] = ()
    cgroup: str = ""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The first line to an observer process. role: probes | watch (samples and logs); folder: the run folder.

    The roles are two processes: a costly log pattern or a slow /proc must not make a probe late.
    """

    role: str
    run: str
    folder: str
    probes: tuple[ProbeTask, ...] = ()
    watched: tuple[WatchTask, ...] = ()
    patterns: tuple[LogPattern, ...] = ()
    sample_every_s: float = 1.0
    data_every_s: float = 5.0


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A later line to an observer process: stop, or "this pid is the first of that process"."""

    stop: bool = False
    process: str = ""
    pid: int = 0


class Beat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line from an observer process: every half second, and at once when a probe changes its state.

    failing: monotonic ns of the first failure in a row, by probe; absent when its last answer was good.
    lost: lines that could not be written, with the reason. Every beat holds the whole state, so a lost beat is no harm.
    """

    t_ns: int
    failing: dict[str, int] = {}
    lost: int = 0
    why: str = ""
    last: bool = False
