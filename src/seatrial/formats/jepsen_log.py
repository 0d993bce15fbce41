"""Jepsen's text log: one line an event, `INFO  jepsen.util - 3<tab>:invoke<tab>:cas<tab>[1 2]`, among other lines."""

from __future__ import annotations

import re
from typing import Any

from seatrial.formats.edn import EdnError, Forms
from seatrial.formats.pairing import NEMESIS, TYPES, Event, Pairing
from seatrial.formats.source import Source, Wrongs
from seatrial.history.recorded import Recorded

NAME = "jepsen-log"
_EVENT = re.compile(
    r"jepsen\.\S+\s+-\s+(?P<process>\d+|:nemesis)\s+:(?P<type>[a-z]+)\s+:(?P<f>\S+)(?:\s+(?P<rest>.*))?$"
)
_OURS = re.compile(r"^\S.*?jepsen\.\S+\s+-\s+(?:\d+|:nemesis)\s")
EXPECTED = "<process> :invoke, :ok, :fail or :info, :<what>, <value>"


def read(source: Source) -> Recorded:
    """Read the events among the lines of a log. Raises UsageError for lines that are events but cannot be read."""
    pairing = Pairing(source.name, NAME, Wrongs(source.name))
    values: dict[str, list[Any]] = {}
    last = (0, "", True)
    for number, line in source.lines():
        last = (number, line, _add(pairing, number, line, values))
    if last[0] and not source.ended and (not last[2] or _EVENT.search(last[1])):
        pairing.problems.append(f"line {last[0]}: the file ends without the end of this line: it may be cut off")
        pairing.wrongs.found = [m for m in pairing.wrongs.found if m.key != f"line {last[0]}"]
    return pairing.recorded()


def _add(pairing: Pairing, number: int, line: str, values: dict[str, list[Any]]) -> bool:
    """Add the event of a line, if it is one; return False when it should be one and cannot be read."""
    match = _EVENT.search(line)
    if match is None:
        if _OURS.search(line):
            pairing.wrongs.add(number, "this line of the log cannot be read", EXPECTED, line)
            return False
        return True
    if match["type"] not in TYPES:
        pairing.wrongs.add(number, "this type of event is not known", EXPECTED, match["type"])
        return False
    try:
        value, error = _value(match["type"], match["rest"] or "", values)
    except EdnError as trouble:
        pairing.wrongs.add(number, f"the value cannot be read: {trouble.problem}", "an EDN value", match["rest"])
        return False
    process = NEMESIS if match["process"] == ":nemesis" else int(match["process"])
    pairing.events.append(Event(match["type"], process, match["f"], value, error=error, line=number))
    return True


def _value(kind: str, rest: str, values: dict[str, list[Any]]) -> tuple[Any, str]:
    """Return (value, error): after fail and info there stands what went wrong, or the value and then that."""
    if rest not in values:
        forms = Forms(envelope=("[", 1))
        values[rest] = [value for _, value in forms.feed(rest + "\n", last=True)]
        cut = None if forms.between else forms.ending()
        if cut:
            raise EdnError(1, cut[1])
    found = values[rest]
    if kind in ("fail", "info") and rest[:1] == ":":
        return None, str(found[0])
    return (found[0] if found else None), " ".join(map(str, found[1:]))
