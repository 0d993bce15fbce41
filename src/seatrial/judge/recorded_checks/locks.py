"""Lock overlap: from the end of an acquire to the begin of the next release, its owner surely relies on the lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.modelling import Options
from seatrial.judge.recorded_checks.partition import each_object
from seatrial.judge.recorded_checks.troubles import Troubles, finding, option
from seatrial.judge.recorded_checks.words import OK, show, token
from seatrial.verdict import Finding

CLAIM = "no two owners hold the same lock at the same time"
ACQUIRES, RELEASES = frozenset(("acquire", "lock")), frozenset(("release", "unlock"))
RENEWS = frozenset(("renew", "keepalive", "refresh"))
_NEVER = float("inf")


@dataclass(slots=True)
class Held:
    """One ownership: surely held from `begin` to `end`; positions of the history, or nanoseconds with a lease."""

    owner: Any
    begin: float
    end: float
    acquire: RecordedOp
    release: RecordedOp | None = None


@each_object
def check(recorded: Recorded, options: Options) -> Finding:
    """Judge ownerships of every lock. An owner is a process, or what the value names.

    The value of an op is the lock's name, or {"lock": name, "owner": who}, or nothing when there is only one lock.
    extra: lease_ns (an ownership ends by itself so long after its acquire or its last renewal began; recorded times are
    used), reentrant (True: the owner may acquire again what it holds; default False).
    The end of an ownership is the begin of the first release that its owner tries, however that ends.
    """
    lease = option(options.extra, "lease_ns", None)
    troubles = Troubles(reported=frozenset(("acquired again by its owner",) if _reentrant(options) else ()))
    locks, untimed = _ownerships(recorded, lease)
    count = sum(len(held) for held in locks.values())
    for name, held in locks.items():
        _judge_again(name, held, troubles)
        _judge_overlap(name, held, troubles)
    acquires = sum(op.f in ACQUIRES for op in recorded.ops)
    return finding(
        "lock",
        CLAIM,
        troubles,
        examined=count,
        vacuous=_vacuous(locks),
        doubts=[f"{untimed} ops have no time, which a lease needs"] if untimed else [],
        figures={"acquires": acquires, "ownerships": count, "locks": len(locks)},
        limit="" if lease is None else f"a lease lasts {lease / 1e9:g} s",
    )


def _reentrant(options: Options) -> bool:
    return bool(option(options.extra, "reentrant", False))


def _named(op: RecordedOp) -> tuple[Any, Any]:
    """Return the lock and the owner of an op."""
    value = op.arg
    if isinstance(value, dict):
        return token(value.get("lock")), token(value.get("owner", op.process))
    return token(value), op.process


def _ownerships(recorded: Recorded, lease: int | None) -> tuple[dict[Any, list[Held]], int]:
    """Return the sure ownerships by lock, in order of their begin; and how many ops lacked the time a lease needs."""
    locks: dict[Any, list[Held]] = {}
    open_now: dict[tuple[Any, Any], list[Held]] = {}  # several when an owner acquires again what it holds
    untimed = 0
    for at, op in _events(recorded):
        lock, owner = _named(op)
        if lease is not None and (op.start_ns is None or (op.end is not None and op.end_ns is None)):
            untimed += 1
            continue
        mine = open_now.setdefault((lock, owner), [])
        if op.f in ACQUIRES:
            mine.append(Held(owner, *_span(op, at, lease), op))
            locks.setdefault(lock, []).append(mine[-1])
        elif op.f in RENEWS:
            for held in mine:
                held.end = max(held.end, _span(op, at, lease)[1])
        else:
            for held in mine:
                held.end, held.release = min(held.end, _start(op, lease)), op
            mine.clear()
    return locks, untimed


def _events(recorded: Recorded) -> list[tuple[int, RecordedOp]]:
    events = []
    for op in recorded.ops:
        if op.f in ACQUIRES or op.f in RENEWS:
            if op.outcome == OK and op.end is not None:
                events.append((op.end, op))
        elif op.f in RELEASES:
            events.append((op.start, op))
    events.sort(key=lambda event: event[0])
    return events


def _start(op: RecordedOp, lease: int | None) -> float:
    return op.start if lease is None else op.start_ns or 0


def _span(op: RecordedOp, at: int, lease: int | None) -> tuple[float, float]:
    if lease is None:
        return float(at), _NEVER
    return float(op.end_ns or 0), float((op.start_ns or 0) + lease)


def _judge_again(name: Any, held: list[Held], troubles: Troubles) -> None:
    last: dict[Any, Held] = {}
    for one in sorted(held, key=lambda h: h.begin):
        before = last.get(one.owner)
        if before and before.end > one.begin:
            words = f"op {one.acquire.index} gave {_lock(name)} to {show(one.owner)}, who had it since op"
            ops = [before.acquire, one.acquire]
            troubles.add("acquired again by its owner", f"{words} {before.acquire.index}", ops, key=name)
        last[one.owner] = one


def _judge_overlap(name: Any, held: list[Held], troubles: Troubles) -> None:
    """Sweep by begin; it is enough to keep the latest end so far, and the latest of another owner than that one's."""
    top: Held | None = None
    other: Held | None = None
    for one in sorted(held, key=lambda h: h.begin):
        if one.end <= one.begin:
            continue
        rival = other if top and top.owner == one.owner else top
        if rival and rival.end > one.begin:
            _tell_overlap(name, rival, one, troubles)
        if top is None or one.end >= top.end:
            if top and top.owner != one.owner:
                other = top
            top = one
        elif one.owner != top.owner and (other is None or one.end > other.end):
            other = one


def _tell_overlap(name: Any, a: Held, b: Held, troubles: Troubles) -> None:
    if not troubles.wants("two holders"):
        troubles.count("two holders")
        return
    until = f"until it began to release it (op {a.release.index})" if a.release else "and never released it"
    words = f"{show(a.owner)} held {_lock(name)} from op {a.acquire.index} {until}"
    words = f"{words}; in that time op {b.acquire.index} gave it to {show(b.owner)}"
    troubles.add("two holders", words, [a.acquire, b.acquire, a.release], key=name, observed=_times(a, b))


def _times(a: Held, b: Held) -> str:
    spans = []
    for held in (a, b):
        begin = held.acquire.end_ns
        end = held.release.start_ns if held.release else None
        if begin is not None:
            spans.append(f"{show(held.owner)} {begin / 1e9:.3f}–{'' if end is None else f'{end / 1e9:.3f}'} s")
    return ", ".join(spans)


def _lock(name: Any) -> str:
    return "the lock" if name is None else f"lock {show(name)}"


def _vacuous(locks: dict[Any, list[Held]]) -> str:
    if not locks:
        return "no acquire succeeded"
    contended = any(len({h.owner for h in held}) > 1 for held in locks.values())
    return "" if contended else "no lock was acquired by two owners"


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare with the definition on n random histories, and plant violations."""
    from seatrial.judge.recorded_checks.selftesting import run

    return run(("lock",), n, seed)
