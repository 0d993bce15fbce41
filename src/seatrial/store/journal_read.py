"""Reads the segments of ops journals, whole or cut off anywhere: only what is surely there, and how much is not.

Rules, each of them towards "it may have happened": a begin that is torn is no op (it was not sent); a completion that
is torn, or whose result is cut off, leaves its op in flight; an op whose key or value is cut off is dropped; a name
that is cut off reads as "?<id>". Each of these is counted in `torn`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seatrial.errors import EnvironmentTrouble
from seatrial.history import NONE, OpOutcome, Ops, no_ops
from seatrial.store import layout
from seatrial.store.names import read_names
from seatrial.store.table import StringTable

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What journals hold: the ops, and how many records or halves of records were torn or damaged."""

    ops: Ops
    torn: int


@dataclass(frozen=True, slots=True)
class SegmentRows:
    """The whole records of one segment in the order of their begin.

    rows: fields of layout.RECORD_DTYPE. strings: the segment's keys, values and results, large_binary, may repeat.
    key, value, result: rows of `strings`, NONE when absent. name ids are still the worker's own.
    """

    rows: NDArray[Any]
    strings: pa.Array
    key: Ints
    value: Ints
    result: Ints
    torn: int


def read_segments(folder: Path | str) -> Ops:
    """Return the ops of all segments in a journal folder; no ops when there are none."""
    return read_recorded(Path(folder)).ops


def read_recorded(folder: Path) -> Recorded:
    """Return the ops of all segments in a journal folder, and the count of torn records."""
    found = layout.segments(folder)
    parts = [(worker, read_segment(path)) for worker, _, path in found]
    names = WorkerNames(folder, sorted({worker for worker, _, _ in found}))  # after the records: a writer may be alive
    torn = missing_segments([(worker, number) for worker, number, _ in found]) + names.damaged
    torn += sum(part.torn + names.count_lost(worker, part.rows) for worker, part in parts)
    return Recorded(_assemble(parts, names), torn)


def missing_segments(found: list[tuple[int, int]]) -> int:
    """Return how many numbers are missing below the last segment of each worker."""
    last: dict[int, int] = {}
    for worker, number in found:
        last[worker] = max(number, last.get(worker, 0))
    return sum(n + 1 for n in last.values()) - len(found)


class WorkerNames:
    """The words of all workers under common codes, and per worker a table from its own ids to these codes."""

    def __init__(self, folder: Path, workers: list[int]) -> None:
        self._codes: dict[str, int] = {}
        self._tables: dict[int, NDArray[np.int32]] = {}
        self._known: dict[int, NDArray[np.bool_]] = {}
        self.damaged = 0
        for worker in workers:
            words, damaged = read_names(layout.names_path(folder, worker))
            self.damaged += damaged
            self._tables[worker] = np.full(layout.NAME_IDS, NONE, dtype=np.int32)
            self._known[worker] = np.zeros(layout.NAME_IDS, dtype=np.bool_)
            self._known[worker][[0, *words]] = True
            for number, word in words.items():
                self._tables[worker][number] = self.code(word)

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the words; their places are the codes."""
        return tuple(self._codes)

    def code(self, word: str) -> int:
        """Return the common code of a word."""
        return self._codes.setdefault(word, len(self._codes))

    def codes(self, worker: int, ids: NDArray[np.uint16]) -> NDArray[np.int32]:
        """Return the common codes of a worker's ids; NONE for id 0, a word of its own for an id that is not known."""
        table, known = self._tables[worker], self._known[worker]
        if not known[ids].all():
            for number in np.unique(ids[~known[ids]]):
                table[number] = self.code(f"?{number}")
        return table[ids]

    def count_lost(self, worker: int, rows: NDArray[Any]) -> int:
        """Return how many records use an id of which the word is not known."""
        known = self._known[worker]
        return int(np.count_nonzero(~(known[rows["name"]] & known[rows["error"]])))


def read_segment(path: Path) -> SegmentRows:
    """Return the whole records of one segment. Raises EnvironmentTrouble when it is of another version or program."""
    rows, torn = _records(path)
    heap = layout.heap_path(path)
    data = np.fromfile(heap, dtype=np.uint8) if heap.exists() else np.zeros(0, dtype=np.uint8)
    references = np.unique(np.concatenate([rows["key"], rows["value"], rows["result"]]).astype(np.int64))
    starts, lengths = _whole_items(data, references[references > 0])
    key, value, result = (_places(starts, rows[c]) for c in ("key", "value", "result"))
    cut_result = result == _LOST
    _leave_in_flight(rows, cut_result)
    result[cut_result] = NONE
    keep = (key != _LOST) & (value != _LOST)
    torn += int(np.count_nonzero(~keep)) + int(np.count_nonzero(cut_result & keep))
    columns = (key, value, result)
    if not keep.all():
        rows, columns = rows[keep], tuple(c[keep] for c in columns)
    return SegmentRows(rows, _strings(data, starts, lengths), *columns, torn=torn)


_LOST = -2


