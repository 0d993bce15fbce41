"""The simulated stores, one a workload. Each is correct: what it answers is true at one moment within the op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seatrial.judge.recorded_checks.dice import Dice
from seatrial.judge.recorded_checks.simulate import REFUSED

Asked = tuple[str, Any]


class Bank:
    """Three accounts; a transfer that would overdraw is refused."""

    def __init__(self) -> None:
        self.held = {0: 10, 1: 0, 2: 0}

    def ask(self, dice: Dice, process: int) -> Asked:
        if dice.one_in(2):
            return "read", None
        return "transfer", {"from": dice.roll(3), "to": dice.roll(3), "amount": 1 + dice.roll(4)}

    def act(self, f: str, arg: Any, process: int) -> Any:
        if f == "read":
            return dict(self.held)
        if self.held[arg["from"]] < arg["amount"]:
            return REFUSED
        self.held[arg["from"]] -= arg["amount"]
        self.held[arg["to"]] += arg["amount"]
        return arg

    def last(self) -> Sequence[Asked]:
        return [("read", None)]


class Forks:
    """Keys in groups of three, each written once."""

    def __init__(self) -> None:
        self.written: dict[int, int] = {}
        self.next = 0

    def ask(self, dice: Dice, process: int) -> Asked:
        if dice.one_in(3):
            self.next += 1
            return "txn", [["w", self.next - 1, 1]]
        first = dice.roll(max(1, self.next)) // 3 * 3
        return "txn", [["r", key, None] for key in range(first, first + 3)]

    def act(self, f: str, arg: Any, process: int) -> Any:
        if arg[0][0] == "w":
            self.written[arg[0][1]] = arg[0][2]
            return arg
        return [["r", key, self.written.get(key)] for _, key, _ in arg]

    def last(self) -> Sequence[Asked]:
        return [("txn", [["r", key, None] for key in range(3)])]


class Set:
    """A grow-only set."""

    def __init__(self) -> None:
        self.held: list[int] = []
        self.next = 0

    def ask(self, dice: Dice, process: int) -> Asked:
        if dice.one_in(3):
            return "read", None
        self.next += 1
        return "add", dice.roll(self.next) if dice.one_in(8) else self.next

    def act(self, f: str, arg: Any, process: int) -> Any:
        if f == "read":
            return list(self.held)
        if arg not in self.held:
            self.held.append(arg)
        return arg

    def last(self) -> Sequence[Asked]:
        return [("read", None)]


class Queue:
    """First in, first out; a take of the empty queue is refused."""

    def __init__(self) -> None:
        self.held: list[int] = []
        self.next = 0

    def ask(self, dice: Dice, process: int) -> Asked:
        if dice.one_in(2):
            return "dequeue", None
        self.next += 1
        return "enqueue", dice.roll(self.next) if dice.one_in(6) else self.next

    def act(self, f: str, arg: Any, process: int) -> Any:
        if f == "enqueue":
            self.held.append(arg)
            return arg
        if f == "drain":
            held, self.held = self.held, []
            return held
        return self.held.pop(0) if self.held else REFUSED

    def last(self) -> Sequence[Asked]:
        return [("drain", None)]


class Log:
    """Two partitions; consumers assign themselves and read on from where they were."""

    def __init__(self) -> None:
        self.logs: dict[int, list[int]] = {0: [], 1: []}
        self.at: dict[tuple[int, int], int] = {}
        self.next = 0

    def ask(self, dice: Dice, process: int) -> Asked:
        if dice.one_in(2):
            return "poll", [["poll"]]
        if dice.one_in(6):
            return "assign", [dice.roll(2)] if dice.one_in(2) else [0, 1]
        self.next += 1
        return "send", [["send", dice.roll(2), self.next]]

    def act(self, f: str, arg: Any, process: int) -> Any:
        if f == "assign":
            for key in self.logs:
                if key not in arg:
                    self.at.pop((process, key), None)
            for key in arg:
                self.at.setdefault((process, key), 0)
            return arg
        if f == "send":
            log = self.logs[arg[0][1]]
            log.append(arg[0][2])
            return [["send", arg[0][1], [len(log) * 2, arg[0][2]]]]
        return [["poll", {key: self._poll(process, key) for key in self.logs if (process, key) in self.at}]]

    def _poll(self, process: int, key: int) -> list[list[int]]:
        begin = self.at[(process, key)]
        found = [[place * 2 + 2, value] for place, value in enumerate(self.logs[key])][begin : begin + 3]
        self.at[(process, key)] = begin + len(found)
        return found

    def last(self) -> Sequence[Asked]:
        polls = max(len(log) for log in self.logs.values()) // 3 + 1
        return [("assign", [0, 1]), *[("poll", [["poll"]])] * polls]


class Counter:
    """Goes up and down."""

    def __init__(self) -> None:
        self.held = 0

    def ask(self, dice: Dice, process: int) -> Asked:
        return ("read", None) if dice.one_in(2) else ("add", dice.roll(6) - 2)

    def act(self, f: str, arg: Any, process: int) -> Any:
        if f == "read":
            return self.held
        self.held += arg
        return arg

    def last(self) -> Sequence[Asked]:
        return [("read", None)]


class Ids:
    """Ids that grow; also read as what only grows."""

    def __init__(self, f: str = "generate") -> None:
        self.held, self.f = 0, f

    def ask(self, dice: Dice, process: int) -> Asked:
        return self.f, None

    def act(self, f: str, arg: Any, process: int) -> Any:
        self.held += 1
        return self.held

    def last(self) -> Sequence[Asked]:
        return [(self.f, None)]


class Locks:
    """Two locks; an acquire of a held one is refused, and so is a release by somebody else."""

    def __init__(self) -> None:
        self.owner: dict[str, int] = {}

    def ask(self, dice: Dice, process: int) -> Asked:
        return dice.pick(("acquire", "release")), dice.pick("ab")

    def act(self, f: str, arg: Any, process: int) -> Any:
        if f == "acquire":
            if arg in self.owner:
                return REFUSED
            self.owner[arg] = process
            return arg
        if self.owner.get(arg) != process:
            return REFUSED
        del self.owner[arg]
        return arg

    def last(self) -> Sequence[Asked]:
        return []


class Delivery:
    """Messages in order to whoever asks; nothing when there is none."""

    def __init__(self) -> None:
        self.held: list[int] = []
        self.next = 0

    def ask(self, dice: Dice, process: int) -> Asked:
        if dice.one_in(2):
            return "receive", None
        self.next += 1
        return "send", self.next

    def act(self, f: str, arg: Any, process: int) -> Any:
        if f == "send":
            self.held.append(arg)
            return arg
        return self.held.pop(0) if self.held else None

    def last(self) -> Sequence[Asked]:
        return [("receive", None)] * (len(self.held) + 1)


class Feed:
    """Events to every subscriber, each at its own pace."""

    def __init__(self) -> None:
        self.events: list[int] = []
        self.at: dict[int, int] = {}
        self.next = 0

    def ask(self, dice: Dice, process: int) -> Asked:
        roll = dice.roll(10)
        if roll < 4:
            return "event", None
        if roll < 6:
            return "subscribe", None
        if roll < 7:
            return "unsubscribe", None
        self.next += 1
        return "publish", self.next

    def act(self, f: str, arg: Any, process: int) -> Any:
        if f == "publish":
            self.events.append(arg)
        elif f == "subscribe":
            self.at.setdefault(process, len(self.events))
        elif f == "unsubscribe":
            self.at.pop(process, None)
        else:
            begin = self.at.get(process, len(self.events))
            found = self.events[begin : begin + 2]
            if process in self.at:
                self.at[process] = begin + len(found)
            return found
        return arg

    def last(self) -> Sequence[Asked]:
        return []
