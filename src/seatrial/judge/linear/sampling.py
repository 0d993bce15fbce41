"""Small random histories of every model, from a seed: legal by construction, or with one answer changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp

_MASK = (1 << 64) - 1


class Dice:
    """A small seeded generator (splitmix64), so that this needs no randomness from outside."""

    def __init__(self, seed: int) -> None:
        """Start from a seed."""
        self.state = seed & _MASK

    def below(self, n: int) -> int:
        """Return a number from 0 to n - 1."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & _MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return (z ^ (z >> 31)) % n

    def chance(self, percent: int) -> bool:
        """Return True in so many of a hundred cases."""
        return self.below(100) < percent

    def pick(self, items: Any) -> Any:
        """Return one of the items."""
        return items[self.below(len(items))]


Make = Callable[[Dice, int], tuple[str, Any]]  # the next op asked: (f, argument); the number is fresh in the history
Apply = Callable[[Any, str, Any], tuple[Any, Any, bool]]  # state, f, argument -> state, answer, whether it succeeded


def _ask_register(dice: Dice, fresh: int) -> tuple[str, Any]:
    return ("read", None) if dice.chance(55) else ("write", fresh)


def _ask_small_register(dice: Dice, fresh: int) -> tuple[str, Any]:
    return ("read", None) if dice.chance(50) else ("write", dice.below(3))


def _ask_cas(dice: Dice, fresh: int) -> tuple[str, Any]:
    f = dice.pick(("read", "read", "write", "cas", "cas"))
    return f, None if f == "read" else dice.below(3) if f == "write" else [dice.below(3), dice.below(3)]


def _ask_chain(dice: Dice, fresh: int) -> tuple[str, Any]:
    f = dice.pick(("read", "read", "write", "cas", "cas"))
    return f, None if f == "read" else fresh if f == "write" else [dice.below(fresh + 1), fresh]


def _ask_kv(dice: Dice, fresh: int) -> tuple[str, Any]:
    f = dice.pick(("get", "get", "append", "append", "put"))
    return f, [dice.pick("xy"), None if f == "get" else dice.pick(("a", "b", "ab", "", "c"))]


def _ask_lock(dice: Dice, fresh: int) -> tuple[str, Any]:
    return dice.pick(("acquire", "release")), None


def _ask_owner(dice: Dice, fresh: int) -> tuple[str, Any]:
    return dice.pick(("acquire", "release")), dice.pick("pq")


def _ask_set(dice: Dice, fresh: int) -> tuple[str, Any]:
    return dice.pick(("add", "add", "remove", "contains")), dice.below(2)


def _ask_whole_set(dice: Dice, fresh: int) -> tuple[str, Any]:
    f = dice.pick(("add", "remove", "read", "read"))
    return f, None if f == "read" else dice.below(3)


def _ask_growing(dice: Dice, fresh: int) -> tuple[str, Any]:
    return ("read", None) if dice.chance(50) else ("add", fresh)


def _ask_queue(dice: Dice, fresh: int) -> tuple[str, Any]:
    return ("dequeue", None) if dice.chance(50) else ("enqueue", fresh)


def _ask_small_queue(dice: Dice, fresh: int) -> tuple[str, Any]:
    return ("dequeue", None) if dice.chance(50) else ("enqueue", dice.below(2))


def _ask_counter(dice: Dice, fresh: int) -> tuple[str, Any]:
    return ("read", None) if dice.chance(45) else ("add", dice.below(3) - 1)


def _ask_multi(dice: Dice, fresh: int) -> tuple[str, Any]:
    moves = [[dice.pick(("r", "w")), dice.pick("xy"), dice.below(2)] for _ in range(1 + dice.below(2))]
    return "txn", [[f, k, None if f == "r" else v] for f, k, v in moves]


def _register(state: Any, f: str, arg: Any) -> tuple[Any, Any, bool]:
    if f == "read":
        return state, state, True
    if f == "write":
        return arg, arg, True
    return (arg[1], arg, True) if state == arg[0] else (state, arg, False)


def _kv(state: Any, f: str, arg: Any) -> tuple[Any, Any, bool]:
    key, text = arg
    held = state.get(key, "")
    if f == "get":
        return state, [key, held], True
    return {**state, key: text if f == "put" else held + text}, arg, True


def _lock(state: Any, f: str, arg: Any) -> tuple[Any, Any, bool]:
    mine = "held" if arg is None else arg
    if f == "acquire":
        return (mine, arg, True) if state is None else (state, arg, False)
    return (None, arg, True) if state == mine else (state, arg, False)


def _set(state: Any, f: str, arg: Any) -> tuple[Any, Any, bool]:
    if f == "read":
        return state, sorted(state), True
    if f == "contains":
        return state, arg in state, True
    after = state | {arg} if f == "add" else state - {arg}
    return after, after != state, True


def _quiet_set(state: Any, f: str, arg: Any) -> tuple[Any, Any, bool]:
    after, answer, done = _set(state, f, arg)
    return after, arg if f != "read" else answer, done


