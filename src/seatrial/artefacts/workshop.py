"""What every provider works with: the cache, the clock, the app's folder; and reading of provider options."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from seatrial.artefacts.cache import Cache
from seatrial.clock import Clock
from seatrial.errors import Mistake, UsageError
from seatrial.params import Param, check, nearest
from seatrial.plan import Artefact


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Handed to the constructor of every provider. base: the app's folder, for relative paths in options."""

    cache: Cache
    clock: Clock
    base: Path


def label(artefact: Artefact) -> str:
    """Return how the artefact is called in progress and errors, e.g. "radicale 3.9.0"."""
    return f"{artefact.package} {artefact.version}".strip()


def mistake(artefact: Artefact, key: str, problem: str, *, value: str = "", hint: str = "") -> Mistake:
    """Return a mistake in the artefact's entry of app.toml."""
    place = f"artefacts.{artefact.name}.{key}" if key else f"artefacts.{artefact.name}"
    return Mistake(file="app.toml", key=place, problem=problem, value=value, hint=hint)


def options(artefact: Artefact, known: Sequence[Param]) -> dict[str, Any]:
    """Return the artefact's options, parsed, with defaults. Raises UsageError with every mistake."""
    table, found, mistakes = {param.name: param for param in known}, {}, []
    for name, value in artefact.options.items():
        try:
            if name not in table:
                raise ValueError(f"unknown option{nearest(name, table)}; known: {', '.join(sorted(table))}")
            found[name] = check(table[name], value)
        except ValueError as error:
            mistakes.append(mistake(artefact, name, str(error), value=repr(value)))
    if mistakes:
        raise UsageError(mistakes)
    return {**{param.name: param.default for param in known}, **found}


def key(**facts: Any) -> str:
    """Return a short digest of everything that decides what is installed."""
    return hashlib.sha256(msgspec.json.encode(facts, order="deterministic")).hexdigest()[:16]
