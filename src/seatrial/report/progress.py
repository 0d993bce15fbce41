"""What is known of a run while it goes: a small state that events change, and the words for it. No IO, no clock."""

from __future__ import annotations

from collections import deque

from seatrial.clock import NS
from seatrial.history import AnyEvent, FaultEvent, Interruption, ProbeSample, ProcessEvent, StageEvent
from seatrial.plan import Plan, PlannedFault
from seatrial.report.text import elapsed, number, one_line, seconds

_RATE_OVER_NS = 3 * NS
_LOUD_STEPS = {"injected", "verified", "healed", "gone", "failed"}
_LOUD_PROCESS = {
    "killed-after-grace",
    "survived-teardown",
    "not-ready",
    "start-failed",
    "log-limit",
    "disk-limit",
}
_BAR = 24


class Progress:
    """Holds the stage, the faults in force, the probes, and the counts of a run that goes on.

    One thread changes it and another one reads it: dicts are copied in one step before they are walked.
    """

    def __init__(self, plan: Plan, now_ns: int) -> None:
        """Begin with nothing known but the plan."""
        self.plan = plan
        self.begun_ns = now_ns
        self.stage, self.stage_ns = "", now_ns
        self.drive_ns: int | None = None
        self.in_force: dict[str, str] = {}
        self.seen: set[str] = set()
        self.probes: dict[str, tuple[bool, int]] = {}
        self.completed = 0
        self.outcomes: tuple[int | None, int | None, int | None] = (None, None, None)
        self._counts: deque[tuple[int, int]] = deque()
        self._bounds = {s.name: s.within_s for s in plan.stages}
        if plan.load is not None:
            self._bounds["drive"] = plan.load.length_s

    def event(self, e: AnyEvent) -> str:
        """Take note of an event; return a line when people should hear of it, else ""."""
        if isinstance(e, StageEvent):
            return self._stage(e)
        if isinstance(e, FaultEvent):
            return self._fault(e)
        if isinstance(e, ProbeSample):
            return self._probe(e)
        if isinstance(e, ProcessEvent) and e.what == "exit" and not e.by:
            return f"process {one_line(e.process)} exited by itself ({_code(e.code)}) {one_line(e.reason)}".rstrip()
        if isinstance(e, ProcessEvent) and e.what in _LOUD_PROCESS:
            return f"process {one_line(e.process)}: {one_line(e.reason)}"
        if isinstance(e, Interruption):
            return f"interrupted by {one_line(e.by)} {one_line(e.reason)}".rstrip()
        return ""

    def _stage(self, e: StageEvent) -> str:
        if e.what == "begin":
            self.stage, self.stage_ns = e.stage, e.t_ns
            if e.stage == "drive":
                self.drive_ns = e.t_ns
            bound = self._bounds.get(e.stage)
            return f"stage {one_line(e.stage)}" + (f" (up to {seconds(bound)})" if bound else "")
        took = seconds((e.t_ns - self.stage_ns) / NS) if e.stage == self.stage else ""
        reason = f": {one_line(e.reason)}" if e.reason else ""
        return f"stage {one_line(e.stage)} {e.outcome or 'ended'}{' in ' + took if took else ''}{reason}"

    def _fault(self, e: FaultEvent) -> str:
        name = one_line(f"{e.id} {e.kind} {e.target}")
        if e.what in ("injecting", "injected", "verified"):
            self.seen.add(e.id)
            self.in_force[e.id] = name
        elif e.what in ("gone", "failed"):
            self.in_force.pop(e.id, None)
        if e.what not in _LOUD_STEPS:
            return ""
        return f"fault {name} {e.what}" + (f": {one_line(e.reason)}" if e.reason else "")

    def _probe(self, e: ProbeSample) -> str:
        known = self.probes.get(e.probe)
        if known is not None and known[0] == e.ok:
            return ""
        self.probes[e.probe] = (e.ok, e.t_ns)
        if known is None and e.ok:
            return ""
        down = "" if known is None or not e.ok else f" again after {seconds((e.t_ns - known[1]) / NS)}"
        reason = f": {one_line(e.reason)}" if e.reason and not e.ok else ""
        return f"probe {one_line(e.probe)} {'good' if e.ok else 'bad'}{down}{reason}"

    def ops(self, now_ns: int, completed: int, ok: int | None, fail: int | None, unknown: int | None) -> None:
        """Take note of the counts so far."""
        self.completed, self.outcomes = completed, (ok, fail, unknown)
        self._counts.append((now_ns, completed))
        while len(self._counts) > 2 and now_ns - self._counts[1][0] >= _RATE_OVER_NS:
            self._counts.popleft()

    def rate(self, now_ns: int) -> float | None:
        """Return ops per second over the last seconds, None when it is not known."""
        if len(self._counts) < 2:
            return None
        (first_ns, first), (_, last) = self._counts[0], self._counts[-1]
        return (last - first) / max((now_ns - first_ns) / NS, 1e-3)

    def elapsed(self, now_ns: int) -> str:
        """Return the time since the run began, always five or more characters wide."""
        return elapsed(max(0, (now_ns - self.begun_ns) // NS)).rjust(6)

    def next_fault(self) -> PlannedFault | None:
        """Return the fault that is due next by the clock of the drive stage, None when there is none."""
        waiting = [f for f in self.plan.faults if f.id not in self.seen and f.trigger.kind == "at"]
        return min(waiting, key=lambda f: f.trigger.at_s, default=None)

    def heartbeat(self, now_ns: int) -> str:
        """Return everything in one line."""
        return " | ".join(f"{label} {value}" for label, value, _ in self.rows(now_ns) if label != "next")

    def rows(self, now_ns: int) -> list[tuple[str, str, str]]:
        """Return (label, value, style) for each line of the panel."""
        rows = [("stage", self._stage_text(now_ns), "bold"), ("ops", self._ops_text(now_ns), "")]
        if self.probes:
            bad = [one_line(name) for name, (ok, _) in list(self.probes.items()) if not ok]
            rows.append(("probe", f"bad: {', '.join(bad)}" if bad else "good", "bold red" if bad else "green"))
        rows.append(
            ("faults", ", ".join(list(self.in_force.values())) or "none in force", "yellow" if self.in_force else "")
        )
        upcoming = self.next_fault()
        if upcoming is not None:
            rows.append(("next", self._next_text(upcoming, now_ns), ""))
        return rows

    def _stage_text(self, now_ns: int) -> str:
        if not self.stage:
            return "starting"
        gone = max(0.0, (now_ns - self.stage_ns) / NS)
        bound = self._bounds.get(self.stage)
        name = one_line(self.stage)
        if not bound:
            return f"{name} {seconds(gone)}"
        filled = min(_BAR, int(gone / bound * _BAR))
        return f"{name} [{'#' * filled}{'.' * (_BAR - filled)}] {seconds(gone)} of {seconds(bound)}"

    def _ops_text(self, now_ns: int) -> str:
        rate = self.rate(now_ns)
        parts = [f"{self.completed:,}"] + ([f"{number(round(rate))}/s"] if rate is not None else [])
        words = zip(("ok", "fail", "unknown"), self.outcomes, strict=True)
        return ", ".join(parts + [f"{count:,} {word}" for word, count in words if count is not None])

    def _next_text(self, fault: PlannedFault, now_ns: int) -> str:
        name = one_line(f"{fault.id} {fault.kind} {fault.target}")
        if self.drive_ns is None:
            return f"{name}, {seconds(fault.trigger.at_s)} into drive"
        left = fault.trigger.at_s - (now_ns - self.drive_ns) / NS
        return f"{name} in {seconds(left)}" if left > 0 else f"{name} due"


def _code(code: int | None) -> str:
    if code is None:
        return "code unknown"
    return f"signal {-code}" if code < 0 else f"code {code}"
