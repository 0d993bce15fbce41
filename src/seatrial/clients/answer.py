"""Puts one HTTP/1.1 answer together from what a connection receives. httptools (llhttp) alone decides what it says.

A head that llhttp has read once is remembered with what it said of it; the same bytes again mean the same again. So
a service whose heads repeat costs a look into a table, and the table cannot disagree with the parser.
"""

from __future__ import annotations

import httptools

from seatrial.clients.response import headers_of
from seatrial.errors import ClientError

MAX_BODY = 256 * 1024 * 1024
_MOST_HEADS, _LONGEST_HEAD = 256, 2048
_PATIENCE = 16  # a connection whose heads are new so often in a row does not look into the table for a while
_NO_BODY = frozenset({204, 304})
Known = tuple[int, int, bool]  # status, length of the body, whether the connection can be used again
KNOWN_HEADS: dict[bytes, Known] = {}
_seen_once: set[bytes] = set()  # a head is looked at more closely when it comes again


class Answer:
    """The answer that a connection waits for. `take` is given what was received, until it returns True."""

    __slots__ = ("_asked_head", "_complete", "_fresh", "_headers_done", "_misses", "_parser", "_parts", "_received",
                 "_size", "_until_eof", "body", "error", "keep", "raw", "status")  # fmt: skip

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = None
        self.keep = True
        self.error: ClientError | None = None
        self.raw = self.body = self._received = b""
        self._parts: list[bytes] | None = None  # of a body that came in more than one
        self._size = self._misses = 0
        self.status = 0
        self.expect(asked_head=False)

    def expect(self, *, asked_head: bool) -> None:
        """Begin anew. asked_head: the request is a HEAD, so no body follows whatever the headers say."""
        self._fresh = True
        self._asked_head = asked_head

    def take(self, data: bytes) -> bool:
        """Take what was received; return whether the answer is complete or `error` says what is wrong with it."""
        if not self._fresh:
            return self._parse(data)
        if self._misses >= _PATIENCE:
            self._misses = (self._misses + 1) % (16 * _PATIENCE)
            return self._parse_first(data)
        end = data.find(b"\r\n\r\n") + 4
        raw = data[:end]
        known = KNOWN_HEADS.get(raw)
        if known is not None and known[1] == len(data) - end and not self._asked_head:
            self.status, _, self.keep = known
            self.raw, self.body = raw, data[end:]
            self._misses = 0
            return True
        self._misses += 1
        done = self._parse_first(data)
        if done and self.error is None and 4 < end <= _LONGEST_HEAD and not self._asked_head:
            self._meet(raw, len(data) - end)
        return done

    def end(self) -> bool:
        """Take the end of the connection; return whether that completes an answer."""
        if self._fresh or not self._until_eof or self.error is not None:
            return False
        self._finish()
        return True

    # -- what the table does not know

    def _parse_first(self, data: bytes) -> bool:
        self._fresh = False
        self._received = self.body = b""
        self._parts = None
        self._complete = self._headers_done = self._until_eof = False
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        return self._parse(data)

    def _parse(self, data: bytes) -> bool:
        assert self._parser is not None
        if not self._headers_done:
            self._received += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.keep = False
        except httptools.HttpParserError as error:
            self.keep = False
            if not self._complete:
                self.error = ClientError("protocol-error", certain=False, detail=str(error))
        if self._complete:
            self._finish()
            return True
        return self.error is not None

    def _finish(self) -> None:
        self.raw, self._received = self._received, b""
        if self._parts is not None:
            self.body = b"".join(self._parts)
            self._parts = None

    def _meet(self, head: bytes, length: int) -> None:
        if head in _seen_once:
            self._remember(head, length)
            return
        if len(_seen_once) >= _MOST_HEADS:
            _seen_once.clear()
        _seen_once.add(head)

    def _remember(self, head: bytes, length: int) -> None:
        """Keep what the parser said of a head whose answer came in one piece, if its length alone frames the body."""
        names = [name.lower() for name, _ in headers_of(head)]
        framed = names.count(b"content-length") == 1 and b"transfer-encoding" not in names and b"upgrade" not in names
        if not framed or self.status < 200 or self.status in _NO_BODY or len(self.body) != length:
            return
        if len(KNOWN_HEADS) >= _MOST_HEADS:
            KNOWN_HEADS.clear()
        KNOWN_HEADS[head] = self.status, length, self.keep

    # -- called by the parser

    def on_message_begin(self) -> None:
        """See bytes after the answer: whatever they are, nobody asked for them."""
        if self._complete:
            self.keep = False

    def on_headers_complete(self) -> None:
        """Decide how the end of the body will be seen."""
        assert self._parser is not None
        if self._complete:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200 and self.status != 101:
            return
        self._headers_done = True
        if self._asked_head:
            self.keep = False  # the parser waits for a body that does not come; the connection ends with this answer
            self._complete = True
        elif not self._parser.should_keep_alive():
            self.keep = False
            names = {name.lower() for name, _ in headers_of(self._received)}
            self._until_eof = not names & {b"content-length", b"transfer-encoding"}

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        if self._complete:
            return
        if not self.body:
            self.body, self._size = body, len(body)
            return
        if self._parts is None:
            self._parts = [self.body]
        self._parts.append(body)
        self._size += len(body)
        if self._size > MAX_BODY:
            self.keep = False
            self.error = ClientError("too-large", certain=False, detail=f"a body above {MAX_BODY} bytes")

    def on_message_complete(self) -> None:
        """Note the end of the answer; an interim one (1xx) is none."""
        self._complete = self._complete or self._headers_done
