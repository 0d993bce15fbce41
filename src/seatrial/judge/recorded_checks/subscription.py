"""Subscription: each subscriber gets exactly the events published meanwhile: no gap, no double, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.modelling import Options
from seatrial.judge.recorded_checks.partition import each_object
from seatrial.judge.recorded_checks.troubles import Troubles, finding, option
from seatrial.judge.recorded_checks.words import FAIL, OK, show, token, tokens
from seatrial.verdict import Finding

CLAIM = "each subscriber gets every event published while it was subscribed, once, in order, also over reconnects"
PUBLISHES = frozenset(("publish", "send", "put"))
EVENTS = frozenset(("event", "receive", "deliver", "consume"))
_FOREVER = 1 << 62


@dataclass(slots=True)
class Subscriber:
    """One subscriber (a process): spans in which it was surely subscribed, and what it received, in its order.

    unanswered: its event ops that never completed; they may hold any event.
    """

    name: Any
    spans: list[list[int]] = field(default_factory=list)
    received: list[tuple[Any, RecordedOp]] = field(default_factory=list)
    unanswered: int = 0


@dataclass(slots=True)
class Seen:
    """All publishes by event, and all subscribers."""

    published: dict[Any, RecordedOp] = field(default_factory=dict)
    failed: dict[Any, RecordedOp] = field(default_factory=dict)
    doubled: int = 0
    subscribers: dict[Any, Subscriber] = field(default_factory=dict)


@each_object
def check(recorded: Recorded, options: Options) -> Finding:
    """Judge ops publish (the event as value), subscribe, unsubscribe, event (an event or a list of events as value).

    The process of an event op is the subscriber. A reconnect is no op: the subscription goes on. Events are told apart
    by their values, so these must be unique. Order: an event whose publish was over before another began comes first.
    extra: drained (True: every subscriber read to the end, so that an event missing at its end is lost, too).
    """
    seen, troubles = _look(recorded), Troubles()
    drained = bool(option(options.extra, "drained", False))
    acked = sorted((op.end or 0, op.index, value) for value, op in seen.published.items() if op.outcome == OK)
    missing = expected = 0
    for subscriber in seen.subscribers.values():
        _judge_doubles(subscriber, seen, troubles)
        _judge_order(subscriber, seen, troubles)
        due, late = _judge_gaps(subscriber, seen, acked, drained, troubles)
        expected += due
        missing += late
    received = sum(len(s.received) for s in seen.subscribers.values())
    doubts = (
        [f"{missing} events are missing: lost, not yet delivered, or in an answer that never came"] if missing else []
    )
    if seen.doubled:
        doubts.append(f"{seen.doubled} events were published twice, so the two cannot be told apart")
    return finding(
        "subscription",
        CLAIM,
        troubles,
        examined=received + expected,
        vacuous=_vacuous(seen, received, expected),
        doubts=doubts,
        figures={
            "published": len(seen.published),
            "received": received,
            "due": expected,
            "subscribers": len(seen.subscribers),
        },
    )


def _look(recorded: Recorded) -> Seen:
    seen = Seen()
    events = []
    for op in recorded.ops:
        if op.f in PUBLISHES:
            _note_publish(seen, op)
        elif op.f == "subscribe" and op.outcome == OK and op.end is not None:
            events.append((op.end, op))
        elif op.f == "unsubscribe" and op.outcome != FAIL:
            events.append((op.start, op))
        elif op.f in EVENTS and op.outcome == OK and op.value is not None and op.end is not None:
            events.append((op.end, op))
        elif op.f in EVENTS and op.outcome not in (OK, FAIL):
            seen.subscribers.setdefault(op.process, Subscriber(op.process)).unanswered += 1
    for at, op in sorted(events, key=lambda event: event[0]):
        subscriber = seen.subscribers.setdefault(op.process, Subscriber(op.process))
        if op.f in EVENTS:
            values = tokens(op.value) if isinstance(op.value, list) else [token(op.value)]
            subscriber.received += [(value, op) for value in values]
        elif op.f == "subscribe" and not (subscriber.spans and subscriber.spans[-1][1] == _FOREVER):
            subscriber.spans.append([at, _FOREVER])
        elif op.f == "unsubscribe" and subscriber.spans:
            subscriber.spans[-1][1] = min(subscriber.spans[-1][1], at)
    return seen


def _note_publish(seen: Seen, op: RecordedOp) -> None:
    value = token(op.arg)
    if op.outcome == FAIL:
        seen.failed.setdefault(value, op)
    elif value in seen.published:
        seen.doubled += 1
    else:
        seen.published[value] = op


def _judge_doubles(subscriber: Subscriber, seen: Seen, troubles: Troubles) -> None:
    first: dict[Any, RecordedOp] = {}
    for value, op in subscriber.received:
        publish = seen.published.get(value)
        if value in first:
            words = f"{show(subscriber.name)} got {show(value)} by op {first[value].index} and again by op {op.index}"
            troubles.add("duplicated", words, [publish, first[value], op], key=value)
            continue
        first[value] = op
        if publish is None and value in seen.failed:
            words = f"op {op.index} delivered {show(value)}, whose publish, op {seen.failed[value].index}, failed"
            troubles.add("failed publish delivered", words, [seen.failed[value], op], key=value)
        elif publish is None:
            troubles.add(
                "unexpected", f"op {op.index} delivered {show(value)}, which nobody published", [op], key=value
            )
        elif (op.end or 0) < publish.start:
            words = f"op {op.index} delivered {show(value)} before op {publish.index} began to publish it"
            troubles.add("unexpected", words, [op, publish], key=value)


def _judge_order(subscriber: Subscriber, seen: Seen, troubles: Troubles) -> None:
    """Backwards, keeping what ended first of all that is delivered later: it must not be over before this one began."""
    soonest: tuple[int, Any, RecordedOp] | None = None
    done: set[Any] = set()
    firsts = []
    for value, op in subscriber.received:
        if value not in done and value in seen.published:
            done.add(value)
            firsts.append((value, op))
    for value, op in reversed(firsts):
        publish = seen.published[value]
        if soonest and soonest[0] < publish.start:
            words = f"{show(subscriber.name)} got {show(value)} before {show(soonest[1])}, published earlier"
            troubles.add("out of order", words, [publish, op, seen.published[soonest[1]], soonest[2]], key=value)
        if publish.end is not None and publish.outcome == OK and (soonest is None or publish.end < soonest[0]):
            soonest = (publish.end, value, op)


def _judge_gaps(
    subscriber: Subscriber, seen: Seen, acked: list[tuple[int, int, Any]], drained: bool, troubles: Troubles
) -> tuple[int, int]:
    """Tell events that must have come and did not. Return how many were due, and how many are only missing at the end.

    An event is due when its publish lies in a span of the subscription, and it is surely left out when an event whose
    publish began after its own was over was delivered later in the same span, or when all is read.
    """
    got = {value for value, _ in subscriber.received}
    due = waiting = 0
    for begin, end in subscriber.spans:
        latest = _latest(subscriber, seen, begin, end)
        for over, _, value in acked:
            publish = seen.published[value]
            if publish.start <= begin or over >= end:
                continue
            due += 1
            if value in got:
                continue
            if not subscriber.unanswered and (drained or (latest and over < latest[0])):
                after = f", and then got op {latest[1].index}'s" if latest and over < latest[0] else ""
                words = f"{show(subscriber.name)} never got {show(value)}, published by op {publish.index}{after}"
                troubles.add("gap", words, [publish, latest[1] if latest else None], key=value)
            else:
                waiting += 1
    return due, waiting


def _latest(subscriber: Subscriber, seen: Seen, begin: int, end: int) -> tuple[int, RecordedOp] | None:
    """Return the latest begin of a publish that was delivered in the span, with the op that delivered it."""
    found: tuple[int, RecordedOp] | None = None
    for value, op in subscriber.received:
        publish = seen.published.get(value)
        if publish and begin < (op.end or 0) < end and (found is None or publish.start > found[0]):
            found = (publish.start, op)
    return found


def _vacuous(seen: Seen, received: int, expected: int) -> str:
    if not seen.published:
        return "nothing was published"
    if not seen.subscribers:
        return "nobody subscribed"
    return "" if received or expected else "no event was due and none was received"


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare with the definition on n random histories, and plant violations."""
    from seatrial.judge.recorded_checks.selftesting import run

    return run(("subscription",), n, seed)
