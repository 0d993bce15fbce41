"""Delivery: at most once, at least once, exactly once, by the messages that were sent and those that were received."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.modelling import Options
from seatrial.judge.recorded_checks.partition import each_object
from seatrial.judge.recorded_checks.troubles import Troubles, finding, option
from seatrial.judge.recorded_checks.words import FAIL, OK, show, token, tokens
from seatrial.verdict import Finding

AT_MOST = "no message is received more often than it was sent, and none that was not sent"
AT_LEAST = "every acknowledged message is received, and none that was not sent"
EXACTLY = "every acknowledged message is received once, and none that was not sent"
SENDS = frozenset(("send", "publish", "produce", "enqueue"))
_FOREVER = 1 << 62
RECEIVES = frozenset(("receive", "deliver", "consume", "event", "poll", "dequeue"))


@dataclass(slots=True)
class Message:
    """One message by its value: sends that may have had an effect, one that failed, and all receipts."""

    sends: list[RecordedOp] = field(default_factory=list)
    failed: RecordedOp | None = None
    receipts: list[RecordedOp] = field(default_factory=list)


@each_object
def check_at_most_once(recorded: Recorded, options: Options) -> Finding:
    """Judge that nothing is received twice. A message may be lost."""
    return _check("at-most-once", AT_MOST, recorded, options, frozenset(("not received",)))


@each_object
def check_at_least_once(recorded: Recorded, options: Options) -> Finding:
    """Judge that nothing acknowledged is missing. extra: as for check_exactly_once."""
    return _check("at-least-once", AT_LEAST, recorded, options, frozenset(("received twice",)))


@each_object
def check_exactly_once(recorded: Recorded, options: Options) -> Finding:
    """Judge both.

    extra: drained (True: receivers read to the end; without it a message counts as lost only when a receiver asked and
    got nothing, after the message was acknowledged), crashed_receives ("hold", the default: a receive without an answer
    may have taken one message; "return": such a message has to come again).
    """
    return _check("exactly-once", EXACTLY, recorded, options, frozenset())


def _check(name: str, claim: str, recorded: Recorded, options: Options, reported: frozenset[str]) -> Finding:
    messages, empty = _messages(recorded)
    troubles = Troubles(reported=reported)
    if option(options.extra, "drained", False):
        empty = _FOREVER
    sent = received = 0
    missing: list[tuple[Any, RecordedOp]] = []
    for value, message in messages.items():
        sent += len(message.sends)
        received += len(message.receipts)
        _judge_foreign(value, message, troubles)
        if len(message.receipts) > len(message.sends) > 0:
            words = f"{show(value)} was sent at most {len(message.sends)} times, received {len(message.receipts)} times"
            troubles.add("received twice", words, [*message.sends[:1], *message.receipts[:3]], key=value)
        acked = [op for op in message.sends if op.outcome == OK]
        missing += [(value, op) for op in acked[len(message.receipts) :]]
    doubts = _judge_missing(missing, empty, _unanswered(recorded, options), troubles)
    return finding(
        name,
        claim,
        troubles,
        examined=sent + received,
        vacuous=_vacuous(sent, received, name),
        doubts=[] if "not received" in reported else doubts,
        figures={"sent": sent, "received": received, "messages": len(messages), "missing": len(missing)},
    )


def _unanswered(recorded: Recorded, options: Options) -> int:
    if option(options.extra, "crashed_receives", "hold") == "return":
        return 0
    return sum(op.f in RECEIVES and op.outcome not in (OK, FAIL) for op in recorded.ops)


def _judge_missing(missing: list[tuple[Any, RecordedOp]], empty: int, unanswered: int, troubles: Troubles) -> list[str]:
    """Tell what is surely lost: sent before a receiver found nothing, and more than open receives may hold."""
    if not missing:
        return []
    lost = [(value, op) for value, op in missing if (op.end or 0) < empty]
    if len(lost) > unanswered:
        for value, op in lost:
            words = f"op {op.index} sent {show(value)}, acknowledged, and nobody received it"
            troubles.add("not received", words, [op], key=value)
        return []
    value, op = missing[0]
    words = f"{len(missing)} acknowledged messages were not received (the first is {show(value)}, op {op.index})"
    if lost:
        return [f"{words}, and receives without an answer may hold them"]
    return [f"{words}, and nothing shows that the receivers had read to the end"]


def _messages(recorded: Recorded) -> tuple[dict[Any, Message], int]:
    """Return all messages, and the latest begin of a receive that got nothing (-1: none)."""
    messages: dict[Any, Message] = {}
    empty = -1
    for op in recorded.ops:
        if op.f in SENDS:
            message = messages.setdefault(token(op.arg), Message())
            if op.outcome == FAIL:
                message.failed = message.failed or op
            else:
                message.sends.append(op)
        elif op.f in RECEIVES and op.outcome == OK:
            got = tokens(op.value) if isinstance(op.value, (list, set, frozenset)) else [token(op.value)]
            if op.value is None or not got:
                empty = max(empty, op.start)
                continue
            for value in got:
                messages.setdefault(value, Message()).receipts.append(op)
    return messages, empty


def _judge_foreign(value: Any, message: Message, troubles: Troubles) -> None:
    if not message.receipts:
        return
    first = min(message.receipts, key=lambda op: op.end or 0)
    if not message.sends and message.failed:
        words = f"op {first.index} received {show(value)}, whose send, op {message.failed.index}, failed"
        troubles.add("failed send received", words, [message.failed, first], key=value)
    elif not message.sends:
        troubles.add("unexpected", f"op {first.index} received {show(value)}, which nobody sent", [first], key=value)
    else:
        send = min(message.sends, key=lambda op: op.start)
        if (first.end or 0) < send.start:
            words = f"op {first.index} received {show(value)} before op {send.index} began to send it"
            troubles.add("unexpected", words, [first, send], key=value)


def _vacuous(sent: int, received: int, name: str) -> str:
    if not sent:
        return "nothing was sent"
    if not received and name == "at-most-once":
        return "nothing was received, so nothing could come twice"
    return ""


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare with the definition on n random histories, and plant violations."""
    from seatrial.judge.recorded_checks.selftesting import run

    return run(("at-most-once", "at-least-once", "exactly-once"), n, seed)
