"""The table of models for recorded histories: name -> where its checker is, what it judges. Loaded when used."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import import_module

from seatrial.errors import UsageError
from seatrial.judge.modelling import ModelCheck


@dataclass(frozen=True, slots=True)
class Model:
    """One row: "module:function" of a ModelCheck, what it judges in a few words, and what its ops look like.

    The module may have `selftest(n, seed) -> dict[str, Any]`: figures of its differential and mutation tests.
    """

    check: str
    summary: str
    ops: str = ""


MODELS: dict[str, Model] = {}


def load(name: str) -> ModelCheck:
    """Return the checker of a model. Raises UsageError for a name that is not in the table."""
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, 1)
        hint = f"did you mean {near[0]!r}?" if near else "`seatrial history models` lists them"
        raise UsageError(f"--model {name}: no such model; {hint}")
    module, _, function = MODELS[name].check.partition(":")
    found: ModelCheck = getattr(import_module(module), function)
    return found