def _taker(which: Callable[[Any], int]) -> Apply:
    def apply(state: Any, f: str, arg: Any) -> tuple[Any, Any, bool]:
        if f == "enqueue":
            return (*state, arg), arg, True
        if not state:
            return state, None, True
        at = which(state)
        return state[:at] + state[at + 1 :], state[at], True

    return apply


def _counter(state: Any, f: str, arg: Any) -> tuple[Any, Any, bool]:
    return (state, state, True) if f == "read" else (state + arg, arg, True)


def _multi(state: Any, f: str, arg: Any) -> tuple[Any, Any, bool]:
    now, answer = dict(state), []
    for kind, key, value in arg:
        if kind == "w":
            now[key] = value
        answer.append([kind, key, now.get(key, 0)])
    return now, answer, True


# name -> model, how to ask, the object, what it holds at first, values an answer may be changed to
KINDS: dict[str, tuple[str, Make, Apply, Any]] = {
    "register": ("register", _ask_small_register, _register, 0),
    "register-unique": ("register", _ask_register, _register, 0),
    "cas-register": ("cas-register", _ask_cas, _register, 0),
    "cas-chain": ("cas-register", _ask_chain, _register, 0),
    "kv": ("kv", _ask_kv, _kv, {}),
    "mutex": ("mutex", _ask_lock, _lock, None),
    "owner-lock": ("owner-lock", _ask_owner, _lock, None),
    "set": ("set", _ask_set, _set, frozenset()),
    "set-whole": ("set", _ask_whole_set, _quiet_set, frozenset()),
    "set-growing": ("set", _ask_growing, _quiet_set, frozenset()),
    "fifo-queue": ("fifo-queue", _ask_small_queue, _taker(lambda s: 0), ()),
    "fifo-queue-unique": ("fifo-queue", _ask_queue, _taker(lambda s: 0), ()),
    "stack": ("stack", _ask_small_queue, _taker(lambda s: len(s) - 1), ()),
    "priority-queue": ("priority-queue", _ask_small_queue, _taker(lambda s: s.index(min(s))), ()),
    "counter": ("counter", _ask_counter, _counter, 0),
    "multi-register": ("multi-register", _ask_multi, _multi, {}),
}


def sample(kind: str, dice: Dice, ops: int, actors: int = 3, open_percent: int = 12) -> Recorded:
    """Return a legal history: every op takes effect at one instant between its start and its end."""
    _, ask, apply, state = KINDS[kind]
    done: list[RecordedOp | None] = [None] * ops
    running: list[list[Any]] = []
    idle, position, begun = list(range(actors)), 0, 0
    while begun < ops or running:
        if idle and begun < ops and (not running or dice.chance(45)):
            f, arg = ask(dice, begun + 1)
            running.append([begun, idle.pop(dice.below(len(idle))), f, arg, position, None, False, True])
            begun, position = begun + 1, position + 1
            continue
        at = dice.below(len(running))
        one = running[at]
        if not one[6] and not (not one[7] or (dice.chance(5) and one[2] != "read" and _may_open(dice, open_percent))):
            state, one[5], one[7] = apply(state, one[2], one[3])
            one[6] = True
            continue
        running.pop(at)
        opened = not one[6] or (one[7] and _may_open(dice, open_percent))
        idle.append(max([actors, *idle, *(r[1] for r in running)]) + 1 if opened else one[1])
        done[one[0]] = _op(one, position, opened)
        position += 1
    return Recorded(ops=tuple(op for op in done if op is not None), initial={None: 0} if _starts_at_0(kind) else None)


def _may_open(dice: Dice, percent: int) -> bool:
    return dice.chance(percent)


def _starts_at_0(kind: str) -> bool:
    return KINDS[kind][0] in ("register", "cas-register")


def _op(one: list[Any], position: int, opened: bool) -> RecordedOp:
    number, actor, f, arg, start, answer, _, succeeded = one
    outcome = OpOutcome.UNKNOWN if opened else OpOutcome.OK if succeeded else OpOutcome.FAIL
    value = answer if outcome is OpOutcome.OK else arg
    end = None if opened else position
    return RecordedOp(
        index=number, process=actor, f=f, arg=arg, value=value, outcome=outcome, start=start, end=end, start_ns=start
    )


def disturb(recorded: Recorded, dice: Dice) -> Recorded:
    """Return the history with one change that may make it illegal: a stale answer, another instant, a lost op."""
    ops = list(recorded.ops)
    done = [i for i, op in enumerate(ops) if op.outcome is OpOutcome.OK]
    if len(done) < 2:
        return recorded
    at, other = dice.pick(done), dice.pick(done)
    one, two = ops[at], ops[other]
    how = dice.below(4)
    if how <= 1 and one.f == two.f:  # two ops of a kind change their answers (and what they asked)
        ops[at] = replace(one, arg=two.arg, value=two.value)
        ops[other] = replace(two, arg=one.arg, value=one.value)
    elif how == 2:
        ops[at] = replace(one, outcome=OpOutcome.FAIL)
    else:  # an op happens later: it starts right before its end
        ops[at] = replace(one, end=one.end)
        ops[other] = replace(
            two, arg=two.arg if two.f != one.f else one.arg, value=two.value if two.f != one.f else one.value
        )
    return replace(recorded, ops=tuple(ops))
