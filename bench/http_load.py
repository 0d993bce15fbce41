"""HTTP load on one core: our crew worker with every request journalled and checked, beside other tools in one run.

    python bench/http_load.py [--rounds N] [--seconds S] [--only WORD ...] [--one-cpu]

The client has one CPU to itself, the server the other one. The server is bench/server.c (one thread, epoll), compiled
with cc; without cc a Python one stands in, which is slower than some clients: the heading says so. Each tool drives it
with 32 keep-alive connections, in an order that changes by round. Printed are medians: CPU microseconds a request (user
+ system of the client; a noisy neighbour hardly changes it), requests a second for each core used, and by how much each
tool is dearer than ours. Of our worker, Locust and aiohttp the time from ready on counts; wrk and hey start at once.
With --one-cpu the server runs on the client's CPU, as a batch process: then neighbours on the other CPU cannot make
the client wait and lose its caches, which on a busy machine doubles the cost of Python.
Our rows are held against what the server counted. Then the pacing at 1,000 arrivals a second. It judges nothing.

Peers: wrk and hey from the PATH; Locust and aiohttp from the interpreter that LOCUST_PYTHON names (or from this one).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import signal
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

USERS = 32
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, CLIENT_CPU = CPUS[0], CPUS[-1]

SERVER = r"""
import asyncio, signal, sys
BODY = b'{"id":1,"name":"something as long as an answer of a small service usually is","ok":true}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
served = 0
class Protocol(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data):
        global served
        found = data.count(b"\r\n\r\n")
        served += found
        self.transport.write(ANSWER * found)
