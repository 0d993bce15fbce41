"""The tables of a scenario file: how long, which load, which faults, which checks, within which bounds."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from seatrial.config.fields import (
    Count,
    Duration,
    Moments,
    Pair,
    Rate,
    Ratio,
    Several,
    Span,
    Text,
    Texts,
    Weight,
)
from seatrial.config.mistakes import Strict

SECTIONS = (
    "scenario",
    "knobs",
    "set",
    "load",
    "faults",
    "checks",
    "slo",
    "blast_radius",
    "early_abort",
    "waivers",
    "stages",
)
STAGES = ("install", "ready", "drive", "heal", "quiesce", "readback", "teardown")
STAGE_BOUNDS = {  # seconds; `drive` has the length of the load and some slack
    "install": 900.0,
    "ready": 120.0,
    "heal": 60.0,
    "quiesce": 60.0,
    "stop": 60.0,
    "restart": 180.0,
    "readback": 120.0,
    "teardown": 60.0,
}
DRIVE_SLACK_S = 60.0  # beyond the length of the load, before a crew that does not end is given up


class ScenarioTable(Strict):
    """[scenario]: its name, what it throws and what it is meant to verify. length: for a scenario without [load].

    sample_every: the time between two resource samples of a process (data folders: five times that).
    """

    name: Text
    sample_every: Annotated[Span, Field(ge=0.05)] = 1.0
    length: Span | None = None
    claims: Text = ""


class BurstTable(Strict):
    """load.burst: `size` ops at once, every so often."""

    size: Several
    every: Span


class LoadTable(Strict):
    """[load]: open (a rate, whatever the app does) or closed (each user waits for its answer, then thinks)."""

    users: Several
    length: Span
    rate: Rate | None = None
    rate_to: Rate | None = None
    think: Pair | None = None
    pattern: Literal["constant", "poisson", "ramp", "burst"] | None = None
    burst: BurstTable | None = None
    workers: Several = 1
    warmup: Duration = 0.0
    jitter: Duration = 0.0
    hot_share: Ratio = 0.0
    hot_keys: Count = 0
    timeout: Span = 5.0
    via: Text | None = None
    mix: dict[str, Weight] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        given = [k for k in ("rate", "think", "burst") if getattr(self, k) is not None]
        if len(given) != 1:
            said = " and ".join(f"`{k}`" for k in given) or "none"
            raise ValueError(
                f'exactly one of `rate` (open, "50/s"), `think` (closed, "0.5s,2s") and `burst` is wanted, not {said}'
            )
        if self.think is not None and self.think[0] > self.think[1]:
            raise ValueError("`think`: the least comes first, then the most")
        self._fits_its_pattern(given[0])
        if self.hot_share > 0 and self.hot_keys == 0:
            raise ValueError("`hot_share` needs `hot_keys`: how many keys are written by many")
        return self

    def _fits_its_pattern(self, given: str) -> None:
        allowed = {"rate": ("constant", "poisson", "ramp"), "think": (), "burst": ("burst",)}[given]
        if self.pattern and self.pattern not in allowed:
            raise ValueError(f"`pattern` {self.pattern!r} does not go with `{given}`")
        if (self.pattern == "ramp") != (self.rate_to is not None):
            raise ValueError('`rate_to` and pattern = "ramp" belong together')


class FaultTable(Strict):
    """The keys that all [[faults]] share; the rest are the fault's own parameters."""

    kind: Text
    target: Texts | None = None
    pick: Literal["random", "turn", "each"] = "random"
    at: Moments | None = None
    every: Span | None = None
    flap: Pair | None = None
    storm: Pair | None = None
    stage: Text | None = None
    ops: Several | None = None
    first: Duration | None = None
    count: Several | None = None
    spread: Duration = 0.0
    hold: Duration | None = None
    short: bool = False

    @model_validator(mode="after")
    def _one_trigger(self) -> Self:
        ways = ("at", "every", "flap", "storm", "stage", "ops")
        given = [k for k in ways if getattr(self, k) is not None]
        if given == ["at", "stage"] and self.at is not None and len(self.at) == 1:
            return self
        if len(given) != 1:
            said = " and ".join(f"`{k}`" for k in given) or "none"
            raise ValueError(f"exactly one of {', '.join(ways)} says when (`stage` may have one `at`), not {said}")
        repeated = given[0] in ("every", "flap", "storm")
        for key in ("first", "count"):
            if getattr(self, key) is not None and not repeated:
                raise ValueError(f"`{key}` belongs to every, flap and storm")
        if self.spread and given[0] != "every":
            raise ValueError("`spread` belongs to every")
        self._flap_and_storm()
        return self

    def _flap_and_storm(self) -> None:
        if self.flap is not None and (self.hold is not None or min(self.flap) <= 0):
            raise ValueError('`flap` is "up,down", both more than 0; `down` is the hold, so `hold` is not given')
        if self.storm is not None and (self.storm[0] > self.storm[1] or self.storm[1] <= 0):
            raise ValueError('`storm` is "least,most": the pause between two of them')


class CheckTable(Strict):
    """The keys that all [[checks]] share; the rest are the check's own parameters."""

    kind: Text
    name: Text | None = None
    level: Literal["gate", "report"] = "gate"


class BlastTable(Strict):
    """[blast_radius]: what faults may touch; the engine enforces it."""

    targets: Texts | None = None
    at_once: Several = 1
    in_all: Several = 1000


class AbortTable(Strict):
    """[early_abort]: stop when the probe has been failing for longer than `dead`."""

    dead: Span
    probe: Text | None = None


class WaiverTable(Strict):
    """[[waivers]]: a recorded exception."""

    check: Text
    reason: Text
    author: Text
    expires: Any

    @field_validator("expires")
    @classmethod
    def _a_date(cls, value: Any) -> str:
        if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
            return value.isoformat()
        try:
            return datetime.date.fromisoformat(value).isoformat()
        except (TypeError, ValueError):
            raise ValueError("an ISO date is wanted, such as 2027-01-31") from None


class StagesTable(Strict):
    """[stages]: the order, when it is not the usual one, and bounds by stage name."""

    order: tuple[Text, ...] = STAGES
    within: dict[str, Span] = Field(default_factory=dict)
