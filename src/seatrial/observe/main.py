"""An observer process: `python -m seatrial.observe.main`. Its configuration is the first line on stdin.

It ends when it is told to, and by itself when stdin closes or its parent dies.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time

import msgspec

from seatrial.history import ObserverEvent
from seatrial.observe.roles import DRAIN_S, ROLES, Role, pause
from seatrial.observe.wire import Beat, Config, Order

BEAT_S = 0.5
SILENT_NS = 2_000_000_000
ORPHAN_LEFT_S = 5  # how long an observer without a conductor may take to write its last lines
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Process:
    """The life of an observer process around its role."""

    def __init__(self, config: Config) -> None:
        """Make the role; open its files."""
        self._stop = asyncio.Event()
        self._name = config.role
        self._role: Role = ROLES[config.role](config, self.tell)
        os.set_blocking(sys.stdout.fileno(), False)

    def tell(self, last: bool = False) -> None:
        """Print the whole state. A conductor that does not read loses lines; it never stops us."""
        files = self._role.files()
        beat = Beat(
            t_ns=time.monotonic_ns(),
            failing=self._role.failing(),
            lost=sum(file.lost for file in files),
            why=next((file.why for file in files if file.why), ""),
            last=last,
        )
        try:
            os.write(sys.stdout.fileno(), msgspec.json.encode(beat) + b"\n")
        except OSError:
            pass

    def orphaned(self) -> None:
        """Stop, and make sure of it: SIGALRM ends us when the last lines take too long."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(ORPHAN_LEFT_S)
        self._stop.set()

    async def live(self) -> None:
        """Work until told to stop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.orphaned)
        listener = asyncio.create_task(self._listen())
        beats = asyncio.create_task(self._beat())
        try:
            await self._role.run(self._stop)
        finally:
            listener.cancel()
            beats.cancel()
            await asyncio.gather(listener, beats, return_exceptions=True)
        for file in self._role.files():
            file.close()
        self.tell(last=True)

    async def _listen(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            order = msgspec.json.decode(line, type=Order)
            if order.stop:
                self._stop.set()
                signal.alarm(int(DRAIN_S) + 10)
                return
            self._role.take(order)
        self.orphaned()

    async def _beat(self) -> None:
        before = time.monotonic_ns()
        while not self._stop.is_set():
            self.tell()
            await pause(self._stop, BEAT_S)
            now = time.monotonic_ns()
            if now - before > SILENT_NS and self._name == "watch":  # probes have a finer pulse of their own
                detail = {"gap_ns": now - before, "seen_by": "observer"}
                reason = "the observer was stopped or starved"
                self._role.files()[0].write(ObserverEvent(t_ns=before, what="silent", reason=reason, detail=detail))
            before = now


async def observe(line: bytes) -> None:
    """Be the observer process of this configuration."""
    await Process(msgspec.json.decode(line, type=Config)).live()


def main() -> None:
    """Read the configuration and observe."""
    parent = os.getppid()
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the conductor's to handle
    line = _first_line()
    if line and os.getppid() == parent:
        asyncio.run(observe(line))


def _first_line() -> bytes:
    """Read one line from stdin and not a byte more."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return b""
        line += byte
    return bytes(line)


if __name__ == "__main__":
    main()
