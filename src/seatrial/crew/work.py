"""What all simulated users of one worker share: the journal, the phase, what is in flight, and where the app is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from seatrial.clock import SystemClock
from seatrial.plan import Load
from seatrial.store.journal import JournalWriter

now_ns: Callable[[], int] = time.monotonic_ns


class WorkerClock(SystemClock):
    """The machine's clock without a call in between; it is read several times an op."""

    now_ns = staticmethod(time.monotonic_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the app is for users: the near end of the load's link, or the first port. values: as templates see them."""

    host: str
    port: int
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """Return http://host:port."""
        return f"http://{self.host}:{self.port}"


class InFlight(Protocol):
    """An op that was begun and has not ended."""

    name: str

    @property
    def user_number(self) -> int:
        """Return the number of the user that does it."""
        ...


@dataclass(slots=True, kw_only=True)
class Work:
    """The shared state of a worker's users; changed by the worker's one thread only."""

    load: Load
    seed: int
    target: Target
    journal: JournalWriter
    readback: bool = False
    warm_until_ns: int = 0
    in_flight: set[InFlight] = field(default_factory=set)
    completed: int = 0

    def in_flight_names(self) -> list[str]:
        """Return what is in flight in plain words: user and op."""
        return sorted(f"user {op.user_number}: {op.name}" for op in self.in_flight)
