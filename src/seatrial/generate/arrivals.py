"""When arrivals happen: the whole schedule up front, as int64 nanoseconds after the start. Pure; the seed is handed in.

An arrival belongs to the schedule when its offset is below the length. Rates are taken as exact fractions, and every
offset is computed from its own number, never from the one before, so nothing drifts over any length.
"""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from seatrial.generate.mix import uniforms
from seatrial.plan import Arrivals

NS = 1_000_000_000
_CHUNK = 1 << 16
_FINEST = 1_000_000  # denominators up to this: "1/m" is exactly 1/60 per second, not its nearest float

Int64s = NDArray[np.int64]


def exact(number: float) -> Fraction:
    """Return the simple fraction that a float stands for: 0.1 is 1/10, 1/60 from a division is 1/60."""
    return Fraction(number).limit_denominator(_FINEST)


def schedule(arrivals: Arrivals, length_s: float, seed: int) -> Int64s:
    """Return the offsets of all arrivals of an open model, ascending, in ns. Empty for a closed model.

    Raises ValueError for a pattern that is not known or a rate that never arrives.
    """
    if arrivals.model == "closed":
        return np.empty(0, dtype=np.int64)
    if arrivals.pattern == "constant":
        return constant(arrivals.rate, length_s)
    if arrivals.pattern == "poisson":
        return poisson(arrivals.rate, length_s, seed)
    if arrivals.pattern == "ramp":
        return ramp(arrivals.rate, arrivals.rate_to, length_s)
    if arrivals.pattern == "burst":
        return burst(arrivals.burst_size, arrivals.burst_every_s, length_s)
    raise ValueError(f"arrival pattern {arrivals.pattern!r} is not one of constant, poisson, ramp, burst")


def constant(rate: float, length_s: float) -> Int64s:
    """Return arrival i at exactly i / rate seconds, rounded down to a nanosecond."""
    per_s = _positive(exact(rate), "a constant rate")
    count = _ceil(exact(length_s) * per_s)
    return _multiples(Fraction(NS) / per_s, count)


def burst(size: int, every_s: float, length_s: float) -> Int64s:
    """Return `size` arrivals at once at 0, every_s, 2 * every_s ..."""
    every = _positive(exact(every_s), "the time between bursts")
    if size <= 0:
        raise ValueError(f"a burst of {size} arrivals never arrives; give burst_size 1 or more")
    moments = _multiples(every * NS, _ceil(exact(length_s) / every))
    return np.repeat(moments, size)


def ramp(rate: float, rate_to: float, length_s: float) -> Int64s:
    """Return arrivals whose rate goes evenly from `rate` to `rate_to`: the inverse of the integrated rate.

    The count is exact: the area under the rate, rounded up.
    """
    first, last, length = exact(rate), exact(rate_to), exact(length_s)
    if first < 0 or last < 0:
        raise ValueError(f"a ramp from {rate:g}/s to {rate_to:g}/s has a negative rate")
    area = _positive((first + last) / 2 * length, "the area of a ramp")
    number = np.arange(_ceil(area), dtype=np.float64)
    slope = float((last - first) / length)
    under = np.sqrt(np.maximum(float(first) ** 2 + 2.0 * slope * number, 0.0))
    below = float(first) + under
    seconds = np.divide(2.0 * number, below, out=np.zeros_like(number), where=below > 0)
    return np.minimum((seconds * NS).astype(np.int64), int(length * NS) - 1)


def poisson(rate: float, length_s: float, seed: int) -> Int64s:
    """Return a Poisson process: independent exponential gaps of mean 1 / rate, from the seed alone."""
    per_s = float(_positive(exact(rate), "a Poisson rate"))
    end = length_s * NS
    parts: list[NDArray[np.float64]] = []
    reached, drawn = 0.0, 0
    while reached < end:
        gaps = -np.log1p(-uniforms(seed, b"arrivals", drawn, _CHUNK)) * (NS / per_s)
        moments = reached + np.cumsum(gaps)
        parts.append(moments)
        reached, drawn = float(moments[-1]), drawn + _CHUNK
    return np.concatenate(parts)[: _below(parts, end)].astype(np.int64) if parts else np.empty(0, dtype=np.int64)


def of_shard(offsets: Int64s, users: int, worker: int, workers: int) -> Int64s:
    """Return which arrivals a worker makes: arrival i is for user i mod users, user u is of worker u mod workers."""
    numbers: Int64s = np.arange(len(offsets), dtype=np.int64)
    mine: Int64s = numbers[(numbers % users) % workers == worker]
    return mine


def first_starts(users: int, jitter_s: float, seed: int) -> Int64s:
    """Return when each user of a closed model starts, in ns after the start: spread evenly over the jitter."""
    return (uniforms(seed, b"start", 0, users) * jitter_s * NS).astype(np.int64)


def digest(offsets: Int64s) -> str:
    """Return a short hash of a schedule, for the record of a run."""
    return hashlib.sha256(offsets.astype("<i8").tobytes()).hexdigest()[:16]


def _positive(value: Fraction, what: str) -> Fraction:
    if value <= 0:
        raise ValueError(f"{what} of {float(value):g} never arrives; it must be above 0")
    return value


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)


def _below(parts: list[NDArray[np.float64]], end: float) -> int:
    whole = sum(len(p) for p in parts[:-1])
    return whole + int(np.searchsorted(parts[-1], end, side="left"))


def _multiples(step: Fraction, count: int) -> Int64s:
    """Return floor(i * step) for i below count, exactly: by chunks, so that no product leaves 64 bits."""
    out = np.empty(max(count, 0), dtype=np.int64)
    whole, rest = divmod(step.numerator, step.denominator)
    for start in range(0, count, _CHUNK):
        stop = min(start + _CHUNK, count)
        base, carried = divmod(start * step.numerator, step.denominator)
        i = np.arange(stop - start, dtype=np.int64)
        out[start:stop] = base + i * whole + (carried + i * rest) // step.denominator
    return out
