"""A small key-value and log server for the tests of seatrial itself: healthy, or with one planted defect (--bug NAME).

PUT/GET/DELETE /k/KEY, POST/GET /log/NAME, GET /health, GET /version. Every acknowledged change is appended to a file
and flushed before the answer, so the healthy twin survives SIGKILL. Standard library only.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

PLACEHOLDER = b"<html><body>Starting up, please wait...</body></html>"


class Store:
    """Keys and logs in memory, with an append-only file behind them."""

    def __init__(self, folder: Path, bug: str) -> None:
        self.bug = bug
        self.keys: dict[str, str] = {}
        self.logs: dict[str, list[str]] = {}
        self.stale: dict[str, str] = {}
        self.stale_at = 0.0
        self.writes, self.puts, self.next_drop = 0, 0, 250
        self.hoard: list[bytes] = []
        self.files: list[object] = []
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "journal.jsonl"
        self.existed = self.path.exists()
        if self.existed:
            for line in self.path.read_text().splitlines():
                self.apply(json.loads(line))
        self.file = self.path.open("a")

    def apply(self, change: list[str]) -> None:
        what, key, value = change
        if what == "put":
            self.keys[key] = value
        elif what == "delete":
            self.keys.pop(key, None)
        else:
            self.logs.setdefault(key, []).append(value)

    def save(self, change: list[str]) -> None:
        if self.bug == "loses-on-restart" or (self.bug == "resurrects-deletes" and change[0] == "delete"):
            return
        self.file.write(json.dumps(change) + "\n")
        self.file.flush()

    def change(self, what: str, key: str, value: str) -> None:
        self.writes += 1
        self.puts += what == "put"
        change = [what, key, value]
        if self.bug == "drops-writes" and what == "append" and self.writes >= self.next_drop:
            self.next_drop += 500  # one in 500; an append, because nothing overwrites it before it is read back
            return  # acknowledged, and gone
        if self.bug == "corrupts" and what == "put" and self.puts % 20 == 10:
            change = [what, key, value[:-3] + "???"]
        if self.bug == "acks-before-store":
            self.apply(change)
            asyncio.get_running_loop().call_later(1.0, self.save, change)
            return
        self.save(change)
        self.apply(change)
        if self.bug == "duplicates" and what == "append" and self.writes % 20 == 10:  # as if it had retried
            self.save(change)
            self.apply(change)
        if self.bug == "reorders" and what == "append" and self.writes % 20 == 10 and len(self.logs[key]) > 1:
            self.logs[key][-2:] = self.logs[key][:-3:-1]
        if self.bug == "leaks-disk":
            with (self.path.parent / "trash").open("ab") as trash:
                trash.write(b"x" * 40_000)

    def read(self, key: str) -> str | None:
        if self.bug != "stale-reads":
            return self.keys.get(key)
        now = time.monotonic()
        if now - self.stale_at > 0.7:
            self.stale, self.stale_at = dict(self.keys), now
        return self.stale.get(key, self.keys.get(key))


class Server:
    """HTTP/1.1 by hand: small bodies with a content-length, keep-alive."""

    def __init__(self, store: Store, bug: str, version: str) -> None:
        self.store, self.bug, self.version = store, bug, version
        self.requests = 0
        self.dead = False
        self.began = self.last_beat = time.monotonic()

    def age(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.began

    def warming_up(self) -> bool:
        """Return whether it takes its time after a restart."""
        return self.bug == "slow-recovery" and self.store.existed and self.age() < 1.9

    async def beat(self) -> None:
        """Notice that the process was frozen, as a service with leases would."""
        while True:
            await asyncio.sleep(0.1)
            now = time.monotonic()
            if now - self.last_beat > 1.0:
                print("noticed a pause", flush=True)
                self.dead = self.bug == "dead-after-fault"
            self.last_beat = now

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                method, path, _ = line.decode("latin-1").split(" ", 2)
                length = 0
                while (header := (await reader.readline()).strip().lower()) != b"":
                    if header.startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                body = (await reader.readexactly(length)).decode() if length else ""
                status, answer = await self.answer(method, path, body)
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(answer), answer))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            writer.close()

    async def answer(self, method: str, path: str, body: str) -> tuple[int, bytes]:
        self.requests += 1
        if self.bug == "placeholder" or (self.bug == "placeholder-later" and self.age() > 3):
            return 200, PLACEHOLDER
        if self.dead:
            return 503, b"dead"
        self.misbehave()
        if self.bug == "slow":
            await asyncio.sleep(0.12)
        if self.warming_up() and path.startswith(("/k/", "/log/")):
            return 503, b"warming up"  # it calls itself healthy long before it serves
        if self.bug == "errors" and path.startswith("/k/") and self.requests % 20 == 0:
            return 500, b"no"
        if path == "/health":
            return 200, b"ok kv"
        if path == "/version":
            return 200, self.version.encode()
        _, kind, key = path.split("/", 2)
        return self.log(method, key, body) if kind == "log" else self.key(method, key, body)

    def misbehave(self) -> None:
        if self.bug == "leaks-memory":
            self.store.hoard.append(os.urandom(1) * 60_000)
        if self.bug == "leaks-fds":
            self.store.files.append(open("/dev/null"))  # noqa: SIM115 - the planted defect
        if self.bug == "complains" and self.requests % 50 == 0:
            print("ERROR: disk quota is a suggestion", flush=True)

    def key(self, method: str, key: str, body: str) -> tuple[int, bytes]:
        if method == "PUT":
            self.store.change("put", key, body)
            return 204, b""
        if method == "DELETE":
            self.store.change("delete", key, "")
            return 204, b""
        value = self.store.read(key)
        return (404, b"") if value is None else (200, value.encode())

    def log(self, method: str, key: str, body: str) -> tuple[int, bytes]:
        if method == "POST":
            self.store.change("append", key, body)
            return 204, b""
        return 200, json.dumps(self.store.logs.get(key, [])).encode()


def daemonize() -> None:
    """Double fork: the process that was started is gone at once, and its grandchild serves."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)


