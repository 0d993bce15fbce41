"""A small pure store with crashes, and users on it: histories that a correct service could have produced.

Acknowledged changes are durable. An op that a crash cuts off ends unknown and may take effect then, later, or never.
A refused op has no effect. Users work one op after the other on keys of their own, and on a few hot ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random

from seatrial.history import Flag, History, OpOutcome, OpRow, Verb, ops_from_rows

MS = 1_000_000


@dataclass
class Store:
    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    late: list[tuple[Verb, str, str]] = field(default_factory=list)

    def apply(self, verb: Verb, key: str, value: str) -> None:
        if verb is Verb.WRITE:
            self.values[key] = value
        elif verb is Verb.DELETE:
            self.values.pop(key, None)
        elif verb is Verb.APPEND:
            self.lists.setdefault(key, []).append(value)


@dataclass
class World:
    rng: Random
    users: int = 3
    ops: int = 60
    now: int = 10 * MS
    store: Store = field(default_factory=Store)
    rows: list[OpRow] = field(default_factory=list)
    actors: dict[int, int] = field(default_factory=dict)

    def run(self) -> History:
        for number in range(self.ops):
            self.step(number)
        while self.store.late:  # whatever is still open takes effect, or never does
            change = self.store.late.pop(self.rng.randrange(len(self.store.late)))
            if self.rng.random() < 0.5:
                self.store.apply(*change)
        self.read_back()
        return History(ops=ops_from_rows(self.rows))

    def step(self, number: int) -> None:
        rng = self.rng
        if self.store.late and rng.random() < 0.2:
            self.store.apply(*self.store.late.pop(rng.randrange(len(self.store.late))))
        user = rng.randrange(self.users)
        hot = rng.random() < 0.15
        verb = rng.choices([Verb.WRITE, Verb.READ, Verb.DELETE, Verb.APPEND], [5, 3, 2, 3])[0]
        place = "hot" if hot else f"u{user}"
        key = f"{place}/log" if verb is Verb.APPEND else f"{place}/{rng.randrange(3)}"
        flags = Flag.HOT if hot else Flag.OWNED
        outcome = rng.choices([OpOutcome.OK, OpOutcome.FAIL, OpOutcome.UNKNOWN, OpOutcome.IN_FLIGHT], [80, 8, 9, 3])[0]
        value = f"v{number}" if verb in (Verb.WRITE, Verb.APPEND) else ""
        result = self.store.values.get(key) if verb is Verb.READ and outcome is OpOutcome.OK else None
        self.perform(verb, outcome, key, value)
        self.record(user, verb, outcome, key, value or None, result, flags)

    def perform(self, verb: Verb, outcome: OpOutcome, key: str, value: str) -> None:
        if verb is Verb.READ or outcome is OpOutcome.FAIL:
            return
        if outcome is OpOutcome.OK:
            self.store.apply(verb, key, value)
        else:
            self.store.late.append((verb, key, value))

    def record(
        self, user: int, verb: Verb, outcome: OpOutcome, key: str, value: str | None, result: str | None, flags: Flag
    ) -> None:
        actor = self.actors.setdefault(user, user)
        if outcome in (OpOutcome.UNKNOWN, OpOutcome.IN_FLIGHT):
            self.actors[user] = actor + 1000
        started, self.now = self.now, self.now + self.rng.randrange(1, 5) * MS
        ended = 0 if outcome is OpOutcome.IN_FLIGHT else self.now
        self.now += MS
        self.rows.append(
            OpRow(
                verb=verb,
                outcome=outcome,
                user=user,
                actor=actor,
                key=key,
                value=value,
                result=result,
                name=verb.name.lower(),
                flags=flags,
                started_ns=started,
                ended_ns=ended,
                error=None if outcome is OpOutcome.OK else outcome.name.lower(),
            )
        )

    def read_back(self) -> None:
        kinds = {r.key: r for r in self.rows if r.key}
        for key, row in kinds.items():
            flags = (row.flags & (Flag.OWNED | Flag.HOT)) | Flag.READBACK
            if key.endswith("/log"):
                listed = json.dumps(self.store.lists.get(key, []))
                self.record(row.user, Verb.LIST, OpOutcome.OK, key, None, listed, flags)
            else:
                self.record(row.user, Verb.READ, OpOutcome.OK, key, None, self.store.values.get(key), flags)


def correct_history(seed: int, *, ops: int = 60, users: int = 3) -> History:
    """Return what a correct store could have recorded."""
    return World(rng=Random(seed), ops=ops, users=users).run()
