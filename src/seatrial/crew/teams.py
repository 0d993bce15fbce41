"""Builds a worker's users: those of the plan that fall to it, from the Python module or from a program."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from seatrial.crew.loading import UsersError, classes_of, load_module, mixes_of
from seatrial.crew.messages import Trouble, WorkerConfig
from seatrial.crew.program import ProgramTeam
from seatrial.crew.seats import Doer, PythonDoer, trouble_of
from seatrial.crew.users import User, tasks_of
from seatrial.crew.work import Work
from seatrial.errors import ClientError, StageFailed
from seatrial.generate.mix import assign

AT_ONCE = 32  # users that start, read back or stop at the same time


class Team(Protocol):
    """The users of one worker."""

    @property
    def doers(self) -> Sequence[Doer]:
        """Return the users."""
        ...

    async def start(self) -> None:
        """Let every user do what it does once before the load. Raises StageFailed."""
        ...

    async def readback(self) -> None:
        """Let every user read back what it owns."""
        ...

    async def leave(self) -> None:
        """Let every user do what it does once at the end, and close what they opened."""
        ...


class PythonTeam:
    """Users of the app's Python module."""

    def __init__(self, doers: Sequence[PythonDoer], folder: Path, report: Callable[[Trouble], None]) -> None:
        self.doers, self._folder, self._report = doers, folder, report

    async def start(self) -> None:
        """Run on_start of all users. Raises StageFailed with the user, and file and line when the module has a bug."""
        await self._each(self._on_start)

    async def readback(self) -> None:
        """Run readback of all users; a bug in it is reported and does not keep the others from reading."""
        await self._each(self._readback)

    async def leave(self) -> None:
        """Run on_stop of all users, errors aside, and close their connections."""
        await self._each(self._on_stop)

    async def _each(self, act: Callable[[User], Awaitable[None]]) -> None:
        waiting = list(reversed(self.doers))

        async def some() -> None:
            while waiting:
                await act(waiting.pop().user)

        results = await asyncio.gather(*(some() for _ in range(AT_ONCE)), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _on_start(self, user: User) -> None:
        where = f"{type(user).__name__}.on_start of user {user.number}"
        try:
            await user.on_start()
        except ClientError as error:
            raise StageFailed(f"{where} did not succeed: {error}") from None
        except Exception as error:
            trouble = trouble_of(error, self._folder, where)
            raise StageFailed(trouble.reason, outcome=trouble.outcome) from None

    async def _readback(self, user: User) -> None:
        user._intended_ns = 0
        try:
            await user.readback()
        except ClientError:
            pass  # raised outside of an op; nothing was lost from the journal
        except Exception as error:
            self._report(trouble_of(error, self._folder, f"{type(user).__name__}.readback"))

    async def _on_stop(self, user: User) -> None:
        if type(user).on_stop is not User.on_stop:
            try:
                await asyncio.wait_for(user.on_stop(), user.timeout_s)
            except Exception:
                pass  # the run is over; the app may be down already
        await user._leave()


def build(config: WorkerConfig, work: Work, report: Callable[[Trouble], None]) -> Team:
    """Return this worker's team. Raises UsersError when the users module or the plan's words on it are wrong."""
    crew, load, folder = config.plan.crew, work.load, Path(config.plan.app_dir)
    if crew is None:
        raise UsersError("the plan has a load but no users; add [users] to app.toml")
    mine = [u for u in range(load.users) if u % load.workers == config.worker]
    if crew.program:
        [mix] = mixes_of([dict(load.mix) or {"task": 1.0}], load.mix, crew.program[0])
        return ProgramTeam(crew.program, folder, work, mix, mine, report)
    module = load_module(folder, crew.module)
    classes = classes_of(module, crew)
    mixes = mixes_of([tasks_of(cls) for cls, _ in classes], load.mix, str(module.__file__))
    kinds = assign([weight for _, weight in classes], load.users)
    doers = []
    for number in mine:
        cls, mix = classes[kinds[number]][0], mixes[kinds[number]]
        try:
            doers.append(PythonDoer(cls(number, work), mix, folder, report))
        except Exception as error:
            raise UsersError(trouble_of(error, folder, f"{cls.__name__}.__init__").reason) from None
    return PythonTeam(doers, folder, report)
