"""Log, as Kafka has it: offsets name one message each, messages are not lost or doubled, and order is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.modelling import Options
from seatrial.judge.recorded_checks.log_order import judge_order
from seatrial.judge.recorded_checks.log_parts import KeyLog, Logs, take_apart
from seatrial.judge.recorded_checks.partition import each_object
from seatrial.judge.recorded_checks.troubles import Troubles, finding, option
from seatrial.judge.recorded_checks.words import OK, show
from seatrial.verdict import Finding

CLAIM = "one message an offset, one offset a message, none lost before what was polled, and polls and sends go forward"


@each_object
def check(recorded: Recorded, options: Options) -> Finding:
    """Judge sends, [["send", key, [offset, value]]], and polls, [["poll", {key: [[offset, value], ...]}]].

    extra: unseen ("fail": consumers read to the end, so what was acknowledged and never polled is lost, wherever it is;
    default "doubt", inconclusive), rebalance ("allow": consumers may jump between polls, "deny"; default: allowed when
    the recording subscribes). Messages of one key are told apart by their values, so these must be unique.
    """
    logs = take_apart(recorded)
    allow = option(options.extra, "rebalance", "allow" if logs.subscribed else "deny") == "allow"
    troubles = Troubles(reported=frozenset(("poll skip", "nonmonotonic poll") if allow else ()))
    unseen: list[tuple[str, Any, RecordedOp]] = []
    doubts: list[str] = []
    for name, log in logs.keys.items():
        _judge_offsets(name, log, troubles)
        _judge_foreign(name, log, troubles)
        doubts += _doubles_sent(name, log)
        unseen += _judge_lost(name, log, logs, troubles)
    _judge_own(logs, troubles)
    judge_order(logs, troubles)
    doubts += _judge_unseen(unseen, options, troubles)
    figures = _figures(logs)
    return finding(
        "log",
        CLAIM,
        troubles,
        examined=int(figures["sent"] + figures["polled"]),
        vacuous=_vacuous(figures),
        doubts=doubts[:3],
        figures={**figures, "unseen": len(unseen)},
    )


def _judge_offsets(name: str, log: KeyLog, troubles: Troubles) -> None:
    places: dict[Any, list[int]] = {}
    for offset, values in log.at.items():
        for value in values:
            places.setdefault(value, []).append(offset)
        if len(values) > 1:
            (one, a), (two, b) = list(values.items())[:2]
            words = f"offset {offset} of {name} is {show(one)} for op {a.index} and {show(two)} for op {b.index}"
            troubles.add("inconsistent offsets", words, [a, b], key=name, expected=one, observed=two)
    for value, offsets in places.items():
        if len(offsets) > max(1, len(log.writers.get(value, ()))):
            first, second = sorted(offsets)[:2]
            words = f"{show(value)} of {name} is at offsets {first} and {second}"
            troubles.add("duplicate", words, [log.at[first][value], log.at[second][value]], key=name, observed=value)


def _judge_foreign(name: str, log: KeyLog, troubles: Troubles) -> None:
    for value, reader in log.readers.items():
        writers = log.writers.get(value)
        if not writers and value in log.failed:
            failed = log.failed[value]
            words = f"op {reader.index} polled {show(value)} of {name}, whose send, op {failed.index}, failed"
            troubles.add("failed send polled", words, [failed, reader], key=name, observed=value)
        elif not writers:
            words = f"op {reader.index} polled {show(value)} of {name}, which nobody sent"
            troubles.add("unexpected", words, [reader], key=name, observed=value)
        elif reader.end is not None and reader.end < min(op.start for op in writers):
            words = f"op {reader.index} polled {show(value)} of {name} before op {writers[0].index} began to send it"
            troubles.add("unexpected", words, [reader, writers[0]], key=name, observed=value)


def _doubles_sent(name: str, log: KeyLog) -> Iterator[str]:
    for value, writers in log.writers.items():
        if len(writers) > 1:
            first, second = writers[0].index, writers[1].index
            yield f"{show(value)} was sent to {name} by ops {first} and {second}, so the two cannot be told apart"
            return


def _judge_lost(name: str, log: KeyLog, logs: Logs, troubles: Troubles) -> Iterator[tuple[str, Any, RecordedOp]]:
    """Tell what is lost: committed, never polled, and before something that was. Yield what was only never polled."""
    read_to, witness = -1, None
    for value, reader in log.readers.items():
        rank = log.first_rank.get(value, -1)
        if rank > read_to:
            read_to, witness = rank, reader
    last = _last_ranks(log)
    for value, writers in log.writers.items():
        if value in log.readers:
            continue
        writer = next((op for op in writers if op.outcome == OK), None)
        if writer is None:
            continue
        if last.get(value, read_to + 1) > read_to:
            yield name, value, writer
            continue
        words = f"op {writer.index} sent {show(value)} to {name}, nobody polled it, and later messages were polled"
        troubles.add("lost", words, [writer, witness], key=name, expected=value)


def _last_ranks(log: KeyLog) -> dict[Any, int]:
    last: dict[Any, int] = {}
    for offset, rank in log.rank.items():
        for value in log.at[offset]:
            last[value] = max(rank, last.get(value, -1))
    return last


def _judge_unseen(unseen: list[tuple[str, Any, RecordedOp]], options: Options, troubles: Troubles) -> list[str]:
    if not unseen:
        return []
    if option(options.extra, "unseen", "doubt") == "fail":
        for name, value, op in unseen:
            troubles.add("unseen", f"op {op.index} sent {show(value)} to {name} and nobody polled it", [op], key=name)
        return []
    name, value, op = unseen[0]
    words = (
        f"{len(unseen)} acknowledged messages were never polled (the first is {show(value)} of {name}, op {op.index})"
    )
    return [f"{words}: they may be lost, or only not read yet"]


def _judge_own(logs: Logs, troubles: Troubles) -> None:
    for step in logs.steps:
        for name in step.sent.keys() & step.polled.keys() if step.sent and step.polled else ():
            own = {v for _, v in step.sent[name]} & {v for _, v in step.polled[name]}
            if own:
                words = f"op {step.op.index} polled {show(next(iter(own)))} of {name}, its own uncommitted message"
                troubles.add("own uncommitted message polled", words, [step.op], key=name)


def _figures(logs: Logs) -> dict[str, float]:
    sent = sum(op.outcome == OK for log in logs.keys.values() for ops in log.writers.values() for op in ops)
    polled = sum(len(entries) for step in logs.steps for entries in step.polled.values())
    return {"sent": sent, "polled": polled, "keys": len(logs.keys)}


def _vacuous(figures: dict[str, float]) -> str:
    if not figures["sent"]:
        return "no send was acknowledged"
    return "" if figures["polled"] else "no message was ever polled"


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare with the definition on n random histories, and plant violations."""
    from seatrial.judge.recorded_checks.selftesting import run

    return run(("log",), n, seed)
