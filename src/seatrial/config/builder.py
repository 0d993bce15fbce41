"""Scenarios in Python: a fluent builder that makes the very document a scenario file would, and so the same plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from seatrial.config.build import Request, make_plan
from seatrial.config.files import Source
from seatrial.errors import UsageError
from seatrial.plan import Plan


class Scenario:
    """A scenario that is built in Python. Every method returns the scenario, so that calls can be chained.

    >>> Scenario("mine").app("apps/shop").load(users=5, rate="20/s", length="30s").fault("kill", target="web", at="10s")
    ... # .check("durability").slo("p99 < 250ms").plan(seed=1)
    """

    def __init__(self, name: str, *, claims: str = "") -> None:
        """Begin a scenario. claims: its own words on what it throws and what it verifies."""
        head = {"name": name} | ({"claims": claims} if claims else {})
        self._document: dict[str, Any] = {"scenario": head}
        self._app: str | Path | None = None
        self._runtime = "process"
        self._sets: dict[str, Any] = {}

    def app(self, app: str | Path) -> Self:
        """Say which app is tried: a folder or a name under apps/."""
        self._app = app
        return self

    def runtime(self, name: str) -> Self:
        """Say how it is deployed; "process" unless said otherwise."""
        self._runtime = name
        return self

    def knob(self, name: str, kind: str, **declared: Any) -> Self:
        """Declare a knob: default, least, most, choices, help. "$name" stands for it."""
        self._document.setdefault("knobs", {})[name] = {"kind": kind, **_plain(declared)}
        return self

    def set(self, **values: Any) -> Self:
        """Give values to knobs, as `[set]` of a scenario file does."""
        self._document.setdefault("set", {}).update(_plain(values))
        return self

    def load(self, *, length: str, **load: Any) -> Self:
        """Say how long users work and how: users, rate or think or burst, pattern, warmup, jitter, via, mix ..."""
        self._document["load"] = {"length": length, **_plain(load)}
        return self

    def length(self, length: str) -> Self:
        """Say how long the drive stage is, for a scenario without load."""
        self._document["scenario"]["length"] = length
        return self

    def fault(self, kind: str, **fault: Any) -> Self:
        """Add a fault: target, when (at, every, flap, storm, stage, ops), hold, and its own parameters."""
        self._document.setdefault("faults", []).append({"kind": kind, **_plain(fault)})
        return self

    def check(self, kind: str, **check: Any) -> Self:
        """Add a check: name, level, and its own parameters."""
        self._document.setdefault("checks", []).append({"kind": kind, **_plain(check)})
        return self

    def slo(self, *objectives: str) -> Self:
        """Add objectives, such as "p99 < 250ms", "success >= 99.9%", "gap < 5s", "recovery < 30s"."""
        self._document.setdefault("slo", []).extend(objectives)
        return self

    def blast_radius(self, **radius: Any) -> Self:
        """Say what faults may touch: targets, at_once, in_all."""
        self._document["blast_radius"] = _plain(radius)
        return self

    def early_abort(self, dead: str, **abort: Any) -> Self:
        """Stop the run when the probe has been failing for longer than `dead`."""
        self._document["early_abort"] = {"dead": dead, **_plain(abort)}
        return self

    def waive(self, check: str, *, reason: str, author: str, expires: str) -> Self:
        """Record an exception for a check, until an ISO date."""
        waiver = {"check": check, "reason": reason, "author": author, "expires": expires}
        self._document.setdefault("waivers", []).append(waiver)
        return self

    def stages(self, *order: str, **within: str) -> Self:
        """Say the order of stages, when it is not the usual one, and bounds by name."""
        table = self._document.setdefault("stages", {})
        table |= ({"order": list(order)} if order else {}) | ({"within": within} if within else {})
        return self

    def document(self) -> dict[str, Any]:
        """Return the tables that the same scenario would have as a file."""
        return self._document

    def plan(self, *, seed: int, **sets: Any) -> Plan:
        """Return the plan. sets override knobs, as --set does. Raises UsageError with every mistake."""
        if self._app is None:
            raise UsageError("the scenario has no app; call .app(folder) first")
        name = str(self._document["scenario"]["name"])
        source = Source(f"Scenario({name!r})", self._document)
        request = Request(app=self._app, seed=seed, document=source, sets=_plain(sets), runtime=self._runtime)
        return make_plan(request)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values as TOML would have given them: lists for tuples, text for paths."""
    return {key: _plain_value(value) for key, value in values.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, dict):
        return _plain(value)
    if isinstance(value, (list, tuple)):
        return [_plain_value(v) for v in value]
    return str(value) if isinstance(value, Path) else value
