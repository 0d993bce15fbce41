"""What every model checker of recorded histories takes and gives: options in, a Finding out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from seatrial.history.recorded import Recorded, RecordedOp
from seatrial.verdict import Finding


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to judge. Nothing here is hidden: what is used is said in the finding.

    nil: "wildcard" (a read that returned nil is always legal, as Knossos has it) or "strict" (nil is a value).
    initial: initial value of every object, when the recording does not declare one.
    expired: asked now and then by long searches; True ends them as inconclusive (time is handed in, not read).
    memory_bytes: bound on what a search may keep; beyond it the answer is inconclusive.
    ignore_crashed_reads: leave out reads that never completed (they constrain nothing).
    level: the isolation level to hold transactions against, e.g. "serializable", "snapshot-isolation".
    """

    nil: str = "wildcard"
    initial: Any = None
    expired: Callable[[], bool] = _never
    memory_bytes: int = 2 << 30
    ignore_crashed_reads: bool = True
    level: str = ""
    extra: dict[str, Any] | None = None


class ModelCheck(Protocol):
    """A checker of recorded histories. examined = ops (or transactions) that were judged."""

    def __call__(self, recorded: Recorded, options: Options) -> Finding:
        """Judge. Never raises on any history; out of budget is INCONCLUSIVE with what was reached."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """One longest partial linearization: ops in the order chosen, and the state after each of them as text.

    next_op, why: the op that would have to come next and cannot, and the reason in plain words.
    """

    order: tuple[int, ...]
    states: tuple[str, ...] = ()
    next_op: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearPicture:
    """Where a linearizability check of one partition stopped: what a picture of it is drawn from.

    partition: the key in words, "" when there is only one object. ops: those of the partition, or around the stop.
    prefixes: the longest linearizations, longest first. stuck_at: index of the op that no linearization gets past.
    """

    model: str
    partition: str
    ops: tuple[RecordedOp, ...]
    prefixes: tuple[Prefix, ...]
    stuck_at: int | None
    initial: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One dependency of a cycle. source, target: op indices. kind: ww, wr, rw, rt or process. why: in plain words."""

    source: int
    target: int
    kind: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CyclePicture:
    """One anomaly of transactions as a smallest cycle. edges are in its order: each begins where the last one ended.

    rules_out: isolation levels that the anomaly contradicts. ops: the transactions of the cycle.
    """

    anomaly: str
    ops: tuple[RecordedOp, ...]
    edges: tuple[Edge, ...]
    rules_out: tuple[str, ...] = ()


Picture = LinearPicture | CyclePicture
