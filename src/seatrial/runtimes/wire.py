"""One HTTP GET as a check needs it: status, head, body, bounded in time and size; every failure in plain words."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

BODY_MOST = 1 << 20


@dataclass(slots=True)
class Answer:
    """What came back. head: status line and header lines as text."""

    status: int = 0
    head: list[str] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header from the parser."""
        self.head.append(f"{name.decode('latin-1')}: {value.decode('latin-1')}")

    def on_body(self, part: bytes) -> None:
        """Take a part of the body from the parser."""
        self.body += part

    def on_message_complete(self) -> None:
        """Take note of the end from the parser."""
        self.complete = True

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode("utf-8", "replace")


async def get(host: str, port: int, path: str, timeout_s: float) -> Answer:
    """Return the answer to GET. Raises OSError with plain words, timeout included."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _get(host, port, path)
    except TimeoutError:
        raise OSError(f"gave no whole answer within {timeout_s:g} s") from None
    except ConnectionRefusedError:
        raise OSError("was refused") from None
    except ConnectionError as error:
        raise OSError(f"was broken off ({error.strerror or type(error).__name__})") from None


async def connect(host: str, port: int, timeout_s: float) -> None:
    """Open a TCP connection and close it again. Raises OSError with plain words."""
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        raise OSError(f"did not connect within {timeout_s:g} s") from None
    except ConnectionRefusedError:
        raise OSError("was refused") from None
    await _close(writer)


async def _get(host: str, port: int, path: str) -> Answer:
    import httptools

    reader, writer = await asyncio.open_connection(host, port)
    answer = Answer()
    parser = httptools.HttpResponseParser(answer)
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: seatrial\r\nAccept: */*\r\n"
        writer.write(f"{request}Connection: close\r\n\r\n".encode())
        while not answer.complete and len(answer.body) < BODY_MOST:
            part = await reader.read(65536)
            if not part:
                break
            parser.feed_data(part)
        answer.status = parser.get_status_code()
    except httptools.HttpParserError as error:
        raise OSError(f"gave something that is not HTTP ({error})") from None
    finally:
        await _close(writer)
    if not answer.status:
        raise OSError("was closed without an answer")
    return answer


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    try:
        await writer.wait_closed()
    except OSError:
        pass
