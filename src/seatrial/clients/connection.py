"""One HTTP/1.1 connection: asyncio protocol, httptools parser, one shared receive buffer. It never sends twice.

It knows what only the owner of a socket can know: whether bytes were handed to the kernel before it broke.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import count
from typing import cast

import httptools

from seatrial.clients.response import Response
from seatrial.clients.tables import after_sending
from seatrial.errors import ClientError

NS = 1_000_000_000
RECEIVE = 64 * 1024  # the default of asyncio would allocate 256 KiB for every read
MAX_BODY = 256 * 1024 * 1024
_numbers = count(1)
_local = threading.local()


def _shared_buffer() -> memoryview:
    """Return the receive buffer of this thread: data is parsed at once, so all connections of a loop share one."""
    if not hasattr(_local, "buffer"):
        _local.buffer = memoryview(bytearray(RECEIVE))
    return cast(memoryview, _local.buffer)


class Connection(asyncio.BufferedProtocol):
    """A connection that carries one request at a time."""

    __slots__ = ("_answer_to_head", "_body", "_buffer", "_deadline", "_first", "_first_deadline", "_headers", "_loop",
                 "_now", "_parser", "_size", "_started", "_timer", "_timer_at", "_transport", "_until_eof", "_waiter",
                 "closed", "keep", "number", "sent")  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], int]) -> None:
        self._loop, self._now = loop, now
        self._buffer = _shared_buffer()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._deadline = self._first_deadline = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = self._started = self._first = 0
        self._answer_to_head = self._until_eof = False
        self.closed, self.keep = False, True
        self.number, self.sent = next(_numbers), 0

    # -- asked by the client

    @property
    def usable(self) -> bool:
        """Whether a request may be sent: the server has not closed it, as far as the kernel told us."""
        return not self.closed and self._transport is not None and not self._transport.is_closing()

    async def exchange(self, data: bytes, *, head: bool, total_ns: int, first_ns: int) -> Response:
        """Send one request, once, and return its response. total_ns, first_ns: bounds from now.

        Raises ClientError: certain only when nothing was sent.
        """
        transport = self._transport
        if transport is None or self.closed or transport.is_closing():
            raise ClientError("reset-before-send", certain=True, detail="the server closed a new connection")
        self._started = started = self._now()
        self._deadline, self._first_deadline = started + total_ns, started + first_ns
        self._first = self._size = 0
        self._answer_to_head, self._until_eof = head, False
        self._headers, self._body = [], []
        waiter: asyncio.Future[Response] = self._loop.create_future()
        self._waiter = waiter
        self.sent += 1
        due = self._deadline if total_ns <= first_ns else self._first_deadline
        if self._timer is None or due < self._timer_at:
            self._arm(due)
        transport.write(data)
        try:
            return await waiter
        finally:
            self._waiter = None

    def abort(self) -> None:
        """Close at once; what was not sent is dropped."""
        self.closed = True
        self._disarm()
        if self._transport is not None:
            self._transport.abort()

    # -- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to receive into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what was received."""
        if self._waiter is None or self._waiter.done():
            self.abort()  # bytes that nobody asked for: whatever they are, this connection cannot be trusted
            return
        if not self._first:
            self._first = self._now()
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except httptools.HttpParserUpgrade:
            self.keep = False
        except httptools.HttpParserError as error:
            self.keep = False
            self._fail(ClientError("protocol-error", certain=False, detail=str(error)))

    def eof_received(self) -> None:
        """The server ends the connection; asyncio closes our end."""
        self.closed = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the one who waits what is known: an error after sending is never certain."""
        self.closed = True
        self._disarm()
        if self._until_eof and exc is None:
            self._deliver()
        else:
            self._fail(after_sending(exc))
        self._transport = None

    # -- called by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Decide how the end of the body will be seen."""
        status = self._parser.get_status_code()
        if status < 200 and status != 101:
            return
        if self._answer_to_head:
            self.keep = False  # the parser waits for a body that does not come; the connection ends with this answer
            self._deliver()
        elif not self._parser.should_keep_alive():
            self.keep = False
            names = {name.lower() for name, _ in self._headers}
            self._until_eof = not names & {b"content-length", b"transfer-encoding"}

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._size += len(body)
        self._body.append(body)
        if self._size > MAX_BODY:
            self.keep = False
            self._fail(ClientError("too-large", certain=False, detail=f"a body above {MAX_BODY} bytes"))

    def on_message_complete(self) -> None:
        """Hand over the response; an interim one (1xx) is dropped."""
        status = self._parser.get_status_code()
        if status < 200 and status != 101:
            self._headers = []
            return
        self._until_eof = False
        self._deliver()

    # -- inside

    def _deliver(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        response = Response(self._parser.get_status_code(), self._headers, body)
        response.first_byte_ns = self._first - self._started
        response.total_ns = self._now() - self._started
        response.connection, response.number = self.number, self.sent
        waiter.set_result(response)

    def _fail(self, error: ClientError) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _arm(self, at: int) -> None:
        """See to it that a check happens at `at` or before. One timer serves many requests: it re-arms itself."""
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_later(max(at - self._now(), 1_000_000) / NS, self._check)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        due = self._deadline if self._first else min(self._deadline, self._first_deadline)
        now = self._now()
        if now < due:
            self._arm(due)
            return
        what = "the answer began and did not end" if self._first else "no byte of an answer"
        waited = (now - self._started) / NS
        self._fail(ClientError("read-timeout", certain=False, detail=f"{what} within {waited:.3f} s"))
