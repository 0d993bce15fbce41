"""What every model checker of recorded histories takes and gives: options in, a Finding out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from seatrial.history.recorded import Recorded
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
