"""Simulated users as small async classes: what an app's users module is written with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import ClassVar, TypeVar, overload

from seatrial.clients.http import HttpClient
from seatrial.clock import Clock
from seatrial.crew.keys import Keys
from seatrial.crew.ops import FLAG_HOT, FLAG_OWNED, Op
from seatrial.crew.work import Target, Work, WorkerClock
from seatrial.history import Flag, Verb

_CLOCK = WorkerClock()
F = TypeVar("F", bound=Callable[..., Awaitable[None]])


@overload
def task(method: F) -> F: ...
@overload
def task(*, weight: float = 1.0) -> Callable[[F], F]: ...
def task(method: F | None = None, *, weight: float = 1.0) -> F | Callable[[F], F]:
    """Mark a method as something that a user does, with its share among the user's tasks.

    @task, or @task(weight=3). The scenario's `mix` may give other weights by the method's name.
    """

    def mark(marked: F) -> F:
        marked.__dict__["task_weight"] = weight
        return marked

    return mark if method is None else mark(method)


class User:
    """A simulated person. Subclass it, mark tasks with @task, and do each request inside `async with self.op(...)`.

    One arrival is one task, and a user does one task at a time. number: 0 .. users-1. actor: the name on its ops; it
    changes after an op that ended unknown. timeout_s: as the scenario says.
    """

    weight: ClassVar[float] = 1.0

    def __init__(self, number: int, work: Work) -> None:
        self.number = self.actor = number
        self.timeout_s = work.load.timeout_s
        self._work = work
        self._intended_ns = 0
        self._http: HttpClient | None = None
        self._rng: Random | None = None
        load = work.load
        self._keys = Keys(work.seed, number, load.users, load.hot_share, load.hot_keys)

    # -- to be overridden

    async def on_start(self) -> None:
        """Do once, before the load begins: log in, make a collection. What goes wrong here ends the run."""

    async def on_stop(self) -> None:
        """Do once, at the very end."""

    async def readback(self) -> None:
        """Read back what this user wrote, after everything is quiet. Ops here are flagged READBACK."""

    def make_http(self) -> HttpClient:
        """Return the HTTP client of this user; override it for cookies, TLS or own rows for statuses."""
        return HttpClient(self.target.host, self.target.port, timeout_s=self.timeout_s, clock=self.clock)

    # -- to be used

    @property
    def id(self) -> int:
        """Return this user's number."""
        return self.number

    @property
    def rng(self) -> Random:
        """Return this user's own random numbers: the same for the same seed and user."""
        if self._rng is None:
            self._rng = Random(f"{self._work.seed}/{self.number}")
        return self._rng

    @property
    def target(self) -> Target:
        """Return where the app is: host, port, base_url, and the template values."""
        return self._work.target

    @property
    def clock(self) -> Clock:
        """Return the clock of the journal, for clients of your own."""
        return _CLOCK

    @property
    def http(self) -> HttpClient:
        """Return this user's own HTTP client, made at first use."""
        if self._http is None:
            self._http = self.make_http()
        return self._http

    @property
    def users(self) -> int:
        """Return the number of users in the whole crew."""
        return self._work.load.users

    def op(
        self, name: str, verb: Verb = Verb.OTHER, *, key: str | None = None, value: str | None = None, flags: int = 0
    ) -> Op:
        """Return an op for `async with`. name: the app's word for it. key, value: what judges compare by.

        The flags OWNED and HOT follow from the key when it came from this user's key functions.
        """
        return Op(self, name, verb, key, value, flags)

    def new_key(self, kind: str = "key") -> str:
        """Return a key that nobody used before and only this user writes."""
        return self._keys.new(kind)

    def own_key(self, kind: str = "key", new_share: float = 0.2) -> str:
        """Return a key that only this user writes: one it has, or with new_share a new one (100 of a kind at most)."""
        return self._keys.own(kind, new_share)

    def own_named_key(self, name: str) -> str:
        """Return the one key of that name that only this user writes, e.g. its log for APPEND and LIST."""
        return self._keys.named(name)

    def some_owned_key(self, kind: str | None = None) -> str | None:
        """Return one of the own keys that were made so far, whatever became of them, or None when there is none."""
        return self._keys.some(kind)

    def hot_key(self, kind: str = "key") -> str:
        """Return one of the load's hot_keys, which all users write."""
        return self._keys.hot(kind)

    def any_key(self, kind: str = "key", new_share: float = 0.2) -> str:
        """Return a hot key with the load's hot_share, else an own key."""
        return self._keys.any(kind, new_share)

    def unique(self) -> str:
        """Return a text that occurs once in all of the run and says who made it."""
        return self._keys.value()

    def owned_keys(self) -> list[str]:
        """Return the own keys that may hold something this user wrote (acknowledged or unknown), oldest first."""
        return self._keys.written()

    def shared_keys(self, kind: str = "key") -> list[str]:
        """Return the hot keys that it falls to this user to read back; empty when the load has no hot share."""
        return self._keys.shared(kind)

    # -- for the crew

    def _key_flags(self, key: str) -> int:
        if self._keys.owns(key):
            return FLAG_OWNED
        return FLAG_HOT if self._keys.is_hot(key) else 0

    def _go_on_as_new_actor(self) -> None:
        self.actor += self._work.load.users  # never the number or the actor of another user

    async def _leave(self) -> None:
        if self._http is not None:
            await self._http.close()


def tasks_of(cls: type[User]) -> Mapping[str, float]:
    """Return the tasks of a class and their weights, in the order in which they are written, base classes first."""
    found: dict[str, float] = {}
    for base in reversed(cls.__mro__):
        for name, member in vars(base).items():
            weight = getattr(member, "task_weight", None)
            if weight is not None:
                found[name] = float(weight)
            elif name in found:
                del found[name]  # overridden by a method that is no task
    return found


__all__ = ["Flag", "Target", "User", "Verb", "task", "tasks_of"]
