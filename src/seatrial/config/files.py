"""Finds and reads the files a user wrote: app.toml, scenarios, modules. TOML errors give file:line."""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from seatrial.config.mistakes import Book
from seatrial.errors import UsageError
from seatrial.params import nearest

_AT = re.compile(r"\(at line (\d+), column (\d+)\)|\(at end of document\)")


@dataclass(frozen=True, slots=True)
class Source:
    """One TOML document: the name that mistakes show, and its tables."""

    file: str
    raw: dict[str, Any]


def find_app(app: str | Path) -> Path:
    """Return the folder of an app, given as a folder, its app.toml, or a name under apps/. Raises UsageError."""
    given = Path(app)
    if given.name == "app.toml" and given.is_file():
        return given.parent.resolve()
    for folder in (given, Path("apps") / given):
        if (folder / "app.toml").is_file():
            return folder.resolve()
    if given.is_dir():
        raise UsageError(f"{given} has no app.toml; `seatrial init {given}` writes one to begin with")
    names = app_names()
    listed = f"apps here: {', '.join(names)}" if names else "there is no apps/ folder here"
    raise UsageError(f"no app {str(app)!r}: neither a folder with app.toml nor a name under apps/; {listed}")


def app_names() -> list[str]:
    """Return the names of the apps under ./apps."""
    return sorted(p.parent.name for p in Path("apps").glob("*/app.toml"))


def scenario_files(app_dir: Path) -> dict[str, Path]:
    """Return the scenario files that an app can be given, by name: its own, and the shared ones of the package."""
    shared = Path(str(package_files("seatrial"))) / "scenarios"
    found = {p.stem: p for p in sorted(shared.glob("*.toml"))}
    found.update({p.stem: p for p in sorted((app_dir / "scenarios").glob("*.toml"))})
    return found


def find_scenario(app_dir: Path, name: str) -> Path:
    """Return the file of a scenario by name. Raises UsageError with the names there are."""
    there = scenario_files(app_dir)
    if name in there:
        return there[name]
    if name.endswith(".toml") and Path(name).is_file():
        return Path(name)
    raise UsageError(
        f"no scenario {name!r} for {app_dir.name}{nearest(name, there)}; there is: {', '.join(sorted(there)) or 'none'}"
    )


def read_toml(path: Path, shown: str, book: Book) -> Source:
    """Return the document; a file that cannot be read or parsed is one mistake, and an empty document."""
    try:
        return Source(shown, tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        book.add(_with_line(shown, str(error), path), "TOML", _AT.sub("", str(error)).strip().rstrip("."))
    except UnicodeDecodeError as error:
        book.add(shown, "TOML", f"not UTF-8 text: byte {error.start}")
    except OSError as error:
        book.add(shown, "file", f"cannot be read: {error.strerror}")
    return Source(shown, {})


def read_text(app_dir: Path, name: str, file: str, key: str, book: Book) -> str | None:
    """Return the text of a file of the app folder, or None after writing down why it cannot be read."""
    try:
        return (app_dir / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        book.add(file, key, f"this file of the app folder cannot be read: {why}", value=name)
        return None


def module_names(text: str, name: str, key: str, file: str, book: Book) -> set[str] | None:
    """Return the classes and functions of a Python module; None after writing down that it does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 0
        book.add(file, key, f"does not parse: {name}:{line}: {getattr(error, 'msg', error)}", value=name)
        return None
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    imported = [a.asname or a.name for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names]
    return {n.name for n in tree.body if isinstance(n, kinds)} | set(imported)


def _with_line(shown: str, message: str, path: Path) -> str:
    match = _AT.search(message)
    if match and match[1]:
        return f"{shown}:{match[1]}"
    return f"{shown}:{path.read_text(encoding='utf-8').count(chr(10)) + 1}"
