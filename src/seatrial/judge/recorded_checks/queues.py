"""Queue and total queue: what comes out was put in, no more often than that; in the total queue all of it comes out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.modelling import Options
from seatrial.judge.recorded_checks.partition import each_object
from seatrial.judge.recorded_checks.troubles import Troubles, finding, option
from seatrial.judge.recorded_checks.words import FAIL, OK, listed, show, token, tokens
from seatrial.verdict import Finding

QUEUE_CLAIM = "every element that was taken had been put in, and none was taken more often than that"
TOTAL_CLAIM = "everything that was acknowledged as put in came out, and nothing else did"
PUTS = frozenset(("enqueue", "put", "push", "offer"))
TAKES = frozenset(("dequeue", "take", "pop"))
DRAINS = frozenset(("drain",))
_EMPTY_WORDS = ("empty", "exhaust", "no message")  # a take that failed with these found nothing; others only failed


@dataclass(slots=True)
class Item:
    """All that happened to one value: how often put (possibly, surely), how often taken, with the ops."""

    puts: list[RecordedOp] = field(default_factory=list)
    failed: RecordedOp | None = None
    takes: list[RecordedOp] = field(default_factory=list)


@dataclass(slots=True)
class Flow:
    """A queue's recording. open_takes: takes without an answer. found_empty: latest begin of one that got nothing."""

    items: dict[Any, Item] = field(default_factory=dict)
    puts: int = 0
    takes: int = 0
    open_takes: int = 0
    open_drains: int = 0
    found_empty: int = -1


def look(recorded: Recorded) -> Flow:
    """Return what the ops say, by value."""
    flow = Flow()
    for op in recorded.ops:
        if op.f in PUTS:
            flow.puts += 1
            item = flow.items.setdefault(token(op.arg), Item())
            if op.outcome == FAIL:
                item.failed = item.failed or op
            else:
                item.puts.append(op)
        elif op.f in TAKES:
            _note_takes(flow, op, op.value, drain=False)
        elif op.f in DRAINS:
            _note_takes(flow, op, op.value, drain=True)
    return flow


def _note_takes(flow: Flow, op: RecordedOp, value: Any, drain: bool) -> None:
    if op.outcome == OK:
        taken = tokens(listed(value) or ()) if drain else [] if value is None else [token(value)]
        for one in taken:
            flow.items.setdefault(one, Item()).takes.append(op)
        flow.takes += len(taken)
        if drain or not taken:
            flow.found_empty = max(flow.found_empty, op.start)
    elif op.outcome == FAIL:
        if not drain and any(word in op.error.lower() for word in _EMPTY_WORDS):
            flow.found_empty = max(flow.found_empty, op.start)
    elif drain:
        flow.open_drains += 1
    else:
        flow.open_takes += 1


@each_object
def check_queue(recorded: Recorded, options: Options) -> Finding:
    """Judge that nothing comes out of an unordered queue that is not in it. Elements may stay inside."""
    flow, troubles = look(recorded), Troubles()
    for value, item in flow.items.items():
        _judge_foreign(value, item, troubles)
        if len(item.takes) > len(item.puts) > 0:
            _tell_duplicate(value, item, troubles)
    return finding(
        "queue",
        QUEUE_CLAIM,
        troubles,
        examined=flow.takes,
        vacuous="" if flow.takes else "nothing was taken out, so nothing could be wrong with it",
        figures=_figures(flow),
    )


