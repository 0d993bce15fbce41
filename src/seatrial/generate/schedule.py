"""Fault schedules: a scenario's fault rules and a seed become the list of injections. Pure; chance is handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from seatrial.plan import PlannedFault, Trigger

MOST_INJECTIONS = 10_000  # of one rule; more is a mistake in the rule, not a schedule


class Draws(Protocol):
    """A seeded stream of chance, such as random.Random."""

    def uniform(self, a: float, b: float, /) -> float:
        """Return a number between a and b."""
        ...

    def randrange(self, stop: int, /) -> int:
        """Return a whole number from 0 below stop."""
        ...


class When(msgspec.Struct, frozen=True, kw_only=True, tag_field="when", tag=str.lower):
    """Base of the ways to say when a fault begins. All times are seconds after the drive stage begins."""


class Once(When, frozen=True, kw_only=True):
    """At these moments."""

    at_s: tuple[float, ...]


class Every(When, frozen=True, kw_only=True):
    """Every so many seconds from `first_s`, each moved later by up to jitter_s; `count` times, 0 = while it fits."""

    every_s: float
    first_s: float
    count: int = 0
    jitter_s: float = 0.0


class Flap(When, frozen=True, kw_only=True):
    """Up for up_s, then down for down_s (the hold), again and again; `count` times, 0 = while it fits."""

    up_s: float
    down_s: float
    first_s: float = 0.0
    count: int = 0


class Storm(When, frozen=True, kw_only=True):
    """After a random pause between least_s and most_s, counted from the end of the one before."""

    least_s: float
    most_s: float
    first_s: float = 0.0
    count: int = 0


class OnStage(When, frozen=True, kw_only=True):
    """When a stage begins, plus after_s."""

    stage: str
    after_s: float = 0.0


class AfterOps(When, frozen=True, kw_only=True):
    """After that many completed ops."""

    ops: int


AnyWhen = Once | Every | Flap | Storm | OnStage | AfterOps


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One fault entry of a scenario. pick says how a target is chosen for each moment: each | random | turn."""

    name: str
    kind: str
    targets: tuple[str, ...]
    when: AnyWhen
    pick: str = "random"
    hold_s: float = 0.0
    params: dict[str, Any] = {}


def expand(rules: Iterable[Rule], length_s: float, stream: Callable[[str], Draws]) -> tuple[PlannedFault, ...]:
    """Return the injections of all rules, numbered f1, f2 ... in order of time; those on events come last.

    stream(rule name) gives each rule its own chance, so that a change of one rule moves no injection of another.
    Repeated rules stop where an injection and its hold no longer fit in length_s; single moments are kept as written.
    """
    found: list[PlannedFault] = []
    for rule in rules:
        draws = stream(rule.name)
        for turn, trigger in enumerate(_triggers(rule, length_s, draws)):
            found += [_planned(rule, trigger, target) for target in _targets(rule, turn, draws)]
    ordered = sorted(found, key=_order)  # stable: rules that share a moment keep the order of the file
    return tuple(msgspec.structs.replace(fault, id=f"f{n}") for n, fault in enumerate(ordered, start=1))


def hold_of(rule: Rule) -> float:
    """Return how long each injection of the rule stays in force, in seconds; a flap's `down` is its hold."""
    return rule.when.down_s if isinstance(rule.when, Flap) else rule.hold_s


def most_at_once(faults: Sequence[PlannedFault]) -> tuple[str, ...]:
    """Return the ids of the largest group of timed faults that would be in force at the same moment."""
    timed = [f for f in faults if f.trigger.kind == "at"]
    largest: tuple[str, ...] = ()
    for fault in timed:
        start = fault.trigger.at_s
        group = [f.id for f in timed if f.trigger.at_s <= start < f.trigger.at_s + f.hold_s or f is fault]
        if len(group) > len(largest):
            largest = tuple(group)
    return largest


def _triggers(rule: Rule, length_s: float, draws: Draws) -> Iterator[Trigger]:
    when = rule.when
    if isinstance(when, OnStage):
        yield Trigger(kind="stage", stage=when.stage, at_s=when.after_s)
    elif isinstance(when, AfterOps):
        yield Trigger(kind="ops", ops=when.ops)
    elif isinstance(when, Once):
        yield from (Trigger(kind="at", at_s=at) for at in when.at_s)
    else:
        most = min(when.count or MOST_INJECTIONS, MOST_INJECTIONS)
        for n, at in enumerate(_moments(when, hold_of(rule), draws)):
            if n >= most or at + hold_of(rule) > length_s:
                return
            yield Trigger(kind="at", at_s=round(at, 6))


def _moments(when: Every | Flap | Storm, hold_s: float, draws: Draws) -> Iterator[float]:
    if isinstance(when, Every):
        for n in range(MOST_INJECTIONS + 1):
            yield when.first_s + n * when.every_s + (draws.uniform(0.0, when.jitter_s) if when.jitter_s else 0.0)
    elif isinstance(when, Flap):
        for n in range(MOST_INJECTIONS + 1):
            yield when.first_s + when.up_s + n * (when.up_s + when.down_s)
    else:
        at = when.first_s
        for _ in range(MOST_INJECTIONS + 1):
            at += draws.uniform(when.least_s, when.most_s)
            yield at
            at += hold_s


def _targets(rule: Rule, turn: int, draws: Draws) -> tuple[str, ...]:
    if rule.pick == "each" or len(rule.targets) == 1:
        return rule.targets
    chosen = turn % len(rule.targets) if rule.pick == "turn" else draws.randrange(len(rule.targets))
    return (rule.targets[chosen],)


def _planned(rule: Rule, trigger: Trigger, target: str) -> PlannedFault:
    return PlannedFault(
        id="", kind=rule.kind, target=target, trigger=trigger, hold_s=hold_of(rule), params=rule.params, rule=rule.name
    )


def _order(fault: PlannedFault) -> tuple[bool, float]:
    timed = fault.trigger.kind == "at"
    return (not timed, fault.trigger.at_s if timed else 0.0)
