"""Which errors are certain: one visible table a client. Certain means that the op surely had no effect.

Rule of all tables: an error is certain only when the request cannot have reached the server, or when the server itself
says that it refused. Whatever is not listed is uncertain: the op may have had an effect.
Libraries are matched by class name, so that none of them is imported here.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from seatrial.errors import ClientError


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: the code of the error, and whether it is certain."""

    code: str
    certain: bool


@dataclass(frozen=True, slots=True)
class ErrorTable:
    """Errors of a library by class name ("ConnectionError" or "redis.exceptions.ConnectionError").

    rows: tried along the classes that an exception inherits from, the nearest first.
    texts: beginnings of the error's message that decide before the class does, for libraries that say it only there.
    """

    name: str
    rows: Mapping[str, Row]
    texts: Mapping[str, Row] = field(default_factory=dict)

    def row(self, error: BaseException) -> Row | None:
        """Return the line for an error, or None when the table does not know it."""
        for beginning, row in self.texts.items():
            if str(error).startswith(beginning):
                return row
        for cls in type(error).__mro__:
            found = self.rows.get(f"{cls.__module__}.{cls.__qualname__}") or self.rows.get(cls.__qualname__)
            if found:
                return found
        return None


CONNECTING: Mapping[int, str] = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset-before-send",
    errno.ECONNABORTED: "reset-before-send",
    errno.EPIPE: "reset-before-send",
    errno.ETIMEDOUT: "connect-timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EADDRNOTAVAIL: "no-local-port",
    errno.EMFILE: "no-file-descriptor",
    errno.ENFILE: "no-file-descriptor",
    errno.ENOENT: "refused",
}


def while_connecting(error: BaseException) -> ClientError:
    """Return the ClientError of an error before any byte of a request was sent: always certain."""
    if isinstance(error, socket.gaierror):
        return ClientError("dns", certain=True, detail=str(error))
    if isinstance(error, ssl.SSLError):
        return ClientError("tls", certain=True, detail=str(error))
    number = getattr(error, "errno", None)
    code = CONNECTING.get(number or 0, "connect-timeout" if isinstance(error, TimeoutError) else "connect-failed")
    return ClientError(code, certain=True, detail=str(error))


def after_sending(error: BaseException | None) -> ClientError:
    """Return the ClientError of a connection that ended after bytes were handed to the kernel: never certain."""
    if error is None:
        return ClientError("closed-after-send", certain=False)
    if isinstance(error, (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)):
        return ClientError("reset-after-send", certain=False, detail=str(error))
    return ClientError("broken-after-send", certain=False, detail=str(error))


# What an HTTP status says of an op's effect: "ok", "fail" (surely none) or "unknown". A redirect is unknown, because
# a form answers 303 after it worked. 408: the server gave up on a request of which it may have read a part.
_STATUS_EXCEPTIONS = {408: "unknown", 499: "unknown"}


def status_effect(status: int, own: Mapping[int, str] | None = None) -> str:
    """Return "ok", "fail" or "unknown" for a status. `own` is a client's own rows, which come first."""
    if own and status in own:
        return own[status]
    if status in _STATUS_EXCEPTIONS:
        return _STATUS_EXCEPTIONS[status]
    if 200 <= status < 300:
        return "ok"
    return "fail" if 400 <= status < 500 else "unknown"


CERTAIN_REFUSED = Row("refused", True)
_TIMEOUT = Row("timeout", False)

SOCKETS = ErrorTable(
    "sockets",
    {
        "ConnectionRefusedError": CERTAIN_REFUSED,
        "gaierror": Row("dns", True),
        "ConnectionResetError": Row("reset", False),
        "BrokenPipeError": Row("reset", False),
        "IncompleteReadError": Row("closed-after-send", False),
        "ConnectionError": Row("connection-lost", False),
        "TimeoutError": _TIMEOUT,
        "EOFError": Row("closed-after-send", False),
    },
    # asyncio says so, and only while it connects, when a name has several addresses
    {
        "Multiple exceptions: [Errno 111]": CERTAIN_REFUSED,
        # the loop's own answer to a library that writes to a transport which was closed under it
        "unable to perform operation on": Row("connection-lost", False),
    },
)

# redis-py re-sends by itself unless it is made with Retry(NoBackoff(), 0): then its last error says nothing of the
# first attempt, and no table can be right.
REDIS = ErrorTable(
    "redis",
    {
        "AuthenticationError": Row("auth", True),
        "NoPermissionError": Row("auth", True),
        "BusyLoadingError": Row("loading", True),
        "ReadOnlyError": Row("read-only", True),
        "OutOfMemoryError": Row("out-of-memory", True),
        "MaxConnectionsError": Row("no-connection", True),
        "ResponseError": Row("refused-by-server", True),
        "DataError": Row("bad-request", True),
        "TimeoutError": _TIMEOUT,
        "ConnectionError": Row("connection-lost", False),
        "RedisError": Row("redis-error", False),
    },
    # redis-py tells a failed connect from a lost connection only in the message
    {
        "Error 111 connecting to": CERTAIN_REFUSED,
        "Error 61 connecting to": CERTAIN_REFUSED,
        "Timeout connecting to server": Row("connect-timeout", True),
        "Error -2 connecting to": Row("dns", True),
        "Error -3 connecting to": Row("dns", True),
        "NOREPLICAS": Row("no-replicas", True),
    },
)

NATS = ErrorTable(
    "nats",
    {
        "NoRespondersError": Row("no-responders", True),
        "NoServersError": CERTAIN_REFUSED,
        "ConnectionClosedError": Row("connection-closed", False),  # also raised to those who wait for an answer
        "ConnectionDrainingError": Row("not-connected", True),
        "ConnectionReconnectingError": Row("not-connected", True),
        "OutboundBufferLimitError": Row("not-connected", True),
        "MaxPayloadError": Row("too-large", True),
        "BadSubjectError": Row("bad-request", True),
        "AuthorizationError": Row("auth", True),
        "NoStreamResponseError": Row("no-stream", True),
        "BadRequestError": Row("refused-by-server", True),
        "NotFoundError": Row("not-found", True),
        "ServiceUnavailableError": Row("unavailable", False),
        "ServerError": Row("server-error", False),
        "StaleConnectionError": Row("connection-lost", False),
        "FlushTimeoutError": _TIMEOUT,
        "TimeoutError": _TIMEOUT,
        "APIError": Row("api-error", False),
        "Error": Row("nats-error", False),
    },
)

MQTT = ErrorTable(
    "mqtt",
    {
        "MqttConnectError": Row("connect-refused", True),
        "MqttCodeError": Row("mqtt-error", False),
        "MqttReentrantError": Row("bad-request", True),
        "WebsocketConnectionError": CERTAIN_REFUSED,
        "MqttError": Row("mqtt-error", False),
        "MQTTException": Row("bad-request", True),
    },
    {"The client is not currently connected": Row("not-connected", True)},
)

TABLES: Mapping[str, ErrorTable] = {t.name: t for t in (SOCKETS, REDIS, NATS, MQTT)}
