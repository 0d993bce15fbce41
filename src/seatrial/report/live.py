"""The live view: what a run is doing now. It only watches: it never slows a run, and its own troubles end only itself.

The run hands in events and counts; that changes a few fields and returns. A thread of the view does all the writing, so
that a terminal that is slow or gone holds up nobody.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import ParamSpec, TextIO, TypeVar

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from seatrial.clock import NS, Clock, SystemClock
from seatrial.history import AnyEvent
from seatrial.plan import Plan
from seatrial.report.progress import Progress
from seatrial.report.text import one_line

HEARTBEAT_S = 10.0
_REFRESH_S = 0.25
_STOP_WAITS_S = 2.0
_MOST_WAITING_LINES = 1000  # beyond that the oldest are dropped: a reader that does not read must not cost memory

P = ParamSpec("P")
R = TypeVar("R")


def contained(method: Callable[P, R]) -> Callable[P, R | None]:
    """Make a method of the view swallow its own failures: a view must not break a run."""

    def safe(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return method(*args, **kwargs)
        except Exception:
            return None

    safe.__doc__ = method.__doc__
    safe.__name__ = method.__name__
    return safe


class _Console(Console):
    """A console that says when its reader is gone. The library's own answer is to end the process's stdout."""

    def on_broken_pipe(self) -> None:
        """Let the error go on to the view's thread, which ends."""
        raise BrokenPipeError("the reader of the live view is gone")


class LiveView:
    """A panel on a terminal; elsewhere plain lines for stages and faults, and a heartbeat every 10 s."""

    def __init__(self, plan: Plan, stream: TextIO, tty: bool, clock: Clock | None = None) -> None:
        """Make a view that writes to `stream`; nothing is written before start."""
        self._stream, self._tty = stream, tty
        self._clock = clock or SystemClock()
        self._progress = Progress(plan, self._clock.now_ns())
        self._lines: deque[str] = deque(maxlen=_MOST_WAITING_LINES)
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_beat_ns = self._clock.now_ns()

    @contained
    def start(self) -> None:
        """Begin to show."""
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="seatrial-live", daemon=True)
        self._thread.start()

    @contained
    def stop(self) -> None:
        """Write what is still waiting and end; waits at most 2 s for a slow reader. Safe to call twice."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(_STOP_WAITS_S)
            self._thread = None

    @contained
    def event(self, e: AnyEvent) -> None:
        """Take note of an event."""
        line = self._progress.event(e)
        if line:
            self._lines.append(self._stamped(line))

    @contained
    def ops(self, completed: int, ok: int | None = None, fail: int | None = None, unknown: int | None = None) -> None:
        """Take note of how many ops have completed so far, and how."""
        self._progress.ops(self._clock.now_ns(), completed, ok, fail, unknown)

    @contained
    def say(self, line: str) -> None:
        """Show one line of progress."""
        self._lines.append(self._stamped(one_line(line)))

    def _stamped(self, line: str) -> str:
        return f"{self._progress.elapsed(self._clock.now_ns())}  {line}"

    def _run(self) -> None:
        show = self._show_panel if self._tty else self._show_lines
        try:
            show()
        except Exception:  # the reader is gone, or the terminal is odd: the run goes on without a view
            self._lines.clear()

    def _show_lines(self) -> None:
        while not self._end.wait(_REFRESH_S):
            self._flush(self._write)
            now = self._clock.now_ns()
            if now - self._last_beat_ns >= HEARTBEAT_S * NS:
                self._last_beat_ns = now
                self._write(self._stamped(self._progress.heartbeat(now)))
        self._flush(self._write)

    def _write(self, line: str) -> None:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
        self._stream.flush()

    def _flush(self, write: Callable[[str], None]) -> None:
        while self._lines:
            self._last_beat_ns = self._clock.now_ns()
            write(self._lines.popleft())

    def _show_panel(self) -> None:
        console = _Console(file=self._stream, force_terminal=True, highlight=False, emoji=False, markup=False)
        with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:
            while not self._end.wait(_REFRESH_S):
                self._flush(lambda line: console.print(Text(line), soft_wrap=True))
                live.update(self._panel(), refresh=True)
            self._flush(lambda line: console.print(Text(line), soft_wrap=True))

    def _panel(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="ellipsis", no_wrap=True)
        for label, value, style in self._progress.rows(self._clock.now_ns()):
            table.add_row(Text(label), Text(value, style=style))
        return table
