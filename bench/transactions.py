"""Speed and memory of the judges of transactions: list-append columns of 10^4 to 10^6 transactions, registers.

Run: python bench/transactions.py [--most 1000000]. One process a size, so that peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import numpy as np

from seatrial.judge.transactions.columns import APPEND, COMMITTED, READ, Appends


def appends(many: int, seed: int = 1, clients: int = 20, keys_each: int = 4, most: int = 32) -> Appends:
    """Return strictly serializable list-append transactions as columns: a key retires after `most` appends."""
    dice = np.random.default_rng(seed)
    sizes = dice.integers(1, 5, many)
    start = np.concatenate([[0], np.cumsum(sizes)])
    rows = int(start[-1])
    kind = (dice.random(rows) < 0.6).astype(np.int8)  # 1: a read
    lane = dice.integers(0, keys_each, rows)
    key, size, off = np.zeros(rows, np.int32), np.full(rows, -1, np.int32), np.zeros(rows, np.int64)
    lists: list[list[int]] = [[] for _ in range(keys_each)]
    names, fresh, heap = list(range(keys_each)), keys_each, []
    kinds, lanes = kind.tolist(), lane.tolist()
    for row in range(rows):
        at = lanes[row]
        if kinds[row] == APPEND:
            if len(lists[at]) >= most:
                lists[at], names[at] = [], fresh
                fresh += 1
            lists[at].append(row)
        else:
            off[row], size[row] = len(heap), len(lists[at])
            heap.extend(lists[at])
        key[row] = names[at]
    begun = np.arange(many, dtype=np.int64) * 2 * clients
    lag = dice.integers(1, clients * 2 * (clients - 1), many)
    assert READ == 1
    return Appends(
        status=np.full(many, COMMITTED, np.int8),
        process=(np.arange(many) % clients).astype(np.int32),
        start=begun,
        end=begun + lag,
        mop_start=start.astype(np.int32),
        kind=kind,
        key=key,
        txn=np.repeat(np.arange(many, dtype=np.int32), sizes),
        off=off,
        size=size,
        heap=np.array(heap, np.int32),
    )


def measure(many: int) -> dict[str, Any]:
    """Judge one size three times; peak memory is that of judging, beside what the columns themselves take."""
    from seatrial.judge.modelling import Options
    from seatrial.judge.transactions.append_check import judge
    from seatrial.judge.transactions.levels import level_named

    level = level_named("strict-serializable")
    judge(appends(200_000), level, Options())  # compiled kernels are loaded
    columns = appends(many)
    before, took = _resident(), []
    _forget_peak()
    for _ in range(3):
        began = time.perf_counter()
        judged = judge(columns, level, Options())
        took.append(time.perf_counter() - began)
    assert not judged.kept
    return {
        "transactions": many,
        "elements": len(columns.heap),
        "seconds": min(took),
        "txn/s": round(many / min(took)),
        "columns MB": before >> 20,
        "peak MB": _peak() >> 20,
    }


def _status(name: str) -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


def _resident() -> int:
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _forget_peak() -> None:
    with open("/proc/self/clear_refs", "w") as clear:
        clear.write("5")


def registers(many: int) -> dict[str, Any]:
    """Judge a serializable history of registers at several levels."""
    from seatrial.judge.modelling import Options
    from seatrial.judge.transactions.register_check import check
    from seatrial.judge.transactions.samples import Dice, recorded_of, serial_history

    recorded = recorded_of(serial_history(Dice(1), many, False, keys=many // 10 + 1), realtime=False)
    row: dict[str, Any] = {"transactions": many}
    for level in ("read-committed", "read-atomic", "causal", "snapshot-isolation", "serializable"):
        began = time.perf_counter()
        found = check(recorded, Options(level=level))
        row[level] = f"{found.outcome} {time.perf_counter() - began:.2f} s"
    return row


def main() -> None:
    """Print one JSON line a measurement."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--most", type=int, default=1_000_000)
    asked.add_argument("--one", type=int, help="measure list-append of this size in this process")
    asked.add_argument("--registers", type=int, help="measure registers of this size in this process")
    given = asked.parse_args()
    if given.one or given.registers:
        print(json.dumps(measure(given.one) if given.one else registers(given.registers)), flush=True)
        return
    for size in (10_000, 100_000, 1_000_000):
        if size <= given.most:
            subprocess.run([sys.executable, __file__, "--one", str(size)], check=True)
    for size in (1_000, 10_000):
        subprocess.run([sys.executable, __file__, "--registers", str(size)], check=True)


if __name__ == "__main__":
    main()
