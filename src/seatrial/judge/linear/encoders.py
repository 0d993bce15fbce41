"""The models of linearizability by name: from a recording to parts with calls."""

from __future__ import annotations

from collections.abc import Callable

from seatrial.history.recorded import Recorded
from seatrial.judge.linear import keyvalue, objects, registers
from seatrial.judge.linear.reading import Problem
from seatrial.judge.modelling import Options

Encoder = Callable[[Recorded, Options], Problem]
ENCODERS: dict[str, Encoder] = {
    "register": registers.register,
    "cas-register": registers.cas_register,
    "multi-register": objects.multi_register,
    "kv": keyvalue.kv,
    "mutex": registers.mutex,
    "owner-lock": registers.owner_lock,
    "lease": objects.lease,
    "set": objects.a_set,
    "fifo-queue": objects.fifo_queue,
    "stack": objects.stack,
    "priority-queue": objects.priority_queue,
    "counter": registers.counter,
    "own": objects.own,
}
