"""Knobs: typed values with defaults and ranges that a scenario or an app declares, and that "$name" stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from seatrial import plan
from seatrial.config.fields import Text
from seatrial.config.files import Source
from seatrial.config.mistakes import Book, Reader, Strict, join
from seatrial.params import Kind, Param, check, nearest

_REFERENCE = re.compile(r"^\$([a-z][a-z0-9_]*)$")
_EMBEDDED = re.compile(r"\{\{-?\s*knob\.(\w+)\s*-?\}\}")
_TAG = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
_IN_TAG = re.compile(r"\bknob\.(\w+)")
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_TYPED = {Kind.FLAG, Kind.COUNT, Kind.NUMBER, Kind.TEXTS}  # the others keep their text with its unit


class KnobTable(Strict):
    """[knobs.<name>]: a knob. No default means that it must be set."""

    kind: Literal["duration", "rate", "size", "ratio", "count", "number", "text", "flag", "texts"]
    default: Any = None
    least: Any = None
    most: Any = None
    choices: tuple[Text, ...] = ()
    help: Text = ""


@dataclass(frozen=True, slots=True)
class Value:
    """The effective value of a knob: as written, parsed, and where it came from."""

    param: Param
    written: Any
    parsed: Any
    origin: str

    @property
    def text(self) -> str:
        """Return the value as text with its unit, as the user wrote it."""
        if isinstance(self.written, bool):
            return str(self.written).lower()
        return ",".join(self.written) if isinstance(self.written, (list, tuple)) else str(self.written)

    @property
    def stands_for(self) -> Any:
        """Return what replaces "$name"."""
        if self.param.kind in _TYPED:
            return list(self.parsed) if self.param.kind is Kind.TEXTS else self.parsed
        return self.written


@dataclass(slots=True)
class Knobs:
    """The knobs of one plan, while it is read."""

    book: Book
    params: dict[str, Param] = field(default_factory=dict)
    homes: dict[str, tuple[str, str]] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)

    def declare(self, source: Source, origin: str) -> None:
        """Read [knobs] of a file, with their defaults."""
        raw = source.raw.get("knobs", {})
        if not isinstance(raw, Mapping):
            self.book.add(source.file, "knobs", "named tables are wanted, such as [knobs.users]", value=raw)
            return
        for name, table in raw.items():
            self._declare(source.file, name, table, origin)

    def give(self, file: str, path: str, name: str, written: Any, origin: str) -> None:
        """Set a knob; a wrong name or value is written down."""
        key = join(path, name)
        if name in self.broken and name not in self.params:
            return  # its declaration was already reported
        if (param := self.params.get(name)) is None:
            listed = f"knobs: {', '.join(sorted(self.params))}" if self.params else "no knob is declared"
            self.book.add(file, key, f"no such knob{nearest(name, self.params)}", value=written, hint=listed)
            return
        if written == "":
            self.book.add(file, key, "must not be empty; leave it out to get the default", hint=param.help)
            return
        try:
            self.values[name] = Value(param, written, check(param, written), origin)
        except ValueError as error:
            self.book.add(file, key, str(error), value=written, hint=param.help)
            self.broken.add(name)  # what uses it is not reported again

    def require_all(self) -> None:
        """Write down every knob that has no value."""
        for name in self.params:
            if name not in self.values and name not in self.broken:
                file, key = self.homes[name]
                self.book.add(file, key, "has no default and was not set", hint=f"give --set {name}=...")
                self.broken.add(name)

    def fill(self, source: Source) -> Source:
        """Return the document with "$name" and {{ knob.name }} replaced; what refers to nothing is written down."""
        rest = {k: v for k, v in source.raw.items() if k not in ("knobs", "set", "scenarios")}
        filled = {k: self._fill(v, source.file, k) for k, v in rest.items()}
        return Source(source.file, {k: v for k, v in filled.items() if v is not _LOST})

    def check_used(self, users: str) -> None:
        """Write down knobs that nothing uses: neither a "$name", a template, nor the users module (its text)."""
        meant = {near[0] for word in self.used - set(self.params) if (near := get_close_matches(word, self.params, 1))}
        for name in self.params:
            if name not in self.used | meant and not re.search(rf"\b{name}\b", users):
                file, key = self.homes[name]
                self.book.add(file, key, f'nothing uses this knob; use it as "${name}" or {{{{ knob.{name} }}}}')

    def effective(self) -> tuple[plan.Knob, ...]:
        """Return every knob with value and origin, by name."""
        return tuple(
            plan.Knob(name=n, value=v.text, origin=v.origin, kind=v.param.kind.value, help=v.param.help)
            for n, v in sorted(self.values.items())
        )

    def _declare(self, file: str, name: str, table: Any, origin: str) -> None:
        path = f"knobs.{name}"
        if name in self.params:
            self.book.add(file, path, f"declared twice; the other one is in {self.homes[name][0]}")
            return
        if not _NAME.match(name):
            self.book.add(file, path, "a knob's name is small letters, digits and '_', and begins with a letter")
        made = Reader(file, self.book).model(KnobTable, table, path)
        if made is None:
            self.broken.add(name)
            return
        param = self._param(file, path, name, made)
        if param is None:
            self.broken.add(name)
            return
        self.params[name], self.homes[name] = param, (file, path)
        if made.default is not None:
            self.give(file, path, name, made.default, origin) if made.default != "" else self._empty(file, path, name)

    def _empty(self, file: str, path: str, name: str) -> None:
        self.book.add(file, f"{path}.default", "must not be empty; leave it out to mean that the knob must be set")
        self.broken.add(name)

    def _param(self, file: str, path: str, name: str, made: KnobTable) -> Param | None:
        kind = Kind(made.kind)
        bounds: dict[str, Any] = {}
        for side in ("least", "most"):
            given = getattr(made, side)
            try:
                bounds[side] = None if given is None else check(Param(name=side, kind=kind, help=""), given)
            except ValueError as error:
                self.book.add(file, f"{path}.{side}", str(error), value=given)
                return None
        if kind in (Kind.TEXT, Kind.TEXTS, Kind.FLAG) and (bounds["least"] is not None or bounds["most"] is not None):
            self.book.add(file, path, f"`least` and `most` mean nothing for kind {kind.value!r}; use `choices`")
            return None
        return Param(name=name, kind=kind, help=made.help, default=made.default, choices=made.choices, **bounds)

    def _fill(self, value: Any, file: str, path: str) -> Any:
        if isinstance(value, dict):
            filled = {k: self._fill(v, file, join(path, k)) for k, v in value.items()}
            return {k: v for k, v in filled.items() if v is not _LOST}
        if isinstance(value, list):
            items = [self._fill(v, file, f"{path}[{n}]") for n, v in enumerate(value)]
            return _LOST if any(v is _LOST for v in items) else items
        if not isinstance(value, str):
            return value
        match = _REFERENCE.match(value)
        return self._value_of(match[1], file, path, value) if match else self.embed(value, file, path)

    def embed(self, text: str, file: str, path: str) -> str:
        """Return a text with every {{ knob.name }} in it replaced; also for files that a process is configured by."""
        if "knob." not in text:
            return text

        def one(match: re.Match[str]) -> str:
            found = self._value_of(match[1], file, path, match[0])
            return "" if found is _LOST else self.values[match[1]].text

        filled = _EMBEDDED.sub(one, text)
        for tag in _TAG.findall(filled):  # {% if knob.x %} and the like are filled when the process is started
            for name in _IN_TAG.findall(tag):
                self._value_of(name, file, path, tag)
        return filled

    def _value_of(self, name: str, file: str, path: str, written: str) -> Any:
        self.used.add(name)
        if name in self.values:
            self.book.came_from[(file, path)] = name
            return self.values[name].stands_for
        if name not in self.broken:
            listed = f"knobs: {', '.join(sorted(self.params))}" if self.params else "no knob is declared"
            self.book.add(file, path, f"no such knob{nearest(name, self.params)}", value=written, hint=listed)
        self.book.lost.add((file, path))
        return _LOST  # the key is left out, so that one wrong knob is one mistake


_LOST: Any = object()
