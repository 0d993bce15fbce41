"""Writes the ops of one crew worker so that they survive SIGKILL, op by op. See layout.py for the bytes and the proof.

Every op is in the journal before it is sent. Nothing here is thread-safe: a worker writes from one thread.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from struct import Struct
from typing import Final

from seatrial.errors import EnvironmentTrouble
from seatrial.store import layout
from seatrial.store.names import NameWriter
from seatrial.store.text import to_bytes

Text = bytes | str | None

_BEGIN: Final = layout.BEGIN_FORMAT.pack_into
_COMPLETE: Final = layout.COMPLETE_FORMAT.pack_into
_BEGUN: Final = layout.BEGUN
_RECORD: Final = layout.RECORD
_COMPLETION: Final = layout.COMPLETION
_OUTCOME_AT: Final = layout.RECORD - 1
_SHORT: Final = 256
_PUT_SHORT: Final = tuple(Struct(f"<I{length}s").pack_into for length in range(_SHORT))  # one store, no copies: fast

ROOM = 4096 * layout.RECORD  # blocks for records are allocated in these steps, so that no step takes long
HEAP_FIRST = 1 << 18
HEAP_STEP = 1 << 20  # the heap doubles up to this step, then grows by it
HEAP_FULL = 1 << 26  # a segment whose heap is larger takes no new ops; completions may still add to it
HEAP_LIMIT = (1 << 32) - 1  # references are 32 bits wide
SPAN = 1 << 32  # handles of a segment begin at its ordinal times this


class _Map:
    """A file that is mapped and cut to what was used when it is closed. Only bytes below `room` may be stored to."""

    __slots__ = ("bytes", "fd", "path")

    def __init__(self, path: Path, size: int, room: int) -> None:
        self.path = path
        with layout.room_for(path):
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            with layout.room_for(path):
                os.ftruncate(self.fd, size)
                layout.reserve(self.fd, room, path)
                self.bytes = mmap.mmap(self.fd, size)
        except EnvironmentTrouble:
            os.close(self.fd)
            path.unlink()  # nothing refers to it yet
            raise

    def grow(self, size: int) -> None:
        layout.reserve(self.fd, size, self.path)
        self.bytes.resize(size)

    def make_room(self, room: int) -> None:
        layout.reserve(self.fd, room, self.path)

    def close(self, used: int) -> None:
        self.bytes.close()
        os.ftruncate(self.fd, used)
        os.close(self.fd)


class _Heap:
    """The append-only store of a segment's keys, values and results: u32 length, bytes. Reference 0 is "none"."""

    __slots__ = ("_bytes", "_map", "_size", "_when_full", "end")

    def __init__(self, path: Path, when_full: Callable[[_Heap], None]) -> None:
        self._map = _Map(path, HEAP_FIRST, HEAP_FIRST)
        self._when_full = when_full
        self._bytes = self._map.bytes
        self._size = HEAP_FIRST
        self.end = len(layout.HEAP_MAGIC)
        self._bytes[: self.end] = layout.HEAP_MAGIC

    def put(self, item: bytes | str) -> int:
        """Store an item and return its reference. Raises EnvironmentTrouble when there is no room."""
        try:  # text and bytes without a further call
            data = item if type(item) is bytes else item.encode()  # type: ignore[union-attr]
        except (UnicodeEncodeError, AttributeError):
            data = to_bytes(item)
        length = len(data)
        start = self.end
        end = start + 4 + length
        if end > self._size:
            self._grow(end)
        if length < _SHORT:
            _PUT_SHORT[length](self._bytes, start, length, data)
        else:
            self._bytes[start:end] = length.to_bytes(4, "little") + data
        self.end = end
        return start

    def _grow(self, end: int) -> None:
        if end > HEAP_LIMIT:
            raise EnvironmentTrouble(f"{self._map.path}: results of ops in flight exceed 4 GiB; store a digest instead")
        size = self._size
        while size < end:
            size += min(size, HEAP_STEP)
        self._map.grow(size)
        self._size = size
        if size > HEAP_FULL:
            self._when_full(self)

    def close(self) -> None:
        self._map.close(self.end)


class _Segment:
    """The two maps of a segment, and how many ops in it are in flight once it takes no new ones."""

    __slots__ = ("bytes", "heap", "in_flight", "records")

    def __init__(self, path: Path, worker: int, number: int, records: int, when_full: Callable[[_Heap], None]) -> None:
        self.records = _Map(path, layout.HEADER + records * _RECORD, layout.HEADER)
        self.bytes = self.records.bytes
        header = (layout.MAGIC, layout.VERSION, _RECORD, worker, number, layout.STILL_OPEN)
        layout.HEADER_FORMAT.pack_into(self.bytes, 0, *header)
        try:
            self.heap = _Heap(layout.heap_path(path), when_full)
        except EnvironmentTrouble:
            self.records.close(0)
            path.unlink()  # the same number is tried again
            raise
        self.in_flight = 0

    def count_in_flight(self, end: int) -> int:
        outcomes = self.bytes[layout.HEADER + _OUTCOME_AT : end : _RECORD]
        return outcomes.count(0)

    def close(self, end: int) -> None:
        count = (end - layout.HEADER) // _RECORD
        self.bytes[layout.COUNT_AT : layout.COUNT_AT + 4] = count.to_bytes(4, "little")
        self.records.close(end)
        self.heap.close()


