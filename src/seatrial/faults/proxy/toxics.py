"""Toxics as values: their attributes, what is allowed, and which connections they hit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from seatrial.clock import NS
from seatrial.params import Kind, Param, nearest, show

DIRECTIONS = ("up", "down", "both")
_TOXICITY = Param(name="toxicity", kind=Kind.RATIO, default=1.0, help="share of the connections that is hit, seeded")


def _direction(default: str) -> Param:
    return Param(
        name="direction",
        kind=Kind.TEXT,
        default=default,
        choices=DIRECTIONS,
        help="up: from the client to the far end; down: back",
    )


PARAMS: dict[str, tuple[Param, ...]] = {
    "cut": (),
    "refuse": (),
    "blackhole": (
        _direction("both"),
        _TOXICITY,
        Param(
            name="after",
            kind=Kind.TEXT,
            default="continue",
            choices=("continue", "reset"),
            help="what heals: held bytes go on (as TCP does after a partition), or held connections are reset",
        ),
    ),
    "latency": (
        Param(name="latency", kind=Kind.DURATION, required=True, least=0, most=3600, help="added to each direction"),
        Param(name="jitter", kind=Kind.DURATION, default=0.0, least=0, most=3600, help="plus or minus, uniform"),
        _direction("down"),
        _TOXICITY,
    ),
    "bandwidth": (
        Param(name="rate", kind=Kind.SIZE, required=True, least=1, help="bytes per second of each connection"),
        _direction("both"),
        _TOXICITY,
    ),
    "reset": (
        Param(name="new", kind=Kind.FLAG, default=True, help="also reset connections that are made while in force"),
        _TOXICITY,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxic:
    """A validated toxic. Latency and jitter in ns, rate in bytes per second (0: not limited)."""

    name: str
    kind: str
    toxicity: float = 1.0
    direction: str = "both"
    latency_ns: int = 0
    jitter_ns: int = 0
    rate: int = 0
    after: str = "continue"
    new: bool = True

    def flows(self, direction: str) -> bool:
        """Whether the toxic works on that direction ("up" or "down")."""
        return self.direction in (direction, "both")

    def hits(self, seed: str, index: int) -> bool:
        """Whether connection number `index` is in the share that is hit: the same answer for the same seed."""
        if self.toxicity >= 1:
            return True
        digest = hashlib.blake2b(f"{seed}/{self.name}/{index}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < self.toxicity * 2**64

    def rng(self, seed: str, index: int, direction: str) -> Random:
        """Return the generator of this toxic's jitter on one direction of one connection."""
        return Random(f"{seed}/{self.name}/{index}/{direction}")


@dataclass(slots=True)
class Delay:
    """A latency on one direction of one connection; its jitter goes on where it was when other toxics change."""

    latency_ns: int
    jitter_ns: int
    rng: Random

    def draw(self) -> int:
        """Return the delay of the next chunk in ns."""
        if not self.jitter_ns:
            return self.latency_ns
        return max(0, self.latency_ns + round(self.rng.uniform(-self.jitter_ns, self.jitter_ns)))


@dataclass(slots=True)
class Effect:
    """All toxics in force on one direction of one connection, put together."""

    delays: list[Delay] = field(default_factory=list)
    rate: int = 0
    hold: bool = False

    @property
    def nothing(self) -> bool:
        """Whether bytes pass untouched."""
        return not self.delays and not self.rate and not self.hold


def parse(name: str, kind: str, params: Mapping[str, Any]) -> Toxic:
    """Return the toxic of already parsed values. Raises ValueError that names the attribute and what is allowed."""
    table = PARAMS.get(kind)
    if table is None:
        raise ValueError(f"no toxic is called {kind!r}{nearest(kind, PARAMS)}; known: {', '.join(PARAMS)}")
    known = {param.name: param for param in table}
    for key in params:
        if key not in known:
            raise ValueError(
                f"{kind} has no attribute {key!r}{nearest(key, known)}; known: {', '.join(known) or 'none'}"
            )
    values = {p.name: _value(kind, p, params.get(p.name, p.default)) for p in table}
    if values.get("jitter", 0) > values.get("latency", 0):
        raise ValueError(
            f"latency: jitter {show(Kind.DURATION, values['jitter'])} is more than the latency "
            f"{show(Kind.DURATION, values['latency'])}; a packet cannot arrive before it was sent"
        )
    for key in ("latency", "jitter"):
        if key in values:
            values[f"{key}_ns"] = round(values.pop(key) * NS)
    return Toxic(name=name, kind=kind, **values)


_TYPES: dict[Kind, tuple[type, ...]] = {
    Kind.TEXT: (str,),
    Kind.FLAG: (bool,),
    Kind.SIZE: (int,),
    Kind.RATIO: (int, float),
    Kind.DURATION: (int, float),
}


def _value(kind: str, param: Param, value: Any) -> Any:
    where = f"{kind}: {param.name} = {value!r}"
    if value is None:
        raise ValueError(f"{kind}: {param.name} must be given ({param.help})")
    if not isinstance(value, _TYPES[param.kind]) or (isinstance(value, bool) and param.kind is not Kind.FLAG):
        raise ValueError(f"{where}: a {param.kind} is wanted")
    if param.choices and value not in param.choices:
        raise ValueError(f"{where}: one of {', '.join(param.choices)} is wanted")
    if isinstance(value, (int, float)):
        _in_range(where, param, value)
    return value


def _in_range(where: str, param: Param, value: float) -> None:
    least, most = (0.0, 1.0) if param.kind is Kind.RATIO else (param.least, param.most)
    if least is not None and not value >= least:  # "not >=" also refuses NaN
        raise ValueError(f"{where}: must be at least {show(param.kind, least)}")
    if most is not None and not value <= most:
        raise ValueError(f"{where}: must be at most {show(param.kind, most)}")
