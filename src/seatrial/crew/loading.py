"""Loads an app's users module. What is wrong with it becomes one sentence with file and line, never a traceback."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from seatrial.crew.users import User, tasks_of
from seatrial.generate.mix import Mix, mix
from seatrial.params import nearest
from seatrial.plan import Crew, UserClass


class UsersError(Exception):
    """The users module, or what the plan says of it, is wrong. The text is for the one who wrote it."""


def load_module(app_dir: Path, name: str) -> ModuleType:
    """Import the users module of an app by file name ("users.py" or "users"). Raises UsersError."""
    path = app_dir / (name if name.endswith(".py") else f"{name.replace('.', '/')}.py")
    if not path.is_file():
        raise UsersError(f"{path}: no such users module; name an existing file as users.module in app.toml")
    spec = importlib.util.spec_from_file_location("seatrial_users", path)
    if spec is None or spec.loader is None:
        raise UsersError(f"{path}: not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        text = (error.text or "").strip()
        raise UsersError(f"{error.filename}:{error.lineno}: syntax error: {error.msg}: {text}") from None
    except Exception as error:
        raise UsersError(place_of(error, path.parent)) from None
    return module


def place_of(error: BaseException, folder: Path) -> str:
    """Return "file:line: in function: Type: message" of the last frame of an error inside the app's folder."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [f for f in frames if Path(f.filename).is_relative_to(folder)] or frames[-1:]
    message = f"{type(error).__name__}: {error}"
    if not inside:
        return message
    return f"{inside[-1].filename}:{inside[-1].lineno}: in {inside[-1].name}: {message}"


def classes_of(module: ModuleType, crew: Crew) -> list[tuple[type[User], float]]:
    """Return the user classes and their weights: those the plan names, or all that the module defines."""
    defined = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, User) and value.__module__ == module.__name__
    }
    if not crew.classes:
        found = [(cls, float(cls.weight)) for cls in defined.values() if tasks_of(cls)]
        if not found:
            raise UsersError(f"{module.__file__}: no class derives from seatrial.User and has a method marked @task")
        return found
    return [(_named(module, defined, wanted), wanted.weight) for wanted in crew.classes]


def _named(module: ModuleType, defined: Mapping[str, type[User]], wanted: UserClass) -> type[User]:
    if wanted.name not in defined:
        known = ", ".join(defined) or "none"
        hint = nearest(wanted.name, defined)
        raise UsersError(f"{module.__file__}: no user class {wanted.name!r}{hint}; it defines: {known}")
    if not tasks_of(defined[wanted.name]):
        raise UsersError(f"{module.__file__}: class {wanted.name} has no method marked @task")
    return defined[wanted.name]


def mixes_of(tables: Sequence[Mapping[str, float]], wanted: Mapping[str, float], where: str) -> list[Mix]:
    """Return a mix for each class, with the scenario's weights over the module's own. Raises UsersError."""
    known = {name for table in tables for name in table}
    for name in wanted:
        if name not in known:
            text = f"load.mix names a task {name!r} that is not there{nearest(name, known)}"
            raise UsersError(f"{where}: {text}; tasks: {', '.join(sorted(known))}")
    try:
        return [mix({name: wanted.get(name, weight) for name, weight in table.items()}) for table in tables]
    except ValueError as error:
        raise UsersError(f"{where}: tasks: {error}") from None
