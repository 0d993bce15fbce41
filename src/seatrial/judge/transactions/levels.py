"""Isolation levels: which anomalies each forbids, which level implies which, and the names people call them by."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from seatrial.errors import UsageError

PLAIN, PROCESS, REALTIME = 0, 1, 2
SUFFIXES = ("", "-process", "-realtime")

_STRUCTURE = {"unwritten-read", "incompatible-order", "duplicate-elements", "internal", "future-read", "G0"}
# non-monotonic-read: the axiomatic read committed has it (what a transaction read, its later reads may not undo)
_COMMITTED = _STRUCTURE | {"G1a", "G1b", "G1c", "dirty-update", "non-monotonic-read"}
_ATOMIC = _COMMITTED | {"non-repeatable-read", "fractured-read"}
_CAUSAL = _ATOMIC | {"causal-violation"}
_VIEW = _COMMITTED | {"non-repeatable-read", "G-single", "lost-update"}
_PARALLEL = _CAUSAL | _VIEW
_SNAPSHOT = _PARALLEL | {"G-nonadjacent", "no-snapshot-order"}
_REPEATABLE = _VIEW | {"G-nonadjacent", "G2-item"}
_SERIAL = _SNAPSHOT | _REPEATABLE | {"no-serial-order"}

BASES: dict[str, frozenset[str]] = {
    "read-uncommitted": frozenset(_STRUCTURE),
    "read-committed": frozenset(_COMMITTED),
    "read-atomic": frozenset(_ATOMIC),
    "causal": frozenset(_CAUSAL),
    "cursor-stability": frozenset(_COMMITTED | {"lost-update"}),
    "consistent-view": frozenset(_VIEW),
    "parallel-snapshot-isolation": frozenset(_PARALLEL),
    "snapshot-isolation": frozenset(_SNAPSHOT),
    "repeatable-read": frozenset(_REPEATABLE),
    "serializable": frozenset(_SERIAL),
}
STRICT = "strict-serializable"
_ALIASES = {
    "ru": "read-uncommitted",
    "rc": "read-committed",
    "ra": "read-atomic",
    "cc": "causal",
    "tcc": "causal",
    "causal-consistency": "causal",
    "transactional-causal-consistency": "causal",
    "psi": "parallel-snapshot-isolation",
    "si": "snapshot-isolation",
    "snapshot": "snapshot-isolation",
    "rr": "repeatable-read",
    "ser": "serializable",
    "serializability": "serializable",
    "sser": STRICT,
    "strong-serializable": STRICT,
    "strict-serializability": STRICT,
    "strict-1sr": STRICT,
    "pl-1": "read-uncommitted",
    "pl-2": "read-committed",
    "pl-2.99": "repeatable-read",
    "pl-3": "serializable",
    "pl-si": "snapshot-isolation",
    "strong-si": "strong-snapshot-isolation",
    "strong-session-si": "strong-session-snapshot-isolation",
}


@dataclass(frozen=True, slots=True)
class Level:
    """One level. base: its name without the order it demands; order: PLAIN, PROCESS (sessions) or REALTIME."""

    name: str
    base: str
    order: int

    def forbids(self, anomaly: str) -> bool:
        """Return whether a history with this anomaly (say "G1c-process") cannot be of this level."""
        base, order = split(anomaly)
        return base in BASES[self.base] and order <= self.order


def split(anomaly: str) -> tuple[str, int]:
    """Return the anomaly without its suffix, and the order (PLAIN, PROCESS, REALTIME) that it needs."""
    for order in (PROCESS, REALTIME):
        if anomaly.endswith(SUFFIXES[order]):
            return anomaly.removesuffix(SUFFIXES[order]), order
    return anomaly, PLAIN


def _table() -> dict[str, Level]:
    made = {}
    for base in BASES:
        # causal order has the order of sessions in it: there is only one causal
        orders = {base: PROCESS} if base == "causal" else {base: PLAIN, "strong-session-" + base: PROCESS}
        if base != "causal":
            orders[STRICT if base == "serializable" else "strong-" + base] = REALTIME
        made.update({name: Level(name, base, order) for name, order in orders.items()})
    return made


LEVELS = _table()


def level_named(name: str) -> Level:
    """Return the level of a name or a usual short name. Raises UsageError for any other."""
    plain = name.strip().lower().replace("_", "-").replace(" ", "-")
    plain = _ALIASES.get(plain, plain)
    if plain in LEVELS:
        return LEVELS[plain]
    near = difflib.get_close_matches(plain, [*LEVELS, *_ALIASES], 1)
    hint = f"did you mean {near[0]!r}?" if near else "levels are: " + ", ".join(LEVELS)
    raise UsageError(f"--level {name}: no such isolation level; {hint}")


def rules_out(anomaly: str) -> tuple[str, ...]:
    """Return the levels that an anomaly contradicts, weakest first."""
    return tuple(name for name, level in LEVELS.items() if level.forbids(anomaly))


def implies(stronger: Level, weaker: Level) -> bool:
    """Return whether every history of the first level is of the second too."""
    return stronger.order >= weaker.order and BASES[stronger.base] >= BASES[weaker.base]


def stronger_than(level: Level) -> tuple[str, ...]:
    """Return the level and all that imply it: what is ruled out with it."""
    return tuple(name for name, other in LEVELS.items() if implies(other, level))


def level_for(name: str, realtime: bool) -> tuple[Level, str]:
    """Return the level to judge (strict-serializable when none is named), and a note when not all of it can be.

    A recording without real time (sessions only) is judged with the order of its sessions, at every level.
    """
    level = level_named(name or STRICT)
    if realtime:
        return level, ""
    weaker = Level(level.name, level.base, PROCESS)
    if level.order == REALTIME:
        return weaker, f"the recording has no times: {level.name} was judged by the order of its sessions only"
    return weaker, ""
