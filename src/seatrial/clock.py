"""The only module that reads time. Everything else is handed a Clock, or instants that came from one."""

from __future__ import annotations

import datetime
import time
from typing import Protocol

import msgspec

NS = 1_000_000_000


class Clock(Protocol):
    """Monotonic time, wall time, and waiting. Instants are CLOCK_MONOTONIC nanoseconds, the same in every process."""

    def now_ns(self) -> int:
        """Return the monotonic time in nanoseconds."""
        ...

    def wall_ns(self) -> int:
        """Return the wall time in nanoseconds since the Unix epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for that many seconds."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ns(self) -> int:
        """Return CLOCK_MONOTONIC in nanoseconds."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Return CLOCK_REALTIME in nanoseconds."""
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait on the running event loop."""
        import asyncio  # only who waits needs it: a command that judges a file must start fast

        await asyncio.sleep(seconds)


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of readings taken together, so that monotonic instants of a run can be shown as wall time."""

    wall_ns: int
    mono_ns: int

    def wall(self, mono_ns: int) -> int:
        """Return the wall time, in ns since the epoch, of a monotonic instant."""
        return self.wall_ns + (mono_ns - self.mono_ns)

    def iso(self, mono_ns: int | None) -> str | None:
        """Return a monotonic instant as ISO 8601 UTC text with milliseconds, or None for None."""
        return None if mono_ns is None else iso_utc(self.wall(mono_ns))


def anchor(clock: Clock) -> Anchor:
    """Read both clocks together."""
    return Anchor(wall_ns=clock.wall_ns(), mono_ns=clock.now_ns())


def iso_utc(wall_ns: int) -> str:
    """Return ns since the epoch as ISO 8601 UTC text with milliseconds."""
    moment = datetime.datetime.fromtimestamp(wall_ns // 1_000_000 / 1000, tz=datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_stamp(wall_ns: int) -> str:
    """Return ns since the epoch as a compact UTC stamp that is fit for a folder name, e.g. 20261121T031459Z."""
    return datetime.datetime.fromtimestamp(wall_ns / NS, tz=datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
