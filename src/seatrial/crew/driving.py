"""The two ways to drive users: open (arrivals happen whatever the app does) and closed (each waits, then thinks)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from seatrial.crew.alarm import NS, Alarm
from seatrial.crew.seats import Seat, waiting
from seatrial.crew.work import now_ns
from seatrial.generate.arrivals import Int64s, digest, first_starts, of_shard, schedule
from seatrial.generate.mix import stream, uniform
from seatrial.plan import Load

_CHUNK = 1 << 14
_YIELD = 64
_PAUSE_NS = 10_000_000  # of a closed user without think time after a failed op, so that an outage makes no storm


class Lags:
    """How late arrivals were made since the last reading, and how many there were."""

    __slots__ = ("late", "total")

    def __init__(self) -> None:
        self.late: list[int] = []
        self.total = 0

    def read(self) -> tuple[int, int, int, int]:
        """Return (arrivals, p50, p99, max) in ns since the last reading, and begin anew."""
        late, self.late = self.late, []
        if not late:
            return 0, 0, 0, 0
        values = np.sort(np.array(late, dtype=np.int64))
        self.total += len(values)
        p50, p99 = (int(values[min(int(len(values) * q), len(values) - 1)]) for q in (0.5, 0.99))
        return len(values), p50, p99, int(values[-1])


class OpenDrive:
    """Makes this worker's arrivals at their instants and hands each to its user."""

    def __init__(self, load: Load, seed: int, seats: Sequence[Seat], worker: int, alarm: Alarm) -> None:
        offsets = schedule(load.arrivals, load.length_s, seed)
        self.digest = digest(offsets)
        self._numbers = of_shard(offsets, load.users, worker, load.workers)
        self._offsets: Int64s = offsets[self._numbers]
        self._users, self._workers = load.users, load.workers
        self._seats, self._alarm, self.lags = seats, alarm, Lags()
        self._states = np.array([stream(seed, "tasks", s.doer.number) for s in seats], dtype=np.uint64)
        self._end_ns = int(load.length_s * NS)
        self._start_ns = self._next = self._filled = 0
        self._due: list[int] = []
        self._who: list[int] = []
        self._what: list[int] = []
        self._done: asyncio.Future[None] | None = None
        self._stopped = False

    @property
    def arrivals(self) -> int:
        """Return how many arrivals this worker makes in all."""
        return len(self._numbers)

    async def run(self, start_ns: int) -> None:
        """Make all arrivals; return when the length is over and the last one was made."""
        self._start_ns = start_ns
        self._done = asyncio.get_running_loop().create_future()
        self._fill()
        self._alarm.at(self._due[0] if self._due else start_ns, self._fire)
        await self._done
        if not self._stopped:
            await self._alarm.until(start_ns + self._end_ns)

    def stop(self) -> None:
        """Make no more arrivals."""
        self._stopped = True
        self._filled = len(self._numbers)
        del self._due[self._next :]

    def _fire(self) -> None:
        """Make all arrivals that are due, then set the alarm for the next."""
        while True:
            due, who, what, late, seats = self._due, self._who, self._what, self.lags.late, self._seats
            i, end, now = self._next, len(due), now_ns()
            while i < end and due[i] <= now:
                seats[who[i]].give(what[i], due[i])
                late.append(now - due[i])
                i += 1
                now = now_ns()
            self._next = i
            if i < end:
                self._alarm.at(due[i], self._fire)
                return
            if not self._fill():
                break
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _fill(self) -> bool:
        """Work out who does what in the next arrivals; return whether there are any."""
        chunk = self._numbers[self._filled : self._filled + _CHUNK]
        slots = (chunk % self._users) // self._workers
        self._who = slots.tolist()
        self._due = (self._offsets[self._filled : self._filled + _CHUNK] + self._start_ns).tolist()
        self._what = self._choose(slots, chunk // self._users)
        self._next, self._filled = 0, self._filled + len(chunk)
        return bool(self._due)

    def _choose(self, slots: Int64s, rounds: Int64s) -> list[int]:
        mixes = [seat.doer.mix for seat in self._seats]
        chosen = np.zeros(len(slots), dtype=np.int64)
        for mix in dict.fromkeys(mixes):
            sits = np.array([m is mix for m in mixes], dtype=bool)[slots] if mixes else np.zeros(0, dtype=bool)
            chosen[sits] = mix.picks_of(self._states[slots[sits]], rounds[sits])
        picked: list[int] = chosen.tolist()
        return picked


class ClosedDrive:
    """Lets each user work, think, and work again until the length is over."""

    digest = ""
    arrivals = 0

    def __init__(self, load: Load, seed: int, seats: Sequence[Seat], alarm: Alarm) -> None:
        self._load, self._seed, self._seats, self._alarm = load, seed, seats, alarm
        self._jitter = first_starts(load.users, load.start_jitter_s, seed).tolist()
        self.lags = Lags()
        self._stopped = False

    async def run(self, start_ns: int) -> None:
        """Drive all users; return when the length is over and each has ended its last task."""
        end_ns = start_ns + int(self._load.length_s * NS)
        async with asyncio.TaskGroup() as group:
            for seat in self._seats:
                group.create_task(self._one(seat, start_ns + self._jitter[seat.doer.number], end_ns))
            group.create_task(self._alarm.until(end_ns))

    def stop(self) -> None:
        """Let no user begin another task."""
        self._stopped = True

    async def _one(self, seat: Seat, at: int, end_ns: int) -> None:
        doer, number = seat.doer, 0
        tasks, thoughts = stream(self._seed, "tasks", doer.number), stream(self._seed, "think", doer.number)
        shortest, longest = self._load.arrivals.think_min_s, self._load.arrivals.think_max_s
        while at < end_ns and not self._stopped:
            await self._alarm.until(at)
            if self._stopped:
                return
            self.lags.late.append(now_ns() - at)
            seat.busy = True
            good = await doer.do(doer.mix.pick(tasks, number), at)
            seat.busy = False
            number += 1
            at = now_ns()
            if longest > 0:
                at += int((shortest + (longest - shortest) * uniform(thoughts, number - 1)) * NS)
            elif not good:
                at += _PAUSE_NS
            elif number % _YIELD == 0:
                await asyncio.sleep(0)  # a user whose op never waits must not keep the others from working


async def come_to_rest(
    seats: Sequence[Seat], tasks: Sequence[asyncio.Task[None]], drain_s: float, bound_s: float
) -> int:
    """Stop seats: first let what waits be begun, then write the rest down as never sent, then wait for what is sent.

    drain_s, bound_s: from now. What is not done by the bound is left running. Returns how many were never sent.
    """
    for seat in seats:
        seat.stop()
    loop = asyncio.get_running_loop()
    bound = loop.time() + bound_s
    pending = set(tasks)
    if pending and waiting(seats):
        _, pending = await asyncio.wait(pending, timeout=max(drain_s, 0.0))
    dropped = sum(seat.drop_waiting() for seat in seats)
    if pending:
        _, pending = await asyncio.wait(pending, timeout=max(bound - loop.time(), 0.0))
    return dropped


async def cut_off(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel what is still running and wait for it."""
    for running in tasks:
        running.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
