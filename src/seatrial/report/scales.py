"""Scales and SVG paths of the charts: numbers in, path text out. The drawing area is 1000 wide and 100 high."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDE, HIGH = 1000.0, 100.0
_HEADROOM = 0.06  # share of the height that stays free above the highest value

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A value axis: linear from 0, or logarithmic. ticks: values that get a line and a label."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def share(self, values: Floats) -> Floats:
        """Return where values lie, 0 at the bottom and 1 at the top, clipped; NaN stays NaN."""
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                share = np.log10(values / self.low) / math.log10(self.high / self.low)
        else:
            share = (values - self.low) / (self.high - self.low)
        return np.clip(share, 0, 1)

    def y(self, values: Floats) -> Floats:
        """Return the height in the drawing area, which counts from the top."""
        return HIGH - self.share(values) * HIGH

    def tick_places(self, show: Callable[[float], str]) -> list[tuple[float, str]]:
        """Return each tick's distance from the top in percent, and its label."""
        tops = self.y(np.array(self.ticks, dtype=np.float64))
        return [(round(float(top), 2), show(tick)) for top, tick in zip(tops, self.ticks, strict=True)]


def linear(highest: float, binary: bool = False) -> Scale:
    """Return a scale from 0 to a little above `highest`, with two to four round ticks; binary: powers of two."""
    top = highest if math.isfinite(highest) and highest > 0 else 1.0
    step = _round_step(top / 3, binary)
    ticks = tuple(step * i for i in range(math.floor(top * (1 + _HEADROOM) / step) + 1))
    return Scale(low=0.0, high=top * (1 + _HEADROOM), log=False, ticks=ticks)


def _round_step(wanted: float, binary: bool) -> float:
    if binary and wanted >= 1:
        return float(2 ** math.ceil(math.log2(wanted) - 0.5))
    power: float = 10.0 ** math.floor(math.log10(wanted))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= wanted * 0.75)


def logarithmic(lowest: float, highest: float) -> Scale:
    """Return a scale of whole decades around the values, with a tick for each decade or for every second one."""
    low = math.floor(math.log10(lowest)) if lowest > 0 else -6
    high = max(math.ceil(math.log10(highest)) if highest > 0 else low + 1, low + 1)
    every = 1 if high - low <= 5 else 2
    ticks = tuple(10.0**p for p in range(low, high + 1, every))
    return Scale(low=10.0**low, high=10.0**high, log=True, ticks=ticks)


def time_ticks(length_s: float, most: int = 8) -> list[float]:
    """Return round offsets in seconds from 0 to the length, at most `most` of them."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
    step = next((s for s in steps if length_s / s <= most), steps[-1] * math.ceil(length_s / steps[-1] / most))
    return [round(i * step, 3) for i in range(int(length_s / step) + 1)]


def bars(base: Floats, top: Floats, least: float = 0.0) -> str:
    """Return the path of one bar a bucket, from height `base` to height `top` (y values); empty bars are left out.

    least: the smallest height a bar is drawn with, so that one failure in a million is still seen.
    """
    width = WIDE / max(len(base), 1)
    drawn = width + 0.3  # a little into the next bucket, so that rounding leaves no hairline between them
    parts = []
    for i in np.flatnonzero(base - top > 1e-9):
        upper = min(top[i], base[i] - least)
        parts.append(f"M{i * width:.2f} {base[i]:.2f}V{upper:.2f}h{drawn:.2f}V{base[i]:.2f}z")
    return "".join(parts)


def line(heights: Floats, reach: int = 1) -> str:
    """Return the path of a line through the middles of the buckets.

    It breaks where more than `reach` buckets in a row have no value; a value that stands alone becomes a short dash.
    """
    width = WIDE / max(len(heights), 1)
    known = np.flatnonzero(~np.isnan(heights))
    parts: list[str] = []
    for place, i in enumerate(known):
        joined = place > 0 and i - known[place - 1] <= reach
        follows = place + 1 < len(known) and known[place + 1] - i <= reach
        if joined:
            parts.append(f"L{(i + 0.5) * width:.1f} {heights[i]:.1f}")
        elif follows:
            parts.append(f"M{(i + 0.5) * width:.1f} {heights[i]:.1f}")
        else:
            parts.append(f"M{i * width:.1f} {heights[i]:.1f}h{width:.1f}")
    return "".join(parts)


def usual_spacing(values: Floats) -> int:
    """Return the usual distance, in buckets, between known values of a sampled line; at least 1."""
    known = np.flatnonzero(~np.isnan(values))
    return int(np.ceil(np.median(np.diff(known)))) if len(known) > 1 else 1
