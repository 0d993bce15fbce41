"""Opens recordings: files, run folders, folders of logs, stdin, gzip; and cuts parts out of them."""

from __future__ import annotations

import gc
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from seatrial import formats
from seatrial.errors import Mistake, UsageError
from seatrial.formats.source import Source
from seatrial.history.recorded import Recorded, RecordedOp

CHUNK = 1 << 20
STDIN = "-"
GZIP = b"\x1f\x8b"
Told = Callable[[int, int | None], None]  # bytes read so far, of how many (None: not known)


def _silent(_done: int, _all: int | None) -> None:
    return None


def load(path: str, format: str = "auto", *, keyed: bool = False, told: Told = _silent) -> Recorded:
    """Read a recording: a file, "-" for stdin, a run folder, ops.parquet, a folder of Cobra's logs; gzip or not.

    keyed: values are [key, value] of many independent objects. Raises UsageError.
    """
    collecting = gc.isenabled()
    gc.disable()  # a reader makes millions of values and no cycles: to look through them again and again is slow
    try:
        return _load(path, format, keyed, told)
    finally:
        if collecting:
            gc.enable()


def _load(path: str, format: str, keyed: bool, told: Told) -> Recorded:
    folder = Path(path)
    if path != STDIN and format in ("auto", "journal") and _is_journal(folder):
        recorded = _journal(folder)
    elif path != STDIN and folder.is_dir():
        recorded = _from_folder(folder, format, told)
    else:
        recorded = _from_files([path], format, path, told)
    return _keyed(recorded) if keyed and not recorded.keyed else recorded


def part(recorded: Recorded, wanted: Iterable[int]) -> Recorded:
    """Return the recording with those ops alone, under new numbers, their order kept. Raises UsageError."""
    known = {op.index for op in recorded.ops}
    chosen = set(wanted)
    if missing := sorted(chosen - known):
        raise UsageError(f"--ops {missing[0]}: there is no such op; {recorded.source} has {len(known)}, from 0")
    kept = [op for op in recorded.ops if op.index in chosen]
    return replace(recorded, ops=tuple(replace(op, index=number) for number, op in enumerate(kept)), notes=())


def _keyed(recorded: Recorded) -> Recorded:
    for op in recorded.ops:
        for value in (op.arg, op.value):
            if not (isinstance(value, list) and len(value) == 2):
                raise _not_keyed(recorded, op, value)
    return replace(recorded, keyed=True)


def _not_keyed(recorded: Recorded, op: RecordedOp, value: Any) -> UsageError:
    problem = "--keyed was given, and this value is not [key, value]"
    where = f"line {op.line}, op {op.index}"
    return UsageError([Mistake(file=recorded.source, key=where, problem=problem, value=str(value)[:60])])


def _is_journal(folder: Path) -> bool:
    return (folder / "journal").is_dir() or (folder.suffix == ".parquet" and folder.is_file())


def _journal(path: Path) -> Recorded:
    from seatrial.formats import journal
    from seatrial.store.load import load_run
    from seatrial.store.seal import load_recorded

    if path.suffix == ".parquet":
        found = load_recorded(path.parent)
        torn = (f"{found.torn} torn records in the ops journal",) if found.torn else ()
        return journal.recorded(found.ops, str(path), torn)
    loaded = load_run(path)
    return journal.recorded(loaded.history.ops, str(path), loaded.problems)


_IN_FOLDER = ("history.bincode", "history.edn", "history.jsonl", "history.json", "history.txt")


def _from_folder(folder: Path, format: str, told: Told) -> Recorded:
    """Read the one recording of a folder as dbcop, Jepsen's store or Cobra write it."""
    for name in _IN_FOLDER:
        if (folder / name).is_file():
            return _from_files([str(folder / name)], format, str(folder / name), told)
    logs = sorted(str(one) for one in folder.glob("*.log"))
    if not logs:
        known = ", ".join(_IN_FOLDER)
        raise UsageError(f"{folder} is a folder without a journal, a file {known}, or *.log files; name the file")
    return _from_files(logs, format, str(folder), told)


def _from_files(paths: list[str], format: str, name: str, told: Told) -> Recorded:
    cut: list[str] = []
    opened = [_open(path) for path in paths]
    try:
        sources = [Source(shown, _chunks(file, shown, size, told, cut)) for file, shown, size in opened]
        recorded = formats.read(sources, format, "stdin" if name == STDIN else name)
    finally:
        for file, shown, _ in opened:
            if shown != "stdin":
                file.close()
    return replace(recorded, problems=(*cut, *recorded.problems)) if cut else recorded


def _open(path: str) -> tuple[BinaryIO, str, int | None]:
    if path == STDIN:
        return sys.stdin.buffer, "stdin", None
    try:
        return Path(path).open("rb"), path, Path(path).stat().st_size
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; give the path of a recording, or -") from None


def _chunks(file: BinaryIO, name: str, size: int | None, told: Told, cut: list[str]) -> Iterator[bytes]:
    """Yield the bytes of a file, unpacked when they are gzip."""
    raw = _raw(file, name, size, told)
    first = next(raw, b"")
    if first[:2] != GZIP:
        yield first
        yield from raw
        return
    unpack, chunk = zlib.decompressobj(wbits=31), first
    while chunk or (chunk := next(raw, b"")):
        if unpack.eof:
            unpack = zlib.decompressobj(wbits=31)
        try:
            yield unpack.decompress(chunk, CHUNK << 2)
        except zlib.error as error:
            raise UsageError(f"{name}: the gzip data is damaged ({error}); fetch or pack the file again") from None
        chunk = unpack.unconsumed_tail or unpack.unused_data
    if not unpack.eof:
        cut.append("the gzip data ends too early: the file is cut off")


def _raw(file: BinaryIO, name: str, size: int | None, told: Told) -> Iterator[bytes]:
    done = 0
    while True:
        try:
            chunk = file.read(CHUNK)
        except OSError as error:
            raise UsageError(f"{name} cannot be read: {error.strerror}; give the path of a recording, or -") from None
        if not chunk:
            return
        done += len(chunk)
        told(done, size)
        yield chunk
