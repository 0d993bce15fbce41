"""Zones for registers held as columns: many keys in one pass, compiled when there are enough ops to pay for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

WORTH = 300_000  # ops below which loading the compiler costs more than it saves
FAR = 1 << 62


def zones_hold(cluster: Any, write: Any, start: Any, end: Any, object_of: Any) -> int | None:
    """Judge registers whose values are written once. Returns None when all are linearizable, else a bad cluster.

    Columns, one row a completed op: cluster (number of its (object, value) pair, from 0), write (is it the write),
    start, end (positions, from 0). object_of[c] is the number of the object of cluster c. The initial value of an
    object is a cluster too; its write has start = end = -1. Raises ValueError when a cluster has two writes.
    """
    import numpy as np

    count = len(object_of)
    low, high, begun = np.full(count, FAR), np.full(count, -FAR), np.full(count, FAR)
    bad = _scan(len(cluster))(cluster, write, start, end, low, high, begun)
    if bad <= -2:
        raise ValueError(f"value {-2 - bad} is written twice")
    if bad >= 0:
        return int(bad)
    span = int(max(end.max(initial=0), start.max(initial=0))) + 3
    shift = np.asarray(object_of, np.int64) * span
    live = low < FAR  # objects follow each other on one line of time, so one sweep serves all
    forward = np.flatnonzero(live & (low < high))
    order = forward[np.argsort(low[forward] + shift[forward], kind="stable")]
    begins, ends = low[order] + shift[order], high[order] + shift[order]
    overlap = np.flatnonzero(begins[1:] < ends[:-1])
    if len(overlap):
        return int(order[overlap[0]])
    inner = np.flatnonzero(live & (low >= high) & (begun >= 0))
    at = np.searchsorted(begins, high[inner] + shift[inner], side="left") - 1
    inside = (at >= 0) & (low[inner] + shift[inner] < ends[np.maximum(at, 0)]) if len(order) else np.zeros(0, bool)
    found = np.flatnonzero(inside)
    return int(inner[found[0]]) if len(found) else None


def scan(cluster: Any, write: Any, start: Any, end: Any, low: Any, high: Any, begun: Any) -> int:
    """Note each cluster's first end, last start and write. Returns -1, a bad cluster, or -2 - one written twice."""
    for i in range(cluster.shape[0]):
        c = cluster[i]
        if write[i]:
            if begun[c] != FAR:
                return -2 - int(c)
            begun[c] = start[i]
        low[c] = min(low[c], end[i])
        high[c] = max(high[c], start[i])
    for i in range(cluster.shape[0]):  # a read that ended before its write began, or has no write at all
        if begun[cluster[i]] > end[i]:
            return int(cluster[i])
    return -1


def _scan(ops: int) -> Callable[..., int]:
    return _compiled() if ops >= WORTH and find_spec("numba") is not None else scan


@cache
def _compiled() -> Callable[..., int]:
    made: Callable[..., int] = import_module("numba").njit(cache=True)(scan)
    return made
