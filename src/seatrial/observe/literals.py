"""Finds a text that every match of a regular expression must hold, to pass over other log lines at memory speed."""

from __future__ import annotations

import re

_FLAGS = re.compile(r"\(\?[aiLmsux-]")


def literal(pattern: str) -> str:
    """Return the longest plain text that is surely in every match; "" when there is none or it is hard to say.

    Looks only at the top level: what stands in groups and classes is passed over, alternatives and flags give "".
    """
    if _FLAGS.search(pattern):
        return ""
    runs, place, depth = [""], 0, 0
    while place < len(pattern):
        sign = pattern[place]
        if (sign == "|" and depth == 0) or re.match(r"\\[xuUN0-9]", pattern[place:]):
            return ""
        place, plain = _next(pattern, place)
        depth += (sign == "(") - (sign == ")")
        if sign in "*?{":  # what stands before may be absent
            runs[-1] = runs[-1][:-1]
        if plain and depth == 0:
            runs[-1] += plain
        else:
            runs.append("")
    return max(runs, key=len)


def _next(pattern: str, place: int) -> tuple[int, str]:
    """Return the place after the next element, and its plain text ("" when it is none)."""
    sign = pattern[place]
    if sign == "\\":
        escaped = pattern[place + 1 : place + 2]
        return place + 2, "" if escaped.isalnum() else escaped
    if sign == "[":
        return _after_class(pattern, place), ""
    if sign == "{":
        end = pattern.find("}", place)
        return (end if end >= 0 else place) + 1, ""
    return place + 1, "" if sign in "().^$*+?|" else sign


def _after_class(pattern: str, place: int) -> int:
    place += 2 if pattern[place + 1 : place + 2] == "^" else 1
    place += pattern[place : place + 1] == "]"
    while place < len(pattern) and pattern[place] != "]":
        place += 2 if pattern[place] == "\\" else 1
    return place + 1
