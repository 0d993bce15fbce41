"""The types that fields of our TOML files have: quantities with units, templates, patterns, names of signals."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictStr

from seatrial.params import Kind, parse


def _of(kind: Kind) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if value == "":
            raise ValueError("must not be empty; leave the key out to mean unset")
        return parse(kind, value)

    return read


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than 0")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else value


def _pair(value: Any) -> tuple[float, float]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or len(parts) != 2:
        raise ValueError('two durations are wanted, such as "5s,20s"')
    first, second = (parse(Kind.DURATION, p.strip() if isinstance(p, str) else p) for p in parts)
    return first, second


def _moments(value: Any) -> tuple[float, ...]:
    parts = value if isinstance(value, (list, tuple)) else [value]
    if not parts:
        raise ValueError("at least one moment is wanted")
    return tuple(parse(Kind.DURATION, p) for p in parts)


def _codes(value: Any) -> tuple[int, ...]:
    parts = value if isinstance(value, (list, tuple)) else str(value).split(",")
    try:
        codes = tuple(int(p) for p in parts)
    except (TypeError, ValueError):
        raise ValueError("HTTP status codes are wanted, such as [200, 204]") from None
    if not codes or any(not 100 <= c <= 599 for c in codes):
        raise ValueError("HTTP status codes from 100 to 599 are wanted, such as [200, 204]")
    return codes


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _some(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("must not be empty; leave the key out to mean unset")
    return value


def _template(value: str) -> str:
    from jinja2 import Environment, TemplateSyntaxError  # slow to import; only where a template is read

    if "{" in value:
        try:
            Environment().parse(value)
        except TemplateSyntaxError as error:
            raise ValueError(f"template, line {error.lineno}: {error.message}") from None
    return value


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return value


def _signal(value: str) -> str:
    name = value.upper().removeprefix("SIG")
    if f"SIG{name}" not in signal.Signals.__members__:
        raise ValueError("a signal is wanted, such as TERM, INT, QUIT or HUP")
    return name


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("a path inside the folder is wanted: relative, without '..'")
    return value


Duration = Annotated[float, BeforeValidator(_of(Kind.DURATION))]
Span = Annotated[float, BeforeValidator(_of(Kind.DURATION)), AfterValidator(_positive)]  # a duration above 0
Rate = Annotated[float, BeforeValidator(_of(Kind.RATE)), AfterValidator(_positive)]
Size = Annotated[int, BeforeValidator(_of(Kind.SIZE))]
Ratio = Annotated[float, BeforeValidator(_of(Kind.RATIO))]
Count = Annotated[int, BeforeValidator(_of(Kind.COUNT))]
Several = Annotated[int, BeforeValidator(_of(Kind.COUNT)), Field(ge=1)]
Weight = Annotated[float, BeforeValidator(_of(Kind.NUMBER)), Field(ge=0)]
Flag = StrictBool
Pair = Annotated[tuple[float, float], BeforeValidator(_pair)]  # durations, "5s,20s"
Moments = Annotated[tuple[float, ...], BeforeValidator(_moments)]  # one duration or a list
Codes = Annotated[tuple[int, ...], BeforeValidator(_codes)]
Text = Annotated[StrictStr, Field(min_length=1)]
Plain = Annotated[StrictStr, BeforeValidator(_plain)]  # a text that may be written as a number or true/false
PlainText = Annotated[StrictStr, BeforeValidator(_plain), Field(min_length=1)]  # the same, never empty
Texts = Annotated[tuple[Text, ...], BeforeValidator(_names), AfterValidator(_some)]  # one text or a list
Template = Annotated[Plain, AfterValidator(_template)]
Command = Annotated[tuple[Template, ...], AfterValidator(_some)]
Regex = Annotated[Text, AfterValidator(_regex)]
Signal = Annotated[Text, AfterValidator(_signal)]
Inside = Annotated[Text, AfterValidator(_inside)]