async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: print(served, flush=True))
    server = await loop.create_server(Protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
USERS_MODULE = """
from seatrial.crew.users import User, Verb, task
class Getter(User):
    @task
    async def get(self):
        async with self.op("get", Verb.READ, key="k") as op:
            op.expect(await self.http.get("/thing/1"), 200).expect_contains('"ok":true')
"""
LOCUSTFILE = """
import json, resource
from locust import FastHttpUser, constant, events, task
class Getter(FastHttpUser):
    wait_time = constant(0)
    @task
    def get(self): self.client.get("/thing/1")
def now(environment):
    used = resource.getrusage(resource.RUSAGE_SELF)
    return environment.stats.total.num_requests, used.ru_utime + used.ru_stime
began = []
@events.init.add_listener
def ready(environment, **_):
    environment.events.spawning_complete.add_listener(lambda **_: began.append(now(environment)))
    def told(**_):
        ended = now(environment)
        print("DONE", ended[0] - began[0][0], ended[1] - began[0][1], flush=True)
    environment.events.test_stopping.add_listener(told)
"""
AIOHTTP = """
import asyncio, resource, sys, time, aiohttp
async def main(url, users, seconds):
    def cpu():
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime
    done = 0
    async def one(session, end):
        nonlocal done
        while time.monotonic() < end:
            async with session.get(url) as answer:
                assert answer.status == 200 and b"ok" in await answer.read()
            done += 1
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=users)) as session:
        before = cpu()
        end = time.monotonic() + seconds
        await asyncio.gather(*(one(session, end) for _ in range(users)))
        print("DONE", done, cpu() - before)
if sys.argv[4] == "uvloop":
    import uvloop
    uvloop.install()
asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
"""


class Server:
    """The server under load, on its own CPU."""

    def __init__(self, folder: Path, cpu: int, *arguments: str) -> None:
        self.native = shutil.which("cc") is not None
        command = [sys.executable, "-c", SERVER]
        if self.native:
            source, program = Path(__file__).with_name("server.c"), folder / "server"
            if not program.exists():
                subprocess.run(["cc", "-O2", "-o", str(program), str(source)], check=True)
            command = [str(program), *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        psutil.Process(self._process.pid).cpu_affinity([cpu])
        if cpu == CLIENT_CPU:  # it must not interrupt the client for each request
            os.sched_setscheduler(self._process.pid, os.SCHED_BATCH, os.sched_param(0))
        self.port = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()

    def served(self) -> int:
        """Return how many requests were answered so far."""
        self._process.send_signal(signal.SIGUSR1)
        return int(self._line())

    def at_rest(self) -> int:
        """Return how many requests were answered, once what an earlier client left behind is answered too."""
        last = -1
        while last != (last := self.served()):
            time.sleep(0.1)
        return last

    def end(self) -> None:
        """End the server."""
        self._process.kill()
        self._process.communicate()


Run = Callable[[Server, float], tuple[int, float]]  # (server, seconds) -> (requests, CPU seconds of the client)


def process_cpu(pid: int) -> float:
    """Return the CPU seconds of a running process."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


class OurWorker:
    """One crew worker, driven by hand, on the client's CPU."""

    def __init__(self, port: int, load: Load, loop: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seatrial-bench-"))
        (self.folder / "users.py").write_text(USERS_MODULE)
        plan = Plan(
            seatrial="0", app="bench", app_dir=str(self.folder), scenario="bench", runtime="process", seed=1,
            crew=Crew(module="users.py"), load=load,
        )  # fmt: skip
        config = say.WorkerConfig(
            run="bench",
            worker=0,
            plan=plan,
            journal=str(self.folder / "journal"),
            host="127.0.0.1",
            port=port,
            loop=loop,
        )
        (self.folder / "w.json").write_bytes(msgspec.json.encode(config))
        began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seatrial.crew.worker", str(self.folder / "w.json")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        psutil.Process(self.process.pid).cpu_affinity([CLIENT_CPU])
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
        """End the worker; return how many ops its journal holds, all of them ok."""
        self.process.communicate()
        ops = read_segments(self.folder / "journal")
        bad = int((ops.outcome != 2).sum())
        if bad:
            raise SystemExit(f"{bad} of {len(ops)} ops are not ok")
        shutil.rmtree(self.folder)
        return len(ops)


def ours(loop: str) -> Run:
    """Return the run of our worker in a closed loop. Rows that are not the requests on the wire end the benchmark."""

    def run(server: Server, seconds: float) -> tuple[int, float]:
        before = server.at_rest()
        worker = OurWorker(server.port, Load(users=USERS, length_s=seconds, arrivals=Arrivals(model="closed")), loop)
        used = process_cpu(worker.process.pid)
        worker.drive()
        used = process_cpu(worker.process.pid) - used
        rows, wire = worker.end(), server.served() - before
        if rows != wire:
            raise SystemExit(f"the journal holds {rows} requests, the server answered {wire}")
        return rows, used

    return run


def outside(command: Callable[[str, float], list[str]], pattern: str) -> Run:
    """Return the run of another tool. The pattern finds its count of requests, and its CPU seconds if it tells them."""

    def run(server: Server, seconds: float) -> tuple[int, float]:
        url = f"http://127.0.0.1:{server.port}"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process = subprocess.Popen(
            ["taskset", "-c", str(CLIENT_CPU), *command(url, seconds)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        output = process.communicate()[0]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = re.search(pattern, output)
        if not found:
            raise SystemExit(f"{process.args}: no count of requests in {output[-500:]!r}")
        whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return int(found[1]), float(found[2]) if found.re.groups > 1 else whole

    return run


def can_import(python: str, name: str) -> bool:
    """Whether an interpreter has a library."""
    return subprocess.run([python, "-c", f"import {name}"], capture_output=True, check=False).returncode == 0


def tools(folder: Path) -> dict[str, Run]:
    """Return what can be compared on this machine, ours first."""
    found: dict[str, Run] = {}
    if can_import(sys.executable, "uvloop"):
        found["seatrial (uvloop)"] = ours("uvloop")
    found["seatrial (asyncio)"] = ours("asyncio")
    if shutil.which("wrk"):
        line = ["wrk", "-t1", f"-c{USERS}"]
        found["wrk"] = outside(lambda url, s: [*line, f"-d{s:.0f}s", f"{url}/thing/1"], r"(\d+) requests in")
    if shutil.which("hey"):
        hey = ["hey", "-c", str(USERS), "-cpus", "1"]
        found["hey"] = outside(lambda url, s: [*hey, "-z", f"{s:.0f}s", f"{url}/thing/1"], r"\[200\]\s+(\d+) responses")
    python = os.environ.get("LOCUST_PYTHON", sys.executable)
    if can_import(python, "locust"):
        (folder / "locustfile.py").write_text(LOCUSTFILE)
        command = [python, "-m", "locust", "-f", str(folder / "locustfile.py"), "--headless", "--only-summary"]
        crowd = ["-u", str(USERS), "-r", str(USERS)]
        found["Locust FastHttpUser"] = outside(
            lambda url, s: [*command, *crowd, "-t", f"{s + 1:.0f}s", "-H", url], r"DONE (\d+) ([\d.]+)"
        )
    for loop in ("asyncio", "uvloop"):
        if can_import(python, "aiohttp") and can_import(python, loop):
            found[f"aiohttp ({loop})"] = outside(
                lambda url, s, loop=loop: [python, "-c", AIOHTTP, f"{url}/thing/1", str(USERS), str(s), loop],
                r"DONE (\d+) ([\d.]+)",
            )
    return found


def pacing(server: Server, loop: str) -> None:
    """Print how late arrivals are made at 1,000/s, how many there were, and how soon a worker is ready."""
    worker = OurWorker(server.port, Load(users=50, length_s=4.0, arrivals=Arrivals(rate=1000.0)), loop)
    stats = [s for s in worker.drive() if s["arrivals"] > 500]
    busy = statistics.median(s["busy"] for s in stats)
    ops = read_segments(worker.folder / "journal")
    lag = sorted((ops.started_ns - ops.intended_ns).tolist())
    early, count = sum(late < 0 for late in lag), worker.end()
    p50, p99, p999 = (lag[int(len(lag) * q)] / 1000 for q in (0.5, 0.99, 0.999))
    print(
        f"pacing at 1,000/s, {loop}: {count} of 4000 arrivals, {early} early, from intended to journalled: "
        f"p50 {p50:.0f} us, p99 {p99:.0f} us, p99.9 {p999:.0f} us; busy {busy:.0%}; ready in {worker.ready_s:.2f} s"
    )


def show(title: str, found: dict[str, list[tuple[int, float]]]) -> None:
    """Print a table of medians."""
    costs = {name: statistics.median(cpu / count * 1e6 for count, cpu in runs) for name, runs in found.items()}
    base = next(iter(costs.values()))
    print(f"\n{title}\n{'client':22}{'CPU us/request':>16}{'(spread)':>16}{'requests/s a core':>20}{'cost / ours':>14}")
    for name, cost in costs.items():
        each = [cpu / count * 1e6 for count, cpu in found[name]]
        spread = f"{min(each):.1f} .. {max(each):.1f}"
        print(f"{name:22}{cost:16.2f}{spread:>16}{1e6 / cost:20,.0f}{cost / base:14.2f}", flush=True)


def rounds(server: Server, chosen: dict[str, Run], count: int, seconds: float) -> dict[str, list[tuple[int, float]]]:
    """Return the figures of all rounds, each begun by another tool."""
    names = list(chosen)
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in names}
    for number in range(count):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(chosen[name](server, seconds))
    return found


def main() -> None:
    """Run all rounds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--only", nargs="+", default=[""], help="only tools whose name holds one of these words")
    parser.add_argument("--one-cpu", action="store_true", help="server and client on one CPU: for a busy machine")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seatrial-bench-") as name:
        folder = Path(name)
        chosen = {n: run for n, run in tools(folder).items() if any(word in n for word in args.only)}
        cpu = CLIENT_CPU if args.one_cpu else SERVER_CPU
        server, unique = Server(folder, cpu), Server(folder, cpu, "unique")
        try:
            what = "C, epoll" if server.native else "PYTHON, SLOWER THAN SOME CLIENTS (no cc here)"
            heading = f"server: {what}, CPU {cpu}; client on CPU {CLIENT_CPU} of {len(CPUS)}; {args.rounds} rounds"
            show(heading, rounds(server, chosen, args.rounds, args.seconds))
            if server.native:
                few = {n: run for n, run in chosen.items() if "seatrial" in n or n == "wrk"}
                show("every answer with a header of its own", rounds(unique, few, args.rounds, args.seconds))
            print()
            for loop in ("uvloop", "asyncio"):
                if f"seatrial ({loop})" in chosen:
                    pacing(server, loop)
        finally:
            server.end()
            unique.end()


if __name__ == "__main__":
    main()
