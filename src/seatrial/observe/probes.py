"""Health probes from outside at an exact rate: intended times are start + n * period, whatever the answers do."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable

import httptools

from seatrial.clock import NS
from seatrial.history import ObserverEvent, ProbeSample
from seatrial.observe.lines import Lines
from seatrial.observe.wire import ProbeTask

BODY_MOST = 1024 * 1024
LAST_ANSWERS_S = 3.0
PULSE_NS, STOPPED_NS = NS // 20, NS // 4
REASONS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ETIMEDOUT: "timeout",
}


class BadAnswer(Exception):
    """The probe got an answer that is not good; the text is a short stable word."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


class Answer:
    """Collects one HTTP response; callbacks of the parser."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.body = bytearray()
        self.headers: set[bytes] = set()
        self.has_headers = self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header's name."""
        self.headers.add(name.lower())

    def on_headers_complete(self) -> None:
        """Note the end of the headers."""
        self.has_headers = True

    def on_body(self, data: bytes) -> None:
        """Keep the body up to a bound."""
        self.body += data[: BODY_MOST - len(self.body)]

    def on_message_complete(self) -> None:
        """Note the end of the message."""
        self.complete = True

    def ended_by_close(self) -> bool:
        """Return whether the end of the connection is a proper end: neither length nor chunks were announced."""
        return self.has_headers and not self.headers & {b"content-length", b"transfer-encoding"}


class Pulse:
    """Notices when this process itself was stopped or starved: what it measured meanwhile says nothing of the app."""

    def __init__(self, lines: Lines) -> None:
        """Write gaps to these lines."""
        self._lines = lines
        self._last, self._resumed = time.monotonic_ns(), 0

    async def run(self, stop: asyncio.Event) -> None:
        """Beat until told to stop."""
        while not stop.is_set():
            self._look()
            await _wait_until(time.monotonic_ns() + PULSE_NS, stop)

    def _look(self) -> None:
        before, self._last = self._last, time.monotonic_ns()
        if (gap := self._last - before) > STOPPED_NS:
            self._resumed = self._last
            detail = {"gap_ns": gap, "seen_by": "observer"}
            reason = "the observer was stopped or starved; probes in flight then are not counted"
            self._lines.write(ObserverEvent(t_ns=before, what="silent", reason=reason, detail=detail))

    def stopped_since(self, instant: int) -> bool:
        """Return whether there was a gap after that instant."""
        self._look()
        return self._resumed > instant


class Prober:
    """Sends one probe again and again, and writes one sample for each."""

    def __init__(self, task: ProbeTask, lines: Lines, pulse: Pulse, changed: Callable[[], None]) -> None:
        """Write to these lines; call `changed` when the probe begins or ends to fail."""
        self.task, self._lines, self._pulse, self._changed = task, lines, pulse, changed
        self.failing_since: int | None = None
        self._last_counted = 0
        self._flying: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Probe until told to stop; probes in flight then get a short time to end."""
        period = max(1, round(self.task.every_s * NS))
        due = time.monotonic_ns()
        while not stop.is_set():
            due = self._skip_what_was_missed(due, period)
            flight = asyncio.create_task(self._one(due))
            self._flying.add(flight)
            flight.add_done_callback(self._flying.discard)
            due += period
            await _wait_until(due, stop)
        if self._flying:
            _, late = await asyncio.wait(self._flying, timeout=LAST_ANSWERS_S)
            for flight in late:
                flight.cancel()

    @staticmethod
    def _skip_what_was_missed(due: int, period: int) -> int:
        """When we ourselves were stopped, send no old probes late; the pulse has said so. Return the next due time."""
        return due + max(0, (time.monotonic_ns() - due) // period) * period

    async def _one(self, intended: int) -> None:
        status, reason = 0, ""
        left_s = self.task.timeout_s - (time.monotonic_ns() - intended) / NS
        try:
            async with asyncio.timeout(max(left_s, 0.001)):
                status = await self._attempt()
        except TimeoutError:
            reason = "timeout"
        except BadAnswer as bad:
            status, reason = bad.status, str(bad)
        except OSError as error:
            reason = REASONS.get(error.errno or 0) or (error.strerror or "cannot connect").lower()
        self._write(intended, status, reason)

    def _write(self, intended: int, status: int, reason: str) -> None:
        if self._pulse.stopped_since(intended):
            return
        latency = time.monotonic_ns() - intended
        self._lines.write(
            ProbeSample(
                t_ns=intended, probe=self.task.name, ok=not reason, latency_ns=latency, status=status, reason=reason
            )
        )
        if intended <= self._last_counted:  # a slow failure that a later good answer has overtaken
            return
        self._last_counted = intended
        before = self.failing_since
        self.failing_since = None if not reason else (before if before is not None else intended)
        if (before is None) != (self.failing_since is None):
            self._changed()

    async def _attempt(self) -> int:
        """Return the status (0 for tcp) of a good answer. Raises BadAnswer or OSError."""
        reader, writer = await asyncio.open_connection(self.task.host, self.task.port)
        try:
            return 0 if self.task.kind == "tcp" else await self._get(reader, writer)
        finally:
            writer.transport.abort()

    async def _get(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        task = self.task
        writer.write(
            f"GET {task.path} HTTP/1.1\r\nHost: {task.host}:{task.port}\r\nUser-Agent: seatrial-probe\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n".encode()
        )
        answer = Answer()
        parser = httptools.HttpResponseParser(answer)
        while not answer.complete and len(answer.body) < BODY_MOST:
            data = await reader.read(64 * 1024)
            if not data:
                break
            _feed(parser, data)
        status = int(parser.get_status_code()) if answer.has_headers else 0
        if not (answer.complete or answer.ended_by_close() or len(answer.body) >= BODY_MOST):
            raise BadAnswer("closed", status)
        if status not in task.codes:
            raise BadAnswer(f"status-{status}", status)
        if task.contains and task.contains.encode() not in answer.body:
            raise BadAnswer("content", status)
        return status


def _feed(parser: httptools.HttpResponseParser, data: bytes) -> None:
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        raise BadAnswer("garbage") from None
    except httptools.HttpParserError:
        raise BadAnswer("garbage") from None


async def _wait_until(due: int, stop: asyncio.Event) -> None:
    left = (due - time.monotonic_ns()) / NS
    if left > 0:
        try:
            async with asyncio.timeout(left):
                await stop.wait()
        except TimeoutError:
            pass
