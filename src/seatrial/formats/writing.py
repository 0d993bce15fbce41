"""Recordings as EDN or JSON lines, so that other tools can check what we check: one op map an event."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from seatrial.formats.pairing import NEMESIS
from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.history.words import OpOutcome

_TYPES = {OpOutcome.OK: "ok", OpOutcome.FAIL: "fail", OpOutcome.UNKNOWN: "info"}
_KINDS = ("r", "w", "append")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*+!?")


def events(recorded: Recorded) -> Iterator[dict[str, Any]]:
    """Yield the op maps of a recording in the order in which they were seen."""
    found: list[tuple[int, int, dict[str, Any]]] = []
    following: dict[int | str, int] = {}  # where the next op of a process begins: before it, its unknown op is told
    last = max((max(op.start, op.end or 0) for op in recorded.ops), default=0) + 1
    for op in reversed(recorded.ops):
        if op.outcome in _TYPES:
            completed = _event(_TYPES[op.outcome], op, op.value, op.end_ns, recorded.keyed)
            found.append((following.get(op.process, last) if op.end is None else op.end, -1, completed))
        if recorded.realtime:
            found.append((op.start, 0, _event("invoke", op, op.arg, op.start_ns, recorded.keyed)))
            following[op.process] = op.start
    found += [(note.start, 1, _event("info", note, note.value, note.start_ns)) for note in recorded.notes]
    found.reverse()
    found.sort(key=lambda one: one[:2])
    for number, (_, _, made) in enumerate(found):
        made["index"] = number
        yield made


def _event(kind: str, op: RecordedOp, value: Any, time: int | None, keyed: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {"type": kind, "process": op.process, "f": op.f}
    if keyed:
        made["key"], value = value
    made["value"] = value
    if time is not None:
        made["time"] = time
    if kind in ("fail", "info") and op.error:
        made["error"] = op.error
    return made


def jsonl(recorded: Recorded) -> Iterator[str]:
    """Yield the recording as JSON lines. Sets become arrays, ratios numbers."""
    for made in events(recorded):
        yield json.dumps(made, default=_for_json, ensure_ascii=False, separators=(",", ":")) + "\n"


def _for_json(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, Fraction):
        return float(value)
    return str(value)


def edn(recorded: Recorded) -> Iterator[str]:
    """Yield the recording as EDN, one op map a line. Kinds of transactions' ops are keywords, other words strings."""
    for made in events(recorded):
        parts = [f":type :{made['type']}", f":process {_process(made['process'])}", f":f {_word(made['f'])}"]
        value = made["value"]
        parts += [f":key {edn_text(made['key'])}"] if "key" in made else []
        parts.append(f":value {_transaction(value) if made['f'] == 'txn' else edn_text(value)}")
        parts += [f":{key} {edn_text(made[key])}" for key in ("time", "error", "index") if key in made]
        yield "{" + ", ".join(parts) + "}\n"


def _process(process: int | str) -> str:
    return f":{NEMESIS}" if process == NEMESIS else edn_text(process)


def _word(text: str) -> str:
    return f":{text}" if text and text[0].isalpha() and _PLAIN.issuperset(text) else edn_text(text)


def _transaction(value: Any) -> str:
    if not isinstance(value, list):
        return edn_text(value)
    return f"[{' '.join(_mop(mop) for mop in value)}]"


def _mop(mop: Any) -> str:
    if isinstance(mop, list) and mop and mop[0] in _KINDS:
        return f"[:{mop[0]}{''.join(f' {edn_text(part)}' for part in mop[1:])}]"
    return edn_text(mop)


def edn_text(value: Any) -> str:
    """Return a value as EDN."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(map(edn_text, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{edn_text(k)} {edn_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (set, frozenset)):
        return "#{" + " ".join(sorted(map(edn_text, value))) + "}"
    return str(value)


def _string(text: str) -> str:
    plain = json.dumps(text, ensure_ascii=False)
    return plain if text.isprintable() else "".join(map(_escaped, plain))


def _escaped(char: str) -> str:
    return char if char.isprintable() or ord(char) > 0xFFFF else f"\\u{ord(char):04x}"


def _float(value: float) -> str:
    if math.isnan(value):
        return "##NaN"
    if math.isinf(value):
        return "##Inf" if value > 0 else "##-Inf"
    return repr(value)
