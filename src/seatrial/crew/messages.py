"""What conductor and worker say to each other: a config file, commands on stdin, reports on stdout, as JSON lines."""

from __future__ import annotations

from typing import Any

import msgspec

from seatrial.plan import Plan


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a worker needs. values: template values of the deployment, as JSON."""

    run: str
    worker: int
    plan: Plan
    journal: str
    host: str
    port: int
    values: dict[str, Any] = {}
    loop: str = ""  # "asyncio" or "uvloop"; empty: uvloop when it is installed


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """Base of what the conductor says."""


class Start(Command, frozen=True, kw_only=True):
    """Begin the load at a monotonic instant."""

    at_ns: int


class Stop(Command, frozen=True, kw_only=True):
    """Make no new arrivals; be quiet within that time."""

    within_s: float


class Readback(Command, frozen=True, kw_only=True):
    """Let users read back what they own."""


class Exit(Command, frozen=True, kw_only=True):
    """Close the journal and end."""


AnyCommand = Start | Stop | Readback | Exit


class Report(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """Base of what a worker says."""


class Ready(Report, frozen=True, kw_only=True):
    """Users are built and have started. arrivals: how many this worker will make; schedule: digest of all of them."""

    users: int
    arrivals: int = 0
    schedule: str = ""


class Driven(Report, frozen=True, kw_only=True):
    """The last arrival was made."""

    arrivals: int


class Stats(Report, frozen=True, kw_only=True):
    """Sign of life, each second, with the fields of CrewStats; completed: ops so far."""

    t_ns: int
    arrivals: int
    completed: int
    lag_p50_ns: int = 0
    lag_p99_ns: int = 0
    lag_max_ns: int = 0
    busy: float = 0.0
    waiting: int = 0


class Quiet(Report, frozen=True, kw_only=True):
    """Users have stopped. in_flight: what had to be cut off; never_sent: arrivals that were due and not begun."""

    in_flight: tuple[str, ...] = ()
    never_sent: int = 0


class ReadbackDone(Report, frozen=True, kw_only=True):
    """Read-back has ended, after that many ops."""

    ops: int


class Trouble(Report, frozen=True, kw_only=True):
    """This worker cannot go on, in one sentence. outcome as of StageFailed; place: file and line when known."""

    reason: str
    outcome: str = "inconclusive"


AnyReport = Ready | Driven | Stats | Quiet | ReadbackDone | Trouble

decode_command = msgspec.json.Decoder(AnyCommand).decode
decode_report = msgspec.json.Decoder(AnyReport).decode
encode = msgspec.json.Encoder().encode
