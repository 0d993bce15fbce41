"""Correct simulated stores under concurrent clients: histories that every checker must find nothing wrong with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.recorded_checks.dice import Dice

REFUSED = object()  # what a store returns for an op that it refuses: the op fails and had no effect


class Store(Protocol):
    """A store: what a client asks next, and what happens at the moment its op takes effect."""

    def ask(self, dice: Dice, process: int) -> tuple[str, Any]:
        """Return the name and the argument of a client's next op."""
        ...

    def act(self, f: str, arg: Any, process: int) -> Any:
        """Let the op take effect; return its value, or REFUSED."""
        ...

    def last(self) -> Sequence[tuple[str, Any]]:
        """Return ops that one client does at the end, when all is quiet."""
        ...


@dataclass(slots=True)
class _Client:
    process: int
    index: int = -1
    f: str = ""
    arg: Any = None
    value: Any = None
    start: int = 0
    step: int = 0  # 0 idle, 1 asked, 2 took effect


def simulate(store: Store, dice: Dice, count: int, clients: int, trouble: int = 8) -> Recorded:
    """Return a history of about `count` ops. trouble: one op in so many fails, one in so many is never answered."""
    run = _Run(store, dice, trouble)
    crew = [_Client(process) for process in range(clients)]
    run.next_process = clients
    while run.begun < count or any(c.step for c in crew):
        client = dice.pick(crew)
        if client.step or run.begun < count:
            run.step(client)
    quiet = _Client(run.next_process)
    run.trouble = 0
    for f, arg in store.last():
        run.begin(quiet, f, arg)
        run.step(quiet)
        run.step(quiet)
    return Recorded(ops=tuple(sorted(run.ops, key=lambda op: op.index)), format="simulated")


class _Run:
    def __init__(self, store: Store, dice: Dice, trouble: int) -> None:
        self.store, self.dice, self.trouble = store, dice, trouble
        self.ops: list[RecordedOp] = []
        self.at = self.begun = self.next_process = 0

    def begin(self, client: _Client, f: str, arg: Any) -> None:
        client.f, client.arg, client.index, client.start, client.step = f, arg, self.begun, self.at, 1
        self.begun += 1
        self.at += 1

    def step(self, client: _Client) -> None:
        if client.step == 0:
            self.begin(client, *self.store.ask(self.dice, client.process))
        elif client.step == 1:
            if self._luck():
                self._end(client, self.dice.pick((OpOutcome.FAIL, OpOutcome.UNKNOWN)))
                return
            client.value = self.store.act(client.f, client.arg, client.process)
            client.step = 2
        elif client.value is REFUSED:
            self._end(client, OpOutcome.FAIL, "empty" if client.arg is None else "refused")
        else:
            self._end(client, OpOutcome.UNKNOWN if self._luck() else OpOutcome.OK)

    def _luck(self) -> bool:
        return bool(self.trouble) and self.dice.one_in(self.trouble)

    def _end(self, client: _Client, outcome: OpOutcome, error: str = "") -> None:
        known = outcome is not OpOutcome.UNKNOWN
        self.ops.append(
            RecordedOp(
                index=client.index,
                process=client.process,
                f=client.f,
                arg=client.arg,
                value=client.value if outcome is OpOutcome.OK else client.arg,
                outcome=outcome,
                start=client.start,
                end=self.at if known else None,
                start_ns=client.start * 1000,
                end_ns=self.at * 1000 if known else None,
                error=error,
            )
        )
        self.at += 1
        client.step, client.value = 0, None
        if not known:
            client.process, self.next_process = self.next_process, self.next_process + 1
