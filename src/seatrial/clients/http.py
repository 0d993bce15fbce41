"""HTTP/1.1 for simulated users: keep-alive, exact failure semantics, and one request on the wire for each one asked.

Nothing is re-sent, no redirect is followed and no cookie is kept unless asked. A connection that the server closed
while it was idle is replaced before sending; one that dies after bytes were handed to the kernel makes the op unknown.
"""

from __future__ import annotations

import asyncio
import base64
import json as jsonlib
import re
import ssl as ssllib
from collections.abc import Coroutine, Iterator, Mapping, MutableMapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from seatrial.clients.connection import NS, Connection
from seatrial.clients.cookies import CookieJar
from seatrial.clients.lanes import TlsConnection, connect_plain
from seatrial.clients.response import Response
from seatrial.clients.tables import while_connecting
from seatrial.clock import Clock, SystemClock
from seatrial.errors import ClientError

_NOT_IN_PATH = re.compile(r"[\x00-\x20\x7f-\U0010ffff]")
_NOT_IN_HEADER = re.compile(r"[\r\n\x00]")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REMEMBERED = 8  # requests without a body that a client keeps as they are sent
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
Answering = Coroutine[Any, Any, Response]


class Headers(MutableMapping[str, str]):
    """Headers by name in any case, rendered once. Raises ValueError for a line break in a name or value."""

    __slots__ = ("_lines", "_rendered", "requests")

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}
        self._rendered: str | None = None
        self.requests: dict[tuple[str, str], bytes] = {}  # whole requests made with these headers

    def __getitem__(self, name: str) -> str:
        """Return a value."""
        return self._lines[name.title()]

    def __setitem__(self, name: str, value: str) -> None:
        """Set a value."""
        _check_header(name, value)
        self._lines[name.title()] = value
        self._changed()

    def __delitem__(self, name: str) -> None:
        """Take a header out."""
        del self._lines[name.title()]
        self._changed()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._lines)

    def __len__(self) -> int:
        """Return the number of headers."""
        return len(self._lines)

    def _changed(self) -> None:
        self._rendered = None
        self.requests.clear()

    def rendered(self) -> str:
        """Return them as they are sent."""
        if self._rendered is None:
            self._rendered = "".join(f"{name}: {value}\r\n" for name, value in self._lines.items())
        return self._rendered


