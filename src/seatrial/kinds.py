"""The visible tables: name -> constructor. No registration on import; grep finds everything here.

Importing this module loads no adapter. `load` imports the one that is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seatrial.clock import Clock
    from seatrial.judge.base import Check
    from seatrial.params import Param
    from seatrial.ports import Fault, Provider, Runtime

PROVIDERS: Mapping[str, str] = {
    "pypi": "seatrial.artefacts.pypi:Pypi",
    "npm": "seatrial.artefacts.npm:Npm",
    "apt": "seatrial.artefacts.apt:Apt",
    "path": "seatrial.artefacts.path:LocalPath",
}
RUNTIMES: Mapping[str, str] = {
    "process": "seatrial.runtimes.process:ProcessRuntime",
}
FAULTS: Mapping[str, str] = {
    "kill": "seatrial.faults.process:Kill",
    "stop": "seatrial.faults.process:Stop",
    "restart": "seatrial.faults.process:Restart",
    "pause": "seatrial.faults.process:Pause",
    "crash-loop": "seatrial.faults.process:CrashLoop",
    "power-cut": "seatrial.faults.process:PowerCut",
    "cut": "seatrial.faults.network:Cut",
    "refuse": "seatrial.faults.network:Refuse",
    "blackhole": "seatrial.faults.network:Blackhole",
    "latency": "seatrial.faults.network:Latency",
    "bandwidth": "seatrial.faults.network:Bandwidth",
    "reset": "seatrial.faults.network:Reset",
}
CHECK_TABLE = "seatrial.judge.table:CHECKS"


def load(where: str) -> Any:
    """Return what "package.module:Name" names, importing it."""
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)


def provider(name: str, *, base: Path, clock: Clock) -> Provider:
    """Return a provider that fills the user's cache. base: the app's folder, for relative paths. Raises KeyError."""
    from seatrial.artefacts.cache import Cache, default_root
    from seatrial.artefacts.workshop import Workshop

    made: Provider = load(PROVIDERS[name])(Workshop(cache=Cache(default_root()), clock=clock, base=base))
    return made


def provider_params(name: str) -> tuple[Param, ...]:
    """Return the options that artefacts of a provider may have. Raises KeyError."""
    found: tuple[Param, ...] = load(PROVIDERS[name].partition(":")[0] + ":PARAMS")
    return found


def runtime(name: str) -> Runtime:
    """Return a runtime. Raises KeyError."""
    made: Runtime = load(RUNTIMES[name])()
    return made


def fault(kind: str) -> type[Fault]:
    """Return the class of a fault. Raises KeyError."""
    found: type[Fault] = load(FAULTS[kind])
    return found


def faults() -> dict[str, type[Fault]]:
    """Return every fault by kind."""
    return {kind: fault(kind) for kind in FAULTS}


def checks() -> Mapping[str, Check]:
    """Return every check by kind."""
    found: Mapping[str, Check] = load(CHECK_TABLE)
    return found
