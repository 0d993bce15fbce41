"""Op maps, as Jepsen writes them in EDN and others in JSON: from a map with type, f, value, process ... to an Event."""

from __future__ import annotations

from typing import Any

from seatrial.formats.pairing import NO_KEY, TYPES, Event, Pairing

EXPECTED = "an op map with :type invoke, ok, fail or info; :process, :f, :value"
_KINDS = {"r", "w", "append"}
_MISSING = object()


def add_op_map(pairing: Pairing, found: Any, line: int) -> None:
    """Add the event of one op map; what is no op map is noted as a mistake of that line."""
    if not isinstance(found, dict):
        pairing.wrongs.add(line, "this is not an op map", EXPECTED, found)
        return
    kind = found.get("type")
    if kind not in TYPES:
        problem = "it has no type" if kind is None else "this type of event is not known"
        pairing.wrongs.add(line, problem, EXPECTED, found if kind is None else kind)
        return
    process = found.get("process", 0)
    if not isinstance(process, (int, str)) or isinstance(process, bool):
        process = 0 if process is None else str(process)
    value = found.get("value")
    f = found.get("f", _MISSING)
    if f is _MISSING or f is None:
        f = "txn" if _is_transaction(value) else ""
    key = found["key"] if "key" in found and f != "txn" else NO_KEY
    time, index = found.get("time"), found.get("index")
    pairing.events.append(
        Event(
            kind,
            process,
            f if isinstance(f, str) else str(f),
            value,
            int(time) if isinstance(time, (int, float)) and time == time and abs(time) < 1e18 else None,
            index if type(index) is int else None,
            said(found.get("error")),
            line,
            key,
        )
    )


def said(error: Any) -> str:
    """Return the error of an op as text, "" for none."""
    if error is None:
        return ""
    if isinstance(error, list):
        return ": ".join(said(part) for part in error)
    return str(error)


def _is_transaction(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(m, list) and len(m) == 3 and isinstance(m[0], str) and m[0] in _KINDS for m in value)
    )
