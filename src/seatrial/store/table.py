"""Strings of a journal as Arrow arrays: in memory as bytes, in Parquet as UTF-8 text, to a History as lazy strings."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any, overload

import pyarrow as pa
import pyarrow.compute as pc

from seatrial.store.text import MARKER, to_text


def to_parquet(items: pa.Array) -> pa.Array:
    """Return large_binary items as large_string ones that are fit for Parquet."""
    marked = pc.starts_with(items, MARKER.encode())
    if not pc.any(marked).as_py():
        try:
            return items.cast(pa.large_string())
        except pa.ArrowInvalid:
            pass
    return pa.array([_escape(i) for i in items.to_pylist()], type=pa.large_string())


def from_parquet(items: pa.Array) -> pa.Array:
    """Return what `to_parquet` was given."""
    binary = items.cast(pa.large_string()).cast(pa.large_binary())
    marked = pc.starts_with(items, MARKER)
    if not pc.any(marked).as_py():
        return binary
    return pa.array([_unescape(i) for i in binary.to_pylist()], type=pa.large_binary())


def _escape(item: bytes | None) -> str | None:
    if item is None:
        return None
    try:
        text = item.decode()
    except UnicodeDecodeError:
        return MARKER + base64.b64encode(item).decode()
    return MARKER + base64.b64encode(item).decode() if text.startswith(MARKER) else text


def _unescape(item: bytes | None) -> bytes | None:
    mark = MARKER.encode()
    return base64.b64decode(item[len(mark) :]) if item is not None and item.startswith(mark) else item


class StringTable(Sequence[str]):
    """The strings of a History over an Arrow array; a string is made when it is asked for. `arrow` holds the bytes."""

    __slots__ = ("arrow",)

    def __init__(self, arrow: pa.Array) -> None:
        self.arrow = arrow

    def __len__(self) -> int:
        """Return the number of strings."""
        return len(self.arrow)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        """Return one string, or a table of several."""
        return StringTable(self.arrow[index]) if isinstance(index, slice) else to_text(self.arrow[index].as_py())

    def __iter__(self) -> Iterator[str]:
        """Yield all strings, many at a time behind the scenes."""
        for start in range(0, len(self.arrow), 65536):
            yield from map(to_text, self.arrow[start : start + 65536].to_pylist())

    def __eq__(self, other: Any) -> bool:
        """Return whether the other sequence has the same strings."""
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]
