"""What happened in a run, as plain immutable values. What needs numpy is loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from seatrial.history.events import (
    AnyEvent,
    ArtefactInstalled,
    CrewEvent,
    CrewStats,
    Event,
    FaultEvent,
    HostSample,
    IdentitySeen,
    Interruption,
    LogCount,
    LogMatch,
    ObserverEvent,
    ProbeSample,
    ProcessEvent,
    Residue,
    ResourceSample,
    RunStarted,
    StageEvent,
)
from seatrial.history.words import NONE, Flag, OpOutcome, Verb

if TYPE_CHECKING:
    from seatrial.history.ops import COLUMNS, OpRow, Ops, no_ops, ops_from_rows
    from seatrial.history.value import History, Injection, no_history

_WHERE = {
    "COLUMNS": "ops",
    "OpRow": "ops",
    "Ops": "ops",
    "no_ops": "ops",
    "ops_from_rows": "ops",
    "History": "value",
    "Injection": "value",
    "no_history": "value",
}

__all__ = [
    "COLUMNS",
    "NONE",
    "AnyEvent",
    "ArtefactInstalled",
    "CrewEvent",
    "CrewStats",
    "Event",
    "FaultEvent",
    "Flag",
    "History",
    "HostSample",
    "IdentitySeen",
    "Injection",
    "Interruption",
    "LogCount",
    "LogMatch",
    "ObserverEvent",
    "OpOutcome",
    "OpRow",
    "Ops",
    "ProbeSample",
    "ProcessEvent",
    "Residue",
    "ResourceSample",
    "RunStarted",
    "StageEvent",
    "Verb",
    "no_history",
    "no_ops",
    "ops_from_rows",
]


def __getattr__(name: str) -> Any:
    """Return a value that is loaded late, importing its module. Raises AttributeError."""
    if name not in _WHERE:
        raise AttributeError(f"module 'seatrial.history' has no attribute {name!r}")
    return getattr(import_module(f"seatrial.history.{_WHERE[name]}"), name)
