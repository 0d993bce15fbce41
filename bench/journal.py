"""Measure the ops journal: cost of a record, sealing, loading, memory; beside JSON lines and SQLite in the same run.

    python bench/journal.py [--full] [--rounds N] [--ops N]

Cost: CPU time; the ways take turns over the rounds; medians, and ratios to ours. An op is one begin and one complete.
What a way loses when its writer is killed is in the table: only ways that lose nothing are comparable with ours.
Run: 1 M ops (--full: also 10 M) of two workers with keys, values and results are written, sealed and loaded, each step
in a process of its own, and the peak resident memory of each is shown.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from seatrial.store.journal import JournalWriter

NOW = 1_000_000_000_000_000
KEYS = [f"account-{n}" for n in range(1000)]
VALUES = [f"user-{n % 50}:{n}" for n in range(4096)]
Way = Callable[[Path, int], int]


def timed(count: int, body: Callable[[], None]) -> int:
    """Return ns of CPU (user and kernel) per op: less disturbed by other programs than wall time."""
    start = time.process_time_ns()
    body()
    return (time.process_time_ns() - start) // count


def bare(folder: Path, count: int) -> int:
    """One pack_into of eight fields: what Python must pay at least."""
    pack, buffer = struct.Struct("<qqqIIHBB").pack_into, bytearray(64)

    def body() -> None:
        for n in range(count):
            pack(buffer, 0, NOW, NOW, NOW + n, 5, 5, 200, 1, 2)

    return timed(count, body)


def ours_fixed(folder: Path, count: int) -> int:
    """Begin and complete with a hot key, without value and result."""
    with JournalWriter(folder, 0) as writer:

        def body() -> None:
            begin, complete = writer.begin, writer.complete
            for n in range(count):
                complete(begin(1, "put", "account", None, 1, 5, 5, NOW, NOW + n), 2, NOW + n, 200)

        return timed(count, body)


def ours(folder: Path, count: int) -> int:
    """Begin and complete with one of 1,000 keys, a value and a result."""
    with JournalWriter(folder, 0) as writer:

        def body() -> None:
            begin, complete = writer.begin, writer.complete
            for n in range(count):
                value = VALUES[n & 4095]
                handle = begin(1, "put", KEYS[n % 1000], value, 1, 5, 5, NOW, NOW + n)
                complete(handle, 2, NOW + n, 200, None, value)

        return timed(count, body)


def json_lines(encode: Callable[[object], bytes], buffering: int) -> Way:
    """Return a way that appends one JSON line when the op begins and one when it ends."""

    def way(folder: Path, count: int) -> int:
        with (folder / "ops.jsonl").open("ab", buffering=buffering) as file:

            def body() -> None:
                write = file.write
                for n in range(count):
                    value = VALUES[n & 4095]
                    begun = {"op": n, "verb": 1, "name": "put", "key": KEYS[n % 1000], "value": value, "flags": 1}
                    write(encode({**begun, "user": 5, "actor": 5, "intended": NOW, "started": NOW + n}) + b"\n")
                    ended = {"op": n, "outcome": 2, "ended": NOW + n, "status": 200, "error": None, "result": value}
                    write(encode(ended) + b"\n")

            return timed(count, body)

    return way


def sqlite(batch: int) -> Way:
    """Return a way that inserts a row when the op begins, updates it when it ends, and commits every `batch` ops."""

    def way(folder: Path, count: int) -> int:
        db = sqlite3.connect(folder / "ops.sqlite", isolation_level=None)
        db.executescript("pragma journal_mode=wal; pragma synchronous=off;")
        names = "op integer primary key,verb,name,key,value,flags,user,actor,intended,started"
        db.execute(f"create table ops({names},outcome,ended,status,error,result)")
        insert = "insert into ops values(?,?,?,?,?,?,?,?,?,?,1,0,0,null,null)"
        update = "update ops set outcome=?,ended=?,status=?,error=?,result=? where op=?"

        def body() -> None:
            for n in range(count):
                value = VALUES[n & 4095]
                if n % batch == 0:
                    db.execute("begin")
                db.execute(insert, (n, 1, "put", KEYS[n % 1000], value, 1, 5, 5, NOW, NOW + n))
                db.execute(update, (2, NOW + n, 200, None, value, n))
                if n % batch == batch - 1:
                    db.execute("commit")

        taken = timed(count, body)
        db.close()
        return taken

    return way


WAYS: dict[str, tuple[Way, str]] = {
    "seatrial journal: key, value, result": (ours, "nothing"),
    "seatrial journal: fixed part": (ours_fixed, "nothing"),
    "bare pack_into of 8 fields": (bare, "everything"),
    "JSON lines, msgspec, write each": (json_lines(msgspec.json.Encoder().encode, 0), "nothing"),
    "JSON lines, msgspec, buffered": (json_lines(msgspec.json.Encoder().encode, 1 << 16), "64 KiB"),
    "JSON lines, json, buffered": (json_lines(lambda v: json.dumps(v).encode(), 1 << 16), "64 KiB"),
    "SQLite WAL, commit each 1,000": (sqlite(1000), "1,000 ops"),
}


def cost(rounds: int, count: int) -> None:
    """Print the table of costs."""
    seen: dict[str, list[int]] = {name: [] for name in WAYS}
    sizes: dict[str, float] = {}
    for _ in range(rounds):
        for name, (way, _) in WAYS.items():
            with tempfile.TemporaryDirectory(dir=".") as folder:
                seen[name].append(way(Path(folder), count))
                sizes[name] = sum(p.stat().st_size for p in Path(folder).iterdir()) / count
    base = statistics.median(seen["seatrial journal: key, value, result"])
    print(f"{'way, ' + f'{count:,} ops':40} {'ns/op':>7} {'ops/s':>10} {'ratio':>6} {'B/op':>6}  lost when killed")
    for name, (_, lost) in WAYS.items():
        ns = statistics.median(seen[name])
        print(f"{name:40} {ns:7,.0f} {1e9 / ns:10,.0f} {ns / base:6.2f} {sizes[name]:6.0f}  {lost}")


def step_write(folder: Path, count: int) -> None:
    """Two workers with 20 ops in flight each; every third op reads; every value is its own."""
    from random import Random

    dice = Random(1)
    writers = [JournalWriter(folder, worker) for worker in range(2)]
    flying: list[tuple[JournalWriter, int, str | None]] = []
    now = NOW
    for n in range(count):
        now += dice.randrange(2_000_000)
        writer, key = writers[n & 1], KEYS[dice.randrange(1000)]
        if n % 3:
            flying.append(
                (writer, writer.begin(1, "put", key, f"user-{n % 50}:{n}", 1, n % 50, n % 50, now, now), None)
            )
        else:
            result = f"user-{n % 50}:{max(0, n - 1000)}"
            flying.append((writer, writer.begin(2, "get", key, None, 1, n % 50, n % 50, now, now), result))
        if len(flying) == 40:
            writer, handle, answer = flying.pop(dice.randrange(40))
            writer.complete(handle, 2, now, 200, None, answer)
    for writer, handle, answer in flying:
        writer.complete(handle, 2, now, 200, None, answer)
    for writer in writers:
        writer.close()


def step_seal(folder: Path, count: int) -> None:
    """Seal."""
    from seatrial.store.seal import seal

    assert seal(folder).rows == count


def step_load(folder: Path, count: int) -> None:
    """Load, of Parquet when sealed, else of the segments."""
    from seatrial.store.seal import load_ops

    assert len(load_ops(folder)) == count


STEPS = {"write": step_write, "load raw": step_load, "seal": step_seal, "load sealed": step_load}


def one_step(name: str, folder: str, count: int) -> None:
    """Do one step in this process and print its figures."""
    start = time.perf_counter()
    STEPS[name](Path(folder), count)
    taken = time.perf_counter() - start
    print(json.dumps([taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def run(count: int) -> None:
    """Print the table of a whole run."""
    print(f"\n{f'{count:,} ops of 2 workers':24} {'s':>7} {'ops/s':>11} {'peak RSS':>9} {'on disk':>9}")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for name in STEPS:
            command = [sys.executable, __file__, "--step", name, "--folder", folder, "--ops", str(count)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            taken, peak = json.loads(done.stdout)
            size = sum(p.stat().st_size for p in Path(folder).iterdir()) / 2**20
            print(f"{name:24} {taken:7.2f} {count / taken:11,.0f} {peak:5.0f} MiB {size:5.0f} MiB", flush=True)


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="also 10 M ops (some minutes)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ops", type=int, default=200_000, help="ops a round of the table of costs")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        one_step(args.step, args.folder, args.ops)
        return
    cost(args.rounds, args.ops)
    run(1_000_000)
    if args.full:
        run(10_000_000)


if __name__ == "__main__":
    main()
