"""The guardian: a process of its own, started before the first resource, that undoes a run whose conductor died.

It holds a pidfd of the conductor, so it notices any death, SIGKILL included, at once and without polling. It is in a
session of its own and ignores the signals of the terminal. When the conductor ended in good order, the guardian has
nothing to do: it is dismissed, or finds nothing open.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from seatrial.clock import SystemClock
from seatrial.engine.healing import LEDGER, ended_in_order, heal_dead_run
from seatrial.errors import EnvironmentTrouble
from seatrial.store.ledger import read_ledger

LOG = "guardian.log"
STARTED = b"watching\n"
START_WITHIN_S = 30.0
_LOOK_S = 0.2


class Guardian:
    """The conductor's end of its guardian."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Hold a guardian that watches."""
        self._process = process

    @property
    def pid(self) -> int:
        """Return the pid."""
        return self._process.pid

    def dismiss(self) -> None:
        """End it: nothing is left to guard. Safe to call twice."""
        self._process.kill()
        self._process.wait()

    def leave(self) -> None:
        """Let it stay until this process ends, because something is left that only it may be able to undo."""
        self._process.returncode = 0  # nobody waits for it here; it outlives us on purpose


def start_guardian(run: Path) -> Guardian:
    """Start the guardian of a run folder for this process, and return when it watches. Raises EnvironmentTrouble."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SEATRIAL_")}
    ours = _own_pidfd()
    command = [sys.executable, "-P", "-m", "seatrial.engine.guardian", str(run.resolve()), str(os.getpid()), str(ours)]
    try:
        with (run / LOG).open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env=environment,
                cwd="/",
                pass_fds=() if ours < 0 else (ours,),
            )
    except OSError as error:
        raise EnvironmentTrouble(f"the guardian could not be started: {error}; free processes or memory") from error
    finally:
        if ours >= 0:
            os.close(ours)
    if not _watches(process):
        process.kill()
        process.wait()
        raise EnvironmentTrouble(f"the guardian does not watch after {START_WITHIN_S:g} s; see {run / LOG}")
    return Guardian(process)


def _own_pidfd() -> int:
    """Return a pidfd of this process, made here so that it can never mean another one; -1 where there is none."""
    try:
        return os.pidfd_open(os.getpid())
    except (AttributeError, OSError):  # not Linux, or an old kernel
        return -1


def _watches(process: subprocess.Popen[bytes]) -> bool:
    assert process.stdout
    with process.stdout as out:
        readable, _, _ = select.select([out], [], [], START_WITHIN_S)
        return bool(readable) and out.readline() == STARTED


def is_guardian_of(pid: int, run: Path) -> bool:
    """Return whether that pid is the living guardian of the run, and not another program that got the number."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"seatrial.engine.guardian" in command and str(run.resolve()).encode() in command


def watch(run: Path, conductor: int, pidfd: int) -> None:
    """Wait for the conductor to end, however that happens; then undo what it left."""
    for name in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(name, signal.SIG_IGN)
    with suppress(OSError):  # a conductor that died meanwhile reads no more
        sys.stdout.buffer.write(STARTED)
        sys.stdout.buffer.flush()
    if pidfd >= 0:
        select.select([pidfd], [], [])
    while os.getppid() == conductor:  # without pidfd: a child is adopted when its parent dies
        select.select([], [], [], _LOOK_S)
    if ended_in_order(run) and not read_ledger(run / LEDGER):
        return
    healed = heal_dead_run(run, SystemClock(), how="guardian")
    print("\n".join([f"undid {healed.open_entries} open entries", *healed.done, *healed.left]), file=sys.stderr)


if __name__ == "__main__":
    watch(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
