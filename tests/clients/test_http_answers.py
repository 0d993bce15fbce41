"""Answers in pieces: what our connection makes of any bytes is what llhttp, asked afresh, says of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import httptools
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.clients import answer
from seatrial.clients.answer import Answer
from seatrial.clients.response import headers_of


class Reference:
    """llhttp alone, told everything: the first whole answer of a stream, and whether bytes follow it."""

    def __init__(self, data: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body, self.status, self.done, self.keep, self.more, self.broken = b"", 0, False, True, False, False
        self._parser = httptools.HttpResponseParser(self)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.keep = False
        except httptools.HttpParserError:
            self.broken, self.keep = not self.done, False

    def on_message_begin(self) -> None:
        self.more = self.more or self.done
        if not self.done:
            self.headers, self.body = [], b""

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.done:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if not self.done:
            self.status = self._parser.get_status_code()
            self.keep = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        if not self.done:
            self.body += body

    def on_message_complete(self) -> None:
        self.done = self.done or self.status >= 200 or self.status == 101


NAMES = st.sampled_from(["Content-Length", "content-length", "Transfer-Encoding", "Connection", "Upgrade", "Date", "X",
                         "X y", "", "Trailer"])  # fmt: skip
VALUES = st.sampled_from(["0", "3", "5", "05", "+5", "5, 5", "chunked", "gzip, chunked", "close", "keep-alive", "h2c",
                          "a b", "", "\x00", "-1", "99999999999999999999"])  # fmt: skip
LINES = st.lists(st.tuples(NAMES, st.sampled_from([": ", ":", " : ", ":\t"]), VALUES), max_size=4)
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r\n "])
STARTS = st.sampled_from(["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.0 200 OK", "HTTP/1.1 204 No Content",
                          "HTTP/1.1 304 Not Modified", "HTTP/1.1 200", "HTTP/1.1 100 Continue", "HTTP/1.1 101 S",
                          "\r\nHTTP/1.1 200 OK", "HTTP/2.0 200 OK", "ICY 200 OK", "HTTP/1.1 20 OK"])  # fmt: skip
BODIES = st.sampled_from(
    [b"", b"abc", b"abcde", b"3\r\nabc\r\n0\r\n\r\n", b"abcdeHTTP/1.1 200 OK\r\n\r\n", b"abc\r\n\r\n"]
)
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde"


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Return bytes that are an answer, or nearly."""
    end = draw(ENDS)
    lines = "".join(f"{name}{between}{value}{end}" for name, between, value in draw(LINES))
    head = f"{draw(STARTS)}{end}{lines}{draw(st.sampled_from(['', 'Content-Length: 5' + end]))}{end}"
    return head.encode("latin-1") + draw(BODIES)


def shown(found: Answer, complete: bool) -> Any:
    """Return what there is to compare."""
    if found.error is not None:
        return "broken"
    return (found.status, headers_of(found.raw), found.body, found.keep) if complete else "goes on"


def wanted(data: bytes) -> Any:
    """Return what llhttp says."""
    truth = Reference(data)
    if truth.broken:
        return "broken"
    return (truth.status, truth.headers, truth.body, truth.keep and not truth.more) if truth.done else "goes on"


@settings(max_examples=600, deadline=None)
@given(answers(), st.lists(st.integers(0, 200), max_size=3))
def test_any_bytes_in_any_pieces_mean_what_llhttp_says(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(c for c in cuts if 0 < c < len(data)), len(data)]
    whole = wanted(data)
    if len(edges) > 2 and whole != "broken" and whole != "goes on" and not whole[3]:
        return  # a connection that is not used again may be judged before its last bytes have come
    found, complete = Answer(), False
    for begin, end in pairwise(edges):
        complete = not complete and found.take(data[begin:end])
        if complete:
            break
    assert shown(found, complete) == whole


@settings(max_examples=400, deadline=None)
@given(answers(), st.integers(1, 300))
def test_a_head_that_is_known_means_what_it_meant_before(data: bytes, cut: int) -> None:
    """Three times whole, so that the head becomes known; then with its body changed, cut, or with more behind it."""
    whole = wanted(data)
    for _ in range(3):
        found = Answer()
        assert shown(found, found.take(data)) == whole
    for other in (data[:cut], data + b"x", data + GOOD, data[:-1] + b"z"):
        found = Answer()
        assert shown(found, found.take(other)) == wanted(other)


def test_a_connection_goes_on_by_parser_and_by_table_in_turn() -> None:
    found = Answer()
    answer.KNOWN_HEADS.clear()
    for number in range(50):
        odd = b"HTTP/1.1 200 OK\r\nX-Id: %d\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" % number
        for data, body in ((GOOD, b"abcde"), (odd, b"hi")):
            found.expect(asked_head=False)
            assert found.take(data)
            assert (found.error, found.keep, found.body) == (None, True, body)
    assert list(answer.KNOWN_HEADS) == [GOOD[:-5]]


def test_heads_that_never_repeat_do_not_fill_the_memory() -> None:
    for number in range(2000):
        found = Answer()
        for _ in range(3):
            found.expect(asked_head=False)
            assert found.take(b"HTTP/1.1 200 OK\r\nX-Id: %d\r\nContent-Length: 2\r\n\r\nok" % number)
    assert len(answer.KNOWN_HEADS) <= 256
    assert len(answer._seen_once) <= 256


def test_a_known_head_of_a_head_request_has_no_body() -> None:
    for _ in range(3):
        assert Answer().take(GOOD)
    found = Answer()
    found.expect(asked_head=True)
    assert found.take(GOOD[:-5])
    assert (found.status, found.body, found.keep) == (200, b"", False)