class HttpClient:
    """A client of one server, owned by one user. Requests made at the same time use a connection each.

    timeout_s bounds a whole request; connect_timeout_s and first_byte_timeout_s, at most as long, bound its parts.
    effects: own rows for the table of statuses, e.g. {503: "fail"}. cookies: keep them. ssl: a context for TLS.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout_s: float = 5.0,
        connect_timeout_s: float | None = None,
        first_byte_timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: bool = False,
        effects: Mapping[int, str] | None = None,
        ssl: ssllib.SSLContext | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.host, self.port = host, port
        self.timeout_s = timeout_s
        self.connect_timeout_s = connect_timeout_s
        self.first_byte_timeout_s = first_byte_timeout_s
        self.cookies = CookieJar() if cookies else None
        self.effects = effects
        self._ssl = ssl
        self._clock = clock or SystemClock()
        self._now = self._clock.now_ns
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self.headers = Headers()  # sent with every request; change it as a mapping
        self.headers["Host"] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.headers["User-Agent"] = "seatrial"
        self.headers["Accept"] = "*/*"
        for name, value in (headers or {}).items():
            self.headers[name] = value
        self.opened = 0  # connections opened so far

    # -- who we are

    def bearer(self, token: str) -> None:
        """Send `Authorization: Bearer <token>` from now on."""
        self.headers["Authorization"] = f"Bearer {token}"

    def basic_auth(self, user: str, password: str) -> None:
        """Send HTTP basic authentication from now on."""
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.headers["Authorization"] = f"Basic {pair}"

    # -- requests

    # What these return is awaited; they are no coroutines themselves, so that none stands between user and connection.

    def get(self, path: str, **options: Any) -> Answering:
        """Send GET; options as of `request`."""
        return self.request("GET", path, **options) if options else self._once("GET", path, b"", None, None)

    def head(self, path: str, **options: Any) -> Answering:
        """Send HEAD; options as of `request`."""
        return self.request("HEAD", path, **options)

    def put(self, path: str, body: bytes | str = b"", **options: Any) -> Answering:
        """Send PUT; options as of `request`."""
        return self.request("PUT", path, body, **options)

    def post(self, path: str, body: bytes | str = b"", **options: Any) -> Answering:
        """Send POST; options as of `request`."""
        return self.request("POST", path, body, **options)

    def patch(self, path: str, body: bytes | str = b"", **options: Any) -> Answering:
        """Send PATCH; options as of `request`."""
        return self.request("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> Answering:
        """Send DELETE; options as of `request`."""
        return self.request("DELETE", path, **options)

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | str = b"",
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        follow: int = 0,
    ) -> Response:
        """Send one request and return its response, whatever the status.

        json: sent as the body, with its content type. follow: how many redirects to follow, with GET; each is a
        request on the wire of its own. timeout_s: for this request, each redirect anew.
        Raises ClientError: refused, dns, connect-timeout, tls, reset-before-send (certain); reset-after-send,
        closed-after-send, read-timeout, protocol-error (uncertain). Raises ValueError for a path that is not ASCII.
        """
        if json is not None:
            body = jsonlib.dumps(json, separators=(",", ":"))
            headers = {"Content-Type": "application/json", **(headers or {})}
        response = await self._once(method, path, body, headers, timeout_s)
        while follow > 0 and response.status in _REDIRECTS and "location" in response.headers:
            path = self._local(urljoin(path, response.headers["location"]))
            response = await self._once("GET", path, b"", None, timeout_s)
            follow -= 1
        return response

    async def close(self) -> None:
        """Close all connections and let the event loop see it."""
        for connection in tuple(self._open):
            connection.abort()
        self._idle.clear()
        self._open.clear()
        await asyncio.sleep(0)

    # -- inside

    async def _once(
        self, method: str, path: str, body: bytes | str, headers: Mapping[str, str] | None, timeout_s: float | None
    ) -> Response:
        total_s = self.timeout_s if timeout_s is None else timeout_s
        data = self._encode(method, path, body.encode() if isinstance(body, str) else body, headers)
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable:
                connect_ns = 0
                break
            self._drop(connection)
        else:
            started = self._now()
            connection = await self._connect(total_s)
            connect_ns = self._now() - started
        total_ns = max(int(total_s * NS) - connect_ns, 1)
        first_s = self.first_byte_timeout_s
        try:
            response = await connection.exchange(
                data, method == "HEAD", total_ns, total_ns if first_s is None else int(first_s * NS)
            )
        except BaseException:
            self._drop(connection)
            raise
        if connection.keep and connection.usable:
            idle.append(connection)
        else:
            self._drop(connection)
        if connect_ns:
            response.connect_ns = connect_ns
            response.first_byte_ns += connect_ns
            response.total_ns += connect_ns
        if self.effects is not None or self.cookies is not None:
            self._look_at(response)
        return response

    def _look_at(self, response: Response) -> None:
        if self.effects is not None:
            response.judge_by(self.effects)
        if self.cookies is not None:
            found = [v.decode("latin-1") for k, v in response.raw_headers if k.lower() == b"set-cookie"]
            self.cookies.take(found, self._clock.wall_ns() / NS)

    def _drop(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.abort()

    async def _connect(self, total_s: float) -> Connection:
        loop = asyncio.get_running_loop()
        bound = total_s if self.connect_timeout_s is None else min(self.connect_timeout_s, total_s)
        try:
            async with asyncio.timeout(bound):
                connection = await self._reach(loop)
        except (OSError, TimeoutError, ssllib.SSLError) as error:
            raise while_connecting(error) from None
        self.opened += 1
        self._open.add(connection)
        return connection

    async def _reach(self, loop: asyncio.AbstractEventLoop) -> Connection:
        if self._ssl is None:
            return await connect_plain(loop, self._now, self.host, self.port)
        _, connection = await loop.create_connection(
            lambda: TlsConnection(loop, self._now), self.host, self.port, ssl=self._ssl
        )
        return connection

    def _encode(self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None) -> bytes:
        plain = not body and not headers and self.cookies is None
        if plain:
            known = self.headers.requests.get((method, path))
            if known is not None:
                return known
        if not path.startswith("/") or _NOT_IN_PATH.search(path):
            raise ValueError(f"path {path!r} must begin with / and hold only printable ASCII; quote it first")
        more = ""
        if self.cookies is not None and len(self.cookies):
            pairs = self.cookies.header(path)
            more = f"Cookie: {pairs}\r\n" if pairs else ""
        for name, value in (headers or {}).items():
            _check_header(name, value)
            more += f"{name}: {value}\r\n"
        if body or method in _WITH_BODY:
            more += f"Content-Length: {len(body)}\r\n"
        data = f"{method} {path} HTTP/1.1\r\n{self.headers.rendered()}{more}\r\n".encode("latin-1") + body
        if plain and len(self.headers.requests) < _REMEMBERED:
            self.headers.requests[method, path] = data
        return data

    def _local(self, url: str) -> str:
        parts = urlsplit(url)
        if parts.netloc and parts.netloc != self.headers["Host"]:
            raise ClientError("redirect-elsewhere", certain=False, detail=url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _check_header(name: str, value: str) -> None:
    if _NOT_IN_HEADER.search(name) or _NOT_IN_HEADER.search(value):
        raise ValueError(f"header {name!r} must not hold a line break")
