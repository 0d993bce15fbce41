"""Any library as a client: `with guard("redis"):` turns its errors into ClientError by the library's table."""

from __future__ import annotations

import asyncio
from types import TracebackType

from seatrial.clients.tables import SOCKETS, TABLES, ErrorTable
from seatrial.errors import ClientError

# paho-mqtt queues a publish of QoS 1 or 2 while it is not connected (code 4) and sends it later: not certain.
_PAHO_CERTAIN = {
    1: "out-of-memory",
    3: "bad-request",
    5: "refused",
    9: "too-large",
    10: "not-supported",
    11: "auth",
    15: "queue-full",
}
_PAHO_LOST = {4: "not-connected", 7: "connection-lost", 16: "connection-lost"}


class guard:
    """Turn errors of a library into ClientError, certain or not by its table; then by the table of sockets.

    table: a name in TABLES ("redis", "nats", "mqtt", "sockets") or an ErrorTable of your own. What no table knows is
    a bug of the users module, and passes through as it is. Works around awaits; makes no task and no timer.

        with guard("redis"):
            await self.redis.set(key, value)

    Raises KeyError when the name is not in TABLES.
    """

    __slots__ = ("_tables",)

    def __init__(self, table: str | ErrorTable) -> None:
        first = TABLES[table] if isinstance(table, str) else table
        self._tables = (first, SOCKETS)

    def _tables_for(self, error: BaseException) -> tuple[ErrorTable, ...]:
        """Return the tables in order: what Python itself raised is told best by the table of sockets."""
        own = type(error).__module__ in ("builtins", "socket", "asyncio.exceptions")
        return self._tables[::-1] if own else self._tables

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise the ClientError of what was raised, if a table knows it."""
        if error is None or isinstance(error, (ClientError, asyncio.CancelledError)):
            return
        for table in self._tables_for(error):
            row = table.row(error)
            if row:
                detail = f"{type(error).__name__}: {error}"
                raise ClientError(row.code, certain=row.certain, detail=detail) from error


def paho(rc: int) -> None:
    """Hold the return code of paho-mqtt's publish, subscribe or connect against what it means for the op.

    Raises ClientError: certain when paho refused before sending; uncertain when the connection was lost.
    """
    if rc == 0:
        return
    if rc in _PAHO_CERTAIN:
        raise ClientError(_PAHO_CERTAIN[rc], certain=True, detail=f"paho return code {rc}")
    raise ClientError(_PAHO_LOST.get(rc, "mqtt-error"), certain=False, detail=f"paho return code {rc}")
