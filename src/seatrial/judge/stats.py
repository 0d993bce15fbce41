"""The few statistics that checks need: intervals for shares and quantiles, and a slope that noise does not fool."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054


def wilson(good: int, total: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share; (0, 1) of nothing."""
    if not total:
        return 0.0, 1.0
    share, z2 = good / total, Z95 * Z95
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def quantile(ordered: NDArray[Any], q: float) -> float:
    """Return the q-quantile of ascending values as one of them: the smallest with at least that share at or below."""
    return float(ordered[max(0, math.ceil(q * len(ordered) - 1e-9) - 1)])


def quantile_interval(ordered: NDArray[Any], q: float) -> tuple[float, float]:
    """Return the 95 % order-statistic interval of a quantile of ascending values."""
    count = len(ordered)
    half = Z95 * math.sqrt(count * q * (1 - q))
    low = min(count - 1, max(0, math.floor(count * q - half)))
    high = min(count - 1, max(0, math.ceil(count * q + half)))
    return float(ordered[low]), float(ordered[high])


def tail_needed(q: float, beyond: int) -> int:
    """Return how many samples it takes to have `beyond` of them above the q-quantile."""
    return math.ceil(beyond / max(1e-9, 1 - q) - 1e-6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """A robust slope per unit of x, with its 95 % interval."""

    value: float
    low: float
    high: float


def floors(x: NDArray[Any], y: NDArray[Any], blocks: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return for each of the blocks the mean x and the 10th percentile of y: what stays after collection and caches."""
    parts = [p for p in np.array_split(np.arange(len(x)), blocks) if len(p)]
    middle = np.array([float(np.mean(x[p])) for p in parts])
    low = np.array([float(np.percentile(y[p], 10)) for p in parts])
    return middle, low


def theil_sen(x: NDArray[np.float64], y: NDArray[np.float64]) -> Slope:
    """Return the median of all pairwise slopes with Sen's interval. At most some hundred points; at least 2."""
    first, second = np.triu_indices(len(x), k=1)
    run = x[second] - x[first]
    slopes = np.sort((y[second] - y[first])[run > 0] / run[run > 0])
    if not len(slopes):
        return Slope(value=0.0, low=0.0, high=0.0)
    count = len(x)
    spread = Z95 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, math.floor((len(slopes) - spread) / 2))
    high = min(len(slopes) - 1, math.ceil((len(slopes) + spread) / 2))
    return Slope(value=float(np.median(slopes)), low=float(slopes[low]), high=float(slopes[high]))
