"""Recordings in JSON: op maps in one array, in an object around it ("history" or "ops"), or one a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from seatrial.formats.opmaps import add_op_map
from seatrial.formats.pairing import Pairing
from seatrial.formats.source import Source, Wrongs, wrong
from seatrial.history.recorded import Recorded

_WHITE = " \t\r\n"
_HOLDERS = ("history", "ops", "operations", "events")


class _BadConstant(ValueError):
    pass


def _no_constant(name: str) -> Any:
    raise _BadConstant(name)


def _object(pairs: list[tuple[str, Any]]) -> dict[Any, Any]:
    """Return the object; one whose keys are all whole numbers gets them as numbers, which JSON cannot write."""
    made = dict(pairs)
    if made and all(key.removeprefix("-").isdecimal() and key.isascii() and len(key) < 19 for key in made):
        return {int(key): value for key, value in pairs}
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)


def read_lines(source: Source) -> Recorded:
    """Read JSON lines. Raises UsageError with every bad line (the first 20); a cut last line is in `problems`."""
    pairing = Pairing(source.name, "jsonl", Wrongs(source.name))
    unread: tuple[int, str] | None = None
    for number, line in source.lines():
        if unread:
            pairing.wrongs.add(unread[0], "this is not a JSON object", "one op map a line", unread[1])
            unread = None
        if not line.strip():
            continue
        try:
            found = _DECODER.decode(line)
        except (ValueError, RecursionError):
            unread = (number, line)
            continue
        add_op_map(pairing, found, number)
    if unread and not pairing.wrongs.found:
        pairing.problems.append(f"line {unread[0]}: the file ends inside this line: {unread[1][:60]}")
    return pairing.recorded()


def read_array(source: Source) -> Recorded:
    """Read a JSON array of op maps, or an object that holds one. What the file lacks at its end is in `problems`."""
    pairing = Pairing(source.name, "json", Wrongs(source.name))
    text = "".join(source.text())
    for line, found in _elements(text, source.name, pairing.problems):
        add_op_map(pairing, found, line)
    return pairing.recorded()


def _elements(text: str, name: str, problems: list[str]) -> Iterator[tuple[int, Any]]:
    at = _skip(text, 0)
    if text[at : at + 1] == "{":
        yield from _held(text, name, problems)
        return
    if text[at : at + 1] != "[":
        raise wrong(name, 1, "this is not a JSON array", "[ and op maps", text[at : at + 60])
    at, line, counted = _skip(text, at + 1), 1, 0
    while text[at : at + 1] not in ("]", ""):
        line, counted = line + text.count("\n", counted, at), at
        found, end = _one(text, at, line, name, problems)
        if end < 0:
            return
        yield line, found
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] not in ("]", ""):
            line += text.count("\n", counted, at)
            raise wrong(name, line, "this is not JSON", "a comma or ] after the op map", text[at : at + 60])
    _end(text, at, name, problems)


def _end(text: str, at: int, name: str, problems: list[str]) -> None:
    line = text.count("\n", 0, at) + 1
    if at >= len(text):
        problems.append(f"line {line}: the file ends before the closing ] of the array: what comes after it is missing")
    elif text[at + 1 :].strip():
        raise wrong(name, line, "something follows the end of the array", "the end of the file", text[at + 1 :][:60])


def _one(text: str, at: int, line: int, name: str, problems: list[str]) -> tuple[Any, int]:
    """Return (op map, where it ends), -1 when the file ends inside it. Raises UsageError for what is not JSON."""
    try:
        return _DECODER.raw_decode(text, at)
    except _BadConstant as error:
        raise wrong(name, line, "this number is not JSON", "a number or null", error) from None
    except RecursionError:
        raise wrong(name, line, "this is nested too deep", "a recording of ops") from None
    except json.JSONDecodeError as error:
        if error.pos < len(text.rstrip(_WHITE)) and not error.msg.startswith("Unterminated string"):
            raise wrong(
                name, error.lineno, f"this is not JSON ({error.msg})", "op maps", text[error.pos :][:60]
            ) from None
        problems.append(f"line {line}: the file ends inside the op that begins here: what comes after it is missing")
        return None, -1
    except ValueError as error:  # a whole number of thousands of digits
        raise wrong(name, line, f"this is not JSON ({error})", "op maps") from None


def _held(text: str, name: str, problems: list[str]) -> Iterator[tuple[int, Any]]:
    found, end = _one(text, _skip(text, 0), 1, name, problems)
    if end < 0:
        return
    for holder in _HOLDERS:
        if isinstance(found, dict) and isinstance(found.get(holder), list):
            for one in found[holder]:
                yield 0, one
            return
    raise wrong(name, 1, "this object holds no ops", f"an array, or an object with one of {', '.join(_HOLDERS)}")


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _WHITE:
        at += 1
    return at
