"""How fast the judges are: durability in ops a second over 10^5 to 10^7 ops, and an exact latency quantile.

Run: python bench/judging.py [largest number of ops]. Histories are made with numpy; medians of the rounds are printed.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from seatrial.clock import Anchor
from seatrial.history import NONE, Flag, History, OpOutcome, Ops, Verb
from seatrial.judge.base import complete
from seatrial.judge.proof import prove
from seatrial.judge.registers import join, keys_of
from seatrial.judge.table import CHECKS


class Numbered:
    """A table of strings that are made when asked for."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> str:
        return f"s{index}"


def synthetic(total: int, *, users: int = 200, lost: float = 0.0) -> History:
    """Return writes, deletes and reads of owned keys, then a read-back; a share of the keys lost everything."""
    rng = np.random.default_rng(1)
    keys = max(users, total // 10)
    work = total - keys
    key = rng.integers(0, keys, work)
    verb = rng.choice(np.array([Verb.WRITE, Verb.DELETE, Verb.READ], dtype=np.uint8), work, p=[0.6, 0.05, 0.35])
    outcome = rng.choice(np.array([2, 3, 4], dtype=np.uint8), work, p=[0.98, 0.01, 0.01])
    value = np.where(verb == Verb.WRITE, np.arange(work) + keys, NONE)
    last = np.full(keys, -1, dtype=np.int64)
    change = np.flatnonzero((verb != Verb.READ) & (outcome == OpOutcome.OK))
    last[key[change]] = change
    final = np.where(last >= 0, value[np.maximum(last, 0)], NONE)
    final[: int(keys * lost)] = NONE
    started = np.arange(total, dtype=np.int64) * 100_000
    took = rng.lognormal(14, 0.5, total).astype(np.int64)
    both = np.concatenate
    all_keys = both((key, np.arange(keys)))
    flags = np.full(total, Flag.OWNED, dtype=np.uint8)
    flags[work:] |= np.uint8(Flag.READBACK)
    nothing = np.full(keys, NONE)
    ops = Ops(
        verb=both((verb, np.full(keys, Verb.READ, dtype=np.uint8))),
        outcome=both((outcome, np.full(keys, OpOutcome.OK, dtype=np.uint8))),
        flags=flags,
        name=np.zeros(total, dtype=np.int32),
        error=np.full(total, NONE, dtype=np.int32),
        actor=(all_keys % users).astype(np.int32),
        user=(all_keys % users).astype(np.int32),
        status=np.zeros(total, dtype=np.int32),
        intended_ns=started,
        started_ns=started,
        ended_ns=started + np.minimum(took, 90_000),
        key=all_keys,
        value=both((value, nothing)),
        result=both((np.full(work, NONE), final)),
        names=("op",),
        strings=Numbered(total + keys),  # type: ignore[arg-type]
    )
    return History(ops=_read_right(ops, work), anchor=Anchor(wall_ns=0, mono_ns=0))


def _read_right(ops: Ops, work: int) -> Ops:
    """Let every read of the run return the last acknowledged state."""
    reads = np.flatnonzero(ops.verb[:work] == Verb.READ).astype(np.int64)
    result = ops.result.copy()
    result[reads] = join(ops, keys_of(ops), reads).expected
    return ops.with_columns(result=result)


def timed(work: Callable[[], object], rounds: int = 5) -> float:
    """Return the median seconds of a few rounds."""
    took = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


def main(largest: int) -> None:
    """Print the figures."""
    print(f"{'check':28} {'ops':>12} {'seconds':>9} {'ops/s':>14}")
    total = 100_000
    while total <= largest:
        for label, lost in (("durability", 0.0), ("durability, 10% lost", 0.1)):
            history = synthetic(total, lost=lost)
            check = CHECKS["durability"]
            params = complete(check, {})
            took = timed(lambda h=history, c=check, p=params: c.judge(h, p))  # type: ignore[misc]
            print(f"{label:28} {total:12,} {took:9.4f} {total / took:14,.0f}")
        for kind, given in (("session", {}), ("accounting", {}), ("latency", {"max": 0.5, "quantile": 0.99})):
            check = CHECKS[kind]
            params = complete(check, given)
            took = timed(lambda h=history, c=check, p=params: c.judge(h, p), 3)  # type: ignore[misc]
            print(f"{kind:28} {total:12,} {took:9.4f} {total / took:14,.0f}")
        check = CHECKS["durability"]
        took = timed(lambda h=history, c=check: prove(c, h, complete(c, {}), 1), 1)  # type: ignore[misc]
        print(f"{'durability, self-proof':28} {total:12,} {took:9.4f} {total / took:14,.0f}")
        total *= 10
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000)
