"""Fills the jinja templates of a plan. A mistake is a StageFailed that names process, key, text and known names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from seatrial.errors import StageFailed
from seatrial.params import nearest

if TYPE_CHECKING:
    import jinja2

_UNDEFINED = re.compile(r"^(?:'.*' has no attribute )?'?([^' ]+)'?(?: is undefined)?$")


class Port(int):
    """A port of the process itself that is named like a process: `port.web` and `port.web.http` both hold."""

    ports: Mapping[str, int]

    def __getitem__(self, name: str) -> int:
        """Return the port of that name of the process that is named like this port. Raises KeyError."""
        return self.ports[name]


def render(text: str, values: Mapping[str, Any], *, process: str, key: str) -> str:
    """Return the text with its templates filled. Raises StageFailed (not-tested) on any mistake in it."""
    if "{" not in text:
        return text
    import jinja2

    try:
        return _environment().from_string(text).render(values)
    except jinja2.TemplateSyntaxError as error:
        raise _mistake(process, key, text, f"{error.message} (line {error.lineno})") from None
    except jinja2.UndefinedError as error:
        raise _mistake(
            process, key, text, f"{error.message}; known names: {_known(values)}{_near(error, values)}"
        ) from None
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise _mistake(process, key, text, f"{type(error).__name__}: {error}") from None


def friendly(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table with each name also in a spelling that a template can write after a dot: my-app as my_app."""
    spelled = {re.sub(r"\W", "_", name): value for name, value in table.items()}
    return {**spelled, **table}


def known_names(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the names that a template may use, with dots."""
    found = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += known_names(value, f"{prefix}{name}.")
        elif not callable(value):
            found.append(f"{prefix}{name}")
    return sorted(found)


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    made = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    made.globals.clear()  # no range, dict, lipsum ...: what is known is what is listed
    made.globals["environ"] = _environ
    return made


def _environ(name: str) -> str:
    """The one door to the environment of seatrial itself."""
    value = os.environ.get(name)
    if value is None:
        raise LookupError(f"environ({name!r}): seatrial's own environment has no variable {name}")
    return value


def _mistake(process: str, key: str, text: str, problem: str) -> StageFailed:
    shown = text if len(text) <= 200 else text[:200] + " ..."
    return StageFailed(f"{process}: {key} = {shown!r}: {problem}", outcome="not-tested")


def _known(values: Mapping[str, Any]) -> str:
    return ", ".join([*known_names(values), "environ('NAME')"])


def _near(error: Exception, values: Mapping[str, Any]) -> str:
    match = _UNDEFINED.match(str(error))
    words = {part for name in known_names(values) for part in (name, *name.split("."))}
    return nearest(match[1], sorted(words)) if match else ""
