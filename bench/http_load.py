"""HTTP load on one core: our crew worker with every request journalled, beside wrk, hey and Locust where installed.

    python bench/http_load.py

Each tool drives the same small keep-alive server with 32 users for a few seconds, in an order that changes by round.
Printed: CPU microseconds a request (user + system of the client process; a noisy neighbour hardly changes it), requests
a second for each core used, and the ratio to ours. Of our worker and of Locust the time from ready on counts (Locust's
start is measured alone and taken off); wrk and hey start at once. Then the pacing at 1,000 arrivals a second.
It judges nothing.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil

from seatrial.crew import messages as say
from seatrial.plan import Arrivals, Crew, Load, Plan
from seatrial.store.journal_read import read_segments

Run = Callable[[int], tuple[int, float]]  # from the server's port to (requests, CPU seconds of the client)
ROUNDS, SECONDS, USERS = 3, 2.0, 32

SERVER = r"""
import asyncio
BODY = b'{"id":1,"name":"something that is as long as an answer of a small service usually is, or so"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
class Protocol(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(ANSWER * data.count(b"\r\n\r\n"))
async def main():
    server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
try:
    import uvloop
    uvloop.run(main())
except ImportError:
    asyncio.run(main())
"""
USERS_MODULE = """
from seatrial.crew.users import User, Verb, task
class Getter(User):
    @task
    async def get(self):
        async with self.op("get", Verb.READ, key="k") as op:
            op.expect(await self.http.get("/thing/1"), 200)
"""
LOCUSTFILE = """
from locust import FastHttpUser, task, constant
class Getter(FastHttpUser):
    wait_time = constant(0)
    @task
    def get(self): self.client.get("/thing/1")
"""


def children_cpu() -> float:
    """Return the CPU seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def process_cpu(pid: int) -> float:
    """Return the CPU seconds of a running process."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def plan(folder: Path, load: Load) -> Plan:
    """Return a plan of this load alone."""
    (folder / "users.py").write_text(USERS_MODULE)
    return Plan(
        seatrial="0", app="bench", app_dir=str(folder), scenario="bench", runtime="process", seed=1,
        crew=Crew(module="users.py"), load=load,
    )  # fmt: skip


class OurWorker:
    """One crew worker, driven by hand."""

    def __init__(self, port: int, load: Load, loop: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seatrial-bench-"))
        config = say.WorkerConfig(
            run="bench", worker=0, plan=plan(self.folder, load), journal=str(self.folder / "journal"),
            host="127.0.0.1", port=port, loop=loop,
        )  # fmt: skip
        (self.folder / "w.json").write_bytes(msgspec.json.encode(config))
        began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seatrial.crew.worker", str(self.folder / "w.json")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.wait("ready")
        self.ready_s = time.monotonic() - began

    def wait(self, wanted: str) -> list[dict[str, float]]:
        """Read reports up to the wanted one; return the stats on the way."""
        assert self.process.stdout
        stats = []
        for line in self.process.stdout:
            report = json.loads(line)
            if report["type"] == "stats":
                stats.append(report)
            if report["type"] == "trouble":
                raise SystemExit(report["reason"])
            if report["type"] == wanted:
                return stats
        raise SystemExit(f"the worker ended before it said {wanted}")

    def drive(self) -> list[dict[str, float]]:
        """Run the load to its end; return the stats."""
        self.tell(say.Start(at_ns=time.monotonic_ns() + 20_000_000))
        stats = self.wait("driven")
        self.tell(say.Stop(within_s=2.0))
        self.wait("quiet")
        return stats

    def tell(self, command: say.AnyCommand) -> None:
        """Give a command."""
        assert self.process.stdin
        self.process.stdin.write(msgspec.json.encode(command) + b"\n")
        self.process.stdin.flush()

    def end(self) -> int:
        """End the worker; return how many ops its journal holds."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        count = len(read_segments(self.folder / "journal"))
        shutil.rmtree(self.folder)
        return count


def ours(loop: str) -> Run:
    """Return the run of our worker in a closed loop."""

    def run(port: int) -> tuple[int, float]:
        load = Load(users=USERS, length_s=SECONDS, arrivals=Arrivals(model="closed"))
        worker = OurWorker(port, load, loop)
        before = process_cpu(worker.process.pid)
        worker.drive()
        cpu = process_cpu(worker.process.pid) - before
        return worker.end(), cpu

    return run


def outside(command: Callable[[int], list[str]], pattern: str, start_s: float = 0.0) -> Run:
    """Return the run of another tool; the pattern finds its count of requests, start_s of CPU is taken off."""

    def run(port: int) -> tuple[int, float]:
        before = children_cpu()
        done = subprocess.run(command(port), capture_output=True, text=True, check=False)
        found = re.search(pattern, done.stdout + done.stderr)
        return (int(found[1]) if found else 0), children_cpu() - before - start_s

    return run


def tools(folder: Path) -> dict[str, Run]:
    """Return what can be compared on this machine."""
    found: dict[str, Run] = {}
    if importlib.util.find_spec("uvloop"):
        found["seatrial (uvloop)"] = ours("uvloop")
    found["seatrial (asyncio)"] = ours("asyncio")
    url = "http://127.0.0.1:{}/thing/1"
    if shutil.which("wrk"):
        line = ["wrk", "-t1", f"-c{USERS}", f"-d{int(SECONDS)}s"]
        found["wrk"] = outside(lambda port: [*line, url.format(port)], r"(\d+) requests in")
    if shutil.which("hey"):
        hey = ["hey", "-c", str(USERS), "-z", f"{int(SECONDS)}s", "-cpus", "1"]
        found["hey"] = outside(lambda port: [*hey, url.format(port)], r"\[200\]\s+(\d+) responses")
    if importlib.util.find_spec("locust"):
        (folder / "locustfile.py").write_text(LOCUSTFILE)
        options = ["--headless", "-u", str(USERS), "-r", str(USERS), "-t", f"{int(SECONDS) + 1}s", "--only-summary"]
        start = [sys.executable, "-m", "locust", "-f", str(folder / "locustfile.py"), *options, "-H"]
        before = children_cpu()
        subprocess.run([sys.executable, "-m", "locust", "--version"], capture_output=True, check=False)
        command = lambda port: [*start, f"http://127.0.0.1:{port}"]  # noqa: E731
        found["locust (fast)"] = outside(command, r"Aggregated\s+(\d+)", children_cpu() - before)
    return found


def pacing(port: int) -> None:
    """Print how late arrivals are made at 1,000/s, how many there were, and how soon a worker is ready."""
    load = Load(users=50, length_s=4.0, arrivals=Arrivals(rate=1000.0))
    worker = OurWorker(port, load, "")
    stats = [s for s in worker.drive() if s["arrivals"] > 500]
    p50, p99 = (statistics.median(s[name] for s in stats) / 1000 for name in ("lag_p50_ns", "lag_p99_ns"))
    busy = statistics.median(s["busy"] for s in stats)
    ops = read_segments(worker.folder / "journal")
    early = int((ops.started_ns < ops.intended_ns).sum())
    count = worker.end()
    print(f"\npacing at 1,000/s: {count} of 4000 arrivals, {early} early, lag p50 {p50:.0f} us, p99 {p99:.0f} us, "
          f"busy {busy:.0%}; worker ready in {worker.ready_s:.2f} s")  # fmt: skip


def main() -> None:
    """Run all rounds and print the table."""
    folder = Path(tempfile.mkdtemp(prefix="seatrial-bench-"))
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    port, found = int(server.stdout.readline()), tools(folder)
    costs: dict[str, list[float]] = {name: [] for name in found}
    rates: dict[str, list[float]] = {name: [] for name in found}
    try:
        for number in range(ROUNDS):
            names = list(found)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                requests, cpu = found[name](port)
                if requests:
                    costs[name].append(cpu / requests * 1e6)
                    rates[name].append(requests / cpu)
        base = statistics.median(costs[next(iter(found))])
        print(
            f"{'client':22}{'CPU us/request':>16}{'requests/s a core':>20}{'cost / ours':>14}   ({os.cpu_count()} CPUs)"
        )
        for name in (n for n in found if costs[n]):
            cost = statistics.median(costs[name])
            print(f"{name:22}{cost:16.1f}{statistics.median(rates[name]):20.0f}{cost / base:14.2f}")
        pacing(port)
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
