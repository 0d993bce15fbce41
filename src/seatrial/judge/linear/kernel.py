"""The search of search.py once more, compiled, on arrays: for parts too large or too hard for plain Python."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

import numpy as np

_F = TypeVar("_F", bound=Callable[..., Any])
njit: Callable[..., Callable[[_F], _F]] = import_module("numba").njit

READ, SET, CAS, ADD, MOVE, LOOK = range(6)  # as in problem.py
ILLEGAL = -(1 << 62)
MISSING = ILLEGAL + 1  # the table of moves does not say what follows
JUNK = 0
DEPTH, REACHED, BEST, SHARED, HELD, STEPS, ASK_STATE, ASK_MOVE, THEN, FAR = range(10)  # registers of a search
DONE, DEAD, SLICE, ASK, GROW = range(5)  # why a slice ended
FRESH = -1


class Calls(NamedTuple):
    """The part, by place: required calls by end, then open ones by start."""

    required: int
    grows: bool  # texts that only grow: what the table does not know is JUNK
    kind: Any
    a: Any
    b: Any
    sym: Any
    word: Any
    bit: Any
    begin: Any
    finish: Any
    offset: Any
    window: Any
    opens: Any
    low: Any  # the texts that begin with text s are low[s] <= low[.] < high[s]
    high: Any
    next_read: Any
    put: Any
    put_begin: Any


class Work(NamedTuple):
    """The stack, the way there, the best way, and the registers."""

    k: Any
    state: Any
    mask: Any
    cursor: Any
    length: Any
    goal: Any
    puts: Any
    only: Any
    trail: Any
    best: Any
    reg: Any


class Moves(NamedTuple):
    """A hash table: state, move -> next state."""

    state: Any
    move: Any
    after: Any


class Memo(NamedTuple):
    """A hash table of configurations; slot holds the number of an entry, -1 for none."""

    slot: Any
    k: Any
    state: Any
    mask: Any


@njit(cache=True)
def windows(begin: Any, finish: Any, by_begin: Any, offset: Any, window: Any, slot: Any) -> int:
    """List, for each return, the calls that may come before it, by end; give each a slot. Returns slots used."""
    m = finish.shape[0]
    free = np.empty(m, np.int32)
    active = np.empty(m, np.int32)
    frees = many = used = at = out = 0
    for k in range(m):
        while at < m and begin[by_begin[at]] <= finish[k]:
            place = by_begin[at]
            if frees:
                frees -= 1
                slot[place] = free[frees]
            else:
                slot[place] = used
                used += 1
            j = many
            while j > 0 and active[j - 1] > place:
                active[j] = active[j - 1]
                j -= 1
            active[j] = place
            many += 1
            at += 1
        offset[k] = out
        for j in range(many):
            window[out + j] = active[j]
        out += many
        for j in range(1, many):  # the first of them is k itself
            active[j - 1] = active[j]
        many -= 1
        free[frees] = slot[k]
        frees += 1
    offset[m] = out
    return used


@njit(cache=True)
def mix(x: Any) -> Any:
    """Scramble 64 bits."""
    x = np.uint64(x)
    x ^= x >> np.uint64(31)
    x *= np.uint64(0x7FB5D329728EA185)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x81DADEF4BC2DD44D)
    return x ^ (x >> np.uint64(33))


@njit(cache=True)
def find_move(moves: Any, state: Any, move: Any) -> Any:
    """Return the place of a pair in the table of moves, or of the hole where it belongs."""
    last = moves.state.shape[0] - 1
    at = np.int64(mix(state * 1000003 + move) & np.uint64(last))
    while moves.move[at] >= 0 and not (moves.state[at] == state and moves.move[at] == move):
        at = (at + 1) & last
    return at


@njit(cache=True)
def fill_moves(moves: Any, states: Any, names: Any, after: Any) -> None:
    """Put pairs into the table of moves."""
    for i in range(states.shape[0]):
        at = find_move(moves, states[i], names[i])
        moves.state[at] = states[i]
        moves.move[at] = names[i]
        moves.after[at] = after[i]


@njit(cache=True)
def follow(calls: Any, moves: Any, place: Any, state: Any) -> Any:
    """Return the state after a call, ILLEGAL, or MISSING."""
    kind = calls.kind[place]
    if kind == READ:
        return state if state == calls.a[place] else ILLEGAL
    if kind == SET:
        return calls.b[place]
    if kind == CAS:
        return calls.b[place] if state == calls.a[place] else ILLEGAL
    if kind == ADD:
        return state + calls.a[place]
    at = find_move(moves, state, calls.a[place])
    if moves.move[at] >= 0:
        return moves.after[at]
    return JUNK if calls.grows else MISSING


@njit(cache=True)
def taken(calls: Any, mask: Any, place: Any) -> Any:
    """Return whether an overlapping call is linearized."""
    return mask[calls.word[place]] & calls.bit[place] != 0


@njit(cache=True)
def absorb(calls: Any, moves: Any, work: Any, f: Any) -> Any:
    """Pass returns that are linearized, and take every legal read. Returns DONE, ASK, or SLICE to go on."""
    mask, state, reg = work.mask[f], work.state[f], work.reg
    k, length = work.k[f], work.length[f]
    code = FRESH
    while code == FRESH:
        while k < calls.required and taken(calls, mask, k):
            mask[calls.word[k]] ^= calls.bit[k]
            k += 1
        if k == calls.required:
            code = DONE
            break
        for i in range(calls.offset[k], calls.offset[k + 1]):
            place = calls.window[i]
            if (calls.kind[place] == READ or calls.kind[place] == LOOK) and not taken(calls, mask, place):
                then = follow(calls, moves, place, state)
                if then == MISSING:
                    reg[ASK_STATE], reg[ASK_MOVE] = state, calls.a[place]
                    code = ASK
                    break
                if then == state:
                    mask[calls.word[place]] |= calls.bit[place]
                    reg[SHARED] = min(reg[SHARED], length)
                    work.trail[length] = place
                    length += 1
        if code == FRESH and not taken(calls, mask, k):
            code = SLICE
    work.k[f], work.length[f] = k, length
    return code


@njit(cache=True)
def note(work: Any, f: Any) -> None:
    """Keep the way here when it is the longest."""
    reg = work.reg
    if work.k[f] > reg[REACHED]:
        reg[REACHED] = work.k[f]
        for i in range(reg[SHARED], work.length[f]):
            work.best[i] = work.trail[i]
        reg[SHARED] = reg[BEST] = work.length[f]


@njit(cache=True)
def seen(memo: Any, work: Any, f: Any) -> Any:
    """Return whether the configuration was met before; else remember it."""
    k, state, mask, reg = work.k[f], work.state[f], work.mask[f], work.reg
    code = mix(k * 2654435761 + state * 40503)
    for w in range(mask.shape[0]):
        code = mix(code ^ mask[w])
    last = memo.slot.shape[0] - 1
    at = np.int64(code & np.uint64(last))
    while memo.slot[at] >= 0:
        entry = memo.slot[at]
        if memo.k[entry] == k and memo.state[entry] == state:
            same = True
            for w in range(mask.shape[0]):
                if memo.mask[entry, w] != mask[w]:
                    same = False
                    break
            if same:
                return True
        at = (at + 1) & last
    entry = reg[HELD]
    reg[HELD] += 1
    memo.slot[at] = entry
    memo.k[entry] = k
    memo.state[entry] = state
    for w in range(mask.shape[0]):
        memo.mask[entry, w] = mask[w]
    return False


@njit(cache=True)
def leads(calls: Any, state: Any, wanted: Any) -> Any:
    """Return whether a text begins the wanted one."""
    return state != JUNK and calls.low[state] <= calls.low[wanted] < calls.high[state]


@njit(cache=True)
def look_ahead(calls: Any, work: Any, f: Any) -> None:
    """Find the next read to come, and how many writes of whole texts could still serve it (0, 1, 2 for more)."""
    k, mask = work.k[f], work.mask[f]
    goal, now = calls.next_read[k], calls.finish[k]
    while goal < calls.required and calls.begin[goal] <= now and taken(calls, mask, goal):
        goal = calls.next_read[goal + 1]
    work.goal[f] = goal if goal < calls.required else -1
    if goal >= calls.required:
        return
    wanted, found = calls.a[goal], 0
    work.reg[FAR] = max(work.reg[FAR], goal)
    for i in range(calls.offset[k], calls.offset[k + 1]):
        p = calls.window[i]
        if calls.kind[p] == SET and not taken(calls, mask, p) and leads(calls, calls.b[p], wanted):
            work.only[f] = p
            found += 1
    for p in range(calls.required, calls.required + calls.opens[k]):
        if calls.kind[p] == SET and not taken(calls, mask, p) and leads(calls, calls.b[p], wanted):
            work.only[f] = p
            found += 1
    i = np.searchsorted(calls.put_begin, now + 1)
    while found < 2 and i < calls.put.shape[0] and calls.put_begin[i] <= calls.finish[goal]:
        if leads(calls, calls.b[calls.put[i]], wanted):
            work.only[f] = calls.put[i]
            found += 1
        i += 1
    work.puts[f] = found


@njit(cache=True)
def twin(calls: Any, mask: Any, k: Any, i: Any, place: Any) -> Any:
    """Return whether a call that does the same, and ends no later, is still to be taken."""
    sym = calls.sym[place]
    for j in range(calls.offset[k], i if i >= 0 else calls.offset[k + 1]):
        other = calls.window[j]
        if calls.sym[other] == sym and not taken(calls, mask, other):
            return True
    if i < 0:
        for other in range(calls.required, place):
            if calls.sym[other] == sym and not taken(calls, mask, other):
                return True
    return False


@njit(cache=True)
def choose(calls: Any, moves: Any, work: Any, f: Any) -> Any:
    """Return the next call to try after a configuration (its state in THEN), -1 for none, -2 to ask for a move."""
    k, state, mask, reg = work.k[f], work.state[f], work.mask[f], work.reg
    first, inside = calls.offset[k], calls.offset[k + 1] - calls.offset[k]
    total = inside + calls.opens[k]
    rounds = 2 if calls.grows else 1
    while work.cursor[f] < total * rounds:
        at = work.cursor[f] % total
        later = work.cursor[f] >= total
        opened = at >= inside
        place = calls.required + at - inside if opened else calls.window[first + at]
        if not taken(calls, mask, place):
            then = follow(calls, moves, place, state)
            if then == MISSING:
                reg[ASK_STATE], reg[ASK_MOVE] = state, calls.a[place]
                return -2
            useless = then == ILLEGAL or (opened and (then == state or (calls.grows and then == JUNK)))
            if calls.grows and not useless:
                useless = later != (then == JUNK) or hopeless(calls, work, f, place, then)
            if not useless and not twin(calls, mask, k, -1 if opened else first + at, place):
                work.cursor[f] += 1
                reg[THEN] = then
                return place
        work.cursor[f] += 1
    return -1


@njit(cache=True)
def hopeless(calls: Any, work: Any, f: Any, place: Any, then: Any) -> Any:
    """Return whether the next read cannot come about any more after this choice."""
    goal = work.goal[f]
    if goal < 0 or leads(calls, then, calls.a[goal]):
        return False
    return work.puts[f] == 0 or (work.puts[f] == 1 and work.only[f] == place)


@njit(cache=True)
def push(calls: Any, work: Any, f: Any, place: Any) -> None:
    """Put the configuration after a call on the stack."""
    reg, g = work.reg, f + 1
    work.k[g] = work.k[f]
    work.state[g] = reg[THEN]
    work.mask[g, :] = work.mask[f, :]
    work.mask[g, calls.word[place]] |= calls.bit[place]
    work.cursor[g] = FRESH
    length = work.length[f]
    reg[SHARED] = min(reg[SHARED], length)
    work.trail[length] = place
    work.length[g] = length + 1
    reg[DEPTH] = g + 1


@njit(cache=True)
def search(calls: Any, moves: Any, work: Any, memo: Any, steps: Any) -> Any:
    """Look at up to `steps` configurations. Returns why it stopped."""
    reg = work.reg
    limit = reg[STEPS] + steps
    room = memo.k.shape[0]
    while reg[DEPTH] > 0:
        f = reg[DEPTH] - 1
        if work.cursor[f] == FRESH:
            if reg[STEPS] >= limit:
                return SLICE
            if reg[HELD] >= room:
                return GROW
            code = absorb(calls, moves, work, f)
            if code == ASK:
                return ASK
            reg[STEPS] += 1
            note(work, f)
            if code == DONE:
                return DONE
            if seen(memo, work, f):
                reg[DEPTH] -= 1
                continue
            work.cursor[f] = 0
            if calls.grows:
                look_ahead(calls, work, f)
        place = choose(calls, moves, work, f)
        if place == -2:
            return ASK
        if place == -1:
            reg[DEPTH] -= 1
        else:
            push(calls, work, f, place)
    return DEAD


@njit(cache=True)
def rehash(old: Any, held: Any, new: Any) -> None:
    """Copy a memo into a larger one."""
    last = new.slot.shape[0] - 1
    for entry in range(held):
        new.k[entry] = old.k[entry]
        new.state[entry] = old.state[entry]
        new.mask[entry, :] = old.mask[entry, :]
        code = mix(old.k[entry] * 2654435761 + old.state[entry] * 40503)
        for w in range(old.mask.shape[1]):
            code = mix(code ^ old.mask[entry, w])
        at = np.int64(code & np.uint64(last))
        while new.slot[at] >= 0:
            at = (at + 1) & last
        new.slot[at] = entry
