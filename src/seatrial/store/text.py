"""How keys, values and results, which are text or any bytes, are held in the journal, in Parquet and in a History.

- Text is UTF-8. Bytes are held as they are, so b"abc" and "abc" are the same item.
- A History shows bytes that are not UTF-8 with `surrogateescape`: `item.encode("utf-8", "surrogateescape")` gives them
  back, and different bytes are different text. Text with lone surrogates that no bytes stand for (JSON can carry
  such) is held as its `surrogatepass` bytes: equal to itself, not to other text.
- Parquet text must be UTF-8, so that any tool can query it. An item that is not, or that begins with MARKER, is stored
  as MARKER and its base64 (see table.py).
"""

from __future__ import annotations

MARKER = "\x00base64:"


def to_bytes(item: bytes | str) -> bytes:
    """Return the bytes that stand for an item in a heap. Raises TypeError when it is neither text nor bytes."""
    if not isinstance(item, str):
        return bytes(memoryview(item))  # bytes(5) would be five zeros
    try:
        return item.encode()
    except UnicodeEncodeError:
        try:
            return item.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return item.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    """Return the text that a History shows for the bytes of a heap."""
    return data.decode("utf-8", "surrogateescape")
