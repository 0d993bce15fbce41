"""Seats: where a user sits and works off what is due for it, one task at a time. A busy user's arrivals wait here."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from seatrial.crew.loading import place_of
from seatrial.crew.messages import Trouble
from seatrial.crew.ops import never_sent
from seatrial.crew.users import User
from seatrial.errors import ClientError, SeatrialError, StageFailed
from seatrial.generate.mix import Mix

Report = Callable[[Trouble], None]


class Doer(Protocol):
    """A user as a seat sees it: a Python one, or one in a program of another language."""

    number: int
    mix: Mix

    async def do(self, choice: int, intended_ns: int) -> bool:
        """Do a task; return whether its ops succeeded. Never raises but for cancellation."""
        ...

    def skip(self, choice: int, intended_ns: int) -> None:
        """Write down that a task was due and never begun."""
        ...


class PythonDoer:
    """A user of the app's Python module."""

    def __init__(self, user: User, mix: Mix, folder: Path, report: Report) -> None:
        self.user, self.number, self.mix = user, user.number, mix
        self._methods: list[Any] = [getattr(user, name) for name in mix.names]
        self._folder, self._report = folder, report

    async def do(self, choice: int, intended_ns: int) -> bool:
        """Do a task of the users module; a bug in it is reported with file and line."""
        self.user._intended_ns = intended_ns
        try:
            await self._methods[choice]()
        except ClientError:
            return False
        except Exception as error:
            self._report(trouble_of(error, self._folder, f"{type(self.user).__name__}.{self.mix.names[choice]}"))
            return False
        return True

    def skip(self, choice: int, intended_ns: int) -> None:
        """Write down that a task was due and never begun."""
        never_sent(self.user, self.mix.names[choice], intended_ns)


def trouble_of(error: Exception, folder: Path, where: str) -> Trouble:
    """Return what to report of an exception: ours with its own words and outcome, any other with file and line."""
    if isinstance(error, StageFailed):
        return Trouble(reason=error.reason, outcome=error.outcome)
    if isinstance(error, SeatrialError):
        return Trouble(reason=str(error), outcome="environment" if error.exit_code == 3 else "inconclusive")
    return Trouble(reason=f"{where}: {place_of(error, folder)}")


class Seat:
    """A doer and the arrivals that wait for it."""

    __slots__ = ("_waiter", "busy", "doer", "queue", "stopped")

    def __init__(self, doer: Doer) -> None:
        self.doer = doer
        self.queue: deque[tuple[int, int]] = deque()
        self.busy = self.stopped = False
        self._waiter: asyncio.Future[None] | None = None

    def give(self, choice: int, intended_ns: int) -> None:
        """Hand over an arrival; it is begun at once when the user is free."""
        self.queue.append((choice, intended_ns))
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            waiter.set_result(None)

    def stop(self) -> None:
        """Let the seat end when nothing waits any more."""
        self.stopped = True
        if self._waiter is not None:
            self._waiter.set_result(None)
            self._waiter = None

    async def work(self) -> None:
        """Work off arrivals in their order until stopped."""
        queue, do, loop = self.queue, self.doer.do, asyncio.get_running_loop()
        while True:
            while queue:
                self.busy = True
                choice, intended_ns = queue.popleft()
                await do(choice, intended_ns)
            self.busy = False
            if self.stopped:
                return
            self._waiter = waiter = loop.create_future()
            await waiter

    def drop_waiting(self) -> int:
        """Write down all that waits as never sent; return how many."""
        count = len(self.queue)
        for choice, intended_ns in self.queue:
            self.doer.skip(choice, intended_ns)
        self.queue.clear()
        return count


def waiting(seats: Sequence[Seat]) -> int:
    """Return how many arrivals are due and wait for their user."""
    return sum(len(seat.queue) for seat in seats)
