"""The run's ledger on disk: what was made and how to take it back, on the disk before the thing is made."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from seatrial.clock import Clock
from seatrial.errors import EnvironmentTrouble
from seatrial.store.lines import append_line, sync_folder
from seatrial.undo import AnyUndo, LedgerLine

_DECODER: Final = msgspec.json.Decoder(LedgerLine)
UNREADABLE = "written by another version of seatrial: no way to undo it is known here"


class _Entry(msgspec.Struct):
    """What every version's line has; used when the recipe itself is unknown here."""

    id: int
    what: str
    wall_ns: int = 0
    kind: str = ""
    name: str = ""


class FileLedger:
    """A ports.Ledger in a file. Several processes may write to the same file at once; ids are unique in the file.

    Each line is appended under a lock (the kernel lets go of it when its holder dies) and is on the disk when the
    method returns: it outlives SIGKILL and a power cut.
    """

    def __init__(self, path: Path | str, clock: Clock) -> None:
        self._path = Path(path)
        self._clock = clock
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._read_to = 0
        self._last = 0
        sync_folder(self._path.parent)

    def open(self, kind: str, name: str, undo: AnyUndo) -> int:
        """Write down what is about to be made; return its id. Raises EnvironmentTrouble when the disk is full."""
        with self._locked() as torn:
            entry = self._last + 1
            line = LedgerLine(id=entry, what="open", wall_ns=self._clock.wall_ns(), kind=kind, name=name, undo=undo)
            self._append(line, torn)
        return entry

    def close(self, entry: int, how: str = "") -> None:
        """Write down that an entry is gone. Raises EnvironmentTrouble when the disk is full."""
        with self._locked() as torn:
            self._append(LedgerLine(id=entry, what="close", wall_ns=self._clock.wall_ns(), how=how), torn)

    def dispose(self) -> None:
        """Close the file itself."""
        os.close(self._fd)

    def __enter__(self) -> FileLedger:
        """Return the ledger."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file itself."""
        self.dispose()

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Hold the file alone, knowing its last id; give whether a process died in the middle of the last line."""
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            size = os.fstat(self._fd).st_size
            new = os.pread(self._fd, size - self._read_to, self._read_to)
            whole = new[: new.rfind(b"\n") + 1]
            self._read_to += len(whole)
            self._last = max([self._last, *(line.id for line in _lines(new))])  # a line may lack only its end
            yield len(whole) < len(new)
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _append(self, line: LedgerLine, torn: bool) -> None:
        try:
            append_line(self._fd, msgspec.json.encode(line), torn)
            os.fsync(self._fd)
        except OSError as trouble:
            raise EnvironmentTrouble(f"cannot write {self._path}: {trouble.strerror}; free space there") from trouble


def read_ledger(path: Path | str) -> list[LedgerLine]:
    """Return the entries that are open, in the order to undo them: the one opened last comes first.

    A torn `open` counts for nothing (its thing was never made: open() had not returned); a torn `close` leaves its
    entry open, and undoing it again does no harm. An entry with a recipe that this version does not know is
    returned with undo None, and how says so. A file that does not exist is an empty ledger.
    """
    file = Path(path)
    found: dict[int, LedgerLine] = {}
    for line in _lines(file.read_bytes()) if file.exists() else ():
        if line.what == "open":
            found[line.id] = line
        else:
            found.pop(line.id, None)
    return list(reversed(found.values()))


def _lines(data: bytes) -> Iterator[LedgerLine]:
    for text in data.split(b"\n"):
        try:
            yield _DECODER.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            yield from _of_other_version(text)


def _of_other_version(text: bytes) -> Iterator[LedgerLine]:
    try:
        entry = msgspec.json.decode(text, type=_Entry)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    known = {"id": entry.id, "what": entry.what, "wall_ns": entry.wall_ns, "kind": entry.kind, "name": entry.name}
    yield LedgerLine(**known, how=UNREADABLE)  # type: ignore[arg-type]
