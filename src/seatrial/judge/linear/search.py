"""The search for a linearization of one partition, in plain Python: resumable, with memo, for small histories."""

from __future__ import annotations

import heapq
from bisect import bisect_right, insort
from typing import Any, NamedTuple

from seatrial.judge.linear.problem import ADD, CAS, ILLEGAL, JUNK, LOOK, NEVER, READ, SET, Part

# A configuration is (k, mask, state): the first k returns are linearized, mask says which of the ops that overlap
# return k are too. Three facts make the search small, and none gives up exactness:
# 1. A call that can never change a state (READ, LOOK) may be taken as soon as it is legal: wherever it stood later,
#    nothing is missed there, and it can stand here. (Not so a write that happens to change nothing here.)
# 2. Of calls that do the same, the one that ends first goes first: two of them can change places.
# 3. Two ways to one configuration have the same future: it is looked at once.
LEGAL, NOT_LEGAL, MORE, TOO_BIG = "legal", "illegal", "more", "too big"
ENTRY_BYTES = 220  # of one remembered configuration, measured
DEAD_ENDS = 24


class Layout(NamedTuple):
    """A partition as the search walks it: required calls by end, then open calls by start."""

    rows: list[int]  # place in this order -> row of the part
    required: int
    bit: list[int]
    slot: list[int]
    sym: list[int]
    windows: list[list[int]]  # for each return: the required calls that may be taken before it, by end
    open_seen: list[int]  # for each return: how many open calls have begun
    slots: int


def lay_out(part: Part) -> Layout:
    """Order the calls, give each overlapping one a bit of its own, and list what overlaps each return."""
    start, end = part.start, part.end
    required = sorted((r for r in range(len(part)) if end[r] < NEVER), key=end.__getitem__)
    opened = sorted((r for r in range(len(part)) if end[r] >= NEVER), key=start.__getitem__)
    rows, m = required + opened, len(required)
    begins = sorted(range(m), key=lambda p: start[rows[p]])
    windows, open_seen, slot = [], [], [0] * len(rows)
    active: list[int] = []
    free: list[int] = []
    used = at = seen = 0
    for k in range(m):
        limit = end[rows[k]]
        while at < m and start[rows[begins[at]]] <= limit:
            place = begins[at]
            if free:
                slot[place] = heapq.heappop(free)
            else:
                slot[place], used = used, used + 1
            insort(active, place)
            at += 1
        while seen < len(opened) and start[opened[seen]] <= limit:
            seen += 1
        windows.append(active.copy())
        open_seen.append(seen)
        active.remove(k)
        heapq.heappush(free, slot[k])
    for j in range(len(opened)):
        slot[m + j] = used + j
    codes: dict[tuple[int, int, int], int] = {}
    sym = [codes.setdefault((part.kind[r], part.a[r], part.b[r]), len(codes)) for r in rows]
    return Layout(rows, m, [1 << s for s in slot], slot, sym, windows, open_seen, used + len(opened))


class Lookahead:
    """Leaves out choices after which the next observed text can no longer come about (texts that only grow)."""

    def __init__(self, layout: Layout, part: Part) -> None:
        """Note where the observed texts and the writes of whole texts are."""
        assert part.space is not None
        self.layout = layout
        self.texts = part.space.states
        self.begin = [part.start[r] for r in layout.rows]
        self.finish = [part.end[r] for r in layout.rows]
        self.seen = [part.a[r] if part.kind[r] == READ else -1 for r in layout.rows]
        self.put_text = [part.b[r] if part.kind[r] == SET else JUNK for r in layout.rows]
        self.puts = sorted((p for p in range(len(layout.rows)) if self.put_text[p]), key=self.begin.__getitem__)
        self.put_begins = [self.begin[p] for p in self.puts]
        self.far = 0  # the furthest read that was looked at
        self.next_read = [layout.required] * (layout.required + 1)
        for k in range(layout.required - 1, -1, -1):
            self.next_read[k] = k if self.seen[k] >= 0 else self.next_read[k + 1]

    def sift(self, k: int, mask: int, found: list[Any]) -> list[Any]:
        """Return the choices that leave the next read possible; those that lead to nowhere come last."""
        bit, now = self.layout.bit, self.finish[k]
        g = self.next_read[k]
        while g < self.layout.required and self.begin[g] <= now and mask & bit[g]:
            g = self.next_read[g + 1]
        if g < self.layout.required:
            self.far = max(self.far, g)
            wanted = self.texts[self.seen[g]]
            puts = self._puts(k, mask, g, wanted)
            found = [f for f in found if self._leads(f[1], wanted) or any(p != f[0] for p in puts)]
        return sorted(found, key=lambda f: f[1] == JUNK)

    def _leads(self, state: int, wanted: str) -> bool:
        return state != JUNK and wanted.startswith(self.texts[state])

    def _puts(self, k: int, mask: int, g: int, wanted: str) -> list[int]:
        """Return the writes of whole texts still to come that may lead to what read g wants; two are enough."""
        bit, required = self.layout.bit, self.layout.required
        near = [*self.layout.windows[k], *range(required, required + self.layout.open_seen[k])]
        found = [p for p in near if self.put_text[p] and not mask & bit[p] and self._leads(self.put_text[p], wanted)]
        at = bisect_right(self.put_begins, self.finish[k])
        while len(found) < 2 and at < len(self.puts) and self.put_begins[at] <= self.finish[g]:
            if self._leads(self.put_text[self.puts[at]], wanted):
                found.append(self.puts[at])
            at += 1
        return found


