"""Judges of recordings: on the same files in the same run as Porcupine, and how cost grows with the number of ops.

    PORCUPINE=path/to/a/program python bench/history.py [--short] [--largest 1000000] [--record]

PORCUPINE is any program that takes a file (Jepsen's text log, or Porcupine's kv lines) and a number of rounds, judges
it, and prints the best milliseconds of the check alone and its verdict, e.g. "12.5 Illegal". Without it the figures
of history_recorded.json stand beside ours, with their date; --record renews them.

Of ours `load` is the reading of the file; `decide` the verdict alone (encoding and search), which is what Porcupine's
time is; `warm` the same with the compiled kernel, which a process that judges one small file does not load; `check`
adds the smallest proof in words; `once` is the first check in its process. Each is the best of the rounds, since
neighbours on the machine only ever add; ratio: Porcupine's time / the better of `decide` and `warm`.
Peak memory is that of the whole process.
Corpora: SEATRIAL_CORPORA, or ../shared/corpora. It judges nothing.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CORPORA = Path(os.environ.get("SEATRIAL_CORPORA") or HERE.parents[1] / "shared" / "corpora")
RECORDED = HERE / "history_recorded.json"
PORCUPINE = os.environ.get("PORCUPINE", "")
MIB = 1 << 20


def main() -> None:
    """Run the parts that were asked for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--short", action="store_true")
    options.add_argument("--largest", type=int, default=1_000_000)
    options.add_argument("--record", action="store_true")
    options.add_argument("--worker", default="", help=argparse.SUPPRESS)
    options.add_argument("--only", choices=["corpora", "kv", "growth"], action="append")
    asked = options.parse_args()
    if asked.worker:
        print(json.dumps(worker(json.loads(asked.worker))))
        return
    known = json.loads(RECORDED.read_text()) if RECORDED.exists() else {"at": "never", "ms": {}}
    seen: dict[str, float] = {}
    parts = asked.only or ["corpora", "kv", "growth"]
    largest = min(asked.largest, 10_000) if asked.short else asked.largest
    if "corpora" in parts:
        corpora(known, seen, rounds=3 if asked.short else 9)
    if "kv" in parts:
        generated(known, seen, largest)
    if "growth" in parts:
        growth(largest)
    if asked.record and PORCUPINE:
        at = datetime.datetime.now(datetime.UTC).date().isoformat()
        RECORDED.write_text(json.dumps({"at": at, "machine": platform.platform(), "ms": seen}, indent=1) + "\n")


def corpora(known: dict[str, Any], seen: dict[str, float], rounds: int) -> None:
    """Compare on the public files that Porcupine's own tests judge."""
    folder = CORPORA / "anishathalye__porcupine"
    files = sorted([*folder.glob("jepsen/*.log"), *folder.glob("kv/*.txt")])
    if not files:
        print(f"corpora absent: nothing in {folder}; set SEATRIAL_CORPORA")
        return
    ours = run_worker({"files": [str(one) for one in files], "rounds": rounds})["files"]
    rows = []
    for file, one in zip(files, ours, strict=True):
        theirs, _, source = porcupine(file, known, seen, rounds)
        rows.append((file.name, one, theirs, theirs / best(one) if theirs else 0.0))
    print(f"corpora: {len(rows)} files, best of {rounds} rounds; Porcupine {source}")
    print(
        f"{'file':16}{'ops':>6}{'load ms':>9}{'once ms':>9}{'check ms':>10}"
        f"{'decide':>9}{'warm':>9}{'Porcupine ms':>14}{'ratio':>8}"
    )
    shown = sorted(rows, key=lambda row: row[3])
    for name, one, theirs, ratio in [*shown[:8], *[row for row in shown[8:] if row[0].startswith("c")]]:
        print(
            f"{name:16}{one['ops']:6}{one['load_ms']:9.2f}{one['once_ms']:9.2f}{one['check_ms']:10.3f}"
            f"{one['decide_ms']:9.3f}{one['warm_ms']:9.3f}"
            f"{theirs:14.3f}{ratio:8.2f}"
        )
    ratios = [row[3] for row in rows]
    total, their_total = sum(best(row[1]) for row in rows), sum(row[2] for row in rows)
    print(
        f"all files: ours {total:.1f} ms, Porcupine {their_total:.1f} ms; median ratio {statistics.median(ratios):.2f};"
        f" faster on {sum(r > 1 for r in ratios)} of {len(ratios)} (the slowest by ratio are shown)\n"
    )


