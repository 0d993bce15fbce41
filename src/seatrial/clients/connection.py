"""One HTTP/1.1 connection that carries one request at a time and never sends twice.

It knows what only the owner of a socket can know: whether bytes were handed to the kernel before it broke. A task that
awaits `exchange` waits for the connection itself, which takes the place of an asyncio.Future: when the answer is there,
the task goes on at once, without another turn of the event loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Callable, Generator
from itertools import count
from typing import Any

from seatrial.clients.answer import Answer
from seatrial.clients.response import Response
from seatrial.clients.tables import after_sending
from seatrial.errors import ClientError

NS = 1_000_000_000
RECEIVE = 64 * 1024
_numbers = count(1)
Wake = Callable[[Any], object]


class Connection(Answer):
    """What connections have in common: the request in flight, its deadlines, and the task that waits for it.

    To asyncio it is a future (`_asyncio_future_blocking` and the methods below it), of one waiter.
    """

    __slots__ = ("_asyncio_future_blocking", "_context", "_deadline", "_failure", "_first", "_first_deadline", "_left",
                 "_loop", "_now", "_started", "_timer", "_timer_at", "_total", "_waiting", "_wake", "closed", "number",
                 "sent")  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], int]) -> None:
        super().__init__()
        self._loop, self._now = loop, now
        self._asyncio_future_blocking = False
        self._wake: Wake | None = None
        self._context: contextvars.Context | None = None
        self._failure: BaseException | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._deadline = self._first_deadline = self._started = self._first = self._total = 0
        self._left: memoryview | None = None  # of the request: what the kernel had no room for yet
        self._waiting = self.closed = False
        self.number, self.sent = next(_numbers), 0

    @types.coroutine
    def exchange(self, data: bytes, head: bool, total_ns: int, first_ns: int) -> Generator[Connection, None, Response]:
        """Send one request, once, and return its response. total_ns, first_ns: bounds from now.

        Raises ClientError: certain only when nothing was sent.
        """
        if self.closed:
            raise ClientError("reset-before-send", certain=True, detail="the server closed a new connection")
        self._fresh, self._asked_head = True, head
        self._started = started = self._now()
        self._deadline, self._first_deadline, self._first = started + total_ns, started + first_ns, 0
        due = self._deadline if total_ns <= first_ns else self._first_deadline
        if self._timer is None or due < self._timer_at:
            self._arm(due)
        self.sent += 1
        self._send(data)
        self._waiting = self._asyncio_future_blocking = True
        try:
            yield self
        finally:
            self._waiting = False
        if self._left is not None:
            self.keep = False  # answered before the request was read: what is left of it must not be sent
        body, self.body = self.body, b""
        return Response(self.status, self.raw, body, self._first - started, self._total - started,
                        self.number, self.sent)  # fmt: skip

    @property
    def usable(self) -> bool:
        """Whether a request may be sent: the server has not closed it, as far as the kernel told us."""
        return not self.closed

    def abort(self) -> None:
        """Close at once; what was not sent is dropped."""
        if not self.closed:
            self.closed = True
            self._disarm()
            self._close()
            if self._waiting and self._failure is None:
                self._failure = after_sending(None)
                self._loop.call_soon(self._resume)

    # -- what a kind of connection does

    def _send(self, data: bytes) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError

    # -- a future, as tasks see it

    def add_done_callback(self, wake: Wake, *, context: contextvars.Context) -> None:
        """Keep what the task wants called."""
        self._wake, self._context = wake, context

    def result(self) -> None:
        """Raise what went wrong, into the task."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def cancel(self, msg: Any = None) -> bool:
        """Let the task be cancelled at its wait."""
        if not self._waiting or self._failure is not None:
            return False
        self._failure = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        self._loop.call_soon(self._resume)
        return True

    def _resume(self) -> None:
        """Let the waiting task go on, now. Never called from inside a task."""
        wake, context = self._wake, self._context
        if wake is not None and context is not None:
            self._wake = self._context = None
            context.run(wake, self)

    def _fail(self, error: ClientError) -> None:
        if self._waiting and self._failure is None:
            self._failure = error
            self._resume()

    # -- what came

    def _received_data(self, data: bytes) -> None:
        """Take bytes; when they complete the answer, the task goes on before this returns."""
        if not self._waiting or self._failure is not None:
            self.abort()  # bytes that nobody asked for: whatever they are, this connection cannot be trusted
            return
        now = self._now()
        if not self._first:
            self._first = now
        if self.take(data):
            self._total = now
            if self.error is not None:
                error, self.error = self.error, None
                self._fail(error)
            else:
                self._resume()

    def _ended(self, error: BaseException | None) -> None:
        """Tell the one who waits what is known: an error after sending is never certain."""
        waits = self._waiting and self._failure is None
        whole = waits and error is None and self._first > 0 and self.end()
        if waits and not whole:
            self._failure = after_sending(error)
        self.closed = True
        self._disarm()
        self._close()
        if waits:
            self._total = self._now()
            self._resume()

    # -- deadlines

    def _arm(self, at: int) -> None:
        """See to it that a check happens at `at` or before. One timer serves many requests: it re-arms itself."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_later(max(at - self._now(), 1_000_000) / NS, self._check)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        if not self._waiting or self._failure is not None:
            return
        due = self._deadline if self._first else min(self._deadline, self._first_deadline)
        now = self._now()
        if now < due:
            self._arm(due)
            return
        what = "the answer began and did not end" if self._first else "no byte of an answer"
        waited = (now - self._started) / NS
        self._fail(ClientError("read-timeout", certain=False, detail=f"{what} within {waited:.3f} s"))
