"""When the reader of our output goes away, as with `seatrial ps | head`: nothing happens, and the exit code holds."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def reader_may_leave() -> Iterator[None]:
    """Print inside of this when the exit code must not change because the reader of stdout is gone."""
    try:
        yield
        sys.stdout.flush()
    except OSError:
        read_by_nobody()


def read_by_nobody() -> None:
    """Let what is still buffered go nowhere, so that the interpreter does not stumble over it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
