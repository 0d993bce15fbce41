"""Loads the compiled search where numba is installed."""

from __future__ import annotations

from typing import Any

from seatrial.judge.linear.problem import Part


def compiled_search(part: Part, memory_bytes: int) -> Any:
    """Return a compiled search of the part, None where numba is not installed."""
    try:
        from seatrial.judge.linear.kernel import KernelSearch
    except ImportError:
        return None
    return KernelSearch(part, memory_bytes)