class Search:
    """A search that runs in slices. After each: outcome (LEGAL, NOT_LEGAL, MORE, TOO_BIG), reached, best."""

    def __init__(self, part: Part, memory_bytes: int = 1 << 30, dead_ends: int = 0) -> None:
        """Lay out the part. memory_bytes bounds the memo; dead_ends: how many of the furthest ends to keep."""
        self.part = part
        self.layout = lay_out(part)
        self.outcome = MORE
        self.steps = 0
        self.reached = -1  # most returns linearized
        self.best: Any = None  # the way there: a chain of (earlier, place)
        self.best_state = part.initial
        self.ends: list[tuple[Any, int]] = []  # (way, state) of dead ends at `reached`
        self._keep = dead_ends
        self._most = max(memory_bytes // ENTRY_BYTES, 1000)
        self._memo: set[tuple[int, int, int]] = set()
        self._stack: list[list[Any]] = []
        space = part.space  # an open call need not lead to where nothing can be observed
        self._nowhere = JUNK if space is not None and space.step is None else ILLEGAL
        rows = self.layout.rows
        self._calls = [(part.kind[r], part.a[r], part.b[r]) for r in rows]
        self._ahead = Lookahead(self.layout, part) if self._nowhere == JUNK else None
        self._stack.append([(0, 0, state, None) for state in part.starts or [part.initial]])

    @property
    def frontier(self) -> int:
        """Return the last return that the search took into account: up to it the part is judged."""
        return max(self.reached, 0 if self._ahead is None else self._ahead.far)

    @property
    def memory(self) -> int:
        """Return about how many bytes the memo holds."""
        return len(self._memo) * ENTRY_BYTES

    def run(self, steps: int) -> str:
        """Look at up to `steps` more configurations."""
        stack = self._stack
        limit = self.steps + steps
        while self.outcome == MORE and self.steps < limit:
            if not stack:
                self.outcome = NOT_LEGAL
                break
            choices = stack[-1]
            if not choices:
                stack.pop()
                continue
            k, mask, state, way = choices.pop()
            self._enter(k, mask, state, way)
        return self.outcome

    def way(self, chain: Any = None) -> list[int]:
        """Return the rows of a chain (the best one when none is given), first to last."""
        found, chain = [], self.best if chain is None else chain
        while chain is not None:
            chain, place = chain
            found.append(self.layout.rows[place])
        return found[::-1]

    def _after(self, call: tuple[int, int, int], state: int) -> int:
        kind, a, b = call
        if kind == READ:
            return state if state == a else ILLEGAL
        if kind == CAS:
            return b if state == a else ILLEGAL
        if kind == SET:
            return b
        if kind == ADD:
            return state + a
        assert self.part.space is not None
        return self.part.space.next(state, a)

    def _enter(self, k: int, mask: int, state: int, way: Any) -> None:
        """Take all reads that are legal, then list what can come next."""
        self.steps += 1
        bit, windows, required = self.layout.bit, self.layout.windows, self.layout.required
        calls, after = self._calls, self._after
        while True:
            while k < required and mask & bit[k]:
                mask ^= bit[k]
                k += 1
            if k == required:
                self._note(k, state, way)
                self.outcome = LEGAL
                return
            choices: list[tuple[int, int, int, Any]] = []
            seen: set[int] = set()
            sym = self.layout.sym
            for place in windows[k]:
                if mask & bit[place] or sym[place] in seen:
                    continue
                call = calls[place]
                then = after(call, state)
                if then == state and (call[0] == READ or call[0] == LOOK):
                    mask |= bit[place]
                    way = (way, place)
                    continue
                seen.add(sym[place])
                if then != ILLEGAL:
                    choices.append((place, then, 0, None))
            if not mask & bit[k]:
                break
        self._branch(k, mask, state, way, choices, seen)

    def _branch(self, k: int, mask: int, state: int, way: Any, found: list[Any], seen: set[int]) -> None:
        bit, sym, required = self.layout.bit, self.layout.sym, self.layout.required
        useless = (state, ILLEGAL, self._nowhere)
        for place in range(required, required + self.layout.open_seen[k]):
            if mask & bit[place] or sym[place] in seen:
                continue
            then = self._after(self._calls[place], state)
            if then not in useless:
                seen.add(sym[place])
                found.append((place, then, 0, None))
        if k >= self.reached:
            self._note(k, state, way)
        if self._ahead is not None:
            found = self._ahead.sift(k, mask, found)
        if not found:
            return
        if len(found) > 1:
            here = (k, mask, state)
            if here in self._memo:
                return
            if len(self._memo) >= self._most:
                self.outcome = TOO_BIG
                return
            self._memo.add(here)
        self._stack.append([(k, mask | bit[p], then, (way, p)) for p, then, _, _ in reversed(found)])

    def _note(self, k: int, state: int, way: Any) -> None:
        if k > self.reached:
            self.reached, self.best, self.best_state, self.ends = k, way, state, []
        if len(self.ends) < self._keep:
            self.ends.append((way, state))
