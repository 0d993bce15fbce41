"""Quantities with units ("90s", "50/s", "64MiB", "99.9%") and the typed parameters of knobs, faults and checks."""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_NUMBER = re.compile(r"^\s*([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*([^\d\s].*)?$")
_DURATIONS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_RATES = {"/s": 1.0, "/m": 1 / 60, "/min": 1 / 60, "/h": 1 / 3600}
_SIZES: dict[str, float] = {
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}


class Kind(enum.StrEnum):
    """The type of a parameter; what it becomes is said beside it."""

    DURATION = "duration"  # float seconds
    RATE = "rate"  # float per second
    SIZE = "size"  # int bytes
    RATIO = "ratio"  # float 0..1
    COUNT = "count"  # int >= 0
    NUMBER = "number"  # float
    TEXT = "text"  # str
    FLAG = "flag"  # bool
    TEXTS = "texts"  # tuple of str


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One typed parameter. default None means that it must be given; least and most are inclusive."""

    name: str
    kind: Kind
    help: str
    default: Any = None
    required: bool = False
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()


def parse(kind: Kind, value: Any) -> Any:
    """Return a value of the kind's type. Raises ValueError that says what is allowed."""
    if kind in _UNITS:
        return _quantity(kind, value)
    if kind is Kind.FLAG:
        return _flag(value)
    if kind is Kind.TEXTS:
        return _texts(value)
    if not isinstance(value, str):
        raise ValueError(f"a text is wanted, not {value!r}")
    return value


def check(param: Param, value: Any) -> Any:
    """Parse a value for a parameter and hold it against its range. Raises ValueError."""
    result = parse(param.kind, value)
    if param.choices and result not in param.choices:
        raise ValueError(f"one of {', '.join(param.choices)} is wanted{nearest(str(result), param.choices)}")
    if param.least is not None and result < param.least:
        raise ValueError(f"must be at least {show(param.kind, param.least)}")
    if param.most is not None and result > param.most:
        raise ValueError(f"must be at most {show(param.kind, param.most)}")
    return result


def show(kind: Kind, value: Any) -> str:
    """Return a parsed value as a person would write it."""
    if value is None:
        return "-"
    if kind is Kind.DURATION:
        return f"{value * 1000:g}ms" if 0 < value < 1 else f"{value:g}s"
    if kind is Kind.RATE:
        return f"{value:g}/s"
    if kind is Kind.RATIO:
        return f"{value * 100:g}%"
    if kind is Kind.SIZE:
        return _show_size(value)
    if kind is Kind.TEXTS:
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean X?)" for the nearest known word, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


_TABLES: dict[Kind, dict[str, float]] = {Kind.DURATION: _DURATIONS, Kind.RATE: _RATES, Kind.SIZE: _SIZES}
_UNITS = {Kind.DURATION, Kind.RATE, Kind.SIZE, Kind.RATIO, Kind.COUNT, Kind.NUMBER}
_EXAMPLE = {
    Kind.DURATION: '"90s", "1.5m" or "250ms"',
    Kind.RATE: '"50/s" or "30/m"',
    Kind.SIZE: '"64MiB"',
    Kind.RATIO: '"99.9%" or a number from 0 to 1',
    Kind.COUNT: "a whole number from 0",
    Kind.NUMBER: "a number",
}


def _quantity(kind: Kind, value: Any) -> float | int:
    wanted = ValueError(f"a {kind} such as {_EXAMPLE[kind]} is wanted")
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise wanted
    match = _NUMBER.match(str(value))
    if not match:
        raise wanted
    number, unit = float(match[1]), (match[2] or "").strip().lower()
    if number != number or number in (float("inf"), float("-inf")):
        raise wanted
    return _with_unit(kind, number, unit, wanted)


def _with_unit(kind: Kind, number: float, unit: str, wanted: ValueError) -> float | int:
    if kind is Kind.COUNT:
        if unit or number < 0 or number != int(number):
            raise wanted
        return int(number)
    if kind is Kind.NUMBER:
        if unit:
            raise wanted
        return number
    if kind is Kind.RATIO:
        ratio = round(number / 100, 12) if unit == "%" else number  # 99.9 / 100 is a little more than 0.999
        if unit not in ("", "%") or not 0 <= ratio <= 1:
            raise wanted
        return ratio
    table = _TABLES[kind]
    if (not unit and number != 0) or (unit and unit not in table) or number < 0:
        raise ValueError(f"{wanted}, with its unit ({', '.join(table)})")
    scaled = number * table.get(unit, 1)
    return int(scaled) if kind is Kind.SIZE else float(scaled)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "yes", "on", "1"):
        return True
    if str(value).lower() in ("false", "no", "off", "0"):
        return False
    raise ValueError("true or false is wanted")


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
        return tuple(value)
    raise ValueError("a list of texts is wanted")


def _show_size(value: float) -> str:
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if value >= factor:
            return f"{value / factor:g}{unit}"
    return f"{int(value)}B"
