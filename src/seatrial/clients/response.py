"""An HTTP response, and the checks that make a 200 worth something: status, content, JSON, no placeholder page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

import httptools

from seatrial.clients.tables import status_effect
from seatrial.errors import ClientError

# Pages that answer in place of the app: proxies without a back end, default pages, start-up and maintenance pages.
PLACEHOLDERS = (
    "starting up",
    "is starting",
    "still starting",
    "please wait while",
    "under maintenance",
    "maintenance mode",
    "welcome to nginx",
    "apache2 default page",
    "default backend - 404",
    "bad gateway",
    "service unavailable",
    "no available server",
)
_SHOWN = 200


class ContentError(ClientError):
    """The answer came, and what it holds is not acceptable. A read fails by it; a write may have had its effect."""

    def __init__(self, detail: str, *, status: int = 0) -> None:
        super().__init__("content", certain=False, detail=detail, status=status)


class _Headers:
    """What llhttp calls for each header. Those of an interim answer are forgotten; what follows the first whole head
    belongs to another answer, or to its body."""

    def __init__(self, head: bytes) -> None:
        self.found: list[tuple[bytes, bytes]] = []
        self._done = False
        self._parser = httptools.HttpResponseParser(self)
        try:
            self._parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            pass  # the connection has judged the answer; here only the headers up to there are wanted
        del self._parser  # they hold each other, and only the garbage collector would part them

    def on_message_begin(self) -> None:
        if not self._done:
            self.found = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._done:
            self.found.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        self._done = self._done or status >= 200 or status == 101


def headers_of(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers in the bytes of a head; what follows it does not matter."""
    return _Headers(head).found


class Response:
    """One answer. Times are ns: connect (0 on a connection that was open), first byte and total from the request.

    connection and number say which connection carried it and the how-manyth request that was.
    """

    __slots__ = ("_effects", "_headers", "_raw", "body", "connect_ns", "connection", "first_byte_ns", "number",
                 "status", "total_ns")  # fmt: skip

    def __init__(
        self,
        status: int,
        raw_headers: Sequence[tuple[bytes, bytes]] | bytes,
        body: bytes,
        first_byte_ns: int = 0,
        total_ns: int = 0,
        connection: int = 0,
        number: int = 0,
    ) -> None:
        self.status = status
        self._raw = raw_headers  # bytes: the head as it came, not taken apart before somebody asks
        self.body = body
        self.connect_ns = 0
        self.first_byte_ns, self.total_ns = first_byte_ns, total_ns
        self.connection, self.number = connection, number
        self._headers: dict[str, str] | None = None
        self._effects: Mapping[int, str] | None = None

    def __repr__(self) -> str:
        """Return status and size."""
        return f"<Response {self.status}, {len(self.body)} bytes>"

    @property
    def raw_headers(self) -> Sequence[tuple[bytes, bytes]]:
        """Return the headers as they came."""
        if isinstance(self._raw, bytes):
            self._raw = headers_of(self._raw)
        return self._raw

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers by lower-case name; repeated ones are joined by a comma."""
        if self._headers is None:
            found: dict[str, str] = {}
            for raw_name, raw_value in self.raw_headers:
                name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
                found[name] = f"{found[name]}, {value}" if name in found else value
            self._headers = found
        return self._headers

    @property
    def text(self) -> str:
        """Return the body as UTF-8 text; bytes that are not become U+FFFD."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body as JSON. Raises ContentError when it is not."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise ContentError(f"not JSON ({error}): {self._shown()}", status=self.status) from None

    def judge_by(self, effects: Mapping[int, str]) -> None:
        """Let these rows come before the table of statuses in `expect`."""
        self._effects = effects

    @property
    def effect(self) -> str:
        """Return what the status says of the op's effect: "ok", "fail" (surely none) or "unknown"."""
        return status_effect(self.status, self._effects)

    def expect(self, *statuses: int) -> Self:
        """Hold the status against those given, or against "ok" of the table when none is given.

        Raises ClientError "status-<n>", certain when the table says that the op surely had no effect.
        """
        if self.status in statuses or (not statuses and self.effect == "ok"):
            return self
        certain = self.effect == "fail"
        raise ClientError(f"status-{self.status}", certain=certain, detail=self._shown(), status=self.status)

    def expect_contains(self, *texts: str) -> Self:
        """Raise ContentError when one of the texts is not in the body."""
        for text in texts:
            if text.encode() not in self.body:
                raise ContentError(f"{text!r} is not in: {self._shown()}", status=self.status)
        return self

    def json_at(self, path: str) -> Any:
        """Return the value at a path such as "items.0.name". Raises ContentError when there is none."""
        value = self.json()
        for step in filter(None, path.split(".")):
            try:
                value = value[int(step)] if isinstance(value, list) else value[step]
            except (KeyError, IndexError, ValueError, TypeError):
                raise ContentError(f"no {path!r} (at {step!r}) in: {self._shown()}", status=self.status) from None
        return value

    def expect_json(self, path: str, wanted: Any) -> Self:
        """Raise ContentError when the value at the path is not equal to the wanted one."""
        found = self.json_at(path)
        if found != wanted:
            raise ContentError(f"{path!r} is {found!r}, {wanted!r} is wanted", status=self.status)
        return self

    def find(self, pattern: str) -> str:
        """Return group 1 (or the whole) of a regular expression in the body, e.g. a CSRF token. Raises ContentError."""
        match = re.search(pattern, self.text)
        if not match:
            raise ContentError(f"nothing matches {pattern!r} in: {self._shown()}", status=self.status)
        return match[1] if match.re.groups else match[0]

    def reject_placeholder(
        self,
        *,
        types: Sequence[str] = (),
        least: int = 1,
        most: int | None = None,
        markers: Sequence[str] = PLACEHOLDERS,
    ) -> Self:
        """Raise ContentError when this is not the app's own answer.

        types: accepted beginnings of the content type (any when empty). least, most: size of the body in bytes.
        markers: texts of start-up, maintenance and default pages, in any case; looked for in the first 4 KiB.
        """
        kind = self.headers.get("content-type", "")
        if types and not kind.startswith(tuple(types)):
            raise ContentError(f"content type {kind!r}, {' or '.join(types)} is wanted", status=self.status)
        if len(self.body) < least or (most is not None and len(self.body) > most):
            bound = f"at least {least}" if len(self.body) < least else f"at most {most}"
            raise ContentError(f"{len(self.body)} bytes, {bound} are wanted: {self._shown()}", status=self.status)
        start = self.body[:4096].decode("utf-8", "replace").lower()
        for marker in markers:
            if marker in start:
                raise ContentError(f"a placeholder page ({marker!r}): {self._shown()}", status=self.status)
        return self

    def _shown(self) -> str:
        text = " ".join(self.body[: _SHOWN * 2].decode("utf-8", "replace").split())
        return text[:_SHOWN] + ("..." if len(text) > _SHOWN or len(self.body) > _SHOWN * 2 else "") or "(no body)"
