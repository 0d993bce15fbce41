"""Appends events to a file of JSON lines, one write call a line, so that a kill of the writer leaves whole lines."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from seatrial.history import Event


class Lines:
    """An append-only file of events. A full disk loses lines, counts them, and does not end the observer."""

    def __init__(self, path: Path) -> None:
        """Open for appending; make the folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._encoder = msgspec.json.Encoder()
        self._torn = False
        self.lost = 0
        self.why = ""

    def write(self, event: Event) -> None:
        """Append one event."""
        line = self._encoder.encode(event) + b"\n"
        if self._torn:  # the line before was cut by a full disk: keep this one apart from it
            line = b"\n" + line
        try:
            self._torn = os.write(self._handle, line) != len(line)
        except OSError as error:
            self.why = error.strerror or str(error)
            self.lost += 1
            return
        self.lost += self._torn

    def close(self) -> None:
        """Put everything on disk."""
        try:
            os.fsync(self._handle)
        finally:
            os.close(self._handle)
