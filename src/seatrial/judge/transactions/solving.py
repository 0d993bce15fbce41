"""Search for an order of the chains of writes: what follows is drawn at once, what is open is tried, with a budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from seatrial.judge.transactions.polygraph import Chain, Polygraph, Why, path, topological
from seatrial.judge.transactions.scheduling import Pair, attempt

TRIES = 3_000  # choices made before the search gives up
Steps = list[tuple[int, int, Why]]


@dataclass(slots=True)
class Answer:
    """order: transactions in an order of commits that explains all reads; None when there is none (possible False).

    cycle: what contradicts itself, when no choice was needed for it. tries: choices made. gave_up: why it is open.
    """

    possible: bool | None
    order: list[int] = field(default_factory=list)
    cycle: Steps = field(default_factory=list)
    tries: int = 0
    gave_up: str = ""
    linear: bool = False


def solve(g: Polygraph, rank: Sequence[float], memory: int, expired: Callable[[], bool]) -> Answer:
    """Find an order, show that none exists, or give up within the budget. Assumes that nothing was lost (g.lost)."""
    if topological(g.out) is None:
        return Answer(False, cycle=smallest_cycle(g.out), linear=not g.chains)
    first = attempt(g, rank)
    if first.complete:
        return Answer(True, order=first.order, linear=not g.chains)
    bits = len(g.out) * (len(g.out) + sum(map(len, g.chains.values()))) // 2
    if bits // 8 > memory:
        need = f"{bits >> 23} MiB"
        return Answer(None, gave_up=f"the order of writes is open and the search for it needs about {need}")
    return _Search(g, rank, expired).run(first.stuck)


def smallest_cycle(out: list[list[tuple[int, Why]]], most: int = 200) -> Steps:
    """Return a shortest cycle through one of the first points that are in cycles."""
    inside = _in_cycles(out)
    best: Steps = []
    small = [[(t, why) for t, why in edges if p in inside and t in inside] for p, edges in enumerate(out)]
    for source in sorted(inside)[:most]:
        for target, why in small[source]:
            steps = path(small, target, source)
            if steps is not None and (not best or len(steps) + 1 < len(best)):
                best = [(source, target, why), *steps]
    return best


def _in_cycles(out: list[list[tuple[int, Why]]]) -> set[int]:
    """Return the points that are left when all without a predecessor, then all without a successor, are taken away."""
    into: list[list[int]] = [[] for _ in out]
    for point, edges in enumerate(out):
        for target, _ in edges:
            into[target].append(point)
    left = set(range(len(out)))
    for ahead, behind in (([[t for t, _ in e] for e in out], into), (into, [[t for t, _ in e] for e in out])):
        waits = [sum(p in left for p in b) for b in behind]
        ready = [p for p in left if not waits[p]]
        for point in ready:
            left.discard(point)
            for target in ahead[point]:
                waits[target] -= 1
                if target in left and waits[target] == 0:
                    ready.append(target)
    return left


class _Conflict(Exception):
    """The choices so far contradict each other; .steps is the cycle."""

    def __init__(self, steps: Steps) -> None:
        super().__init__("conflict")
        self.steps = steps


class _Search:
    """Depth first over open pairs of chains; before[p]: all points before p, as bits of one number."""

    def __init__(self, g: Polygraph, rank: Sequence[float], expired: Callable[[], bool]) -> None:
        self.g, self.rank, self.expired = g, rank, expired
        self.before = [0] * len(g.out)
        for point in topological(g.out) or ():
            mine = self.before[point] | 1 << point
            for target, _ in g.out[point]:
                self.before[target] |= mine
        # by key and chain: the chains put before it, as bits of the points where their heads start
        self.decided: dict[Any, list[int]] = {key: [0] * len(chains) for key, chains in g.chains.items()}
        self.trail: list[tuple[str, Any, Any]] = []
        self.place: dict[tuple[Any, int], int] = {}
        self.heads: dict[Any, int] = {}
        self.watch: dict[int, set[Any]] = {}
        for key, chains in g.chains.items():
            self._watch(key, chains)

    def _watch(self, key: Any, chains: list[Chain]) -> None:
        g = self.g
        self.heads[key] = 0
        for at, chain in enumerate(chains):
            self.place.update({(key, w): at for w in chain.writers})
            self.heads[key] |= 1 << g.start(chain.writers[0])
            tail = chain.writers[-1]
            for point in (g.commit(tail), *(g.start(r) for r in g.readers.get((key, tail), ()))):
                self.watch.setdefault(point, set()).add(key)

    def run(self, stuck: list[Pair]) -> Answer:
        tries = 0
        todo: list[tuple[int, Pair]] = []  # where to go back to, the pair to turn round
        try:
            self._propagate(set(self.g.chains))
        except _Conflict as conflict:
            return Answer(False, cycle=conflict.steps)
        while True:
            schedule = attempt(self.g, self.rank)
            if schedule.complete:
                return Answer(True, order=schedule.order, tries=tries)
            if tries >= TRIES or self.expired():
                return Answer(None, tries=tries, gave_up=f"no order was found in {tries:,} choices, others are left")
            tries += 1
            pair = self._open_pair(schedule.stuck)
            key, first, then = pair
            todo.append((len(self.trail), (key, then, first)))
            if not self._choose(key, first, then) and not self._turn(todo):
                return Answer(False, tries=tries)

    def _open_pair(self, stuck: list[Pair]) -> Pair:
        """Return a key and chains to put in this order: the one that waits before the one that stands in its way."""
        for key, writer, waiting in stuck:
            a, b = self.place.get((key, writer)), self.place.get((key, waiting))
            if a is None or b is None or a == b:
                continue
            if not self._before(key, a, b) and not self._before(key, b, a):
                return key, b, a
        raise AssertionError("a stuck schedule without an open choice")

    def _before(self, key: Any, first: int, then: int) -> bool:
        head = self.g.chains[key][first].writers[0]
        return bool(self.decided[key][then] >> self.g.start(head) & 1)

    def _choose(self, key: Any, first: int, then: int) -> bool:
        try:
            self._put(key, first, then)
            self._propagate({key})
        except _Conflict:
            return False
        return True

    def _turn(self, todo: list[tuple[int, Pair]]) -> bool:
        """Go back to the last choice that can be turned round, and turn it. Return whether there was one."""
        while todo:
            mark, (key, first, then) = todo.pop()
            self._undo(mark)
            if self._choose(key, first, then):
                return True
        return False

    def _undo(self, mark: int) -> None:
        while len(self.trail) > mark:
            what, where, old = self.trail.pop()
            if what == "before":
                self.before[where] = old
            elif what == "edge":
                self.g.out[where].pop()
            else:
                self.decided[where][old[0]] = old[1]

    def _propagate(self, keys: set[Any]) -> None:
        """Put all chains in order whose other order would be a cycle, until nothing more follows."""
        while keys:
            key = keys.pop()
            for at, chain in enumerate(self.g.chains[key]):
                blocked = self._impossible(key, chain) & ~self.decided[key][at]
                while blocked:
                    point = blocked.bit_length() - 1
                    blocked ^= 1 << point
                    keys |= self._put(key, self.place[key, self.g.txn(point)], at)

    def _impossible(self, key: Any, chain: Chain) -> int:
        """Return the heads of chains that `chain` cannot come before, as bits of the points where they start."""
        g, tail = self.g, chain.writers[-1]
        readers = 0
        for reader in g.readers.get((key, tail), ()):
            readers |= self.before[g.start(reader)]
        late = self.before[g.commit(tail)] | (readers >> 1 if g.apart else readers)
        return late & self.heads[key] & ~(1 << g.start(chain.writers[0]))

    def _put(self, key: Any, first: int, then: int) -> set[Any]:
        """Put one chain before another; return the keys where more may follow from it."""
        chains = self.g.chains[key]
        self.trail.append(("decided", key, (then, self.decided[key][then])))
        self.decided[key][then] |= 1 << self.g.start(chains[first].writers[0])
        changed: set[Any] = set()
        for source, target, why in self.g.follow(chains[first], chains[then]):
            changed |= self._edge(source, target, why)
        return changed

    def _edge(self, source: int, target: int, why: Why) -> set[Any]:
        if source == target or self.before[source] >> target & 1:
            raise _Conflict([(source, target, why), *(path(self.g.out, target, source) or [])])
        if self.before[target] >> source & 1:
            return set()
        self.g.out[source].append((target, why))
        self.trail.append(("edge", source, None))
        more, todo, changed = self.before[source] | 1 << source, [target], set[Any]()
        while todo:
            point = todo.pop()
            old = self.before[point]
            new = old | more
            if new == old:
                continue
            self.trail.append(("before", point, old))
            self.before[point] = new
            changed |= self.watch.get(point, set())
            todo.extend(t for t, _ in self.g.out[point])
        return changed
