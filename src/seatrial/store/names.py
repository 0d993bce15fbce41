"""The words of a worker's journal that repeat (names of ops, error codes): an append-only file of JSON lines."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from seatrial.errors import EnvironmentTrouble
from seatrial.store.lines import append_line, ends_torn

OTHER = "(other)"  # every word after the 65,534th is stored as this one
LAST_ID = 0xFFFF


class NameLine(msgspec.Struct, frozen=True):
    """One line of a .names file. Ids begin at 1; 0 stands for no word."""

    id: int
    text: str


class NameWriter:
    """Gives each new word an id and writes it down before the id can be used. Goes on with an existing file."""

    def __init__(self, path: Path) -> None:
        known, _ = read_names(path)
        self.ids = {text: number for number, text in known.items()}
        self._last = max(known, default=0)
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._torn = ends_torn(path)

    def add(self, text: str) -> int:
        """Return the id of a word. Raises EnvironmentTrouble when the disk is full."""
        known = self.ids.get(text)
        if known is not None:
            return known
        if self._last >= LAST_ID - 1 and text != OTHER:
            return self.add(OTHER)
        safe = text.encode("utf-8", "replace").decode()  # a lone surrogate cannot be JSON
        try:
            append_line(self._fd, msgspec.json.encode(NameLine(self._last + 1, safe)), self._torn)
        except OSError as trouble:
            self._torn = True
            raise EnvironmentTrouble(f"cannot write {self._path}: {trouble.strerror}; free space there") from trouble
        self._torn = False
        self._last += 1
        self.ids[text] = self._last
        return self._last

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def read_names(path: Path) -> tuple[dict[int, str], int]:
    """Return id -> word, and how many lines could not be read."""
    found: dict[int, str] = {}
    damaged = 0
    decoder = msgspec.json.Decoder(NameLine)
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            name = decoder.decode(line)
            found[name.id] = name.text
        except (msgspec.DecodeError, UnicodeDecodeError):
            damaged += bool(line.strip())
    return found, damaged