def _records(path: Path) -> tuple[NDArray[Any], int]:
    data = np.fromfile(path, dtype=np.uint8)
    body = data[layout.HEADER :]
    whole = len(body) // layout.RECORD
    slots = body[: whole * layout.RECORD].view(layout.RECORD_DTYPE)
    written = _written(path, data)
    torn = written - whole if written > whole else int(len(body) % layout.RECORD != 0)
    begun = slots["begun"] == layout.BEGUN
    if not begun.all():
        raw = body[: whole * layout.RECORD].reshape(-1, layout.RECORD)  # slots[...] would not copy the padding bytes
        torn += int(np.count_nonzero(raw[~begun].any(axis=1)))
    rows = slots[begun]  # a copy: completions that are torn are cleared in it
    outcome = rows["outcome"]
    wrong = (outcome != 0) & ((outcome < OpOutcome.OK) | (outcome > OpOutcome.UNKNOWN))
    half = (outcome == 0) & ((rows["ended_ns"] != 0) | (rows["result"] != 0) | (rows["status"] != 0))
    half |= (outcome == 0) & (rows["error"] != 0)
    _leave_in_flight(rows, (outcome == 0) | wrong)
    return rows, torn + int(np.count_nonzero(wrong | half))


def _written(path: Path, data: NDArray[np.uint8]) -> int:
    """Return how many records the closed segment has by its header: 0 when it is open, 1 or more when that is cut."""
    if len(data) < layout.HEADER_FORMAT.size:
        return min(len(data), 1)
    if not data[: layout.HEADER].any():
        return 0  # killed while it was made
    magic, version, record, _, _, count = layout.HEADER_FORMAT.unpack_from(data.data)
    if magic != layout.MAGIC or version != layout.VERSION or record != layout.RECORD:
        raise EnvironmentTrouble(
            f"{path} is not an ops journal of version {layout.VERSION}; use the seatrial that wrote it"
        )
    return 0 if count == layout.STILL_OPEN else int(count)


def _leave_in_flight(rows: NDArray[Any], which: NDArray[np.bool_]) -> None:
    for column in ("ended_ns", "result", "status", "error"):
        rows[column][which] = 0
    rows["outcome"][which] = OpOutcome.IN_FLIGHT


def _whole_items(data: NDArray[np.uint8], references: Ints) -> tuple[Ints, Ints]:
    """Return (starts, lengths) of the heap items that lie wholly in the heap, of sorted references."""
    starts = references[references + 4 <= len(data)]
    lengths = np.zeros(len(starts), dtype=np.int64)
    for byte in range(4):
        lengths |= data[starts + byte].astype(np.int64) << (8 * byte)
    starts = starts + 4
    # items do not overlap: one that reaches into the next is damaged
    limit = np.append(starts[1:] - 4, len(data))[: len(starts)]
    good = starts + lengths <= limit
    return starts[good], lengths[good]


def _places(starts: Ints, references: NDArray[np.uint32]) -> Ints:
    """Return the row of each reference in the strings, NONE for no reference, _LOST for an item that is not whole."""
    wanted = references.astype(np.int64) + 4
    if not len(starts):
        return np.where(references == 0, NONE, _LOST).astype(np.int64)
    place = np.searchsorted(starts, wanted)
    found = starts[np.minimum(place, len(starts) - 1)] == wanted
    return np.where(references == 0, NONE, np.where(found, place, _LOST)).astype(np.int64)


def _strings(data: NDArray[np.uint8], starts: Ints, lengths: Ints) -> pa.Array:
    """Return the items as large_binary. The heap is read as item, gap, item, gap ...; then the items are taken."""
    if not len(starts):
        return pa.array([], type=pa.large_binary())
    offsets = np.stack([starts, starts + lengths], axis=1).ravel()
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    both = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
    return both.take(pa.array(np.arange(0, len(offsets), 2)))


def _assemble(parts: list[tuple[int, SegmentRows]], names: WorkerNames) -> Ops:
    if not parts:
        return no_ops()
    table, tables = one_table([part.strings for _, part in parts])
    started = np.concatenate([part.rows["started_ns"] for _, part in parts])
    order = np.argsort(started, kind="stable")

    def column(name: str, dtype: Any) -> NDArray[Any]:
        return np.concatenate([part.rows[name] for _, part in parts]).astype(dtype)[order]

    def words(name: str) -> NDArray[np.int32]:
        return np.concatenate([names.codes(worker, part.rows[name]) for worker, part in parts])[order]

    def strings(name: str) -> Ints:
        return np.concatenate([codes_of(t, getattr(p, name)) for t, (_, p) in zip(tables, parts, strict=True)])[order]

    return Ops(
        verb=column("verb", np.uint8),
        outcome=column("outcome", np.uint8),
        flags=column("flags", np.uint8),
        name=words("name"),
        error=words("error"),
        actor=column("actor", np.int32),
        user=column("user", np.int32),
        status=column("status", np.int32),
        intended_ns=column("intended_ns", np.int64),
        started_ns=started[order],
        ended_ns=column("ended_ns", np.int64),
        key=strings("key"),
        value=strings("value"),
        result=strings("result"),
        names=names.texts,
        strings=table,
    )


def one_table(parts: list[pa.Array]) -> tuple[StringTable, list[Ints]]:
    """Return the strings of all parts, each once, and per part the codes of its strings; NONE for null."""
    encoded = pa.chunked_array(parts, type=pa.large_binary()).dictionary_encode()
    if encoded.num_chunks == 0:
        return StringTable(pa.array([], type=pa.large_binary())), [np.zeros(0, dtype=np.int64) for _ in parts]
    codes = np.concatenate([pc.fill_null(c.indices, NONE).to_numpy() for c in encoded.chunks]).astype(np.int64)
    ends = np.cumsum([len(p) for p in parts])
    dictionary = encoded.chunk(encoded.num_chunks - 1).dictionary
    return StringTable(dictionary), np.split(codes, ends[:-1])


def codes_of(table: Ints, places: Ints) -> Ints:
    """Return the codes of places in a segment's strings; NONE stays NONE."""
    return np.append(table, NONE)[places]
