"""Recorded histories of other tools, from bytes to values and back. Pure: the caller reads the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from seatrial.errors import UsageError
from seatrial.formats import binary, edn_ops, jepsen_log, jsons, rw_text, writing
from seatrial.formats.recognise import format_of
from seatrial.formats.source import Source
from seatrial.history.recorded import Recorded

__all__ = ["FORMATS", "WRITERS", "Source", "format_of", "read"]

Reader = Callable[[Source], Recorded]

READERS: Mapping[str, Reader] = {
    "edn": edn_ops.read,
    "porcupine-kv": edn_ops.read,
    "jepsen-log": jepsen_log.read,
    "json": jsons.read_array,
    "jsonl": jsons.read_lines,
    "rw-text": rw_text.read_calls,
    "awdit": rw_text.read_words,
    "dbcop": binary.read_dbcop,
}
FORMATS: Mapping[str, str] = {  # name: what it is, for lists and help
    "edn": "op maps in EDN, one after the other or in one vector (Jepsen, Knossos, Elle)",
    "porcupine-kv": "one EDN op map a line with :key (Porcupine's kv files)",
    "jepsen-log": "Jepsen's text log",
    "json": "an array of op maps, or an object that holds one",
    "jsonl": "one op map in JSON a line",
    "rw-text": "r(key,value,session,transaction) and w(...) a line (PolySI, Plume, IsoVista)",
    "awdit": "r key value and w key value; ----- next transaction, ===== next session (AWDIT's tests)",
    "dbcop": "dbcop's binary (history.bincode)",
    "cobra": "Cobra's binary logs, one a session",
    "journal": "a run folder of seatrial, or its ops.parquet",
}
WRITERS: Mapping[str, Callable[[Recorded], Iterator[str]]] = {"edn": writing.edn, "jsonl": writing.jsonl}


def read(sources: Sequence[Source], format: str = "auto", name: str = "") -> Recorded:
    """Read one recording; several sources are the sessions of one (Cobra). Raises UsageError, and nothing else.

    What could be read only in part has `problems`.
    """
    first = sources[0]
    name = name or first.name
    if format == "auto":
        format = format_of(first.head())
        if not format:
            known = ", ".join(FORMATS)
            raise UsageError(f"{name}: its first bytes are of no format that is known; say it with --format ({known})")
    if format == "cobra":
        return binary.read_cobra(sources, name)
    if format not in READERS:
        raise UsageError(f"--format {format}: no such format; one of {', '.join(FORMATS)}, auto")
    if len(sources) > 1:
        raise UsageError(f"{name}: {len(sources)} files, and {format} is one file; name the one to judge")
    return READERS[format](first)
