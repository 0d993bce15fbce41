"""The fast way for plain EDN: rewritten as JSON by a few regular expressions, then decoded in C.

It takes maps, vectors, keywords, strings, numbers, nil, true and false. At anything else (comments, sets, tags, lists,
escapes that JSON lacks, text that is cut) it answers None, and the caller takes the reader of edn.py, which is always
right.
"""

from __future__ import annotations

import re
from itertools import chain, zip_longest
from typing import Any

import msgspec

from seatrial.formats.edn import DEEPEST, frozen

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BAD_ESCAPE = re.compile(r'\\(?![tnrbf/"\\]|u[0-9a-fA-F]{4})')
_OTHER = re.compile(r"[;#\\'^@~`()]")
_KEYWORD = re.compile(r":([^\s,\"\[\]{}\x01]+)")  # its group makes re.split give the words
_SPACE = re.compile(r"[\s,]+")
_WHITE = re.compile(r"\s")
_TIDY = ((",]", "]"), (",}", "}"), ("[,", "["), ("{,", "{"))
_NILS = ((",nil,", ",null,"), (",nil,", ",null,"), ("[nil,", "[null,"), (",nil]", ",null]"), ("[nil]", "[null]"))
_MAPS = ((",nil}", ",null}"), ("{nil,", "{null,"), ("{", '{"":['), ("}", "]}"))
_BRACE = re.compile(r"[{}\n]")


def maps_of(text: str, line: int) -> list[tuple[int, dict[Any, Any]]] | None:
    """Return the (line, map) of a text that holds whole maps and nothing else; None when it is not so plain."""
    strings = _STRING.findall(text) if '"' in text else []
    skeleton = _STRING.sub("\x01", text) if strings else text
    if _OTHER.search(skeleton) or "\x01" in text or any(map(_strange, strings)):
        return None
    decoded = _decoded(skeleton, strings)
    if decoded is None:
        return None
    lines = _lines(skeleton, line)
    if len(lines) != len(decoded):
        return None
    try:
        return [(at, _map(one, nested)) for (at, nested), one in zip(lines, decoded, strict=True)]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _strange(string: str) -> bool:
    return "\\" in string and _BAD_ESCAPE.search(string.replace("\\\\", "")) is not None


def _decoded(skeleton: str, strings: list[str]) -> list[Any] | None:
    # Keywords become strings, and maps {"": [key, value, ...]}, to be told from vectors.
    pieces = _KEYWORD.split(skeleton)
    pieces[1::2] = [f'"{word}"' for word in pieces[1::2]]
    text = _comma_separated("".join(pieces))
    for before, after in chain(_TIDY, _NILS, _MAPS):
        text = text.replace(before, after)
    if strings:
        text = "".join(chain.from_iterable(zip_longest(text.split("\x01"), strings, fillvalue="")))
    try:
        found = msgspec.json.decode(f"[{text.strip(',')}]")
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return found if isinstance(found, list) else None


def _comma_separated(text: str) -> str:
    """Return the text with one comma for every run of white space and commas."""
    quick = text.replace(", ", ",").replace(" ", ",").replace("\n", ",")
    if ",," not in quick and not _WHITE.search(quick):
        return quick
    return _SPACE.sub(",", text)


def _lines(skeleton: str, line: int) -> list[tuple[int, bool]]:
    """Return, of each outer map, the line it begins on and whether it has maps in it."""
    found, depth = [], 0
    for match in _BRACE.finditer(skeleton):
        token = match.group()
        if token == "{":
            depth += 1
            if depth == 1:
                found.append((line, False))
            elif depth == 2:
                found[-1] = (found[-1][0], True)
        elif token == "}":
            depth -= 1
        else:
            line += 1
    return found


def _map(one: dict[str, list[Any]], nested: bool) -> dict[Any, Any]:
    items = one[""]
    if nested:
        items = [_plain(item, 1) for item in items]
    return dict(zip(items[::2], items[1::2], strict=True))  # ValueError: a key without value; TypeError: a list as key


def _plain(value: Any, depth: int) -> Any:
    """Return the value with its maps as dict."""
    if depth > DEEPEST:
        raise ValueError("deep")
    if type(value) is list:
        return [_plain(item, depth + 1) if type(item) in (list, dict) else item for item in value]
    if type(value) is dict:
        items = [_plain(item, depth + 1) for item in value[""]]
        return {frozen(k): v for k, v in zip(items[::2], items[1::2], strict=True)}
    return value
