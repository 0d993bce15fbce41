"""Figures that show the checkers of transactions right: against definitions, under changes, and by planted faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from seatrial.history.recorded import Recorded
from seatrial.judge.modelling import Options
from seatrial.judge.transactions import oracle
from seatrial.judge.transactions.columns import COMMITTED
from seatrial.judge.transactions.guarantee_oracle import keeps
from seatrial.judge.transactions.oracle import Txn
from seatrial.judge.transactions.samples import Dice, random_history, recorded_of, serial_history
from seatrial.verdict import Finding, Outcome

Check = Callable[[Recorded, Options], Finding]
STRONG = {
    "serializable": ("serial", 0),
    "strong-session-serializable": ("serial", 1),
    "strict-serializable": ("serial", 2),
    "snapshot-isolation": ("snapshot", 0),
    "strong-session-snapshot-isolation": ("snapshot", 1),
    "strong-snapshot-isolation": ("snapshot", 2),
}
WEAK = {
    "read-committed": ("read-committed", 0),
    "strong-session-read-committed": ("read-committed", 1),
    "read-atomic": ("read-atomic", 0),
    "strong-session-read-atomic": ("read-atomic", 1),
    "causal": ("causal", 1),
}
SNAPSHOT_MOST = 4  # transactions: the definition tries all orders of starts and commits


def expected(txns: list[Txn], level: str, lists: bool) -> bool:
    """Return whether a history is of a level, by the definition."""
    what, order = {**STRONG, **WEAK}[level]
    initial: Any = () if lists else 0
    if what == "serial":
        return oracle.serializable(txns, order, initial)
    if what == "snapshot":
        return oracle.snapshot_isolated(txns, order, initial)
    return oracle.axiomatic(txns, what, order >= 1, initial)


def judged(check: Check, txns: list[Txn], level: str) -> Outcome:
    """Return what a checker says of a history."""
    return check(recorded_of(txns), Options(level=level, extra={"whole": True})).outcome


def agrees(outcome: Outcome, legal: bool) -> bool:
    """Return whether an outcome is right: no false alarm, nothing missed, nothing left open on so small a history."""
    return outcome is Outcome.FAIL if not legal else outcome in (Outcome.PASS, Outcome.NOT_TESTED)


def _differential(check: Check, lists: bool, levels: list[str], n: int, seed: int) -> dict[str, Any]:
    dice, wrong, legal_ones = Dice(seed), list[int](), 0
    for i in range(n):
        level = levels[i % len(levels)]
        most = SNAPSHOT_MOST if "snapshot" in level else 5
        txns = random_history(dice, lists, most)
        legal = expected(txns, level, lists)
        legal_ones += legal
        if not agrees(judged(check, txns, level), legal):
            wrong.append(i)
    return {"histories": n, "legal": legal_ones, "illegal": n - legal_ones, "disagreements": len(wrong)}


def renamed(txns: list[Txn], dice: Dice) -> list[Txn]:
    """Return the same history with other keys, sessions and a shift in time: no verdict may change."""
    shift, add = 1 + dice.below(50), 10 + dice.below(90)
    return [
        replace(
            t,
            mops=tuple((kind, f"k{key + add}", value) for kind, key, value in t.mops),
            session=t.session + add,
            start=t.start + shift,
            end=None if t.end is None else t.end + shift,
        )
        for t in txns
    ]


def with_idle(txns: list[Txn]) -> list[Txn]:
    """Return the history with one more transaction that reads a key that nobody writes: no verdict may change."""
    last = max((t.end or t.start for t in txns), default=0)
    lists = any(kind == "append" or isinstance(v, tuple) for t in txns for kind, _, v in t.mops)
    return [*txns, Txn((("r", "idle", () if lists else 0),), 999, last + 1, last + 2)]


def _metamorphic(check: Check, lists: bool, levels: list[str], n: int, seed: int) -> dict[str, int]:
    dice, changed = Dice(seed ^ 0x5EED), 0
    for i in range(n):
        txns, level = random_history(dice, lists), levels[i % len(levels)]
        bad = judged(check, txns, level) is Outcome.FAIL
        for other in (renamed(txns, dice), with_idle(txns)):
            changed += bad != (judged(check, other, level) is Outcome.FAIL)
    return {"metamorphic": 2 * n, "metamorphic changed": changed}


def stale_read(txns: list[Txn], dice: Dice) -> list[Txn] | None:
    """Let one read show what was there before a write that had ended when the reader began; None when none is there."""
    places = [
        (i, m) for i, t in enumerate(txns) for m, mop in enumerate(t.mops) if mop[0] == "r" and _first_of(t, m, mop[1])
    ]
    for _ in range(20):
        i, m = places[dice.below(len(places))] if places else (-1, -1)
        older = _older(txns, i, txns[i].mops[m]) if i >= 0 else None
        if older is not None:
            kind, key, _ = txns[i].mops[m]
            mops = (*txns[i].mops[:m], (kind, key, older[0]), *txns[i].mops[m + 1 :])
            return [*txns[:i], replace(txns[i], mops=mops), *txns[i + 1 :]]
    return None


def _first_of(txn: Txn, at: int, key: Any) -> bool:
    return all(k != key for _, k, _ in txn.mops[:at])


def _older(txns: list[Txn], reader: int, mop: Any) -> tuple[Any] | None:
    """Return the value before the last write that had surely ended, as a tuple of one."""
    key, value = mop[1], mop[2]
    if isinstance(value, tuple):
        ended = [e for t in txns if t.end is not None and t.end < txns[reader].start for e in _appended(t, key)]
        known = [e for e in value if e in ended]
        return (value[: value.index(known[-1])],) if known else None
    writers = [t for t in txns[:reader] if any(k == key and kind == "w" for kind, k, _ in t.mops)]
    last = writers[-1] if writers else None
    if last is None or last.end is None or last.end >= txns[reader].start:
        return None
    if len(writers) > 1 and (writers[-2].end or 0) >= last.start:
        return None  # they overlap: the other order may be right too
    values = [[v for kind, k, v in t.mops if k == key and kind == "w"][-1] for t in writers]
    return ([0, *values][-2],)


def _appended(txn: Txn, key: Any) -> list[Any]:
    return [v for kind, k, v in txn.mops if kind == "append" and k == key]


def aborted_read(txns: list[Txn], dice: Dice) -> list[Txn] | None:
    """Say of one transaction whose write was read by another that it had failed."""
    pool = [i for i, t in enumerate(txns) if _own(t) & _seen_by_others(txns, i)]
    if not pool:
        return None
    i = pool[dice.below(len(pool))]
    return [*txns[:i], replace(txns[i], status=0), *txns[i + 1 :]]


def _seen_by_others(txns: list[Txn], own: int) -> set[tuple[Any, Any]]:
    return {
        seen
        for i, t in enumerate(txns)
        if i != own
        for kind, key, value in t.mops
        if kind == "r"
        for seen in _values(key, value)
    }


def _values(key: Any, value: Any) -> list[tuple[Any, Any]]:
    return [(key, e) for e in value] if isinstance(value, tuple) else [(key, value)]


def _own(txn: Txn) -> set[tuple[Any, Any]]:
    return {(k, v) for kind, k, v in txn.mops if kind != "r"}


def torn_list(txns: list[Txn], dice: Dice) -> list[Txn] | None:
    """Swap two elements of, drop one from, or double one in a list that was read."""
    places = [
        (i, m) for i, t in enumerate(txns) for m, (kind, _, v) in enumerate(t.mops)
        if kind == "r" and isinstance(v, tuple) and len(v) >= 3 and t.status == COMMITTED
    ]  # fmt: skip
    if not places:
        return None
    i, m = places[dice.below(len(places))]
    kind, key, value = txns[i].mops[m]
    at = dice.below(len(value) - 1)
    a, b = value[at], value[at + 1]
    torn = ((b, a), (b,), (a, a, b))[dice.below(3)]
    changed = (*value[:at], *torn, *value[at + 2 :])
    mops = (*txns[i].mops[:m], (kind, key, changed), *txns[i].mops[m + 1 :])
    return [*txns[:i], replace(txns[i], mops=mops), *txns[i + 1 :]]


def _mutations(check: Check, lists: bool, n: int, seed: int) -> dict[str, int]:
    """Plant faults into serial histories. Every one of them contradicts strict serializability; so must the verdict."""
    dice, planted, caught, alarms = Dice(seed ^ 0xBAD), 0, 0, 0
    changes = [stale_read, aborted_read] + ([torn_list] if lists else [])
    for i in range(n):
        txns = serial_history(dice, 12 + dice.below(30), lists)
        alarms += judged(check, txns, "strict-serializable") is Outcome.FAIL
        changed = changes[i % len(changes)](txns, dice)
        if changed is None or (changes[i % len(changes)] is torn_list and not _seen_longer(txns, changed)):
            continue
        planted += 1
        caught += judged(check, changed, "strict-serializable") is Outcome.FAIL
    return {"planted": planted, "caught": caught, "false alarms": alarms}


def _seen_longer(before: list[Txn], after: list[Txn]) -> bool:
    """Return whether another read shows the list as it was, so that the change can be seen."""
    old = next(b for b, a in zip(before, after, strict=True) if a != b)
    new = next(a for b, a in zip(before, after, strict=True) if a != b)
    key, value = next((m[1], m[2]) for m, x in zip(old.mops, new.mops, strict=True) if m != x)
    others = [m for t in before if t is not old for m in t.mops if m[0] == "r" and m[1] == key]
    return any(len(m[2]) >= len(value) for m in others)


def appends_selftest(check: Check, n: int, seed: int) -> dict[str, Any]:
    """Figures of list-append."""
    found = _differential(check, True, list(STRONG), n, seed)
    found |= _metamorphic(check, True, list(STRONG), n // 10, seed)
    return {**found, **_mutations(check, True, n // 20, seed)}


def registers_selftest(check: Check, n: int, seed: int) -> dict[str, Any]:
    """Figures of rw-register."""
    levels = list(STRONG) + list(WEAK)
    found = _differential(check, False, levels, n, seed)
    found |= _metamorphic(check, False, levels, n // 10, seed)
    return {**found, **_mutations(check, False, n // 20, seed)}


def causal_selftest(causal: Check, skew_check: Check, n: int, seed: int) -> dict[str, Any]:
    """Figures of causal, and of write skew: what is snapshot-isolated and not serializable."""
    found = _differential(causal, False, ["causal"], n // 2, seed)
    dice, wrong, skews = Dice(seed ^ 0x5CE), 0, 0
    for _ in range(n - n // 2):
        txns = random_history(dice, False, SNAPSHOT_MOST)
        serial = oracle.serializable(txns, 0, 0)
        skew = not serial and oracle.snapshot_isolated(txns, 0, 0)
        skews += skew
        outcome = judged(skew_check, txns, "serializable")
        wrong += outcome is not Outcome.FAIL if skew else serial and not agrees(outcome, True)
    return {**found, "write skews": skews, "write skew disagreements": wrong}


def guarantees_selftest(checks: Mapping[str, Check], n: int, seed: int) -> dict[str, Any]:
    """Figures of the four guarantees of sessions."""
    dice, wrong, broken = Dice(seed), 0, 0
    names = list(checks)
    for i in range(n):
        txns, name = random_history(dice, False), names[i % len(names)]
        legal = keeps(txns, name, 0)
        if legal is None:
            continue
        broken += not legal
        outcome = judged(checks[name], txns, "")
        wrong += not agrees(outcome, legal)
    return {"histories": n, "broken": broken, "disagreements": wrong}
