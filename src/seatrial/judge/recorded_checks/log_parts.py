"""A recording of a partitioned log (as Kafka is one) taken apart: sends, polls and, by key, what each offset held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.recorded_checks.words import FAIL, OK, listed, token

SENDS, POLLS = frozenset(("send", "append", "produce")), frozenset(("poll", "consume"))
RESETS = frozenset(("assign", "subscribe"))
Entry = tuple[int | None, Any]  # offset when it is known, value as a token


@dataclass(slots=True)
class Step:
    """One op of a client: what it sent and what it polled, by key, in its order. resets: keys it keeps, or None."""

    op: RecordedOp
    sent: dict[str, list[Entry]] = field(default_factory=dict)
    polled: dict[str, list[Entry]] = field(default_factory=dict)
    keeps: frozenset[str] | None = None


@dataclass(slots=True)
class KeyLog:
    """One key (partition): values by offset with a witness each, writers and first readers by value."""

    at: dict[int, dict[Any, RecordedOp]] = field(default_factory=dict)
    writers: dict[Any, list[RecordedOp]] = field(default_factory=dict)
    failed: dict[Any, RecordedOp] = field(default_factory=dict)
    readers: dict[Any, RecordedOp] = field(default_factory=dict)
    rank: dict[int, int] = field(default_factory=dict)
    first_rank: dict[Any, int] = field(default_factory=dict)

    def place(self, entry: Entry) -> int | None:
        """Return the dense position of an entry in the log: of its offset, else of the first offset of its value."""
        return self.first_rank.get(entry[1]) if entry[0] is None else self.rank.get(entry[0])


@dataclass(slots=True)
class Logs:
    """All steps in order of their beginning, and every key's log."""

    steps: list[Step] = field(default_factory=list)
    keys: dict[str, KeyLog] = field(default_factory=dict)
    subscribed: bool = False

    def key(self, name: str) -> KeyLog:
        """Return the log of a key, made when it is new."""
        found = self.keys.get(name)
        if found is None:
            found = self.keys[name] = KeyLog()
        return found


def take_apart(recorded: Recorded) -> Logs:
    """Return the parts. Offsets come from acknowledged sends, and from all polls that answered."""
    logs = Logs()
    for op in recorded.ops:
        step = _step(op)
        if step is None:
            continue
        logs.subscribed |= op.f == "subscribe"
        logs.steps.append(step)
        _note(logs, step)
    for log in logs.keys.values():
        _order(log)
    return logs


def _step(op: RecordedOp) -> Step | None:
    if op.f in RESETS:
        if op.outcome == FAIL:
            return None
        kept = op.arg if isinstance(op.arg, (list, tuple, set, frozenset)) else ()
        return Step(op, keeps=frozenset(str(k) for k in kept))
    if op.f == "crash":
        return Step(op, keeps=frozenset())
    if op.f not in SENDS and op.f not in POLLS and op.f != "txn":
        return None
    step = Step(op)
    value = op.value if op.outcome == OK else op.arg
    for mop in value if isinstance(value, (list, tuple)) else ():
        if not isinstance(mop, (list, tuple)) or not mop or not isinstance(mop[0], str):
            continue
        if mop[0] in SENDS and len(mop) == 3:
            step.sent.setdefault(str(mop[1]), []).append(_sent(mop[2], op))
        elif mop[0] in POLLS and op.outcome == OK and len(mop) == 2:
            for key, entries in _polled(mop[1]):
                step.polled.setdefault(key, []).extend(entries)
    return step


def _sent(value: Any, op: RecordedOp) -> Entry:
    if op.outcome == OK and isinstance(value, (list, tuple)) and len(value) == 2 and _offset(value[0]):
        return (value[0], token(value[1]))
    return (None, token(value))


def _offset(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _polled(value: Any) -> Iterator[tuple[str, list[Entry]]]:
    if not isinstance(value, Mapping):
        return
    for key, pairs in value.items():
        good = [p for p in listed(pairs) or () if isinstance(p, (list, tuple)) and len(p) == 2 and _offset(p[0])]
        yield str(key), [(p[0], token(p[1])) for p in good]


def _note(logs: Logs, step: Step) -> None:
    op = step.op
    for name, entries in step.sent.items():
        log = logs.key(name)
        for offset, value in entries:
            if op.outcome == FAIL:
                log.failed.setdefault(value, op)
                continue
            log.writers.setdefault(value, []).append(op)
            if offset is not None:
                log.at.setdefault(offset, {}).setdefault(value, op)
    for name, entries in step.polled.items():
        log = logs.key(name)
        for offset, value in entries:
            log.readers.setdefault(value, op)
            if offset is not None:
                log.at.setdefault(offset, {}).setdefault(value, op)


def _order(log: KeyLog) -> None:
    for rank, offset in enumerate(sorted(log.at)):
        log.rank[offset] = rank
        for value in log.at[offset]:
            log.first_rank.setdefault(value, rank)