@each_object
def check_total(recorded: Recorded, options: Options) -> Finding:
    """Judge a queue that was emptied at the end.

    extra: duplicates ("fail": the same element out twice fails the check; default "report", as at-least-once queues may
    do that), drained (True: the history is known to end with an empty queue; else it must show that: a drain, or a take
    that found nothing), crashed_takes ("hold", the default: a take without an answer may have taken one element;
    "return": the queue gives such an element out again, so that it is lost all the same).
    """
    flow = look(recorded)
    strict = option(options.extra, "duplicates", "report") == "fail"
    troubles = Troubles(reported=frozenset(("recovered",) if strict else ("recovered", "duplicated")))
    lost: list[tuple[Any, Item]] = []
    for value, item in flow.items.items():
        _judge_foreign(value, item, troubles)
        if len(item.takes) > len(item.puts) > 0:
            _tell_duplicate(value, item, troubles)
        acked = [op for op in item.puts if op.outcome == OK]
        troubles.count("recovered", max(0, min(len(item.takes), len(item.puts)) - len(acked)))
        lost += [(value, item)] * max(0, len(acked) - len(item.takes))
    doubts = _judge_lost(flow, lost, options, troubles)
    acked_count = sum(op.outcome == OK for item in flow.items.values() for op in item.puts)
    return finding(
        "total-queue",
        TOTAL_CLAIM,
        troubles,
        examined=acked_count + flow.takes,
        vacuous=_vacuous(acked_count, flow),
        doubts=doubts,
        figures={**_figures(flow), "not taken": len(lost)},
    )


def _judge_lost(flow: Flow, lost: list[tuple[Any, Item]], options: Options, troubles: Troubles) -> list[str]:
    """Tell what is surely lost. Open takes may hold as many; without an empty queue at the end, it may be inside."""
    if not lost:
        return []
    hold = option(options.extra, "crashed_takes", "hold") != "return"
    drained = bool(option(options.extra, "drained", False))
    out = [(v, i) for v, i in lost if drained or _last_ack(i) < flow.found_empty]
    excused = (flow.open_takes + (len(lost) if flow.open_drains else 0)) if hold else 0
    if len(out) > excused:
        for value, item in out:
            acked = next(op for op in item.puts if op.outcome == OK)
            words = f"op {acked.index} put {show(value)} in, and it never came out"
            troubles.add("lost", words, [acked], key=value)
        return []
    first = f"the first is {show(lost[0][0])}, put in by op {lost[0][1].puts[0].index}"
    missing = f"{len(lost)} acknowledged elements never came out ({first})"
    if len(out) < len(lost):
        return [f"{missing}, and nothing shows that the queue was empty afterwards"]
    return [f"{missing}, and takes without an answer may hold them"]


def _last_ack(item: Item) -> int:
    return max(op.end or 0 for op in item.puts if op.outcome == OK)


def _judge_foreign(value: Any, item: Item, troubles: Troubles) -> None:
    if not item.takes:
        return
    take = item.takes[0]
    if not item.puts and item.failed:
        words = f"op {take.index} took {show(value)}, whose put, op {item.failed.index}, failed"
        troubles.add("failed put taken", words, [take, item.failed], key=value)
    elif not item.puts:
        troubles.add("unexpected", f"op {take.index} took {show(value)}, which nobody put in", [take], key=value)
    else:
        _judge_order(value, item, troubles)


def _judge_order(value: Any, item: Item, troubles: Troubles) -> None:
    """The n-th take to end must not end before the n-th put began."""
    starts = sorted(op.start for op in item.puts)
    ends = sorted((op.end or 0, op.index, op) for op in item.takes)
    for (end, _, take), start in zip(ends, starts, strict=False):
        if end < start:
            put = next(op for op in item.puts if op.start == start)
            words = f"op {take.index} took {show(value)} before op {put.index} began to put it in"
            troubles.add("unexpected", words, [take, put], key=value)
            return


def _tell_duplicate(value: Any, item: Item, troubles: Troubles) -> None:
    words = f"{show(value)} was put in at most {len(item.puts)} times and taken {len(item.takes)} times"
    troubles.add("duplicated", words, [*item.puts[:2], *item.takes[:3]], key=value)


def _vacuous(acked: int, flow: Flow) -> str:
    if not acked:
        return "no element was acknowledged as put in"
    if not flow.takes and flow.found_empty < 0:
        return "nothing was ever taken out with success"
    return ""


def _figures(flow: Flow) -> dict[str, float]:
    values = Counter(min(len(i.puts), 2) for i in flow.items.values())
    return {"puts": flow.puts, "taken": flow.takes, "open takes": flow.open_takes, "values put twice": values[2]}


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare with the definition on n random histories, and plant violations."""
    from seatrial.judge.recorded_checks.selftesting import run

    return run(("queue", "total-queue"), n, seed)
