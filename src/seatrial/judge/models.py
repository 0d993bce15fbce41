"""The table of models for recorded histories: name -> where its checker is, what it judges. Loaded when used."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from seatrial.errors import UsageError
from seatrial.judge.modelling import ModelCheck


@dataclass(frozen=True, slots=True)
class Model:
    """One row: "module:function" of a ModelCheck, what it judges in a few words, and what its ops look like.

    The module may have `selftest(n, seed) -> dict[str, Any]`: figures of its differential and mutation tests.
    """

    check: str
    summary: str
    ops: str = ""


MODELS: dict[str, Model] = {
    "register": Model(
        "seatrial.judge.linear.checks:register",
        "some order of reads and writes is legal",
        "read -> value; write value; [key, value] for many",
    ),
    "cas-register": Model(
        "seatrial.judge.linear.checks:cas_register",
        "the same with compare-and-set",
        "read -> value; write value; cas [old, new]",
    ),
    "multi-register": Model(
        "seatrial.judge.linear.checks:multi_register",
        "transactions over registers, each at one instant",
        'txn [["r"/"w", key, value] ...]',
    ),
    "kv": Model(
        "seatrial.judge.linear.checks:kv",
        "texts by key, linearizable, as Porcupine has it",
        "get [key] -> [key, text]; put, append [key, text]",
    ),
    "mutex": Model(
        "seatrial.judge.linear.checks:mutex",
        "a lock that one holds at a time",
        "acquire; release",
    ),
    "owner-lock": Model(
        "seatrial.judge.linear.checks:owner_lock",
        "a lock that only its owner releases",
        "acquire owner; release owner (default: the process)",
    ),
    "lease": Model(
        "seatrial.judge.linear.checks:lease",
        "a lock that ends by itself; extra ttl_ns",
        "acquire owner; renew; release, with times",
    ),
    "linear-set": Model(
        "seatrial.judge.linear.checks:a_set",
        "a linearizable set",
        "add, remove -> changed?; contains -> true/false; read -> [element ...]",
    ),
    "fifo-queue": Model(
        "seatrial.judge.linear.checks:fifo_queue",
        "a linearizable first-in first-out queue",
        "enqueue value; dequeue -> value, nil when empty",
    ),
    "stack": Model(
        "seatrial.judge.linear.checks:stack",
        "a linearizable stack",
        "push value; pop -> value, nil when empty",
    ),
    "priority-queue": Model(
        "seatrial.judge.linear.checks:priority_queue",
        "a linearizable priority queue (extra order=max)",
        "insert number or [priority, value]; delete-min -> it",
    ),
    "linear-counter": Model(
        "seatrial.judge.linear.checks:counter",
        "a linearizable counter",
        "add n; increment; decrement; read -> n",
    ),
    "own": Model(
        "seatrial.judge.linear.checks:own",
        "your own object: extra step(state, f, arg, value) -> (ok, state)",
        "anything",
    ),
    "bank": Model(
        "seatrial.judge.recorded_checks.bank:check",
        "transfers between accounts keep the total",
        "transfer; read -> {account: balance}",
    ),
    "long-fork": Model(
        "seatrial.judge.recorded_checks.long_fork:check",
        "no two reads saw two writes in opposite order",
        'read/txn [["r", key, value] ...], write/txn [["w", key, value]]',
    ),
    "set": Model(
        "seatrial.judge.recorded_checks.sets:check_set",
        "the last read shows all that was added",
        "add element; read -> [element ...]",
    ),
    "set-full": Model(
        "seatrial.judge.recorded_checks.sets:check_full",
        "every element shows in all later reads; lost, stale, doubled",
        "add element; read -> [element ...]",
    ),
    "queue": Model(
        "seatrial.judge.recorded_checks.queues:check_queue",
        "what is taken had been put in, no more often",
        "enqueue value; dequeue -> value",
    ),
    "total-queue": Model(
        "seatrial.judge.recorded_checks.queues:check_total",
        "all that was put in comes out",
        "enqueue value; dequeue -> value; drain -> [value ...]",
    ),
    "log": Model(
        "seatrial.judge.recorded_checks.log:check",
        "partitioned log as Kafka: offsets, lost, doubled, order",
        'send/poll/txn [["send", key, [offset, value]], ["poll", {key: [[offset, value] ...]}]]; assign, subscribe',
    ),
    "counter": Model(
        "seatrial.judge.recorded_checks.counter:check",
        "reads lie within what was and may have been added",
        "add n; read -> n",
    ),
    "unique-ids": Model(
        "seatrial.judge.recorded_checks.unique_ids:check", "no id is given out twice", "generate -> id"
    ),
    "monotonic": Model(
        "seatrial.judge.recorded_checks.monotonic:check_reads", "reads never go back in real time", "read -> n"
    ),
    "monotonic-ids": Model(
        "seatrial.judge.recorded_checks.monotonic:check_ids", "ids grow in real time", "generate -> n"
    ),
    "lock": Model(
        "seatrial.judge.recorded_checks.locks:check",
        "no two owners hold a lock at once; leases with extra lease_ns",
        "acquire/release lock (renew with leases)",
    ),
    "at-most-once": Model(
        "seatrial.judge.recorded_checks.delivery:check_at_most_once",
        "no message is received twice",
        "send value; receive -> value",
    ),
    "at-least-once": Model(
        "seatrial.judge.recorded_checks.delivery:check_at_least_once",
        "every acknowledged message is received",
        "send value; receive -> value",
    ),
    "exactly-once": Model(
        "seatrial.judge.recorded_checks.delivery:check_exactly_once",
        "every acknowledged message is received once",
        "send value; receive -> value",
    ),
    "subscription": Model(
        "seatrial.judge.recorded_checks.subscription:check",
        "each subscriber gets each event once, in order",
        "publish event; subscribe; event -> event; unsubscribe",
    ),
    "list-append": Model(
        "seatrial.judge.transactions.append_check:check",
        "transactions on lists hold an isolation level (--level)",
        'txn [["append", key, element], ["r", key, [element ...]] ...]',
    ),
    "rw-register": Model(
        "seatrial.judge.transactions.register_check:check",
        "transactions on registers hold an isolation level (--level)",
        'txn [["r"/"w", key, value] ...], values written once a key',
    ),
    "causal": Model(
        "seatrial.judge.transactions.causal_check:causal",
        "everybody sees cause before effect",
        "as rw-register or list-append; single reads and writes too",
    ),
    "write-skew": Model(
        "seatrial.judge.transactions.causal_check:write_skew",
        "nothing that snapshot isolation allows and serializability does not",
        "as rw-register or list-append",
    ),
    "monotonic-reads": Model(
        "seatrial.judge.transactions.guarantees:monotonic_reads",
        "a session never reads older than it has read",
        "as rw-register or list-append; single reads and writes too",
    ),
    "monotonic-writes": Model(
        "seatrial.judge.transactions.guarantees:monotonic_writes",
        "whoever sees a write of a session sees its earlier ones",
        "as rw-register or list-append; single reads and writes too",
    ),
    "read-your-writes": Model(
        "seatrial.judge.transactions.guarantees:read_your_writes",
        "a session never reads older than it has written",
        "as rw-register or list-append; single reads and writes too",
    ),
    "writes-follow-reads": Model(
        "seatrial.judge.transactions.guarantees:writes_follow_reads",
        "whoever sees a write sees what its session had read before",
        "as rw-register or list-append; single reads and writes too",
    ),
}


def load(name: str) -> ModelCheck:
    """Return the checker of a model. Raises UsageError for a name that is not in the table."""
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, 1)
        hint = f"did you mean {near[0]!r}?" if near else "`seatrial history models` lists them"
        raise UsageError(f"--model {name}: no such model; {hint}")
    module, _, function = MODELS[name].check.partition(":")
    found: ModelCheck = getattr(import_module(module), function)
    return found


def beside(name: str, function: str) -> Any:
    """Return another function of the module of a model's checker (explain, selftest), None when there is none."""
    return getattr(import_module(MODELS[name].check.partition(":")[0]), function, None)
