"""Bytes on their way into a reader: chunks, numbered lines, and what is wrong with them. Nothing is opened here."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from seatrial.errors import Mistake, UsageError

MOST_MISTAKES = 20  # a wrong file is wrong on every line: the first few say what is expected
HEAD_BYTES = 1 << 16


@dataclass(slots=True)
class Source:
    """One file: its name and its bytes in chunks of any size. Its bytes can be taken once."""

    name: str
    chunks: Iterable[bytes]
    ended: bool = True  # whether the last line that `lines` gave had its newline
    _kept: list[bytes] = field(default_factory=list)
    _rest: Iterator[bytes] | None = None

    def head(self) -> bytes:
        """Return the first bytes (64 KiB, or the whole file), without taking them."""
        rest = self._iterator()
        while sum(map(len, self._kept)) < HEAD_BYTES:
            chunk = next(rest, None)
            if chunk is None:
                break
            self._kept.append(chunk)
        return b"".join(self._kept)

    def take(self) -> Iterator[bytes]:
        """Yield the chunks."""
        rest = self._iterator()
        kept, self._kept = self._kept, []
        yield from kept
        yield from rest

    def text(self) -> Iterator[str]:
        """Yield the chunks as text. Raises UsageError with the offset of the first byte that is not UTF-8."""
        decoder, seen = codecs.getincrementaldecoder("utf-8")(), 0
        for chunk in self.take():
            yield self._decode(decoder, chunk, seen)
            seen += len(chunk)
        yield self._decode(decoder, b"", seen, last=True)

    def _decode(self, decoder: codecs.IncrementalDecoder, chunk: bytes, seen: int, last: bool = False) -> str:
        held = len(decoder.getstate()[0])
        try:
            return decoder.decode(chunk, last)
        except UnicodeDecodeError as error:
            at = seen - held + error.start
            problem = f"byte {at} is not UTF-8 text ({error.reason})"
            hint = "say the format with --format when it is a binary one"
            raise UsageError([Mistake(file=self.name, key=f"byte {at}", problem=problem, hint=hint)]) from None

    def blocks(self, size: int = 1 << 18) -> Iterator[str]:
        """Yield text in blocks of whole lines, about `size` characters each; the last may lack its newline."""
        pending: list[str] = []
        length = 0
        for piece in self.text():
            pending.append(piece)
            length += len(piece)
            if length >= size:
                whole, newline, rest = "".join(pending).rpartition("\n")
                pending, length = [rest], len(rest)
                if newline:
                    yield whole + newline
        if length:
            yield "".join(pending)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield (number from 1, line without its end)."""
        number = 0
        for block in self.blocks():
            lines = block.split("\n")
            self.ended = not lines[-1]
            if self.ended:
                lines.pop()
            for line in lines:
                number += 1
                yield number, line.removesuffix("\r")

    def _iterator(self) -> Iterator[bytes]:
        if self._rest is None:
            self._rest = iter(self.chunks)
        return self._rest


@dataclass(slots=True)
class Wrongs:
    """The mistakes of one file, gathered so that they can be told together."""

    file: str
    found: list[Mistake] = field(default_factory=list)

    def add(self, line: int, problem: str, expected: str = "", value: object = "") -> None:
        """Note one mistake; gives up (raises UsageError) when there are too many."""
        shown = str(value)
        shown = shown if len(shown) <= 100 else f"{shown[:97]}..."
        hint = f"expected {expected}" if expected else ""
        self.found.append(Mistake(file=self.file, key=f"line {line}", problem=problem, value=shown, hint=hint))
        if len(self.found) >= MOST_MISTAKES:
            self.tell()

    def tell(self) -> None:
        """Raise UsageError when anything was wrong."""
        if self.found:
            raise UsageError(self.found)


def wrong(file: str, line: int, problem: str, expected: str = "", value: object = "") -> UsageError:
    """Return the error for one bad line: file, line, what stands there, what was expected."""
    wrongs = Wrongs(file)
    wrongs.add(line, problem, expected, value)
    return UsageError(wrongs.found)
