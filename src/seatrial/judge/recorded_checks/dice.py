"""Repeatable chance for the self-tests: a small generator of numbers that is handed its seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
_MASK = (1 << 64) - 1


class Dice:
    """A splitmix64 generator: the same seed throws the same."""

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def roll(self, sides: int) -> int:
        """Return a number from 0 to sides - 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return (z ^ (z >> 31)) % sides

    def one_in(self, sides: int) -> bool:
        """Return True once in `sides` throws."""
        return self.roll(sides) == 0

    def pick(self, items: Sequence[T]) -> T:
        """Return one of the items."""
        return items[self.roll(len(items))]
