"""Drives the compiled search: arrays from a part, moves that are asked for, a memo that grows up to its bound."""

from __future__ import annotations

from typing import Any

from seatrial.judge.linear.problem import JUNK, MOVE, NEVER, READ, SET, Part
from seatrial.judge.linear.search import LEGAL, MORE, NOT_LEGAL, TOO_BIG

FIRST_MEMO = 1 << 10
FIRST_MOVES = 1 << 10
SMALL = 1 << 28


def compiled_search(part: Part, memory_bytes: int) -> KernelSearch | None:
    """Return a compiled search of the part, None where numba is not installed."""
    try:
        from seatrial.judge.linear import kernel
    except ImportError:
        return None
    return KernelSearch(part, memory_bytes, kernel)


class KernelSearch:
    """The same as search.Search, compiled: run in slices; outcome, steps, reached, memory, way()."""

    def __init__(self, part: Part, memory_bytes: int, kernel: Any) -> None:
        """Lay out the part in arrays."""
        self.part, self.kernel, self.most = part, kernel, memory_bytes
        self.outcome, self.steps, self.reached = MORE, 0, -1
        self._numbers()
        self._windows()
        self._texts()
        self._moves()
        self._begin()

    def _numbers(self) -> None:
        import numpy as np

        part = self.part
        start, end = np.array(part.start, np.int64), np.array(part.end, np.int64)
        required = np.flatnonzero(end < NEVER)
        opened = np.flatnonzero(end >= NEVER)
        self.rows = np.concatenate(
            (required[np.argsort(end[required], kind="stable")], opened[np.argsort(start[opened], kind="stable")])
        )
        self.required = len(required)
        self.begin, self.finish = start[self.rows], end[self.rows]
        self.kind = np.array(part.kind, np.int8)[self.rows]
        self.a, self.b = np.array(part.a, np.int64)[self.rows], np.array(part.b, np.int64)[self.rows]
        if max(np.abs(self.a).max(initial=0), np.abs(self.b).max(initial=0)) < SMALL:
            self.sym = self.kind + 8 * (self.a * 2 * SMALL + self.b)  # equal exactly for calls that do the same
            return
        codes: dict[tuple[int, int, int], int] = {}
        sym = [codes.setdefault(c, len(codes)) for c in zip(part.kind, part.a, part.b, strict=True)]
        self.sym = np.array(sym, np.int64)[self.rows]

    def _windows(self) -> None:
        import numpy as np

        m, n = self.required, len(self.rows)
        begins = np.sort(self.begin[:m])
        sizes = np.searchsorted(begins, self.finish[:m], side="right") - np.arange(m)
        self.window = np.empty(int(sizes.sum()), np.int32)
        self.offset = np.empty(m + 1, np.int64)
        slot = np.zeros(n, np.int32)
        by_begin = np.argsort(self.begin[:m], kind="stable").astype(np.int32)
        used = self.kernel.windows(self.begin[:m], self.finish[:m], by_begin, self.offset, self.window, slot)
        slot[m:] = used + np.arange(n - m)
        self.word = slot // 64
        self.bit = np.left_shift(np.uint64(1), (slot % 64).astype(np.uint64))
        self.words = max(1, -(-(used + n - m) // 64))
        self.opens = np.searchsorted(self.begin[m:], self.finish[:m], side="right")

    def _texts(self) -> None:
        """Number texts so that those that begin alike are neighbours, and note reads and writes of whole texts."""
        import numpy as np

        space, m = self.part.space, self.required
        self.grows = space is not None and space.step is None
        self.next_read = np.full(m + 1, m, np.int32)
        count = len(space.states) if self.grows and space is not None else 1
        self.low, self.high = np.zeros(count, np.int32), np.zeros(count, np.int32)
        self.put = np.flatnonzero((self.kind == SET) & (self.b != JUNK)) if self.grows else np.empty(0, np.int64)
        self.put = self.put[np.argsort(self.begin[self.put], kind="stable")]
        if not self.grows or space is None:
            return
        reads = np.where(self.kind[:m] == READ, np.arange(m), m).astype(np.int32)
        self.next_read[:m] = np.minimum.accumulate(reads[::-1])[::-1]
        order = sorted(range(1, count), key=space.states.__getitem__)
        around: list[int] = []
        for at, state in enumerate(order):
            self.low[state] = at
            while around and not space.states[state].startswith(space.states[around[-1]]):
                self.high[around.pop()] = at
            around.append(state)
        for state in around:
            self.high[state] = len(order)

    def _moves(self) -> None:
        import numpy as np

        known = self.part.space.known if self.part.space is not None else {}
        size = FIRST_MOVES
        while size < 3 * len(known):
            size *= 2
        self.moves = self.kernel.Moves(np.zeros(size, np.int64), np.full(size, -1, np.int64), np.zeros(size, np.int64))
        self._held_moves = 0
        self._tell(list(known.items()))

    def _tell(self, pairs: list[tuple[tuple[int, int], int]]) -> None:
        import numpy as np

        flat = np.array([(s, m, then) for (s, m), then in pairs], np.int64).reshape(-1, 3)
        self.kernel.fill_moves(self.moves, flat[:, 0].copy(), flat[:, 1].copy(), flat[:, 2].copy())
        self._held_moves += len(pairs)

    def _begin(self) -> None:
        import numpy as np

        n, words = len(self.rows), self.words
        depth = int((self.kind >= SET).sum()) + 2
        self.calls = self.kernel.Calls(
            *(self.required, self.grows, self.kind, self.a, self.b, self.sym, self.word, self.bit, self.begin),
            *(self.finish, self.offset, self.window, self.opens, self.low, self.high, self.next_read, self.put),
            self.begin[self.put],
        )

        def ints(size: int) -> Any:
            return np.zeros(size, np.int64)

        self.work = self.kernel.Work(
            *(ints(depth), ints(depth), np.zeros((depth, words), np.uint64), ints(depth), ints(depth), ints(depth)),
            *(ints(depth), ints(depth), ints(n + 1), ints(n + 1), ints(10)),
        )
        reg = self.work.reg
        self.work.state[0], self.work.cursor[0] = self.part.initial, self.kernel.FRESH
        reg[self.kernel.DEPTH], reg[self.kernel.REACHED] = 1, -1
        self._fixed = sum(x.nbytes for x in (*self.calls[2:], *self.work))
        self.memo = self._memo(FIRST_MEMO)

    def _memo(self, size: int) -> Any:
        import numpy as np

        return self.kernel.Memo(
            np.full(size * 2, -1, np.int64),
            np.empty(size, np.int32),
            np.empty(size, np.int64),
            np.empty((size, self.words), np.uint64),
        )

    @property
    def frontier(self) -> int:
        """Return the last return that the search took into account: up to it the part is judged."""
        return max(self.reached, int(self.work.reg[self.kernel.FAR]))

    @property
    def memory(self) -> int:
        """Return the bytes of memo and arrays."""
        return int(self._fixed + sum(x.nbytes for x in (*self.memo, *self.moves)))

    @property
    def best_state(self) -> int:
        """Return the state at the end of the longest way."""
        state = self.part.initial
        for row in self.way():
            state = self.part.next(state, row)
        return state

    def way(self) -> list[int]:
        """Return the rows of the longest way."""
        best = int(self.work.reg[self.kernel.BEST])
        return [int(self.rows[p]) for p in self.work.best[:best]]

    def run(self, steps: int) -> str:
        """Look at up to `steps` more configurations."""
        reg, kernel = self.work.reg, self.kernel
        limit = self.steps + steps
        while self.outcome == MORE and self.steps < limit:
            code = kernel.search(self.calls, self.moves, self.work, self.memo, limit - self.steps)
            self.steps, self.reached = int(reg[kernel.STEPS]), int(reg[kernel.REACHED])
            if code == kernel.DONE:
                self.outcome = LEGAL
            elif code == kernel.DEAD:
                self.outcome = NOT_LEGAL
            elif code == kernel.ASK:
                self._answer(int(reg[kernel.ASK_STATE]))
            elif code == kernel.GROW:
                self._grow()
        return self.outcome

    def _answer(self, state: int) -> None:
        """Work out what the moves on top of the stack do to a state."""
        import numpy as np

        space = self.part.space
        assert space is not None
        k = int(self.work.k[self.work.reg[self.kernel.DEPTH] - 1])
        near = self.window[self.offset[k] : self.offset[k + 1]]
        opened = np.arange(self.required, self.required + self.opens[k])
        wanted = {int(self.a[p]) for p in np.concatenate((near, opened)) if self.kind[p] >= MOVE}
        wanted.add(int(self.work.reg[self.kernel.ASK_MOVE]))
        new = [m for m in wanted if int(self.moves.move[self.kernel.find_move(self.moves, state, m)]) < 0]
        if 2 * (self._held_moves + len(new)) > self.moves.state.shape[0]:
            held = self.moves.move >= 0
            old = [x[held] for x in self.moves]
            size = self.moves.state.shape[0] * 4
            self.moves = self.kernel.Moves(
                np.zeros(size, np.int64), np.full(size, -1, np.int64), np.zeros(size, np.int64)
            )
            self.kernel.fill_moves(self.moves, *old)
        self._tell([((state, m), space.next(state, m)) for m in new])

    def _grow(self) -> None:
        size = self.memo.k.shape[0] * 4
        if self._fixed + size * (28 + 8 * self.words) > self.most:
            self.outcome = TOO_BIG
            return
        larger = self._memo(size)
        self.kernel.rehash(self.memo, int(self.work.reg[self.kernel.HELD]), larger)
        self.memo = larger
