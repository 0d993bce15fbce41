"""Run the fault proxy of one link: python -m seatrial.faults.proxy SEED DIAL_SECONDS PARENT_PID."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import sys

from seatrial.faults.proxy.control import Control
from seatrial.faults.proxy.loop import IN, Loop
from seatrial.faults.proxy.server import Proxy

PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Ask the kernel to kill us when our parent dies; leave at once if it died already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)


def raise_limit() -> None:
    """Allow as many descriptors as we may have: every connection needs two."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        pass  # an unlimited hard limit above the kernel's own; the soft one stays


def main() -> None:
    """Listen, say where, and obey until stdin ends. A signal to the terminal's group is the conductor's to handle."""
    seed, dial_s, parent = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    end_with(parent)
    raise_limit()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    loop = Loop()
    proxy = Proxy(loop, seed, dial_s)
    control = Control(loop, proxy, 0, 1)
    loop.watch(0, control, IN)
    control.answer({"id": 0, "ok": {"host": "127.0.0.1", "port": proxy.listener.port, "pid": os.getpid()}})
    gc.freeze()  # what is there now stays; collections look at connections only
    loop.run()
    # The kernel closes every socket now; nobody waits for more.
    os._exit(0)


if __name__ == "__main__":
    main()
