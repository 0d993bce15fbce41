"""Who does what: users by class, and the weighted choice of a task for op n of user u. Pure, from the seed alone.

A choice depends on (seed, user, number) and on nothing that happened before, so that it is the same with any number
of workers, in any order, and after any failure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_FLOAT = 2.0**-53


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit numbers (the finisher of splitmix64); overflow is meant."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _mixed_one(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def stream(seed: int, *purpose: object) -> int:
    """Return the 64-bit start of a stream of numbers for one purpose, independent of all others."""
    text = "/".join(str(p) for p in (seed, *purpose)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def uniforms(seed: int, purpose: bytes, start: int, count: int) -> NDArray[np.float64]:
    """Return numbers start .. start+count of the stream, each in [0, 1)."""
    state = np.uint64(stream(seed, purpose.decode()))
    numbers = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    return (_mixed(state + numbers * np.uint64(_STEP)) >> np.uint64(11)).astype(np.float64) * _FLOAT


def uniform(state: int, number: int) -> float:
    """Return one number of the stream that `stream` gave, in [0, 1); the same as in `uniforms`."""
    return (_mixed_one((state + (number + 1) * _STEP) & _MASK) >> 11) * _FLOAT


@dataclass(frozen=True, slots=True)
class Mix:
    """Names with their shares as rising sums that end at 1."""

    names: tuple[str, ...]
    edges: tuple[float, ...]

    def pick(self, state: int, number: int) -> int:
        """Return which name the stream chooses for a number."""
        if len(self.edges) == 1:
            return 0
        x = uniform(state, number)
        for index, edge in enumerate(self.edges):
            if x < edge:
                return index
        return len(self.edges) - 1

    def picks(self, state: int, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return `pick` for many numbers at once."""
        return self.picks_of(np.full(len(numbers), state, dtype=np.uint64), numbers)

    def picks_of(self, states: NDArray[np.uint64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return `pick` for many streams, each with its number."""
        mixed = _mixed(states + (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(_STEP))
        x = (mixed >> np.uint64(11)).astype(np.float64) * _FLOAT
        return np.minimum(np.searchsorted(self.edges, x, side="right"), len(self.edges) - 1).astype(np.int64)


def mix(weights: Mapping[str, float]) -> Mix:
    """Return a mix of names by weight; names of weight 0 are never chosen.

    Raises ValueError when no weight is above 0 or one is below.
    """
    wrong = [f"{name} = {weight:g}" for name, weight in weights.items() if not weight >= 0]
    if wrong:
        raise ValueError(f"a weight must be 0 or more: {', '.join(wrong)}")
    kept = {name: weight for name, weight in weights.items() if weight > 0}
    if not kept:
        raise ValueError("no weight is above 0, so there is nothing to choose")
    total, reached, edges = sum(kept.values()), 0.0, []
    for weight in kept.values():
        reached += weight
        edges.append(reached / total)
    edges[-1] = 1.0
    return Mix(tuple(kept), tuple(edges))


def assign(weights: Sequence[float], users: int) -> list[int]:
    """Return the class of each user, evenly interleaved: after any number of users, shares are right within one user.

    Raises ValueError when no weight is above 0.
    """
    if not weights or max(weights) <= 0 or min(weights) < 0:
        raise ValueError("classes of users need weights of 0 or more, at least one of them above 0")
    total, credit, out = sum(weights), [0.0] * len(weights), []
    for _ in range(users):
        credit = [c + w for c, w in zip(credit, weights, strict=True)]
        best = max(range(len(weights)), key=lambda k: (credit[k], -k))
        credit[best] -= total
        out.append(best)
    return out
