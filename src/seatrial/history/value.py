"""The immutable value that judges take: the ops, and everything else that happened, on one clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from seatrial.clock import Anchor
from seatrial.history.events import AnyEvent, FaultEvent, StageEvent
from seatrial.history.ops import Ops, no_ops

E = TypeVar("E")
NO_ANCHOR = Anchor(wall_ns=0, mono_ns=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """One fault of the run, put together from its events. Instants are monotonic ns, None for what did not happen."""

    id: str
    kind: str
    target: str
    planned_ns: int | None = None
    injecting_ns: int | None = None
    injected_ns: int | None = None
    verified_ns: int | None = None
    healed_ns: int | None = None
    gone_ns: int | None = None
    failed: str = ""

    @property
    def bit(self) -> bool:
        """Whether the effect was measured at the target."""
        return self.verified_ns is not None

    @property
    def begun_ns(self) -> int | None:
        """Return when the harm may have begun: it bites while it is put in, before it is known to be in."""
        if self.injected_ns is None or self.injecting_ns is None:
            return self.injected_ns
        return min(self.injecting_ns, self.injected_ns)

    def window(self, end_ns: int) -> tuple[int, int] | None:
        """Return (from, to) in which the fault may do harm; an unhealed one lasts to `end_ns`; None if never in."""
        if self.begun_ns is None:
            return None
        return self.begun_ns, self.gone_ns or self.healed_ns or end_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything a run recorded. `torn` counts journal records that were cut off by a crash of their writer."""

    ops: Ops
    events: tuple[AnyEvent, ...] = ()
    anchor: Anchor = NO_ANCHOR
    torn: int = 0

    def of(self, kind: type[E]) -> Iterator[E]:
        """Yield the events of one type, in time order."""
        return (e for e in self.events if isinstance(e, kind))

    def with_ops(self, ops: Ops) -> History:
        """Return a copy with other ops."""
        return replace(self, ops=ops)

    def with_events(self, events: tuple[AnyEvent, ...]) -> History:
        """Return a copy with other events, sorted by time."""
        return replace(self, events=tuple(sorted(events, key=lambda e: e.t_ns)))

    @property
    def end_ns(self) -> int:
        """Return the last instant that anything of the run was recorded at, 0 for an empty history."""
        last_event = max((e.t_ns for e in self.events), default=0)
        if not len(self.ops):
            return last_event
        return max(last_event, int(self.ops.ended_ns.max()), int(self.ops.started_ns.max()))

    def injections(self) -> tuple[Injection, ...]:
        """Return the faults of the run in the order of their first event."""
        found: dict[str, Injection] = {}
        for event in self.of(FaultEvent):
            known = found.get(event.id) or Injection(id=event.id, kind=event.kind, target=event.target)
            found[event.id] = _step(known, event)
        return tuple(found.values())

    def stage_span(self, stage: str) -> tuple[int, int] | None:
        """Return (begin, end) of a stage in monotonic ns of its last run; an open stage ends with the history."""
        begin = end = None
        for event in self.of(StageEvent):
            if event.stage == stage:
                begin, end = (event.t_ns, None) if event.what == "begin" else (begin, event.t_ns)
        return None if begin is None else (begin, end if end is not None else self.end_ns)


_STEPS = {
    "planned": "planned_ns",
    "injecting": "injecting_ns",
    "injected": "injected_ns",
    "verified": "verified_ns",
    "healed": "healed_ns",
    "gone": "gone_ns",
}


def _step(known: Injection, event: FaultEvent) -> Injection:
    if event.what == "failed":
        return replace(known, failed=event.reason)
    column = _STEPS.get(event.what)
    return replace(known, **{column: event.t_ns}) if column else known  # type: ignore[arg-type]


def no_history() -> History:
    """Return an empty history."""
    return History(ops=no_ops())
