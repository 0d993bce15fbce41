"""Writes and reads the events of a run: JSON lines, each appended in one write, so that they survive SIGKILL."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from seatrial.errors import EnvironmentTrouble
from seatrial.history import AnyEvent
from seatrial.store.lines import append_line, ends_torn

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(AnyEvent)


class EventWriter:
    """Appends events to one file. Several processes may each have a writer on the same file."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._torn = ends_torn(self._path)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, event: AnyEvent) -> None:
        """Append an event; when this returns it survives SIGKILL. Raises EnvironmentTrouble when the disk is full."""
        try:
            append_line(self._fd, _ENCODER.encode(event), self._torn)
        except OSError as trouble:
            self._torn = True
            raise EnvironmentTrouble(f"cannot write {self._path}: {trouble.strerror}; free space there") from trouble
        self._torn = False

    __call__ = write  # a writer serves as an Emit

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def __enter__(self) -> EventWriter:
        """Return the writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the writer."""
        self.close()


@dataclass(frozen=True, slots=True)
class EventsRead:
    """Events by time; how many files end in a torn line; and the damaged whole lines, as "file:line: problem"."""

    events: tuple[AnyEvent, ...]
    torn: int = 0
    damaged: tuple[str, ...] = ()


def read_events(folder: Path | str) -> tuple[AnyEvent, ...]:
    """Return the events of all *.jsonl files in a journal folder, sorted by t_ns. Lines not readable are left out."""
    return read_events_counted(folder).events


def read_events_counted(folder: Path | str) -> EventsRead:
    """Return the events of all *.jsonl files in a journal folder, and what could not be read."""
    events: list[AnyEvent] = []
    damaged: list[str] = []
    torn = 0
    for path in sorted(Path(folder).glob("*.jsonl")):
        *whole, tail = path.read_bytes().split(b"\n")
        problems = _decode(path, [*whole, tail] if _is_event(tail) else whole, events)
        damaged += problems
        torn += bool(tail) and not _is_event(tail)
    events.sort(key=lambda e: e.t_ns)
    return EventsRead(tuple(events), torn, tuple(damaged))


def _is_event(line: bytes) -> bool:
    try:
        _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _decode(path: Path, lines: list[bytes], events: list[AnyEvent]) -> list[str]:
    """Add the events of the lines to `events`; return what is wrong with the others."""
    problems = []
    for number, line in enumerate(lines, start=1):
        if line:
            try:
                events.append(_DECODER.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as trouble:
                problems.append(f"{path.name}:{number}: {trouble}")
    return problems
