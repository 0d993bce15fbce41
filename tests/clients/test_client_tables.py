"""Tables of certain errors, held against the real libraries and real failures; checks of content; cookies."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.clients.base import guard, paho
from seatrial.clients.cookies import CookieJar
from seatrial.clients.response import ContentError, Response
from seatrial.clients.tables import MQTT, NATS, REDIS, status_effect
from seatrial.errors import ClientError


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_refused_redis_is_certain_and_a_lost_connection_is_not() -> None:
    import redis.asyncio as redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.close()

    async def ask(port: int) -> ClientError:
        client = redis.Redis(port=port, retry=Retry(NoBackoff(), 0), protocol=2)
        try:
            with pytest.raises(ClientError) as caught, guard("redis"):
                await client.set("k", "v")
            return caught.value
        finally:
            await client.aclose()

    async def go() -> None:
        refused = await ask(free_port())
        assert (refused.code, refused.certain) == ("refused", True)
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        lost = await ask(server.sockets[0].getsockname()[1])
        assert (lost.code, lost.certain) == ("connection-lost", False)
        server.close()
        await server.wait_closed()

    asyncio.run(go())


@pytest.mark.parametrize(
    ("table", "error", "code", "certain"),
    [
        ("redis", ("redis.exceptions", "ResponseError", "WRONGTYPE"), "refused-by-server", True),
        ("redis", ("redis.exceptions", "ReadOnlyError", "x"), "read-only", True),
        ("redis", ("redis.exceptions", "TimeoutError", "Timeout reading from socket"), "timeout", False),
        ("redis", ("redis.exceptions", "TimeoutError", "Timeout connecting to server"), "connect-timeout", True),
        ("nats", ("nats.errors", "NoRespondersError", None), "no-responders", True),
        ("nats", ("nats.errors", "TimeoutError", None), "timeout", False),
        ("nats", ("nats.errors", "ConnectionClosedError", None), "connection-closed", False),
        ("nats", ("nats.js.errors", "NoStreamResponseError", None), "no-stream", True),
        ("mqtt", ("paho.mqtt", "MQTTException", "x"), "bad-request", True),
    ],
)
def test_errors_of_the_real_libraries(table: str, error: tuple[str, str, str | None], code: str, certain: bool) -> None:
    module, name, text = error
    raised = getattr(__import__(module, fromlist=[name]), name)
    with pytest.raises(ClientError) as caught, guard(table):
        raise raised(*([] if text is None else [text]))
    assert (caught.value.code, caught.value.certain) == (code, certain)


def test_every_class_that_a_table_names_is_there_in_its_library() -> None:
    import nats.errors
    import nats.js.errors
    import paho.mqtt
    import paho.mqtt.client
    import redis.exceptions

    mqtt = [paho.mqtt, paho.mqtt.client]
    homes = [(REDIS, [redis.exceptions]), (NATS, [nats.errors, nats.js.errors]), (MQTT, mqtt)]
    others = {"MqttConnectError", "MqttCodeError", "MqttReentrantError", "MqttError"}  # of aiomqtt
    for table, modules in homes:
        missing = {n for n in table.rows if not any(hasattr(m, n) for m in modules)} - others
        assert not missing, (table.name, missing)


def test_python_errors_inside_a_guard_go_by_the_table_of_sockets_and_bugs_pass_through() -> None:
    for error, code, certain in (
        (ConnectionRefusedError(), "refused", True),
        (TimeoutError(), "timeout", False),
        (ConnectionResetError(), "reset", False),
        (asyncio.IncompleteReadError(b"", 3), "closed-after-send", False),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1)"), "refused", True),
        (
            RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed"),
            "connection-lost",
            False,
        ),
    ):
        with pytest.raises(ClientError) as caught, guard("redis"):
            raise error
        assert (caught.value.code, caught.value.certain) == (code, certain)
    for bug in (KeyError("x"), ValueError("y"), FileNotFoundError("z")):
        with pytest.raises(type(bug)), guard("nats"):
            raise bug
    with pytest.raises(asyncio.CancelledError), guard("nats"):
        raise asyncio.CancelledError


def test_paho_return_codes() -> None:
    paho(0)
    for code, word, certain in ((4, "not-connected", False), (7, "connection-lost", False), (15, "queue-full", True)):
        with pytest.raises(ClientError) as caught:
            paho(code)
        assert (caught.value.code, caught.value.certain) == (word, certain)


@pytest.mark.parametrize(
    ("status", "effect"),
    [(200, "ok"), (204, "ok"), (302, "unknown"), (400, "fail"), (404, "fail"), (408, "unknown"), (409, "fail"),
     (425, "fail"), (429, "fail"), (499, "unknown"), (500, "unknown"), (503, "unknown"), (101, "unknown")],
)  # fmt: skip
def test_statuses(status: int, effect: str) -> None:
    assert status_effect(status) == effect
    with_body = Response(status, [], b"because")
    if effect == "ok":
        assert with_body.expect() is with_body
    else:
        with pytest.raises(ClientError, match=f"status-{status}: because") as caught:
            with_body.expect()
        assert (caught.value.certain, caught.value.status) == (effect == "fail", status)
    assert status_effect(status, {status: "fail"}) == "fail"


def test_a_good_status_that_was_not_expected_is_uncertain() -> None:
    with pytest.raises(ClientError) as caught:
        Response(200, [], b"").expect(201, 204)
    assert (caught.value.code, caught.value.certain) == ("status-200", False)


@pytest.mark.proves("S1P-21", "S3-43")
def test_content_checks() -> None:
    page = Response(200, [(b"Content-Type", b"application/json")], b'{"items": [{"name": "a"}], "token": "t-1"}')
    page.expect().expect_contains('"name"').expect_json("items.0.name", "a").reject_placeholder(
        types=["application/json"]
    )
    assert page.find(r'"token": "([^"]+)"') == "t-1"
    for wrong in (
        lambda: page.expect_contains("nope"),
        lambda: page.expect_json("items.0.name", "b"),
        lambda: page.json_at("items.7"),
        lambda: page.find("csrf=(.*)"),
        lambda: page.reject_placeholder(types=["text/html"]),
        lambda: page.reject_placeholder(least=1000),
        lambda: page.reject_placeholder(most=5),
        lambda: Response(200, [], b"").reject_placeholder(),
        lambda: Response(200, [], b"<h1>Welcome to nginx!</h1>").reject_placeholder(),
        lambda: Response(200, [], b"The app is starting, wait").reject_placeholder(),
        lambda: Response(200, [], b"<html>").json(),
    ):
        with pytest.raises(ContentError) as caught:
            wrong()
        assert caught.value.code == "content"


def test_headers_are_found_in_any_case_and_joined() -> None:
    response = Response(200, [(b"X-A", b"1"), (b"x-a", b"2"), (b"Etag", b"e")], b"")
    assert dict(response.headers) == {"x-a": "1, 2", "etag": "e"}


def test_cookies_by_path_and_expiry() -> None:
    jar = CookieJar()
    jar.take(["a=1; Path=/", "b=2; Path=/deep; Secure", "c=3; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "nonsense"], 1e9)
    assert jar.header("/") == "a=1"
    assert jar.header("/deep/er?q=/") == "b=2; a=1"
    assert jar.header("/deeper") == "a=1"
    jar.take(["a=; Max-Age=0", "b=9; Path=/deep; Max-Age=60; Expires=garbage"], 1e9)
    assert jar.header("/deep") == "b=9"
    assert jar.get("b") == "9"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=5), st.text(max_size=20))
def test_no_cookie_text_breaks_the_jar(texts: list[str], path: str) -> None:
    jar = CookieJar()
    jar.take(texts, 0.0)
    jar.header("/" + path)
