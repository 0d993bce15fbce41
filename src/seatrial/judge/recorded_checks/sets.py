"""Set and set-full: elements that were added stay, and nothing else is there."""

from __future__ import annotations

from typing import Any

from seatrial.history.recorded import Recorded
from seatrial.judge.modelling import Options
from seatrial.judge.recorded_checks.elements import Element, Read, Seen, look
from seatrial.judge.recorded_checks.partition import each_object
from seatrial.judge.recorded_checks.set_life import Life, live
from seatrial.judge.recorded_checks.troubles import Troubles, finding, option
from seatrial.judge.recorded_checks.words import show
from seatrial.verdict import Finding

SET_CLAIM = "the last read shows every acknowledged element, and none that was never added"
FULL_CLAIM = "every acknowledged element shows in every later read, once, and no other element does"


@each_object
def check_set(recorded: Recorded, options: Options) -> Finding:
    """Judge by the last successful read alone. An add that was not over when that read began is held to nothing."""
    seen, troubles = look(recorded, options), Troubles()
    last = seen.reads[-1] if seen.reads else None
    figures: dict[str, float] = {"adds": seen.adds, "reads": len(seen.reads)}
    if last:
        _judge_foreign(seen, [last], troubles)
        _judge_initial(seen, last, troubles)
        figures |= _judge_last(seen, last, troubles)
    return finding(
        "set",
        SET_CLAIM,
        troubles,
        examined=len(seen.elements) if last else 0,
        vacuous=_vacuous(seen),
        figures=figures,
    )


def _judge_last(seen: Seen, last: Read, troubles: Troubles) -> dict[str, float]:
    recovered = kept = 0
    for value, element in seen.elements.items():
        inside = value in last.held
        acked = element.acked
        kept += inside and acked is not None
        recovered += inside and acked is None and element.attempt is not None
        if acked and not inside and (acked.end or 0) < last.op.start:
            words = f"op {acked.index} added {show(value)}, and the last read, op {last.op.index}, does not show it"
            troubles.add("lost", words, [acked, last.op], key=value, expected="present", observed="absent")
    return {"kept": kept, "recovered": recovered}


@each_object
def check_full(recorded: Recorded, options: Options) -> Finding:
    """Judge every element over all reads.

    extra: linearizable (True: an element that shows late is a failure and not only reported; default False).
    An element is known from the end of its add, or from the end of the first read that showed it; it is lost when the
    last read that tells of it began after that and lacks it, stable when that read shows it, else never read.
    """
    seen = look(recorded, options)
    strict = bool(option(options.extra, "linearizable", False))
    troubles = Troubles(reported=frozenset(() if strict else ("stale",)))
    _judge_foreign(seen, seen.reads, troubles)
    for read in seen.reads:
        for value in read.repeated:
            words = f"op {read.op.index} shows {show(value)} more than once"
            troubles.add("duplicated", words, [read.op], key=value, expected="once")
    if seen.reads:
        _judge_initial(seen, max(seen.reads, key=lambda r: r.op.start), troubles)
    lives = live(seen)
    counted = _judge_lives(seen, lives, troubles)
    vacuous = _vacuous(seen)
    if not vacuous and not counted["stable"]:
        vacuous = "no element is shown to have stayed: no read began after an acknowledged add and showed it"
    figures: dict[str, float] = {"adds": seen.adds, "reads": len(seen.reads), **counted}
    return finding("set-full", FULL_CLAIM, troubles, examined=len(seen.elements), vacuous=vacuous, figures=figures)


def _judge_lives(seen: Seen, lives: dict[Any, Life], troubles: Troubles) -> dict[str, float]:
    stable = never = 0
    late: list[float] = []
    for value in seen.elements:
        life = lives[value]
        if life.stable:
            stable += 1
            if life.stale_by > 0:
                late.append(life.stale_by)
                _tell_stale(value, life, troubles)
        elif life.lost:
            _tell_lost(value, seen.elements[value], life, troubles)
        else:
            never += 1
    figures: dict[str, float] = {"stable": stable, "never read": never}
    if late:
        late.sort()
        name = "s" if all(life.timed for life in lives.values()) else "positions"
        figures |= {f"stale p50 {name}": late[len(late) // 2], f"stale max {name}": late[-1]}
    return figures


def _tell_lost(value: Any, element: Element, life: Life, troubles: Troubles) -> None:
    known, gone = life.known, life.absent
    if known is None or gone is None:
        return
    before = f"; op {life.present.index} still showed it" if life.present else ""
    words = f"{show(value)} was in by the end of op {known.index}{before}; op {gone.index} does not show it"
    troubles.add("lost", words, [element.acked, known, life.present, gone], key=value, observed="absent")


def _tell_stale(value: Any, life: Life, troubles: Troubles) -> None:
    if not troubles.wants("stale") or life.known is None or life.absent is None:
        troubles.count("stale")
        return
    words = f"{show(value)} was in by the end of op {life.known.index}; op {life.absent.index}, later, lacks it"
    troubles.add("stale", f"{words}, and it shows again after that", [life.known, life.absent, life.present], key=value)


def _judge_foreign(seen: Seen, reads: list[Read], troubles: Troubles) -> None:
    """Elements that nobody added, whose add surely failed, or that show before anybody began to add them."""
    told: set[Any] = set()
    for read in reads:
        for value in read.held - seen.initial - told:
            element = seen.elements.get(value)
            if element and element.attempt and element.attempt.start < (read.op.end or 0):
                told.add(value)  # in order of completion, so later reads cannot be too early for it either
                continue
            told.add(value)
            _tell_foreign(value, element, read, troubles)


def _tell_foreign(value: Any, element: Element | None, read: Read, troubles: Troubles) -> None:
    if element and element.attempt:
        words = f"op {read.op.index} shows {show(value)} before op {element.attempt.index} began to add it"
        troubles.add("unexpected", words, [read.op, element.attempt], key=value)
    elif element and element.failed:
        words = f"op {read.op.index} shows {show(value)}, whose add, op {element.failed.index}, failed"
        troubles.add("failed add present", words, [read.op, element.failed], key=value)
    else:
        words = f"op {read.op.index} shows {show(value)}, which nobody added"
        troubles.add("unexpected", words, [read.op], key=value)


def _judge_initial(seen: Seen, last: Read, troubles: Troubles) -> None:
    for value in sorted(seen.initial - last.held, key=str):
        words = f"{show(value)} was declared to be in from the beginning, and op {last.op.index} does not show it"
        troubles.add("lost", words, [last.op], key=value, observed="absent")


def _vacuous(seen: Seen) -> str:
    if not seen.reads:
        return "the set was never read with success"
    if not seen.elements:
        return "nothing was added"
    if not any(e.acked for e in seen.elements.values()):
        return "no add was acknowledged"
    return ""


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare with the definition on n random histories, and plant violations."""
    from seatrial.judge.recorded_checks.selftesting import run

    return run(("set", "set-full"), n, seed)
