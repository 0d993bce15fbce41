"""Transactions on read-write registers: who read whose write, and what single reads already show to be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.judge.modelling import Options
from seatrial.judge.transactions.anomalies import Anomaly, Judged
from seatrial.judge.transactions.columns import ABORTED, COMMITTED, OPEN, Mop, show, status_of, token, transactions

INITIAL = -1  # writer of what every key held at first


@dataclass(slots=True, kw_only=True)
class Registers:
    """Transactions that took effect, in the order of the recording, numbered from 0.

    ops: the recorded op of each. reads: (key, writer) of each external read in the order of the transaction,
    writer INITIAL for the initial value. writes: keys written. sessions: transactions of each session in order;
    one that was left open is in no session, because it may take effect later. open: transactions without an answer.
    ordered: pairs of transactions whose writes are known to be in this order (lists show it), with the key.
    """

    ops: list[RecordedOp]
    reads: list[list[tuple[Any, int]]]
    writes: list[set[Any]]
    sessions: list[list[int]]
    open: set[int]
    realtime: bool
    ordered: list[tuple[int, int, Any]] = field(default_factory=list)
    examined: int = 0
    reads_known: int = 0

    @property
    def many(self) -> int:
        """Number of transactions."""
        return len(self.ops)

    def op(self, txn: int) -> int:
        """Return the op index of a transaction, -1 of the initial state."""
        return -1 if txn == INITIAL else self.ops[txn].index

    def named(self, txn: int) -> str:
        """Return a transaction for a reader."""
        return "the initial state" if txn == INITIAL else f"op {self.ops[txn].index}"


@dataclass(slots=True)
class _Writes:
    """Who wrote a value: final and intermediate writes of (key, value), by number of the transaction as read."""

    final: dict[tuple[Any, Any], int] = field(default_factory=dict)
    passing: dict[tuple[Any, Any], int] = field(default_factory=dict)
    doubled: set[tuple[Any, Any]] = field(default_factory=set)

    def add(self, txn: int, mops: Sequence[Mop], status: int, statuses: list[int]) -> None:
        last = {key: at for at, (kind, key, _) in enumerate(mops) if kind != "r"}
        for at, (kind, key, value) in enumerate(mops):
            if kind == "r":
                continue
            name = (key, token(value))
            before = self.final.get(name, self.passing.get(name))
            if before is not None and before != txn:
                # of a failed and a live write, the live one was read
                if ABORTED in (status, statuses[before]) and status != statuses[before]:
                    if status == ABORTED:
                        continue
                    self.final.pop(name, None), self.passing.pop(name, None)
                else:
                    self.doubled.add(name)
            (self.final if last[key] == at else self.passing)[name] = txn


def initial_of(recorded: Recorded, options: Options) -> Any:
    """Return a function of the key that gives its initial value as a token (nil when none is declared)."""
    declared = recorded.initial or {}
    default = token(declared.get(None, options.initial))
    named = {token(key): token(value) for key, value in declared.items() if key is not None}
    return lambda key: named.get(key, default)


def registers_of(recorded: Recorded, options: Options, judged: Judged) -> Registers:
    """Read the transactions; add to `judged` what single reads show, and what cannot be told.

    extra: whole (True: a value that nobody wrote is an anomaly; False: the recording may lack the write, so that
    such reads say nothing, and are counted). By default recordings of sessions and our own journals are whole.
    """
    found = list(transactions(recorded))
    statuses = [status_of(op) for op, _ in found]
    writes = _Writes()
    for txn, (_, mops) in enumerate(found):
        writes.add(txn, mops, statuses[txn], statuses)
    whole = bool((options.extra or {}).get("whole", not recorded.realtime or recorded.format == "journal"))
    reading = _Reading(found, statuses, writes, initial_of(recorded, options), whole, judged)
    for txn in range(len(found)):
        reading.take(txn)
    reading.tell()
    return reading.registers(recorded.realtime)


@dataclass(slots=True)
class _Reading:
    found: list[tuple[RecordedOp, list[Mop]]]
    statuses: list[int]
    writes: _Writes
    initial: Any
    whole: bool
    judged: Judged
    reads: list[list[tuple[Any, int]]] = field(default_factory=list)
    wrote: list[set[Any]] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    unknown: dict[str, int] = field(default_factory=dict)
    known: int = 0

    def take(self, txn: int) -> None:
        """Judge the reads of one transaction against its own writes, and find whom the others read from."""
        _, mops = self.found[txn]
        self.wrote.append({key for kind, key, _ in mops if kind != "r"})
        self.reads.append([])
        if self.statuses[txn] != COMMITTED:
            return
        own: dict[Any, Any] = {}
        later = {(key, token(value)) for kind, key, value in mops if kind != "r"}
        for kind, key, value in mops:
            if kind != "r":
                own[key] = token(value)
                later.discard((key, own[key]))
            elif key in own:
                self.known += 1
                if own[key] != token(value):
                    self._add("internal", txn, key, value, "though it had written another value itself")
            else:
                self._external(txn, key, value, later)

    def _external(self, txn: int, key: Any, value: Any, later: set[tuple[Any, Any]]) -> None:
        name = (key, token(value))
        first = self.initial(key)
        if name in self.writes.doubled or (name[1] == first and self._written(name)):
            self._unsure("values that were written more than once")
            return
        self.known += 1
        if name[1] == first:
            self.reads[txn].append((key, INITIAL))
            return
        if name in later:
            self._add("future-read", txn, key, value, "which it wrote itself only afterwards")
            return
        writer = self.writes.final.get(name, self.writes.passing.get(name))
        if writer is None:
            self._unwritten(txn, key, value)
        elif self.statuses[writer] == ABORTED:
            self._add("G1a", txn, key, value, "which {other} wrote, and that had failed", writer)
        else:
            if name not in self.writes.final:
                self._add("G1b", txn, key, value, "which {other} wrote and then overwrote itself", writer)
            self.reads[txn].append((key, writer))
            self.seen.add(writer)

    def _written(self, name: tuple[Any, Any]) -> bool:
        writer = self.writes.final.get(name, self.writes.passing.get(name))
        return writer is not None and self.statuses[writer] != ABORTED

    def _unwritten(self, txn: int, key: Any, value: Any) -> None:
        if self.whole:
            self._add("unwritten-read", txn, key, value, "which nobody wrote")
        else:
            self.judged.notes["reads of values that no op of the recording wrote were left out"] += 1

    def _unsure(self, what: str) -> None:
        self.unknown[what] = self.unknown.get(what, 0) + 1

    def _add(self, name: str, txn: int, key: Any, value: Any, why: str, other: int | None = None) -> None:
        op = self.found[txn][0].index
        if other is not None:
            why = why.replace("{other}", f"op {self.found[other][0].index}")
        what = f"op {op} read {show(key)} as {show(value)}, {why}"
        ops = (op,) if other is None else (op, self.found[other][0].index)
        self.judged.add(Anomaly(name=name, what=what, ops=ops, key=show(key)))

    def tell(self) -> None:
        """Note what could not be told."""
        self.judged.doubts += [f"{many:,} reads returned {what}" for what, many in self.unknown.items()]

    def registers(self, realtime: bool) -> Registers:
        """Number the transactions that took effect: those that committed, and open ones that somebody read from."""
        kept = [t for t, s in enumerate(self.statuses) if s == COMMITTED or (s == OPEN and t in self.seen)]
        number = {txn: at for at, txn in enumerate(kept)} | {INITIAL: INITIAL}
        sessions: dict[Any, list[int]] = {}
        for txn in kept:
            if self.statuses[txn] == COMMITTED:
                sessions.setdefault(self.found[txn][0].process, []).append(number[txn])
        ops = [self.found[txn][0] for txn in kept]
        for session in sessions.values():
            session.sort(key=lambda t: ops[t].start)
        return Registers(
            ops=ops,
            reads=[[(key, number[writer]) for key, writer in self.reads[txn]] for txn in kept],
            writes=[self.wrote[txn] for txn in kept],
            sessions=list(sessions.values()),
            open={number[txn] for txn in kept if self.statuses[txn] == OPEN},
            realtime=realtime,
            examined=sum(s == COMMITTED for s in self.statuses),
            reads_known=self.known,
        )
