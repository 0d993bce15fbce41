"""The guardian: a process of its own, started before the first resource, that undoes a run whose conductor died.

It holds a pidfd of the conductor, so it notices any death, SIGKILL included, at once and without polling. It is in a
session of its own and ignores the signals of the terminal. When the conductor ended in good order the ledger has no
open entries and the guardian has nothing to do.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from seatrial.clock import SystemClock
from seatrial.engine.healing import heal_run
from seatrial.history.events import Interruption, Residue
from seatrial.store.events import EventWriter
from seatrial.store.ledger import read_ledger

LOG = "guardian.log"
STARTED = b"watching\n"


def start_guardian(run: Path) -> subprocess.Popen[bytes]:
    """Start the guardian of a run folder for this process, and return when it watches."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SEATRIAL_")}
    with (run / LOG).open("ab") as log:
        guardian = subprocess.Popen(
            [sys.executable, "-m", "seatrial.engine.guardian", str(run.resolve()), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            env=environment,
            cwd="/",
        )
    assert guardian.stdout
    said = guardian.stdout.readline()
    guardian.stdout.close()
    if said != STARTED:
        raise OSError(f"the guardian did not start; see {run / LOG}")
    return guardian


def watch(run: Path, conductor: int) -> None:
    """Wait for the conductor to end, however that happens; then undo what it left."""
    for name in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(name, signal.SIG_IGN)
    gone = _death_of(conductor)
    sys.stdout.buffer.write(STARTED)
    sys.stdout.buffer.flush()
    gone()
    if read_ledger(run / "ledger.jsonl"):
        _undo(run)


def _death_of(conductor: int) -> Callable[[], None]:
    """Return a call that waits for the death of the conductor, bound to it before anything can go wrong."""
    if not hasattr(os, "pidfd_open"):  # not Linux: the guardian is a child, and is adopted when its parent dies
        return lambda: _wait_until(lambda: os.getppid() != conductor)
    try:
        watched = os.pidfd_open(conductor)
    except ProcessLookupError:
        return lambda: None
    return lambda: _wait_until(lambda: bool(select.select([watched], [], [], None)[0]))


def _wait_until(happened: Callable[[], bool]) -> None:
    while not happened():
        select.select([], [], [], 0.2)


def _undo(run: Path) -> None:
    clock = SystemClock()
    writer = EventWriter(run / "journal" / "guardian.jsonl")
    writer.write(Interruption(t_ns=clock.now_ns(), by="conductor-died", reason="the conductor ended before teardown"))
    healed = heal_run(run, clock, how="guardian")
    writer.write(Residue(t_ns=clock.now_ns(), clean=not healed.left, items=healed.left))
    writer.close()
    print("\n".join([f"undid {healed.open_entries} open entries", *healed.done, *healed.left]), file=sys.stderr)


if __name__ == "__main__":
    watch(Path(sys.argv[1]), int(sys.argv[2]))
