"""After a run: turns the raw segments into one `ops.parquet`, proves that it reads back the same, then removes them.

Rows are sorted by started_ns, then worker, then the order of begin; the row number is the op number in evidence.
Segments are merged as a stream, so memory does not grow with the run: a segment is loaded when the merge reaches the
first started_ns in it, and a row is written when no segment that is still unread can come before it.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seatrial.errors import InternalError
from seatrial.history import NONE, Ops
from seatrial.store import layout
from seatrial.store.journal_read import (
    Ints,
    Recorded,
    SegmentRows,
    WorkerNames,
    missing_segments,
    one_table,
    read_recorded,
    read_segment,
)
from seatrial.store.lines import sync_folder
from seatrial.store.table import from_parquet, to_parquet

SEALED = "ops.parquet"
GROUP_ROWS = 1 << 18
_NUMBERS = {
    "verb": pa.uint8(),
    "outcome": pa.uint8(),
    "flags": pa.uint8(),
    "actor": pa.int32(),
    "user": pa.int32(),
    "status": pa.int32(),
    "intended_ns": pa.int64(),
    "started_ns": pa.int64(),
    "ended_ns": pa.int64(),
}
_INSTANTS = ("intended_ns", "started_ns", "ended_ns")
_WORDS = ("name", "error")
_STRINGS = ("key", "value", "result")
SCHEMA = pa.schema(
    _NUMBERS
    | dict.fromkeys(_WORDS, pa.dictionary(pa.int32(), pa.string()))
    | dict.fromkeys(_STRINGS, pa.large_string())
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """What sealing did: rows in ops.parquet, torn records, bytes of the raw files and of the Parquet file."""

    rows: int
    torn: int
    raw_bytes: int
    sealed_bytes: int


@dataclass(frozen=True, slots=True)
class _Part:
    worker: int
    number: int
    path: Path
    rows: int
    first_ns: int


def seal(folder: Path | str) -> Sealed:
    """Seal a journal folder; a second time it only ends what a kill cut short. No writer may be open.

    Raises InternalError when the Parquet file does not read back the same (the raw segments are kept then), OSError
    when the disk is full (likewise).
    """
    folder = Path(folder)
    target = folder / SEALED
    raw = sum(p.stat().st_size for p in _raw_files(folder))
    if not target.exists():
        temporary = folder / f".{SEALED}.tmp"
        try:
            _verify(temporary, *_write(folder, temporary))
            _sync(temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(folder)
    for path in _raw_files(folder):
        path.unlink()
    facts = pq.read_metadata(target)
    return Sealed(facts.num_rows, _torn(facts.metadata), raw, target.stat().st_size)


def load_ops(folder: Path | str) -> Ops:
    """Return the ops of a journal folder: of ops.parquet, or of the raw segments when it is not sealed."""
    return load_recorded(Path(folder)).ops


def load_recorded(folder: Path) -> Recorded:
    """Return the ops of a journal folder, and the count of torn records."""
    if not (folder / SEALED).exists():
        return read_recorded(folder)
    with pq.ParquetFile(folder / SEALED) as file:
        torn = _torn(file.metadata.metadata)
        return Recorded(_ops(file.read()), torn)


def _torn(metadata: dict[bytes, bytes] | None) -> int:
    return int(json.loads((metadata or {}).get(b"seatrial", b"{}")).get("torn", 0))


def _raw_files(folder: Path) -> list[Path]:
    found = [path for _, _, rec in layout.segments(folder) for path in (rec, layout.heap_path(rec))]
    return [p for p in [*found, *folder.glob("ops-*.names")] if p.exists()]


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _write(folder: Path, target: Path) -> tuple[int, int]:
    """Write the Parquet file; return how many rows the segments have, and the checksum of what was written."""
    parts = [_survey(*segment) for segment in layout.segments(folder)]
    names = WorkerNames(folder, sorted({p.worker for p in parts}))
    torn = missing_segments([(p.worker, p.number) for p in parts]) + names.damaged
    checksum = 0
    merge = _Merge(parts, names)
    with pq.ParquetWriter(
        target,
        SCHEMA,
        compression="zstd",
        use_dictionary=[*_WORDS, "key"],
        column_encoding=dict.fromkeys(_INSTANTS, "DELTA_BINARY_PACKED") | dict.fromkeys(("value", "result"), "PLAIN"),
        write_statistics=[*_NUMBERS],
    ) as writer:
        for group in merge.groups():
            checksum = _checksum(group, checksum)
            writer.write_table(group, row_group_size=group.num_rows)
        writer.add_key_value_metadata({"seatrial": json.dumps({"torn": torn + merge.torn, "schema": 1})})
    return sum(p.rows for p in parts) - merge.dropped, checksum


def _survey(worker: int, number: int, path: Path) -> _Part:
    rows = layout.mapped_rows(path)
    begun = rows["begun"] == layout.BEGUN
    started = rows["started_ns"][begun]
    return _Part(worker, number, path, len(started), int(started.min()) if len(started) else 0)


class _Merge:
    """Merges segments by started_ns. `pool` holds rows that were read and cannot be written yet, per segment."""

    def __init__(self, parts: list[_Part], names: WorkerNames) -> None:
        self._unread = sorted((p for p in parts if p.rows), key=lambda p: p.first_ns, reverse=True)
        self._names = names
        self._pool: dict[tuple[int, int], pa.Table] = {}
        self.torn = sum(read_segment(p.path).torn for p in parts if not p.rows)
        self.dropped = 0

    def groups(self) -> Iterator[pa.Table]:
        """Yield tables of about GROUP_ROWS rows in order."""
        ready: list[pa.Table] = []
        while self._unread:
            self._read(self._unread.pop())
            ready.append(self._before(self._unread[-1].first_ns if self._unread else None))
            if sum(map(len, ready)) >= GROUP_ROWS:
                yield _joined(ready)
                ready = []
        if any(map(len, ready)):
            yield _joined(ready)

    def _read(self, part: _Part) -> None:
        segment = read_segment(part.path)
        self.torn += segment.torn + self._names.count_lost(part.worker, segment.rows)
        self.dropped += part.rows - len(segment.rows)
        self._pool[part.worker, part.number] = _table(part.worker, segment, self._names)

    def _before(self, horizon: int | None) -> pa.Table:
        """Take the rows that began before the horizon (all when None) out of the pool, sorted."""
        taken = []
        for place in sorted(self._pool):
            table = self._pool.pop(place)
            if horizon is not None:
                early = pc.less(table["started_ns"], horizon)
                table, rest = table.filter(early), table.filter(pc.invert(early))
                if len(rest):
                    self._pool[place] = rest
            taken.append(table)
        joined = pa.concat_tables(taken, promote_options="none")
        order = np.argsort(joined["started_ns"].to_numpy(), kind="stable")  # equal instants: by worker, then begin
        return joined if (np.diff(order) == 1).all() else joined.take(pa.array(order))


def _joined(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _table(worker: int, segment: SegmentRows, names: WorkerNames) -> pa.Table:
    columns: dict[str, Any] = {c: pa.array(segment.rows[c].astype(t.to_pandas_dtype())) for c, t in _NUMBERS.items()}
    codes = {c: names.codes(worker, segment.rows[c]) for c in _WORDS}
    words = pa.array(names.texts, type=pa.string())
    for name, code in codes.items():
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(code, mask=code == NONE), words)
    strings = to_parquet(segment.strings)
    for name in _STRINGS:
        places = getattr(segment, name)
        columns[name] = strings.take(pa.array(places, mask=places == NONE))
    return pa.table(columns, schema=SCHEMA)


def _checksum(group: pa.Table, before: int) -> int:
    """Return a checksum over the values of a group of rows, going on from that of the rows before it."""
    for name in SCHEMA.names:
        column = group[name].combine_chunks()
        if name in _WORDS:
            column = column.cast(pa.string())
        if name in _NUMBERS:
            before = zlib.crc32(column.to_numpy(), before)
        else:
            before = zlib.crc32(pc.fill_null(pc.binary_length(column), NONE).to_numpy(), before)
            before = zlib.crc32(_content(column), before)
    return before


def _content(column: pa.Array) -> memoryview:
    """Return the bytes of all strings of an array, one after the other."""
    wide = np.int64 if pa.types.is_large_string(column.type) else np.int32
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return memoryview(b"")
    ends = np.frombuffer(offsets, dtype=wide)[column.offset : column.offset + len(column) + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])]


def _verify(path: Path, rows: int, checksum: int) -> None:
    seen_rows = seen = 0
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, use_threads=False)
            seen_rows += table.num_rows
            seen = _checksum(table, seen)
    if (seen_rows, seen) != (rows, checksum):
        raise InternalError(
            f"{path} does not read back as it was written ({seen_rows} of {rows} rows, checksum {seen:08x}, "
            f"expected {checksum:08x}); the raw journal is kept: please report this"
        )


def _ops(table: pa.Table) -> Ops:
    words = _Words()
    numbers = {c: table[c].to_numpy() for c in _NUMBERS}
    name, error = words.codes(table["name"]), words.codes(table["error"])
    chunks = [from_parquet(chunk) for c in _STRINGS for chunk in table[c].chunks]
    strings, codes = one_table(chunks)
    flat = np.concatenate(codes) if codes else np.zeros(0, dtype=np.int64)
    key, value, result = np.split(flat, 3)
    return Ops(
        **numbers, name=name, error=error, key=key, value=value, result=result, names=words.texts, strings=strings
    )


class _Words:
    """Brings the dictionaries of chunks under one table."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(self._codes)

    def codes(self, column: pa.ChunkedArray) -> Any:
        found: list[Ints] = [np.zeros(0, dtype=np.int64)]
        for chunk in column.chunks:
            texts = chunk.dictionary.to_pylist()
            table = np.array([*(self._codes.setdefault(t, len(self._codes)) for t in texts), NONE], dtype=np.int64)
            found.append(table[pc.fill_null(chunk.indices, len(texts)).to_numpy()])
        return np.concatenate(found).astype(np.int32)
