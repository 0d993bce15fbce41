"""Try to execute a register history: start and commit transactions one by one, overwriting only what all have read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any

from seatrial.judge.transactions.polygraph import Polygraph
from seatrial.judge.transactions.registers import INITIAL

Pair = tuple[Any, int, int]  # key, the writer whose version stands, the writer that would overwrite it


@dataclass(slots=True)
class Schedule:
    """One attempt. order: commits so far. stuck: what waits for what, as pairs of writers whose order was chosen."""

    order: list[int] = field(default_factory=list)
    stuck: list[Pair] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether all transactions were executed."""
        return not self.stuck


def attempt(g: Polygraph, rank: Sequence[float]) -> Schedule:
    """Execute as much as goes, earliest rank first; never overwrite a version before all its readers have started."""
    return _Run(g, rank).run()


class _Run:
    def __init__(self, g: Polygraph, rank: Sequence[float]) -> None:
        self.g, self.rank = g, rank
        self.waits = [0] * len(g.out)
        for edges in g.out:
            for target, _ in edges:
                self.waits[target] += 1
        self.pending = {version: len(who) for version, who in g.readers.items()}
        self.current: dict[Any, int] = {}
        self.busy: dict[Any, int] = {}  # keys that a started transaction will write
        self.started = [False] * g.r.many
        self.done = [False] * g.r.many
        self.parked: dict[Any, list[int]] = {}
        self.held: set[int] = set()
        self.own = [
            {k: sum(1 for key, w in dict.fromkeys(reads) if key == k) for k in writes}
            for reads, writes in zip(g.r.reads, g.r.writes, strict=True)
        ]
        self.ready: list[tuple[float, int]] = []
        self.order: list[int] = []

    def run(self) -> Schedule:
        g = self.g
        self.ready = [(self.rank[t], t) for t in range(g.r.many) if not self.waits[g.start(t)]]
        heapify(self.ready)
        while len(self.order) < g.r.many:
            if self.ready:
                self._whole(heappop(self.ready)[1])
            elif not (g.apart and self._start_one()):
                return Schedule(self.order, self._stuck())
        return Schedule(self.order)

    def _whole(self, txn: int) -> None:
        """Start and commit a transaction at once, or park it at the key that does not allow it."""
        if self.done[txn]:
            return
        if self.g.apart and self.waits[self.g.commit(txn)] > (not self.started[txn]):
            self.held.add(txn)  # it comes back when the last other start that its commit waits for has happened
            return
        blocked = self._blocked(txn)
        if blocked is not None:
            self.parked.setdefault(blocked, []).append(txn)
            return
        if not self.started[txn]:
            self._begin(txn)
        self._commit(txn)

    def _blocked(self, txn: int) -> Any:
        """Return the key whose version still has readers to start, or that another writer holds; else None."""
        for key in self.g.r.writes[txn]:
            left = self.pending.get((key, self.current.get(key, INITIAL)), 0)
            mine = 0 if self.started[txn] else self._reads_current(txn, key)
            if left > mine or self.busy.get(key, txn) != txn:
                return (key,)  # a tuple, because a key may be None
        return None

    def _reads_current(self, txn: int, key: Any) -> int:
        return self.own[txn].get(key, 0)

    def _begin(self, txn: int) -> None:
        self.started[txn] = True
        for version in dict.fromkeys(self.g.r.reads[txn]):
            self.pending[version] -= 1
            if self.pending[version] <= 1:  # the last one may be the writer that waits
                self._wake((version[0],))
        for key in self.g.r.writes[txn]:
            self.busy[key] = txn
        if self.g.apart:
            self._release(self.g.start(txn))

    def _commit(self, txn: int) -> None:
        self.done[txn] = True
        self.order.append(txn)
        for key in self.g.r.writes[txn]:
            self.current[key] = txn
            del self.busy[key]
            self._wake((key,))
        self._release(self.g.commit(txn))

    def _release(self, point: int) -> None:
        g = self.g
        for target, _ in g.out[point]:
            self.waits[target] -= 1
            left, txn = self.waits[target], g.txn(target)
            if target == g.start(txn) or self.started[txn]:
                goes = not left
            else:
                goes = left == 1 and not self.waits[g.start(txn)]  # its own start is what is left
            if goes:
                heappush(self.ready, (self.rank[txn], txn))

    def _wake(self, place: Any) -> None:
        for txn in self.parked.pop(place, ()):
            heappush(self.ready, (self.rank[txn], txn))

    def _start_one(self) -> bool:
        """Start, without committing, one that others wait for to start. Return whether there was one."""
        g = self.g
        waiting = self.held.union(*self.parked.values())
        for txn in sorted(waiting, key=lambda t: self.rank[t]):
            if self.started[txn] or any(self.busy.get(k, txn) != txn for k in g.r.writes[txn]):
                continue
            if self._awaited(txn):
                self._begin(txn)
                heappush(self.ready, (self.rank[txn], txn))
                return True
        return False

    def _awaited(self, txn: int) -> bool:
        """Return whether starting a transaction can let another one commit."""
        return bool(self.g.r.reads[txn]) or len(self.g.out[self.g.start(txn)]) > 1

    def _stuck(self) -> list[Pair]:
        """Return for each one that could start but for a choice made before: the choice."""
        g, pairs = self.g, []
        for txn in range(g.r.many):
            if self.done[txn] or (not self.started[txn] and self.waits[g.start(txn)]):
                continue
            for key in g.r.writes[txn]:
                holder = self.busy.get(key, txn)
                if holder != txn:
                    pairs.append((key, holder, txn))
                left = self.pending.get((key, self.current.get(key, INITIAL)), 0)
                mine = 0 if self.started[txn] else self._reads_current(txn, key)
                if left > mine and self.current.get(key, INITIAL) != INITIAL:
                    pairs.append((key, self.current[key], txn))
        return pairs
