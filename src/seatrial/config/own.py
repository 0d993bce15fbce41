"""The keys of an entry that belong to its kind (fault, check, provider), held against the table of its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seatrial.config.mistakes import Book, join
from seatrial.params import Kind, Param, check, nearest, parse


def split(table: Mapping[str, Any], shared: set[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keys that all entries share, and the others."""
    common = {k: v for k, v in table.items() if k in shared}
    return common, {k: v for k, v in table.items() if k not in shared}


def read_own(
    book: Book, file: str, path: str, given: Mapping[str, Any], declared: Iterable[Param], shared: set[str], whose: str
) -> dict[str, Any]:
    """Return the given parameters, parsed; every unknown, wrong or missing one is written down."""
    table, found = {p.name: p for p in declared}, {}
    for name, value in given.items():
        key = join(path, name)
        if name not in table:
            known = sorted({*table, *shared})
            own = ", ".join(sorted(table)) or "none of its own"
            listed = f"{whose} has: {own}; every one has: {', '.join(sorted(shared))}"
            book.add(file, key, f"unknown key{nearest(name, known)}", hint=listed)
        elif value == "":
            book.add(file, key, "must not be empty; leave the key out to get the default", hint=table[name].help)
        else:
            try:
                found[name] = check(table[name], value)
            except ValueError as error:
                book.add(file, key, str(error), value=value, hint=table[name].help)
    for name, param in table.items():
        if name not in given and param.required and (file, join(path, name)) not in book.lost:
            book.add(file, join(path, name), f"must be given for {whose}", hint=param.help)
    return found


def with_defaults(params: Mapping[str, Any], declared: Iterable[Param]) -> dict[str, Any]:
    """Return the parameters with every declared default that is not None."""
    defaults = {p.name: default_of(p) for p in declared if p.default is not None}
    return listed({**defaults, **params})


def default_of(param: Param) -> Any:
    """Return a declared default as a parsed value; it may be declared parsed or as a person would write it."""
    quantity = param.kind not in (Kind.TEXT, Kind.TEXTS)
    return parse(param.kind, param.default) if quantity and isinstance(param.default, str) else param.default


def listed(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with lists for tuples, as a saved plan has them when it is read again."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in params.items()}
