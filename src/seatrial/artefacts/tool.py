"""Runs an installer (pip, npm, apt-get ...): bounded output, a heartbeat for a person, and never an orphan."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.clock import NS, Clock
from seatrial.errors import EnvironmentTrouble
from seatrial.ports import Say

LEASH = Path(__file__).with_name("leash.py")
QUIET_S = 10.0  # a person hears of us at least this often
LINES_KEPT = 2000
LINE_BYTES = 16 * 1024
NEXT_STEP = {
    "npm": "install Node.js with npm",
    "node": "install Node.js",
    "apt-get": "the apt provider needs a Debian or Ubuntu machine",
    "apt-cache": "the apt provider needs a Debian or Ubuntu machine",
    "dpkg-deb": "the apt provider needs a Debian or Ubuntu machine",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a tool ended: exit code, and the last lines of what it printed (stdout and stderr together)."""

    code: int
    out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a tool works for: label ("radicale 3.9.0"), where to say so, the clock, and the lock to hold on to.

    scratch: the folder for temporary files of the tool; the system's own when it is None.
    """

    label: str
    say: Say
    clock: Clock
    lock: int | None = None
    within_s: float = 1800.0
    scratch: Path | None = None

    def tell(self, text: str) -> None:
        """Say one line of progress."""
        self.say(f"{self.label}: {text}")


@dataclass(slots=True)
class _Output:
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES_KEPT))

    async def collect(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while data := await stream.read(64 * 1024):
            *whole, rest = (rest + data).split(b"\n")
            self.lines.extend(line[:LINE_BYTES].decode(errors="replace") for line in whole)
            rest = rest[-LINE_BYTES:]
        if rest:
            self.lines.append(rest.decode(errors="replace"))

    def last(self) -> str:
        return next((line.strip() for line in reversed(self.lines) if line.strip()), "no output yet")[:120]


def need(program: str) -> str:
    """Return the full path of a program. Raises EnvironmentTrouble when it is not on this machine."""
    found = shutil.which(program)
    if found is None:
        hint = NEXT_STEP.get(Path(program).name, "install it or correct PATH")
        raise EnvironmentTrouble(f"{program} is not on this machine; {hint}")
    return found


async def run(
    command: Sequence[str], job: Job, *, doing: str = "", env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Ran:
    """Run a command to its end. It and all it started are dead when this returns, is cancelled, or our process dies.

    Raises EnvironmentTrouble when the program is missing or takes longer than the job allows.
    """
    argv = [need(command[0]), *command[1:]]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(LEASH), *argv),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        pass_fds=() if job.lock is None else (job.lock,),
        env={**(os.environ if env is None else env), "LC_ALL": "C.UTF-8", **_scratch(job)},
        cwd=cwd,
    )
    output = _Output()
    try:
        async with asyncio.timeout(job.within_s):
            code = await _watch(process, output, job, doing)
    except TimeoutError:
        raise EnvironmentTrouble(
            f"{job.label}: {Path(command[0]).name} did not finish in {job.within_s:.0f} s "
            f"(last: {output.last()}); look at the network, or install it by hand to see why"
        ) from None
    finally:
        await asyncio.shield(_end(process))
    return Ran(code=code, out="\n".join(output.lines))


def _scratch(job: Job) -> dict[str, str]:
    return {} if job.scratch is None else dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(job.scratch))


async def _watch(process: asyncio.subprocess.Process, output: _Output, job: Job, doing: str) -> int:
    assert process.stdout is not None
    beat = asyncio.create_task(_heartbeat(output, job, doing)) if doing else None
    try:
        await output.collect(process.stdout)
        return await process.wait()
    finally:
        if beat is not None:
            beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beat


async def _heartbeat(output: _Output, job: Job, doing: str) -> None:
    started = job.clock.now_ns()
    while True:
        await job.clock.sleep(QUIET_S)
        job.tell(f"still {doing} after {(job.clock.now_ns() - started) / NS:.0f} s ({output.last()})")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close the leash's stdin, which makes it end the tree; wait for it."""
    if process.stdin is not None:
        process.stdin.close()
        with contextlib.suppress(OSError):
            await process.stdin.wait_closed()
    if process.stdout is not None:
        while await process.stdout.read(64 * 1024):  # until the last holder of the pipe is gone
            pass
    await process.wait()
