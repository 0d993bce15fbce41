"""Runs every benchmark of this folder, one after the other, each within a bound, and keeps what they printed.

    python bench/all.py [--short] [--only NAME ...] [--out FILE]

Nothing else should run on the machine meanwhile; the load average before each one is kept beside its output, so that a
disturbed figure is seen. --short takes about two minutes and is for looking, not for quoting. Written is
docs/benchmarks-last.json: machine, date, commands, seconds, output. It judges nothing; a benchmark that breaks or
overruns is said, the others go on, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LAST = HERE.parent / "docs" / "benchmarks-last.json"


@dataclass(frozen=True, slots=True)
class Bench:
    """One script with its arguments in full and in short, and how long it may take, in seconds."""

    name: str
    full: tuple[str, ...]
    short: tuple[str, ...]
    bound_s: float


BENCHES = (
    Bench("http_load", ("--rounds", "5", "--seconds", "8"), ("--rounds", "1", "--seconds", "2"), 900),
    Bench("journal", ("--full",), ("--rounds", "3"), 900),
    Bench("judging", ("10000000",), ("1000000",), 600),
    Bench("history", (), ("--short",), 1800),
    Bench("report", ("1000000", "10000000"), ("1000000",), 600),
    Bench("proxy", ("5",), ("1",), 600),
)


def listed() -> tuple[Bench, ...]:
    """Return the table, and every other script of the folder with its own defaults."""
    known = {bench.name for bench in BENCHES} | {Path(__file__).stem}
    others = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in known and not path.stem.startswith("_"))
    return (*BENCHES, *(Bench(name, (), (), 600) for name in others))


def main() -> int:
    """Run what was asked for. Returns an exit code."""
    benches = listed()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="small sizes: to look, not to quote")
    parser.add_argument("--only", nargs="+", choices=[bench.name for bench in benches], help="these only")
    parser.add_argument("--out", type=Path, default=LAST, help="where to write what was printed")
    options = parser.parse_args()
    chosen = [bench for bench in benches if not options.only or bench.name in options.only]
    found = {bench.name: run(bench, bench.short if options.short else bench.full) for bench in chosen}
    kept = {"machine": machine(), "short": options.short, "benches": found}
    options.out.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten: {options.out}")
    return 1 if any(one["trouble"] for one in found.values()) else 0


def run(bench: Bench, arguments: tuple[str, ...]) -> dict[str, Any]:
    """Run one benchmark; show and return what it printed."""
    command = [sys.executable, str(HERE / f"{bench.name}.py"), *arguments]
    shown = f"python bench/{bench.name}.py {' '.join(arguments)}".rstrip()
    print(f"\n== {shown}", flush=True)
    load, began = os.getloadavg()[0], time.monotonic()
    trouble, text = "", ""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=None, text=True, timeout=bench.bound_s, check=False
        )
        text, trouble = done.stdout, f"exit code {done.returncode}" if done.returncode else ""
    except subprocess.TimeoutExpired as error:
        raw = error.stdout or b""
        text = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
        trouble = f"not done within {bench.bound_s:g} s"
    print(text + (f"TROUBLE: {trouble}\n" if trouble else ""), end="", flush=True)
    took = round(time.monotonic() - began, 1)
    return {
        "command": shown,
        "took_s": took,
        "load_before": round(load, 2),
        "trouble": trouble,
        "output": text.splitlines(),
    }


def machine() -> dict[str, Any]:
    """Return what a reader needs to know of this machine."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    release = ".".join(platform.release().split(".")[:2])
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": model or platform.processor(),
        "kernel": f"{platform.system()} {release}",
        "python": platform.python_version(),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main())
