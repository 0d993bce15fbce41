"""Order in a log: within an op and from op to op of a client, polls go on where they were and sends go forward."""

from __future__ import annotations

import itertools
from typing import Any

from seatrial.history.recorded import RecordedOp
from seatrial.judge.recorded_checks.log_parts import Entry, KeyLog, Logs, Step
from seatrial.judge.recorded_checks.troubles import Troubles
from seatrial.judge.recorded_checks.words import OK, show

Last = dict[tuple[Any, str], tuple[Entry, RecordedOp]]


def judge_order(logs: Logs, troubles: Troubles) -> None:
    """Judge every step against the one before of its process. Assigning or subscribing forgets the other keys."""
    last_poll: Last = {}
    last_send: Last = {}
    of_process: dict[Any, set[str]] = {}
    for step in logs.steps:
        process = step.op.process
        if step.keeps is not None:
            for key in of_process.get(process, set()) - step.keeps:
                last_poll.pop((process, key), None)
                last_send.pop((process, key), None)
            of_process[process] = of_process.get(process, set()) & step.keeps
            continue
        of_process.setdefault(process, set()).update(step.polled, step.sent)
        if step.op.end is None:  # what it polled is not known, so neither is where its consumer stands
            for key in of_process[process]:
                last_poll.pop((process, key), None)
        _judge_polls(step, logs, last_poll, troubles)
        if step.op.outcome == OK:  # one that never completed may take effect at any later moment
            _judge_sends(step, logs, last_send, troubles)


def _judge_polls(step: Step, logs: Logs, last: Last, troubles: Troubles) -> None:
    for name, entries in step.polled.items():
        if not entries:
            continue
        log = logs.keys[name]
        for a, b in itertools.pairwise(entries):
            _compare(name, log, (a, step.op), (b, step.op), troubles, "within a poll: ")
        before = last.get((step.op.process, name))
        if before:
            _compare(name, log, before, (entries[0], step.op), troubles, "")
        last[(step.op.process, name)] = (entries[-1], step.op)


def _compare(
    name: str,
    log: KeyLog,
    before: tuple[Entry, RecordedOp],
    now: tuple[Entry, RecordedOp],
    troubles: Troubles,
    where: str,
) -> None:
    a, b = log.place(before[0]), log.place(now[0])
    if a is None or b is None or b - a == 1:
        return
    category = f"{where}{'poll skip' if b > a else 'nonmonotonic poll'}"
    if not troubles.wants(category):
        troubles.count(category)
        return
    ops = [before[1], now[1]]
    told = f"op {now[1].index} polled {show(now[0][1])} of {name} right after {show(before[0][1])}"
    if b > a:
        troubles.add(category, f"{told}, and {b - a - 1} messages lie between", ops, key=name)
    else:
        troubles.add(category, f"{told}, which is not before it in the log", ops, key=name)


def _judge_sends(step: Step, logs: Logs, last: Last, troubles: Troubles) -> None:
    for name, entries in step.sent.items():
        log = logs.keys[name]
        before = last.get((step.op.process, name))
        for entry in entries:
            if before:
                a, b = log.place(before[0]), log.place(entry)
                if a is not None and b is not None and b <= a:
                    words = f"op {step.op.index} sent {show(entry[1])} to {name} after {show(before[0][1])}"
                    words = f"{words}, and it is not after it in the log"
                    troubles.add("nonmonotonic send", words, [before[1], step.op], key=name)
            before = (entry, step.op)
        if before:
            last[(step.op.process, name)] = before
