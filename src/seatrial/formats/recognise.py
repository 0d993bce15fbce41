"""Which format a recording has, by its first bytes."""

from __future__ import annotations

import re
import struct

TEXT = (
    (re.compile(r"^\s*[rw]\(\s*-?\d+\s*,", re.M), "rw-text"),
    (re.compile(r"^\s*[rw]\s+-?\d+\s+-?\d+\s*$", re.M), "awdit"),
    (re.compile(r"jepsen\.\S+\s+-\s+(?:\d+|:nemesis)\s+:[a-z]+\s"), "jepsen-log"),
)
_COMMENTS = re.compile(r"^(?:\s+|[;#](?![{_])[^\n]*\n?)+")
_JSON_MAP = re.compile(r'\s*\{\s*(?:"(?:[^"\\]|\\.)*"\s*:|\})')
_JSON_HOLDER = re.compile(r'\s*\{\s*"(?:history|ops|operations|events)"\s*:')
_JSON_ARRAY = re.compile(r'\s*\[\s*(?:\]|$|\{\s*(?:"(?:[^"\\]|\\.)*"\s*:|$))')


def format_of(head: bytes) -> str:
    """Return the name of the format, "" when the bytes look like none that is known."""
    if not head.strip():
        return ""
    if b"\x00" in head:
        return _binary(head)
    text = head.decode("utf-8", "replace")
    if _JSON_ARRAY.match(text):
        return "json"
    if _JSON_HOLDER.match(text):
        return "json"
    if _JSON_MAP.match(text):
        return "jsonl"
    bare = _COMMENTS.sub("", text)
    if bare[:1] in "{[(" and bare[:1]:
        return "edn"
    for pattern, name in TEXT:
        if pattern.search(text):
            return name
    return ""


def _binary(head: bytes) -> str:
    if head[:4] == b"PAR1":
        return "parquet"
    if head[:1] == b"S" and head[9:10] in (b"R", b"W", b"C", b"A"):
        return "cobra"
    if len(head) >= 48:
        numbers = struct.unpack_from("<6q", head)
        if all(0 <= n < 1 << 40 for n in numbers[1:]) and numbers[5] < 1 << 20:
            return "dbcop"
    return ""
