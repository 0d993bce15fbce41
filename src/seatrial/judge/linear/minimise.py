"""From an illegal part to few calls that are illegal by themselves: first the shortest prefix, then less of it."""

from __future__ import annotations

from collections.abc import Callable

from seatrial.judge.linear.objects import UNKNOWN
from seatrial.judge.linear.problem import ADD, CAS, JUNK, LOOK, MOVE, NEVER, READ, SET, Part
from seatrial.judge.linear.search import NOT_LEGAL, Search

TRIAL_STEPS = 20_000
MOST_STARTS = 64
ALL_STEPS = 400_000  # calls laid out and configurations looked at, over all trials

# What may be left out without making a legal history illegal, so that what remains proves something about the whole:
# a call that never changes a state; a write (or swap) whose value no remaining call observes; an append of a text
# that is in no remaining answer; and, of a collection, all calls on one value together.


def prefix(part: Part, reached: int) -> Part:
    """Return the part up to the return that no linearization gets past; what ends later is open there."""
    ends = sorted(e for e in part.end if e < NEVER)
    limit = ends[min(reached, len(ends) - 1)]
    rows = [
        r
        for r in range(len(part))
        if part.start[r] <= limit and (part.end[r] <= limit or part.kind[r] not in (READ, LOOK))
    ]
    cut = part.keep(rows)
    cut.end = [e if e <= limit else NEVER for e in cut.end]
    return cut


def suffix(part: Part, expired: Callable[[], bool]) -> Part:
    """Return the end of an illegal part that is illegal whatever the object held before, or the part itself.

    What began before the cut and ends after it is open there: it may have had its effect already.
    """
    starts = _every_state(part)
    if starts is None or part.group is not None:
        return part
    order = sorted(range(len(part)), key=part.start.__getitem__)
    count = 2
    while count < len(part) and not expired():
        tail = _tail(part, part.start[order[-count]], starts)
        search = Search(tail)
        if any(e < NEVER for e in tail.end) and search.run(TRIAL_STEPS) == NOT_LEGAL:
            return tail
        count *= 2
    return part


def _tail(part: Part, cut: int, starts: list[int]) -> Part:
    rows = [r for r in range(len(part)) if part.start[r] >= cut or (part.end[r] >= cut and part.kind[r] != READ)]
    tail = part.keep(rows)
    tail.end = [e if b >= cut else NEVER for b, e in zip(tail.start, tail.end, strict=True)]
    tail.starts = starts
    return tail


def _every_state(part: Part) -> list[int] | None:
    """Return all states a part of reads, writes and swaps can be in, None when they are many or unknown."""
    if part.space is not None or ADD in part.kind:
        return None
    states = {part.initial, JUNK, *part.a, *part.b}
    return sorted(states) if len(states) <= MOST_STARTS else None


def smallest(part: Part, expired: Callable[[], bool]) -> tuple[Part, bool]:
    """Return a part that is illegal and small, and whether nothing more could be left out within the budget."""
    budget = [ALL_STEPS]

    def illegal(rows: list[int]) -> bool:
        search = Search(part.keep(rows))
        search.run(TRIAL_STEPS)
        budget[0] -= search.steps + len(rows)
        return search.outcome == NOT_LEGAL

    kept, size = list(range(len(part))), max(len(part) // 2, 1)
    changed = True
    while size > 1 or changed:
        changed = False
        size = max(size // 2, 1)
        at = 0
        while at < len(kept):
            if budget[0] <= 0 or expired():
                return part.keep(kept), False
            fewer = _without(part, kept, kept[at : at + size])
            if fewer is not None and illegal(fewer):
                kept, changed = fewer, True
            else:
                at += size
    return part.keep(kept), True


def _without(part: Part, kept: list[int], chunk: list[int]) -> list[int] | None:
    """Return the rows without those of the chunk that may go, None when none may."""
    gone = set(chunk)
    if part.group is not None:
        values = {part.group[r] for r in chunk if part.group[r] != UNKNOWN and part.group[r] is not None}
        gone = {r for r in kept if part.group[r] in values} | {r for r in chunk if part.kind[r] == LOOK}
    else:
        while True:
            stay = [r for r in kept if r not in gone]
            needed = _needed(part, gone, stay)
            if not needed:
                break
            gone -= needed
    return [r for r in kept if r not in gone] if gone else None


def _needed(part: Part, gone: set[int], stay: list[int]) -> set[int]:
    observed = {part.a[r] for r in stay if part.kind[r] in (READ, CAS)}
    texts = None
    if part.space is not None and part.space.step is None:
        texts = [part.space.states[s] for s in observed]
    found = set()
    for row in gone:
        kind = part.kind[row]
        if kind in (READ, LOOK):
            continue
        if kind == ADD or (kind == MOVE and texts is None):
            found.add(row)
        elif kind == MOVE and texts is not None and part.space is not None:
            piece = part.space.moves[part.a[row]]
            if piece is not None and any(piece in t for t in texts):
                found.add(row)
        elif kind in (SET, CAS) and _observes(part, row, observed, texts):
            found.add(row)
    return found


def _observes(part: Part, row: int, observed: set[int], texts: list[str] | None) -> bool:
    value = part.b[row]
    if texts is None or part.space is None:
        return value in observed  # of a register nobody observes JUNK; of a lock or an element 0 is a state like any
    return value != JUNK and any(t.startswith(part.space.states[value]) for t in texts)
