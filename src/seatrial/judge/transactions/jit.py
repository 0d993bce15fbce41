"""Plain kernels for small histories, the same functions compiled for large ones (when numba is installed)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

WORTH = 2_000_000  # steps of a loop below which loading the compiler costs more than it saves


def kernel(function: Callable[..., Any], steps: int) -> Callable[..., Any]:
    """Return the function itself, or its compiled twin when the loop is long enough to pay for loading it."""
    if steps < WORTH or not _available():
        return function
    return _compiled(function)


@cache
def _available() -> bool:
    return find_spec("numba") is not None


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    numba = import_module("numba")
    made: Callable[..., Any] = numba.njit(cache=True, nogil=True)(function)
    return made