def generated(known: dict[str, Any], seen: dict[str, float], largest: int) -> None:
    """Compare on kv histories that are made here: 20 clients, 1,000 ops a key, half of them reads."""
    print("generated kv histories, 20 clients, 1,000 ops a key (ratio: Porcupine's time / our decide)")
    print(
        f"{'ops':>10}{'load s':>9}{'check s':>9}{'decide s':>10}{'ops/s':>12}{'peak MiB':>10}"
        f"{'Porcupine s':>13}{'MiB':>7}{'ratio':>8}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for many in sizes(largest):
            file = Path(folder) / f"kv-{many}.txt"
            with file.open("w") as out:
                out.writelines(kv_lines(many))
            one = run_worker({"files": [str(file)], "rounds": 1})
            row = one["files"][0]
            theirs, their_peak, source = porcupine(file, known, seen, 1)
            check, decide = row["check_ms"] / 1000, best(row)
            print(
                f"{many:10}{row['load_ms'] / 1000:9.2f}{check:9.3f}{decide / 1000:10.3f}"
                f"{many / decide * 1000:12.0f}{one['peak_mib']:10.0f}"
                f"{theirs / 1000:13.3f}{their_peak:7.0f}{theirs / decide:8.2f}  {row['outcome']}; {source}"
            )
    print()


def best(row: dict[str, Any]) -> float:
    """Return the better of our two engines, in ms."""
    return min(row["decide_ms"], row["warm_ms"])


def growth(largest: int) -> None:
    """Show how the cost of the other models grows; ops a second of the check alone."""
    print("growth: seconds of the check (ops a second) by number of ops, of histories made in memory")
    for model in ("register", "fifo-queue", "set-full", "list-append"):
        cells = []
        for many in sizes(largest):
            row = run_worker({"make": model, "ops": many})
            cells.append(
                row.get("problem") or f"{many:.0e}: {row['s']:.3f} s ({row['rate']:,.0f}/s, {row['peak_mib']:.0f} MiB)"
            )
        print(f"{model:12} " + "   ".join(cells))


def sizes(largest: int) -> Iterator[int]:
    """Yield 10^4, 10^5 ... up to the largest."""
    many = 10_000
    while many <= largest:
        yield many
        many *= 10


def porcupine(file: Path, known: dict[str, Any], seen: dict[str, float], rounds: int) -> tuple[float, float, str]:
    """Return (ms, peak MiB, where from) of Porcupine's check of a file; 0 ms when it is not known."""
    if not PORCUPINE:
        return float(known["ms"].get(file.name, 0.0)), 0.0, f"as recorded on {known['at']}"
    with subprocess.Popen([PORCUPINE, str(file), str(rounds)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = child.stdout.read().split()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seen[file.name] = float(said[0])
    return seen[file.name], used.ru_maxrss / 1024, f"in this run ({said[1]})"


def run_worker(task: dict[str, Any]) -> dict[str, Any]:
    """Run a task in a process of its own, so that its peak memory is known."""
    done = subprocess.run(
        [sys.executable, __file__, "--worker", json.dumps(task)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"problem": done.stderr.strip().splitlines()[-1], "files": []}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def worker(task: dict[str, Any]) -> dict[str, Any]:
    """Do one task and measure it."""
    found = made_in_memory(task["make"], task["ops"]) if "make" in task else {"files": judged_files(task)}
    return {**found, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def judged_files(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Judge each file once, then so many rounds."""
    from seatrial import judging
    from seatrial.clock import SystemClock

    found = []
    for path in task["files"]:
        begun = time.perf_counter()
        recorded = judging.load(path)
        loaded = time.perf_counter()
        log = path.endswith(".log")
        asked = judging.Asked(
            model="cas-register" if log else "kv",
            nil="strict" if log else "wildcard",
            initial=None if log else "",
            budget_s=600,
        )
        took = []
        for _ in range(task["rounds"] + 1 if len(recorded.ops) < 100_000 else 1):
            start = time.perf_counter()
            finding = judging.check(recorded, asked, SystemClock())
            took.append((time.perf_counter() - start) * 1000)
        check = min(took)
        many = task["rounds"] if len(recorded.ops) < 100_000 else 1
        decide = [decided_ms(recorded, asked, engine, many) for engine in ("auto", "kernel")]
        found.append(
            {
                "ops": len(recorded.ops),
                "load_ms": (loaded - begun) * 1000,
                "once_ms": took[0],
                "check_ms": check,
                "decide_ms": decide[0],
                "warm_ms": decide[1],
                "outcome": str(finding.outcome),
            }
        )
    return found


def decided_ms(recorded: Any, asked: Any, engine: str, rounds: int) -> float:
    """Return the best time of encoding and search, without words."""
    from seatrial.judge.linear.encoders import ENCODERS
    from seatrial.judge.linear.planner import judge_parts
    from seatrial.judge.modelling import Options

    options = Options(nil=asked.nil, initial=asked.initial, extra={"engine": engine})
    took = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        judge_parts(ENCODERS[asked.model](recorded, options), options)
        took.append((time.perf_counter() - start) * 1000)
    return min(took)


def made_in_memory(model: str, many: int) -> dict[str, Any]:
    """Make a right history of a model and judge it."""
    from seatrial import judging
    from seatrial.clock import SystemClock

    recorded = MAKERS[model](many)
    start = time.perf_counter()
    finding = judging.check(recorded, judging.Asked(model=model, budget_s=60, memory=8 << 30), SystemClock())
    took = time.perf_counter() - start
    if str(finding.outcome) != "pass":
        return {"problem": f"{many:.0e}: {finding.outcome}: {finding.reason[:80]}"}
    return {"s": took, "rate": many / took}


def kv_lines(many: int, clients: int = 20) -> Iterator[str]:
    """Yield the lines of a right kv history: an op takes effect at some instant between its begin and its end."""
    dice = random.Random(many)
    state: dict[int, str] = {}
    running: dict[int, list[Any]] = {}
    keys, begun = max(1, many // 1000), 0
    while begun < many or running:
        client = dice.randrange(clients)
        op = running.get(client)
        if op is None:
            if begun < many:
                kind = dice.choices(("get", "put", "append"), (50, 45, 5))[0]
                key = dice.randrange(keys)
                running[client] = [kind, key, "nil" if kind == "get" else f'"x {client} {begun} y"', False]
                yield f'{{:process {client}, :type :invoke, :f :{kind}, :key "{key}", :value {running[client][2]}}}\n'
                begun += 1
        elif not op[3]:
            op[3] = True
            old = state.get(op[1], "")
            if op[0] == "get":
                op[2] = f'"{old}"'
            else:
                state[op[1]] = op[2].strip('"') if op[0] == "put" else old + op[2].strip('"')
        else:
            del running[client]
            yield f'{{:process {client}, :type :ok, :f :{op[0]}, :key "{op[1]}", :value {op[2]}}}\n'


def make(many: int, ask: Any, act: Any, clients: int = 20) -> Any:
    """Return a right recording: ask(dice, number) -> (f, arg), act(f, arg) -> value at the instant of its effect."""
    from seatrial.history.recorded import Recorded, RecordedOp
    from seatrial.history.words import OpOutcome

    dice = random.Random(many)
    running: dict[int, list[Any]] = {}
    ops: list[Any] = [None] * many
    begun = place = 0
    while begun < many or running:
        client = dice.randrange(clients)
        op = running.get(client)
        if op is None:
            if begun < many:
                f, arg = ask(dice, begun)
                running[client] = [begun, f, arg, place, False, None]
                begun, place = begun + 1, place + 1
        elif not op[4]:
            op[4], op[5] = True, act(op[1], op[2])
        else:
            del running[client]
            ops[op[0]] = RecordedOp(
                index=op[0], process=client, f=op[1], arg=op[2], value=op[5], outcome=OpOutcome.OK,
                start=op[3], end=place, start_ns=op[3] * 1000, end_ns=place * 1000,
            )  # fmt: skip
            place += 1
    return Recorded(ops=tuple(ops), format="made")


def a_register(many: int) -> Any:
    """Return a register history in which every write writes another value."""
    state: list[Any] = [None]

    def act(f: str, arg: Any) -> Any:
        if f == "write":
            state[0] = arg
        return state[0]

    return make(many, lambda dice, n: ("write", n) if dice.random() < 0.5 or not n else ("read", None), act)


def a_queue(many: int) -> Any:
    """Return a FIFO queue history with elements of their own."""
    from collections import deque

    state: deque[int] = deque()
    put = taken = 0

    def ask(dice: random.Random, _: int) -> tuple[str, Any]:
        nonlocal put, taken
        if dice.random() < 0.5 or put - taken < 50:  # never empty: an answer "empty" needs another method
            put += 1
            return "enqueue", put
        taken += 1
        return "dequeue", None

    def act(f: str, arg: Any) -> Any:
        if f == "enqueue":
            state.append(arg)
            return arg
        return state.popleft()

    return make(many, ask, act)


def a_set(many: int) -> Any:
    """Return adds to a set, and a read of it all after every thousandth."""
    state: list[int] = []

    def act(f: str, arg: Any) -> Any:
        if f == "add":
            state.append(arg)
            return arg
        return list(state[-1000:]) if len(state) > 100_000 else list(state)

    reads = max(1000, many // 20)
    return make(many, lambda dice, n: ("read", None) if n % reads == reads - 1 else ("add", n), act)


def a_list_append(many: int) -> Any:
    """Return serializable list-append transactions of 1 to 4 ops; a key takes some hundred appends."""
    state: dict[int, list[int]] = {}

    def ask(dice: random.Random, n: int) -> tuple[str, Any]:
        mops = []
        for place in range(dice.randint(1, 4)):
            key = n // 500 * 10 + dice.randrange(10)
            mops.append(["append", key, n * 4 + place] if dice.random() < 0.5 else ["r", key, None])
        return "txn", mops

    def act(f: str, arg: Any) -> Any:
        done = []
        for kind, key, value in arg:
            known = state.setdefault(key, [])
            if kind == "append":
                known.append(value)
            done.append([kind, key, value if kind == "append" else list(known)])
        return done

    return make(many, ask, act)


MAKERS = {"register": a_register, "fifo-queue": a_queue, "set-full": a_set, "list-append": a_list_append}

if __name__ == "__main__":
    main()
