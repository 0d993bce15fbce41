"""The fast way for plain EDN: rewritten as JSON by a few regular expressions, then decoded in C.

It takes maps, vectors, keywords, strings, numbers, nil, true and false. At anything else (comments, sets, tags, lists,
escapes, text that is cut) it answers None, and the caller takes the reader of edn.py, which is always right.
"""

from __future__ import annotations

import re
from itertools import chain, zip_longest
from typing import Any

import msgspec

from seatrial.formats.edn import DEEPEST, Keyword, frozen

_STRING = re.compile(r'"[^"]*"')
_OTHER = re.compile(r"[;#\\'^@~`()\x01]")
_KEYWORD = re.compile(r":([^\s,\"\[\]{}\x01]+)")
_NIL = re.compile(r"(?<![^\s,\[\]{}])nil(?![^\s,\[\]{}])")
_SPACE = re.compile(r"[\s,]+")
_BRACE = re.compile(r"[{}\n]")
_FINE = {"nil": "null"}


def maps_of(text: str, line: int) -> list[tuple[int, dict[Any, Any]]] | None:
    """Return the (line, map) of a text that holds whole maps and nothing else; None when it is not so plain."""
    strings = _STRING.findall(text) if '"' in text else []
    skeleton = _STRING.sub("\x01", text) if strings else text
    if "\\" in text or _OTHER.search(skeleton.replace("\x01", "") if strings else skeleton):
        return None
    if strings and "\x01" in text:
        return None
    decoded = _decoded(skeleton, strings)
    if decoded is None:
        return None
    nested = skeleton.count("{") > len(decoded)
    lines = _lines(skeleton, line)
    if len(lines) != len(decoded):
        return None
    words: dict[str, Any] = {}
    try:
        return [(at, _map(one, nested, words)) for at, one in zip(lines, decoded, strict=True)]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _decoded(skeleton: str, strings: list[str]) -> list[Any] | None:
    # Keywords become "\x02..." to be told from strings, maps {"": [key, value, ...]} to be told from vectors.
    text = _KEYWORD.sub(r'"\\u0002\1"', skeleton)
    text = _SPACE.sub(",", _NIL.sub("null", text))
    for before, after in ((",]", "]"), (",}", "}"), ("[,", "["), ("{,", "{"), ("{", '{"":['), ("}", "]}")):
        text = text.replace(before, after)
    if strings:
        text = "".join(chain.from_iterable(zip_longest(text.split("\x01"), strings, fillvalue="")))
    try:
        found = msgspec.json.decode(f"[{text.strip(',')}]")
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return found if isinstance(found, list) else None


def _lines(skeleton: str, line: int) -> list[int]:
    found, depth = [], 0
    for match in _BRACE.finditer(skeleton):
        token = match.group()
        if token == "{":
            if not depth:
                found.append(line)
            depth += 1
        elif token == "}":
            depth -= 1
        else:
            line += 1
    return found


def _map(one: dict[str, list[Any]], nested: bool, words: dict[str, Any]) -> dict[Any, Any]:
    items = one[""]
    if len(items) % 2:
        raise ValueError("odd")
    values = [_value(v, nested, words, 1) for v in items[1::2]]
    return {frozen(_value(k, nested, words, 1)): v for k, v in zip(items[::2], values, strict=True)}


def _value(value: Any, nested: bool, words: dict[str, Any], depth: int) -> Any:
    kind = type(value)
    if kind is str:
        known = words.get(value)
        if known is None:
            known = words[value] = Keyword(value[1:]) if value[:1] == "\x02" else value
        return known
    if kind is list:
        if depth > DEEPEST:
            raise ValueError("deep")
        for at, item in enumerate(value):
            if type(item) in (str, list, dict):
                value[at] = _value(item, nested, words, depth + 1)
        return value
    if kind is dict:
        if depth > DEEPEST:
            raise ValueError("deep")
        items = [_value(item, nested, words, depth + 1) for item in value[""]]
        if len(items) % 2:
            raise ValueError("odd")
        return {frozen(k): v for k, v in zip(items[::2], items[1::2], strict=True)}
    return value