class JournalWriter:
    """Records ops of one worker into `folder`. Goes on after the segments that an earlier writer left there.

    key, value and result are text or bytes; bytes need not be UTF-8 (see text.py). Keys are stored once a segment.
    Raises EnvironmentTrouble when the disk is full, and when the folder was sealed.
    """

    __slots__ = (
        "_base",
        "_ends",
        "_folder",
        "_full",
        "_heap",
        "_key_refs",
        "_limit",
        "_name_ids",
        "_names",
        "_next",
        "_number",
        "_older",
        "_ordinal",
        "_records",
        "_segment",
        "_segment_records",
        "_worker",
    )

    _next: int  # where the next record goes in the map
    _limit: int  # from where on room must be made first
    _full: int  # from where on the segment takes no more
    _base: int  # handle of offset 0 of the current segment

    def __init__(self, folder: Path | str, worker: int, segment_records: int = 65536) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        if (self._folder / "ops.parquet").exists():
            raise EnvironmentTrouble(f"{self._folder} is sealed already; write to a new run folder")
        self._worker = worker
        self._segment_records = segment_records
        self._names = NameWriter(layout.names_path(self._folder, worker))
        self._name_ids = self._names.ids
        self._older: dict[int, _Segment] = {}
        self._ends: dict[int, int] = {}
        self._number = max((n for w, n, _ in layout.segments(self._folder) if w == worker), default=-1)
        self._ordinal = -1
        self._open_segment()

    def begin(
        self,
        verb: int,
        name: str,
        key: Text,
        value: Text,
        flags: int,
        user: int,
        actor: int,
        intended_ns: int,
        started_ns: int,
    ) -> int:
        """Write down that an op is about to be sent, and return its handle. Send only after this returned."""
        if self._next >= self._limit:
            self._make_room()
        at = self._next
        _BEGIN(
            self._records,
            at,
            intended_ns,
            started_ns,
            user,
            actor,
            0 if key is None else self._key_refs.get(key) or self._store_key(key),
            0 if value is None else self._heap.put(value),
            self._name_ids.get(name) or self._names.add(name),
            verb,
            flags,
            _BEGUN,
        )
        self._next = at + _RECORD
        return self._base + at

    def complete(
        self,
        handle: int,
        outcome: int,
        ended_ns: int,
        status: int = 0,
        error: str | None = None,
        result: Text = None,
    ) -> None:
        """Write down how an op ended: outcome 2, 3 or 4 of OpOutcome. Once for each handle."""
        at = handle - self._base
        if at < 0:
            self._complete_older(handle, outcome, ended_ns, status, error, result)
            return
        _COMPLETE(
            self._records,
            at + _COMPLETION,
            ended_ns,
            0 if result is None else self._heap.put(result),
            status,
            0 if error is None else self._name_ids.get(error) or self._names.add(error),
            outcome,
        )

    @property
    def segments_mapped(self) -> int:
        """Return how many segments are mapped: the current one, and older ones with ops in flight."""
        return 1 + len(self._older)

    def close(self) -> None:
        """Cut the files to what was used. Ops that are not completed stay in flight for good."""
        for ordinal, segment in self._older.items():
            segment.close(self._ends[ordinal])
        self._segment.close(self._next)
        self._older.clear()
        self._names.close()

    def __enter__(self) -> JournalWriter:
        """Return the writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the writer."""
        self.close()

    def _open_segment(self) -> None:
        number = self._number + 1
        path = layout.rec_path(self._folder, self._worker, number)
        segment = _Segment(path, self._worker, number, self._segment_records, self._stop_segment)
        self._number = number
        self._ordinal += 1
        self._segment = segment
        self._records = segment.bytes
        self._heap = segment.heap
        self._base = self._ordinal * SPAN
        self._next = layout.HEADER
        self._limit = layout.HEADER
        self._full = layout.HEADER + self._segment_records * _RECORD
        self._key_refs: dict[bytes | str, int] = {}

    def _make_room(self) -> None:
        if self._next >= self._full:
            self._rotate()
        room = min(self._full, self._next + ROOM)
        self._segment.records.make_room(room)
        self._limit = room

    def _rotate(self) -> None:
        full, end, ordinal = self._segment, self._next, self._ordinal
        self._open_segment()
        full.in_flight = full.count_in_flight(end)
        if full.in_flight:
            self._older[ordinal], self._ends[ordinal] = full, end
        else:
            full.close(end)

    def _stop_segment(self, heap: _Heap) -> None:
        if heap is self._heap:
            self._full = self._limit = 0  # the next op begins a new segment

    def _store_key(self, key: bytes | str) -> int:
        reference = self._key_refs[key] = self._heap.put(key)
        return reference

    def _complete_older(
        self, handle: int, outcome: int, ended_ns: int, status: int, error: str | None, result: Text
    ) -> None:
        ordinal, at = divmod(handle, SPAN)
        segment = self._older.get(ordinal)
        if segment is None or segment.bytes[at + _OUTCOME_AT]:
            raise ValueError(f"op {handle} was completed before")
        reference = 0 if result is None else segment.heap.put(result)
        code = 0 if error is None else self._names.add(error)
        _COMPLETE(segment.bytes, at + _COMPLETION, ended_ns, reference, status, code, outcome)
        segment.in_flight -= 1
        if not segment.in_flight:
            del self._older[ordinal]
            segment.close(self._ends.pop(ordinal))