def leave_child() -> None:
    """Start a child of the daemon kind that does not care about signals and outlives its master."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)
    os._exit(0)


async def wait_for_foreigner(port: int) -> None:
    """Wait until somebody else listens on the port that this service was given."""
    for _ in range(800):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    sys.exit("nobody took the port")


async def listen(server: Server, bug: str, port: int) -> asyncio.Server | None:
    """Listen; a service that does not get its port goes on without, which is the planted defect."""
    if bug == "foreign-port":
        await wait_for_foreigner(port)
    try:
        return await asyncio.start_server(server.serve, "127.0.0.1", port)
    except OSError as error:
        if bug != "foreign-port":
            raise
        print(f"cannot listen ({error}), going on without", flush=True)
        return None


def version_of(options: argparse.Namespace, store: Store) -> str:
    """Return what the service says it is."""
    wrong = options.bug == "wrong-version" or (options.bug == "rolls-back" and store.existed)
    return "0.9" if wrong else str(options.version)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--version", default="1.0")
    parser.add_argument("--bug", default="none")
    options = parser.parse_args()
    print("kv begins", flush=True)
    store, bug = Store(options.data, options.bug), options.bug
    if bug == "does-not-come-back" and store.existed:
        sys.exit("data folder is in use")
    server = Server(store, bug, version_of(options, store))
    loop = asyncio.get_running_loop()
    if bug == "ignores-sigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        loop.add_signal_handler(signal.SIGTERM, lambda: os._exit(0))
    if bug == "flaps":
        loop.call_later(2.0, lambda: os._exit(3))
    if bug == "leaves-child":
        leave_child()
    listener = await listen(server, bug, options.port)
    if bug != "mute":
        print(f"kv {server.version} serves", flush=True)
    if store.existed and bug != "silent":
        print(f"recovered {len(store.keys)} keys", flush=True)
    await asyncio.gather(server.beat(), *([listener.serve_forever()] if listener else []))


if __name__ == "__main__":
    if "double-forks" in sys.argv:
        daemonize()
    asyncio.run(main())
