"""One op: in the journal before it is sent, and completed as ok, fail or unknown by how its block ends."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Any, Protocol, Self

from seatrial.clients.response import ContentError, Response
from seatrial.crew.keys import Keys
from seatrial.crew.work import Work, now_ns
from seatrial.errors import ClientError
from seatrial.history import Flag, OpOutcome, Verb

_OK, _FAIL, _UNKNOWN = int(OpOutcome.OK), int(OpOutcome.FAIL), int(OpOutcome.UNKNOWN)
_HOT, _OWNED, _READBACK, _WARMUP = int(Flag.HOT), int(Flag.OWNED), int(Flag.READBACK), int(Flag.WARMUP)
_EFFECTS = frozenset({Verb.WRITE, Verb.APPEND, Verb.DELETE})


class Answered:
    """An awaitable that is there already: whether an exception of the block is kept inside."""

    __slots__ = ("_inside",)

    def __init__(self, inside: bool) -> None:
        self._inside = inside

    def __await__(self) -> Iterator[None]:
        """Give the answer without a wait; the end of an empty iterator is None, which lets the exception pass."""
        return _true() if self._inside else iter(_NOTHING)


def _true() -> Generator[None, None, bool]:
    return True
    yield


_NOTHING: tuple[None, ...] = ()
_PASS_ON, _KEEP_INSIDE = Answered(False), Answered(True)


class Owner(Protocol):
    """The user that an op belongs to."""

    number: int
    actor: int
    _work: Work
    _keys: Keys
    _intended_ns: int

    def _key_flags(self, key: str) -> int: ...

    def _go_on_as_new_actor(self) -> None: ...


class Op:
    """An op of a user, as `async with self.op(...) as op:` gives it.

    The block's end decides: no exception is ok; ClientError is fail or unknown by its certainty; ContentError is fail,
    for writes unknown; anything else is unknown and a bug of the users module. ClientError ends the task, but
    during read-back it is kept inside, so that a loop over keys goes on: look at `op.ok` where it matters.
    """

    __slots__ = ("_flags", "_handle", "_key", "_result", "_status", "_user", "_value", "_verb", "error", "name", "ok")

    def __init__(self, user: Owner, name: str, verb: Verb, key: str | None, value: str | None, flags: int) -> None:
        self._user, self.name, self._verb, self._key, self._value = user, name, verb, key, value
        self._flags = flags
        self._handle = self._status = 0
        self._result: str | bytes | None = None
        self.ok = False
        self.error: str | None = None

    @property
    def user_number(self) -> int:
        """Return the number of the user that does this op."""
        return self._user.number

    async def __aenter__(self) -> Self:
        """Write the op to the journal as in flight; only then may it be sent."""
        user = self._user
        work = user._work
        started = now_ns()
        intended = user._intended_ns or started
        user._intended_ns = 0
        flags = self._flags
        if self._key is not None:
            flags |= user._key_flags(self._key)
        if work.readback:
            flags |= _READBACK
        elif intended < work.warm_until_ns:
            flags |= _WARMUP
        self._handle = work.journal.begin(
            self._verb, self.name, self._key, self._value, flags, user.number, user.actor, intended, started
        )
        work.in_flight.add(self)
        return self

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Answered:
        """Complete the op in the journal. It never waits, so what it returns is an answer and no coroutine."""
        if error is None:
            self.ok = True
            self._complete(_OK, None)
            return _PASS_ON
        outcome, code, status = outcome_of(error, self._verb)
        self.error, self._status = code, status or self._status
        self._complete(outcome, code)
        return _KEEP_INSIDE if isinstance(error, ClientError) and self._user._work.readback else _PASS_ON

    def result(self, value: str | bytes | list[str] | None) -> None:
        """Say what a read returned: text, None for "absent", or for LIST the items as a list of texts."""
        self._result = json.dumps(value) if isinstance(value, list) else value

    def status(self, status: int) -> None:
        """Say the protocol's own status of the answer."""
        self._status = status

    def expect(self, response: Response, *statuses: int) -> Response:
        """Note the response's status and hold it against those given, or the table. Raises ClientError."""
        self._status = status = response.status
        return response if status in statuses else response.expect(*statuses)

    def fail(self, code: str, detail: str = "") -> None:
        """End the op as failed: it surely had no effect. Raises ClientError."""
        raise ClientError(code, certain=True, detail=detail)

    def unknown(self, code: str, detail: str = "") -> None:
        """End the op as unknown: it may have had an effect. Raises ClientError."""
        raise ClientError(code, certain=False, detail=detail)

    def _complete(self, outcome: int, code: str | None) -> None:
        user = self._user
        work = user._work
        work.journal.complete(self._handle, outcome, now_ns(), self._status, code, self._result)
        work.in_flight.discard(self)
        work.completed += 1
        if outcome == _UNKNOWN:
            user._go_on_as_new_actor()
        if self._key is not None and outcome != _FAIL and self._verb in _EFFECTS:
            user._keys.note_written(self._key)


def outcome_of(error: BaseException, verb: Verb) -> tuple[int, str, int]:
    """Return (outcome, code, status) of what ended an op's block."""
    if isinstance(error, ContentError):
        return (_UNKNOWN if verb in _EFFECTS else _FAIL), error.code, error.status
    if isinstance(error, ClientError):
        return (_FAIL if error.certain else _UNKNOWN), error.code, error.status
    if isinstance(error, Exception):
        return _UNKNOWN, f"bug:{type(error).__name__}", 0
    return _UNKNOWN, "cancelled", 0


def never_sent(user: Any, name: str, intended: int) -> None:
    """Write down an arrival that was due and was not begun before the users had to be quiet: a certain failure."""
    work, now = user._work, now_ns()
    flags = _WARMUP if intended < work.warm_until_ns else 0
    handle = work.journal.begin(Verb.OTHER, name, None, None, flags, user.number, user.actor, intended, now)
    work.journal.complete(handle, _FAIL, now, 0, "never-sent")
    work.completed += 1


FLAG_OWNED, FLAG_HOT = _OWNED, _HOT
