"""Sea trials for services: deploy the real artefact, use it, break it, and get a verdict that can be trusted."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seatrial.clients.base import guard as guard
    from seatrial.clients.response import ContentError as ContentError
    from seatrial.crew.users import User as User
    from seatrial.crew.users import task as task
    from seatrial.errors import ClientError as ClientError
    from seatrial.history import Flag as Flag
    from seatrial.history import Verb as Verb
    from seatrial.scenario import Scenario as Scenario
    from seatrial.verdict import Outcome as Outcome
    from seatrial.verdict import Verdict as Verdict

__version__ = "0.1.0"

# Loaded when they are asked for: the command line and the pytest plugin must start fast.
_WHERE = {
    "ClientError": "seatrial.errors",
    "ContentError": "seatrial.clients.response",
    "Flag": "seatrial.history",
    "Outcome": "seatrial.verdict",
    "Scenario": "seatrial.scenario",
    "User": "seatrial.crew.users",
    "Verb": "seatrial.history",
    "Verdict": "seatrial.verdict",
    "guard": "seatrial.clients.base",
    "task": "seatrial.crew.users",
}

__all__ = ["ClientError", "ContentError", "Flag", "Outcome", "Scenario", "User", "Verb", "Verdict", "guard", "task"]


def __getattr__(name: str) -> Any:
    """Return a public name, importing its module. Raises AttributeError."""
    if name not in _WHERE:
        raise AttributeError(f"module 'seatrial' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
