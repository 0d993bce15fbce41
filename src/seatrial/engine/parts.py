"""What a trial is made of: the adapters that `seatrial.run` introduces to the engine. The engine knows only ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.plan import Plan
from seatrial.ports import CrewControl, Fault, Links, ObserverControl, Provider, Runtime, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Constructors by name. crew and observer are made when the deployment's addresses are known."""

    providers: Mapping[str, Provider]
    runtime: Runtime
    faults: Mapping[str, type[Fault]]
    links: Callable[[Plan, Site], Links]
    crew: Callable[[Plan, Site, Mapping[str, Any]], CrewControl]
    observer: Callable[[Plan, Site], ObserverControl]
    residue: Callable[[], list[str]]  # what the run left anywhere, by a listing that believes nobody
