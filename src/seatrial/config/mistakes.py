"""Collects every mistake of what a user wrote; pydantic's errors become ours: file, key, value, what is allowed."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from seatrial.errors import Mistake, UsageError
from seatrial.params import nearest

M = TypeVar("M", bound="Strict")
SHOWN_MOST = 80


class Strict(BaseModel):
    """Base of all tables of our files: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


@dataclass(slots=True)
class Book:
    """All mistakes of one reading. `came_from` says which key paths of which file hold the value of a knob."""

    mistakes: list[Mistake] = field(default_factory=list)
    came_from: dict[tuple[str, str], str] = field(default_factory=dict)
    lost: set[tuple[str, str]] = field(default_factory=set)  # keys whose "$knob" has no value; already reported

    def add(self, file: str, key: str, problem: str, *, value: object = None, hint: str = "") -> None:
        """Write down one mistake."""
        knob = self.came_from.get((file, key))
        from_knob = f"the value comes from knob {knob!r}" if knob else ""
        hints = "; ".join(h for h in (hint, from_knob) if h)
        shown = "" if value is None else _shown(value)
        made = Mistake(file=file, key=key, problem=problem, value=shown, hint=hints)
        if made not in self.mistakes:
            self.mistakes.append(made)

    def unknown(self, file: str, key: str, word: str, known: Iterable[str], what: str) -> None:
        """Write down that a name refers to nothing, with what there is."""
        there = sorted(known)
        listed = f"there is: {', '.join(there)}" if there else f"no {what} is declared"
        self.add(file, key, f"no {what} of that name{nearest(word, there)}", value=word, hint=listed)

    def lost_within(self, file: str, key: str) -> bool:
        """Return whether a value at or below the key was lost with its knob, so that its absence is no new mistake."""
        return any(f == file and (k == key or k.startswith((f"{key}.", f"{key}["))) for f, k in self.lost)

    def raise_if_any(self) -> None:
        """Raise UsageError with everything that was found, if anything was."""
        if self.mistakes:
            raise UsageError(self.mistakes)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads tables of one file into models, piece by piece, so that one wrong table hides no mistake of another."""

    file: str
    book: Book

    def model(self, kind: type[M], raw: object, path: str) -> M | None:
        """Return the table as a model, or None after writing down every mistake in it."""
        if not isinstance(raw, Mapping):
            self.book.add(self.file, path, "a table is wanted", value=raw)
            return None
        try:
            return kind.model_validate(dict(raw))
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                self._write(kind, detail, path)
            return None

    def tables(self, kind: type[M], raw: object, path: str) -> dict[str, M]:
        """Return the named tables of a section that are right."""
        if not isinstance(raw, Mapping):
            self.book.add(self.file, path, f"named tables are wanted, such as [{path}.name]", value=raw)
            return {}
        found: dict[str, M] = {}
        for name, table in raw.items():
            self.check_name(name, join(path, name))
            if (made := self.model(kind, table, join(path, name))) is not None:
                found[name] = made
        return found

    def check_name(self, name: str, path: str) -> None:
        """Write down a name that could not be used in templates, targets and file names."""
        if not name or not name[0].isalpha() or not all(c.isalnum() or c in "_-" for c in name) or name == "all":
            self.book.add(
                self.file, path, "a name is letters, digits, '-' and '_', begins with a letter, and is not 'all'"
            )

    def _write(self, kind: type[BaseModel], detail: Any, path: str) -> None:
        problem, value, hint = _words(kind, detail)
        key = path
        for step in detail["loc"]:
            key = f"{key}[{step}]" if isinstance(step, int) else join(key, str(step))
        if detail["type"] not in ("missing", "value_error") or not self.book.lost_within(self.file, key):
            self.book.add(self.file, key, problem, value=value, hint=hint)


def join(path: str, name: str) -> str:
    """Return the key path of a name inside a path."""
    return f"{path}.{name}" if path else name


def known_keys(kind: type[BaseModel]) -> list[str]:
    """Return the keys that a table may have, as they are written in TOML."""
    return [f.alias or name for name, f in kind.model_fields.items()]


_SIMPLE = {
    "string_type": "a text is wanted",
    "bool_type": "true or false is wanted",
    "int_type": "a whole number is wanted",
    "float_type": "a number is wanted",
    "tuple_type": 'a list is wanted, such as ["one", "two"]',
    "list_type": 'a list is wanted, such as ["one", "two"]',
    "dict_type": "a table is wanted",
    "model_type": "a table is wanted",
    "missing": "must be given",
    "string_too_short": "must not be empty; leave the key out to mean unset",
    "too_short": "must not be empty; leave the key out to mean unset",
}


def _words(kind: type[BaseModel], detail: Any) -> tuple[str, object, str]:
    code, value = detail["type"], detail.get("input")
    if code == "extra_forbidden":
        keys = known_keys(_model_at(kind, detail["loc"][:-1]))
        word = str(detail["loc"][-1])
        return f"unknown key{nearest(word, keys)}", None, f"known keys: {', '.join(sorted(keys))}"
    if code == "missing":
        return _SIMPLE[code], None, ""
    if code == "literal_error":
        allowed = [w.strip().strip("'") for w in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return f"one of {', '.join(allowed)} is wanted{nearest(str(value), allowed)}", value, ""
    if code == "value_error":
        whole_table = isinstance(value, Mapping)
        return str(detail["ctx"]["error"]), None if whole_table else value, ""
    return _SIMPLE.get(code) or detail["msg"][:1].lower() + detail["msg"][1:], value, ""


def _model_at(kind: type[BaseModel], loc: tuple[Any, ...]) -> type[BaseModel]:
    for step in loc:
        found = kind.model_fields.get(step) if isinstance(step, str) else None
        if found is not None:
            kind = _model_in(found.annotation) or kind
    return kind


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in typing.get_args(annotation):
        if (found := _model_in(part)) is not None:
            return found
    return None


def _shown(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= SHOWN_MOST else text[: SHOWN_MOST - 3] + "..."
