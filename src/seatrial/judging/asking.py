"""What a user asks of a judgement: values typed on the command line, and models of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.errors import UsageError
from seatrial.formats.edn import EdnError, Forms


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to judge a recording by, as a user says it. budget_s: seconds; memory: bytes; extra: the model's own."""

    model: str
    nil: str = "wildcard"
    initial: Any = None
    level: str = ""
    budget_s: float = 60.0
    memory: int = 2 << 30
    extra: Mapping[str, Any] | None = None


def value_of(text: str) -> Any:
    """Return a value that a user typed: JSON or EDN (nil, 0, "a", [1 2]); a bare word is text. Raises UsageError."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    forms = Forms(envelope=("[", 1))
    try:
        found = forms.feed(text, last=True)
    except EdnError as error:
        raise UsageError(f"{text}: {error.problem}; JSON or EDN is expected, such as 0, nil or [1 2]") from None
    if len(found) != 1 or not forms.between:
        raise UsageError(f"{text!r} is not one value; JSON or EDN is expected, such as 0, nil or [1 2]")
    return found[0][1]


def own_model(path: str) -> dict[str, Any]:
    """Return what a user's file defines for the model "own": step, and initial and partition when they are there.

    Raises UsageError that says what is wrong with the file.
    """
    file = Path(path)
    names: dict[str, Any] = {"__name__": file.stem, "__file__": str(file)}
    try:
        exec(compile(file.read_bytes(), str(file), "exec"), names)  # the user's own file, named on the command line
    except OSError as error:
        raise UsageError(f"--step {path} cannot be read: {error.strerror}; give a Python file") from None
    except Exception as error:
        raise UsageError(f"--step {path}: {type(error).__name__}: {error}; a Python file is expected") from None
    if not callable(names.get("step")):
        raise UsageError(f"--step {path} defines no step(state, f, arg, value) that returns (ok, next state)")
    return {name: names[name] for name in ("step", "initial", "partition") if name in names}
