"""The HTTP client against real sockets: what is certain, what is not, and that nothing is ever sent twice."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from http_kit import OK, Handler, request, reset, serving

from seatrial.clients.http import HttpClient
from seatrial.errors import ClientError

LOOPS: dict[str, Callable[[Any], Any]] = {"asyncio": asyncio.run, "uvloop": uvloop.run}


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return LOOPS[request.param]


def talk(
    run: Callable[[Any], Any], handler: Handler, act: Callable[[HttpClient], Awaitable[Any]], **options: Any
) -> Any:
    """Let `act` use a client of a server with this handler."""

    async def go() -> Any:
        async with serving(handler) as port:
            client = HttpClient("127.0.0.1", port, **{"timeout_s": 1.0, **options})
            try:
                return await act(client)
            finally:
                await client.close()

    return run(go())


def answering(*answers: bytes, then: Callable[[asyncio.StreamWriter], None] | None = None) -> tuple[Handler, list[str]]:
    """Return a handler that gives these answers, one a request, and the list of requests that it saw."""
    seen: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            head, body = await request(reader)
            seen.append(head.split("\r\n")[0] + (f" {body}" if body else ""))
            if len(seen) > len(answers):
                if then:
                    then(writer)
                return
            writer.write(answers[len(seen) - 1])

    return handle, seen


async def failing(awaitable: Awaitable[Any]) -> tuple[str, bool]:
    """Return (code, certain) of the ClientError that must come."""
    with pytest.raises(ClientError) as caught:
        await awaitable
    return caught.value.code, caught.value.certain


def test_keep_alive_carries_many_requests_in_order(run: Callable[[Any], Any]) -> None:
    handler, seen = answering(*[OK] * 50)

    async def act(client: HttpClient) -> int:
        for n in range(50):
            response = await client.put(f"/{n}", f"body {n}")
            assert (response.status, response.body, response.number) == (200, b"ok", n + 1)
            assert 0 < response.first_byte_ns <= response.total_ns < 1_000_000_000
            assert (response.connect_ns > 0) == (n == 0)
        return client.opened

    assert talk(run, handler, act) == 1
    assert seen == [f"PUT /{n} HTTP/1.1 body {n}" for n in range(50)]


def test_refused_and_unknown_names_are_certain(run: Callable[[Any], Any]) -> None:
    async def go() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            assert await failing(HttpClient("127.0.0.1", free.getsockname()[1]).get("/")) == ("refused", True)
        assert await failing(HttpClient("no-such-host.invalid", 80).get("/")) == ("dns", True)

    run(go())


def test_a_full_backlog_is_a_connect_timeout(run: Callable[[Any], Any]) -> None:
    async def go() -> tuple[str, bool]:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(deaf.getsockname())
            try:
                return await failing(HttpClient("127.0.0.1", deaf.getsockname()[1], connect_timeout_s=0.2).get("/"))
            finally:
                for filler in fillers:
                    filler.close()

    assert run(go()) == ("connect-timeout", True)


@pytest.mark.parametrize(
    ("then", "code"),
    [(reset, "reset-after-send"), (lambda w: w.close(), "closed-after-send"), (None, "closed-after-send")],
    ids=["reset", "close", "return"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_dies_after_the_send_is_uncertain_and_not_sent_again(
    run: Callable[[Any], Any], method: str, then: Callable[[asyncio.StreamWriter], None] | None, code: str
) -> None:
    handler, seen = answering(OK, then=then)

    async def act(client: HttpClient) -> tuple[str, bool]:
        await client.request(method, "/1")
        found = await failing(client.request(method, "/2"))
        await asyncio.sleep(0.05)
        return found

    assert talk(run, handler, act) == (code, False)
    assert seen == [f"{method} /1 HTTP/1.1", f"{method} /2 HTTP/1.1"]


@pytest.mark.parametrize("end", [lambda w: w.close(), reset], ids=["close", "reset"])
def test_an_idle_connection_that_was_closed_is_replaced_before_the_send(
    run: Callable[[Any], Any], end: Callable[[asyncio.StreamWriter], None]
) -> None:
    async def one_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(OK)
        await asyncio.sleep(0.01)
        end(writer)

    async def act(client: HttpClient) -> int:
        for _ in range(6):
            assert (await client.get("/")).body == b"ok"
            await asyncio.sleep(0.03)
        return client.opened

    assert talk(run, one_each, act) == 6


def test_a_server_that_drops_each_new_connection(run: Callable[[Any], Any]) -> None:
    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        reset(writer)

    async def act(client: HttpClient) -> set[tuple[str, bool]]:
        return {await failing(client.get("/")) for _ in range(20)}

    found = talk(run, drop, act)
    assert found <= {("reset-before-send", True), ("reset-after-send", False), ("closed-after-send", False)}


def test_timeouts_of_the_first_byte_and_of_the_whole(run: Callable[[Any], Any]) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        head, _ = await request(reader)
        if "begun" in head:
            writer.write(OK[:-1])
        await asyncio.sleep(5)

    async def act(client: HttpClient) -> None:
        loop = asyncio.get_running_loop()
        for path, wanted, bound in (("/none", "no byte", 0.2), ("/begun", "began and did not end", 0.4)):
            began = loop.time()
            with pytest.raises(ClientError, match=wanted) as caught:
                await client.get(path)
            assert (caught.value.code, caught.value.certain) == ("read-timeout", False)
            assert bound - 0.002 <= loop.time() - began < bound + 0.2

    talk(run, slow, act, timeout_s=0.4, first_byte_timeout_s=0.2)


def test_a_shorter_timeout_after_a_longer_one_holds(run: Callable[[Any], Any]) -> None:
    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(OK)
        await asyncio.sleep(5)

    async def act(client: HttpClient) -> float:
        loop = asyncio.get_running_loop()
        await client.get("/", timeout_s=4)
        began = loop.time()
        assert await failing(client.get("/", timeout_s=0.1)) == ("read-timeout", False)
        return loop.time() - began

    assert talk(run, stuck, act) < 0.4


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200, b"abcde"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx", 201, b"x"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nend", 200, b"end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"z" * 200_000, 200, b"z" * 200_000),
    ],
    ids=["204", "chunked", "100", "until-eof", "close", "large"],
)
def test_framing(run: Callable[[Any], Any], answer: bytes, status: int, body: bytes) -> None:
    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            await request(reader)
            writer.write(answer)
            if b"HTTP/1.0" in answer or b"close" in answer:
                return

    async def act(client: HttpClient) -> None:
        for _ in range(3):
            response = await client.get("/")
            assert (response.status, response.body) == (status, body)

    talk(run, each, act)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"I am not HTTP\r\n\r\n", "protocol-error"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "closed-after-send"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "closed-after-send"),
        (b"HTTP/1.1 20", "closed-after-send"),
    ],
)
def test_a_broken_answer_is_uncertain(run: Callable[[Any], Any], answer: bytes, code: str) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(answer)

    assert talk(run, once, lambda client: failing(client.get("/"))) == (code, False)


def test_an_answer_nobody_asked_for_is_never_taken_for_the_next_one(run: Callable[[Any], Any]) -> None:
    async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            head, _ = await request(reader)
            path = head.split(" ")[1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path.encode()))
            await asyncio.sleep(0.01)
            writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")

    async def act(client: HttpClient) -> list[str]:
        found = []
        for n in range(4):
            found.append((await client.get(f"/{n}")).text)
            await asyncio.sleep(0.03)
        return found

    assert talk(run, eager, act) == ["/0", "/1", "/2", "/3"]


def test_head_has_no_body_and_the_next_request_works(run: Callable[[Any], Any]) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            head, _ = await request(reader)
            writer.write(OK[:-2] if head.startswith("HEAD") else OK)

    async def act(client: HttpClient) -> list[bytes]:
        return [(await client.head("/")).body, (await client.get("/")).body, (await client.head("/")).body]

    assert talk(run, handle, act) == [b"", b"ok", b""]


def test_requests_at_the_same_time_use_a_connection_each(run: Callable[[Any], Any]) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            await request(reader)
            await asyncio.sleep(0.02)
            writer.write(OK)

    async def act(client: HttpClient) -> int:
        for _ in range(3):
            await asyncio.gather(*(client.get("/") for _ in range(5)))
        return client.opened

    assert talk(run, handle, act) == 5


def test_a_cancelled_request_does_not_leave_its_answer_to_the_next(run: Callable[[Any], Any]) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            head, _ = await request(reader)
            await asyncio.sleep(0.05)
            body = head.split(" ")[1].encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async def act(client: HttpClient) -> str:
        first = asyncio.ensure_future(client.get("/first"))
        await asyncio.sleep(0.02)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return (await client.get("/second")).text

    assert talk(run, handle, act) == "/second"


@pytest.mark.proves("S3-46")
def test_cookies_tokens_and_redirects_only_when_asked(run: Callable[[Any], Any]) -> None:
    heads: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            head, _ = await request(reader)
            heads.append(head)
            if head.startswith("POST /login"):
                writer.write(
                    b"HTTP/1.1 303 See Other\r\nLocation: /home?x=1\r\nSet-Cookie: sid=abc; Path=/; HttpOnly\r\n"
                    b"Set-Cookie: old=1; Max-Age=0\r\nContent-Length: 0\r\n\r\n"
                )
            else:
                writer.write(OK)

    async def act(client: HttpClient) -> None:
        client.bearer("t0ken")
        assert (await client.post("/login", "user=a")).status == 303
        assert len(heads) == 1
        assert (await client.post("/login", "user=a", follow=1)).body == b"ok"
        assert [h.split(" HTTP")[0] for h in heads] == ["POST /login", "POST /login", "GET /home?x=1"]
        assert "Cookie: sid=abc\r\n" in heads[2]
        assert "Authorization: Bearer t0ken\r\n" in heads[2]
        client.headers["authorization"] = "other"
        await client.get("/")
        assert heads[3].lower().count("authorization") == 1

    talk(run, handle, act, cookies=True)


def test_what_would_break_the_request_line_is_refused(run: Callable[[Any], Any]) -> None:
    async def act(client: HttpClient) -> None:
        for path in ("no-slash", "/a b", "/a\r\nX: y", "/ä"):
            with pytest.raises(ValueError, match="printable ASCII"):
                await client.get(path)
        with pytest.raises(ValueError, match="line break"):
            await client.get("/", headers={"X": "a\r\nY: b"})

    handler, seen = answering()
    talk(run, handler, act)
    assert seen == []


@pytest.mark.real
def test_tls_works_and_a_certificate_nobody_knows_is_certain(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2"]
    subprocess.run(
        [*command, "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True
    )
    server, known = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context(cafile=str(cert))
    server.load_cert_chain(cert, key)
    handler, _ = answering(*[OK] * 3)

    async def go() -> None:
        async with serving(handler, ssl=server) as port:
            client = HttpClient("127.0.0.1", port, ssl=known)
            assert [(await client.get("/")).body for _ in range(3)] == [b"ok"] * 3
            assert client.opened == 1
            await client.close()
            stranger = HttpClient("127.0.0.1", port, ssl=ssl.create_default_context())
            assert await failing(stranger.get("/")) == ("tls", True)
            await asyncio.sleep(0.05)

    asyncio.run(go())
