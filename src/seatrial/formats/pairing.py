"""From events (invoke, ok, fail, info) to ops: each completion goes to the invocation of its process that is open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from seatrial.formats.source import Wrongs
from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.history.words import OpOutcome

TYPES = {"invoke": None, "ok": OpOutcome.OK, "fail": OpOutcome.FAIL, "info": OpOutcome.UNKNOWN}
NEMESIS = "nemesis"
NO_KEY = object()


class Event(NamedTuple):
    """One line of a recording: something was asked, or an answer was seen."""

    type: str
    process: int | str
    f: str
    value: Any
    time: int | None = None
    number: int | None = None  # the index that the file gives it
    error: str = ""
    line: int = 0
    key: Any = NO_KEY  # the object it is about, where the format names it apart from the value


@dataclass(slots=True)
class Pairing:
    """Takes the events of one file in order, and gives the ops."""

    source: str
    format: str
    wrongs: Wrongs
    events: list[Event] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def recorded(self, **more: Any) -> Recorded:
        """Return the recording. Raises UsageError when the events of a process make no sense."""
        events = _in_order(self.events)
        clients = [(at, e) for at, e in enumerate(events) if e.process != NEMESIS]
        notes = tuple(_note(at, e) for at, e in enumerate(events) if e.process == NEMESIS)
        if clients and all(e.type != "invoke" for _, e in clients):
            ops = [_alone(number, e, len(clients)) for number, (_, e) in enumerate(clients)]
            more["realtime"] = False
        else:
            ops = self._paired(clients)
        if self._keyed([e for _, e in clients if e.type == "invoke"]):
            more["keyed"] = True
        self.wrongs.tell()
        return Recorded(
            ops=tuple(ops), format=self.format, source=self.source, problems=tuple(self.problems), notes=notes, **more
        )

    def _paired(self, events: list[tuple[int, Event]]) -> list[RecordedOp]:
        begun: dict[int | str, tuple[int, int, Event]] = {}
        ops: list[RecordedOp | None] = []
        for at, event in events:
            process = event.process
            if event.type == "invoke":
                if process in begun:
                    self._twice(event, begun[process][2])
                    continue
                begun[process] = (len(ops), at, event)
                ops.append(None)
            elif process in begun:
                number, start, invoked = begun.pop(process)
                ops[number] = _op(number, start, invoked, at, event)
            else:
                said = f"{event.type} of process {process}, which has no op open"
                self.wrongs.add(event.line, said, "an invoke of this process before it")
        for number, start, invoked in begun.values():
            ops[number] = _op(number, start, invoked, None, None)
        return [op for op in ops if op is not None]

    def _keyed(self, invoked: list[Event]) -> bool:
        lacking = [e for e in invoked if e.key is NO_KEY]
        if lacking and len(lacking) < len(invoked):
            self.wrongs.add(lacking[0].line, "it has no key, and other ops have one", "a key in every op, or in none")
        return bool(invoked) and not lacking

    def _twice(self, event: Event, earlier: Event) -> None:
        said = f"process {event.process} invokes while its op of line {earlier.line} is open"
        self.wrongs.add(event.line, said, "its ok, fail or info first (or a process of its own for each client)")


def _op(number: int, start: int, invoked: Event, end: int | None, completed: Event | None) -> RecordedOp:
    outcome = OpOutcome.IN_FLIGHT if completed is None else TYPES[completed.type]
    assert outcome is not None
    known = outcome in (OpOutcome.OK, OpOutcome.FAIL)
    return RecordedOp(
        index=number,
        process=invoked.process,
        f=invoked.f,
        arg=_valued(invoked, invoked.value),
        value=_valued(invoked, completed.value if completed and outcome is OpOutcome.OK else invoked.value),
        outcome=outcome,
        start=start,
        end=end if known else None,
        start_ns=invoked.time,
        end_ns=completed.time if completed else None,
        error=completed.error if completed else "",
        line=invoked.line,
    )


def _valued(invoked: Event, value: Any) -> Any:
    return value if invoked.key is NO_KEY else [invoked.key, value]


def _alone(number: int, event: Event, many: int) -> RecordedOp:
    """Return the op of a completion without invocation: all of them overlap, so that no order is made up."""
    outcome = TYPES[event.type]
    assert outcome is not None
    return RecordedOp(
        index=number,
        process=event.process,
        f=event.f,
        arg=_valued(event, event.value),
        value=_valued(event, event.value),
        outcome=outcome,
        start=number,
        end=many + number if outcome is not OpOutcome.UNKNOWN else None,
        end_ns=event.time,
        error=event.error,
        line=event.line,
    )


def _note(at: int, event: Event) -> RecordedOp:
    return RecordedOp(
        index=-1,
        process=event.process,
        f=event.f,
        arg=event.value,
        value=event.value,
        outcome=OpOutcome.OK,
        start=at,
        end=at,
        start_ns=event.time,
        end_ns=event.time,
        line=event.line,
    )


def _in_order(events: list[Event]) -> list[Event]:
    """Return the events by their index where each has one of its own, else as they stand in the file."""
    numbers = [e.number for e in events]
    if not all(type(n) is int for n in numbers) or len(set(numbers)) != len(numbers):
        return events
    return sorted(events, key=lambda e: e.number or 0)
