"""Random small histories for tests of the checkers: legal ones, nearly legal ones, and nonsense, by a seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.transactions.columns import ABORTED, COMMITTED, OPEN
from seatrial.judge.transactions.oracle import Txn

_MASK = (1 << 64) - 1
OUTCOMES = {COMMITTED: OpOutcome.OK, ABORTED: OpOutcome.FAIL, OPEN: OpOutcome.UNKNOWN}


class Dice:
    """A small random source of its own (splitmix64): the same numbers everywhere, from the seed alone."""

    def __init__(self, seed: int) -> None:
        self.state = seed & _MASK

    def below(self, many: int) -> int:
        """Return a number from 0 to many - 1."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & _MASK
        z = self.state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & _MASK
        return (z ^ z >> 31) % many

    def chance(self, percent: int) -> bool:
        """Return True so many times of a hundred."""
        return self.below(100) < percent


def random_history(dice: Dice, lists: bool, most: int = 5) -> list[Txn]:
    """Return a few transactions of a made-up store that is sometimes consistent, sometimes stale, sometimes wrong."""
    many, keys, sessions = 2 + dice.below(most - 1), 1 + dice.below(3), 1 + dice.below(3)
    spans = _spans(dice, many, sessions)
    wrong, snapshot = (0, 5, 25, 60)[dice.below(4)], dice.chance(40)
    order = sorted(range(many), key=lambda i: (spans[i][1] + dice.below(3) * dice.below(8), i))
    versions: list[dict[Any, Any]] = [{}]
    txns: dict[int, Txn] = {}
    fresh = 1
    for i in order:
        back = min(len(versions), 1 + (dice.below(3) if snapshot else 0))
        mops, fresh, after = _transaction(dice, versions, versions[-back], keys, lists, wrong, fresh)
        status = COMMITTED if dice.chance(88) else (ABORTED, OPEN)[dice.below(2)]
        if status == COMMITTED or (dice.chance(50) and status == OPEN) or dice.chance(wrong):
            versions.append({**versions[-1], **after})
        start, end, session = spans[i]
        txns[i] = Txn(tuple(mops), session, start, None if status == OPEN else end, status)
    return [txns[i] for i in range(many)]


def _spans(dice: Dice, many: int, sessions: int) -> list[tuple[int, int, int]]:
    """Return start, end and session of each: one after the other in a session, sessions side by side."""
    last, at, spans = [0] * sessions, 0, []
    for _ in range(many):
        session = dice.below(sessions)
        at = max(at, last[session]) + 1 + dice.below(2)
        start = max(last[session] + 1, at - dice.below(6))
        end = start + 1 + dice.below(6)
        last[session] = end
        spans.append((start, end, session))
    taken = sorted({(p, which, i) for i, s in enumerate(spans) for which, p in enumerate(s[:2])})
    place = {(i, which): n for n, (_, which, i) in enumerate(taken)}
    return [(place[i, 0], place[i, 1], s[2]) for i, s in enumerate(spans)]


def _transaction(
    dice: Dice, versions: list[Any], base: Any, keys: int, lists: bool, wrong: int, fresh: int
) -> tuple[list[Any], int, dict[Any, Any]]:
    now, mops, changed = dict(base), list[Any](), dict[Any, Any]()
    for _ in range(1 + dice.below(4)):
        key = dice.below(keys)
        if dice.chance(45):
            now[key] = (*now.get(key, ()), fresh) if lists else fresh
            changed[key] = now[key] if not lists else (*changed.get(key, versions[-1].get(key, ())), fresh)
            mops.append(("append" if lists else "w", key, fresh))
            fresh += 1
        else:
            value = now.get(key, () if lists else 0)
            if dice.chance(wrong):
                value = versions[dice.below(len(versions))].get(key, value)
            mops.append(("r", key, value))
    return mops, fresh, changed


def recorded_of(txns: list[Txn], *, initial: Any = 0, realtime: bool = True) -> Recorded:
    """Return the history as a recording."""
    ops = []
    for i, t in enumerate(txns):
        asked = [[k, key, None if k == "r" else v] for k, key, v in t.mops]
        told = [[k, key, list(v) if isinstance(v, tuple) else v] for k, key, v in t.mops]
        ops.append(
            RecordedOp(
                index=i,
                process=t.session,
                f="txn",
                arg=asked,
                value=told if t.status == COMMITTED else asked,
                outcome=OUTCOMES[t.status],
                start=t.start,
                end=t.end,
            )
        )
    return Recorded(ops=tuple(ops), initial={None: initial}, realtime=realtime)


def serial_history(dice: Dice, many: int, lists: bool, keys: int = 4) -> list[Txn]:
    """Return a strictly serializable history of a larger size: executed one by one, with overlaps in time."""
    state: dict[Any, Any] = {}
    txns, fresh = [], 1
    for i in range(many):
        mops, fresh, after = _transaction(dice, [state], state, keys, lists, 0, fresh)
        state = {**state, **after}
        txns.append(Txn(tuple(mops), i % 4, 4 * i, 4 * i + 3 + 4 * dice.below(3)))
    starts = {t.session: 0 for t in txns}
    out = []
    for t in reversed(txns):  # no session starts before its last one ended
        end = t.end if not starts[t.session] else min(t.end or 0, starts[t.session] - 1)
        out.append(replace(t, end=end))
        starts[t.session] = t.start
    return out[::-1]
