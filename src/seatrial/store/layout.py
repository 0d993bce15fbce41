"""The bytes of the ops journal, shared by its writer and its reader, and why a kill at any instant cannot make it lie.

A worker writes segments, each of them two files: `ops-<worker>-<n>.rec`, a header and fixed 64-byte records, and
`ops-<worker>-<n>.heap`, the bytes of keys, values and results. `ops-<worker>.names` holds words that repeat.

A record has two halves. Each half is written by one `pack_into`, and its last byte says that it is whole:

    begin      0..39   intended started user actor key value name verb flags  ...  BEGUN
    complete  40..63   ended result status error                              ...  outcome

The argument. The files are mapped and shared, so what a process stored is in the page cache and outlives its SIGKILL
(it does not outlive a power cut: nothing here is fsynced). The thread that is killed has done a prefix, in program
order, of its stores; `pack_into` makes one store (or a few) per field, in the order of the fields. Therefore:
1. BEGUN is 1 only when every byte of the first half is there. A torn begin reads as an empty slot (and is counted).
   `begin` had not returned, so the op was not sent: nothing is lost.
2. outcome is not 0 only when every byte of the second half is there. A torn completion reads as "in flight", that is
   "may have had an effect", and its half-written fields are not used.
3. `pack_into` clears its whole range before it stores the fields. That is why the completion has a range of its own:
   one range for both would clear BEGUN for an instant, and a kill in that instant would delete an op that was sent.
4. What a reference points at (heap bytes, a line in .names) is stored before the half that refers to it.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from seatrial.errors import EnvironmentTrouble

MAGIC = b"STOPS\x00\x00\x01"
HEAP_MAGIC = b"STHEAP\x00\x01"
VERSION = 1
RECORD = 64
HEADER = 64
COMPLETION = 40  # where the second half of a record begins
BEGUN = 1
STILL_OPEN = 0xFFFF_FFFF  # header.count while the writer has not closed the segment
NAME_IDS = 1 << 16

# magic, version, record size, worker, segment number, number of records (STILL_OPEN until the segment is closed)
HEADER_FORMAT = struct.Struct("<8sHHIII")
COUNT_AT = 20  # offset of that last field
BEGIN_FORMAT = struct.Struct("<qqIIIIHBBxxxB")
COMPLETE_FORMAT = struct.Struct("<qIiHxxxxxB")
assert BEGIN_FORMAT.size == COMPLETION
assert BEGIN_FORMAT.size + COMPLETE_FORMAT.size == RECORD

_FIELDS = {  # name: (type, offset), as in the two formats above
    "intended_ns": ("<i8", 0),
    "started_ns": ("<i8", 8),
    "user": ("<u4", 16),
    "actor": ("<u4", 20),
    "key": ("<u4", 24),
    "value": ("<u4", 28),
    "name": ("<u2", 32),
    "verb": ("u1", 34),
    "flags": ("u1", 35),
    "begun": ("u1", 39),
    "ended_ns": ("<i8", 40),
    "result": ("<u4", 48),
    "status": ("<i4", 52),
    "error": ("<u2", 56),
    "outcome": ("u1", 63),
}
RECORD_DTYPE = np.dtype(
    {
        "names": list(_FIELDS),
        "formats": [kind for kind, _ in _FIELDS.values()],
        "offsets": [offset for _, offset in _FIELDS.values()],
        "itemsize": RECORD,
    }
)

_SEGMENT_NAME = re.compile(r"ops-(\d{3,})-(\d{5,})\.rec")


def rec_path(folder: Path, worker: int, number: int) -> Path:
    """Return the path of the records of a segment."""
    return folder / f"ops-{worker:03d}-{number:05d}.rec"


def heap_path(rec: Path) -> Path:
    """Return the path of the heap that belongs to a file of records."""
    return rec.with_suffix(".heap")


def names_path(folder: Path, worker: int) -> Path:
    """Return the path of a worker's table of names."""
    return folder / f"ops-{worker:03d}.names"


def segments(folder: Path) -> list[tuple[int, int, Path]]:
    """Return (worker, segment number, path of the records) of all segments in a folder, in that order."""
    found = []
    for path in folder.glob("ops-*.rec"):
        match = _SEGMENT_NAME.fullmatch(path.name)
        if match:
            found.append((int(match[1]), int(match[2]), path))
    return sorted(found)


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into EnvironmentTrouble with the next step."""
    try:
        yield
    except OSError as trouble:
        raise EnvironmentTrouble(
            f"no room for the journal: {path} cannot be made or grown ({trouble.strerror}); "
            f"free space there, or choose another folder with --out"
        ) from trouble


def reserve(fd: int, size: int, path: Path) -> None:
    """Make the file `size` bytes long with its blocks allocated, so that a store into the map cannot meet a full disk.

    Raises EnvironmentTrouble when the disk is full. (Without this the kernel would end the process with SIGBUS.)
    """
    with room_for(path):
        os.posix_fallocate(fd, 0, size)


def mapped_rows(path: Path) -> np.ndarray[Any, Any]:
    """Return the slots of a segment's records as a read-only map; those of a file without whole records are none."""
    count = max(0, path.stat().st_size - HEADER) // RECORD
    if not count:
        return np.zeros(0, dtype=RECORD_DTYPE)
    return np.memmap(path, dtype=RECORD_DTYPE, mode="r", offset=HEADER, shape=(count,))
