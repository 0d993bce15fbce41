"""Positive evidence that the machine, or our own crew, was in trouble; without evidence a failure is the app's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seatrial.history import CrewEvent, CrewStats, History, HostSample, RunStarted
from seatrial.judge.base import Params
from seatrial.judge.windows import seconds

_LOST = ("crashed", "hung", "garbage", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineLimits:
    """From where on the machine counts as in trouble. steal: mean percent of the CPU taken by the hypervisor."""

    disk_free: int = 256 * 1024 * 1024
    steal_percent: float = 5.0
    clock_jump_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the machine showed. troubles: by kind (disk, oom, steal, clock), one sentence each."""

    troubles: dict[str, str]
    figures: dict[str, Any]


def machine(history: History, limits: MachineLimits) -> Machine:
    """Read the host samples for evidence of trouble."""
    samples = list(history.of(HostSample))
    disk = [s.disk_free for s in samples if s.disk_free >= 0]
    kills = [s.oom_kills for s in samples if s.oom_kills >= 0]
    steal = [s.steal_percent for s in samples if s.steal_percent >= 0]
    jumps = [abs(s.clock_jump_ns) for s in samples]
    mean_steal = sum(steal) / len(steal) if steal else 0.0
    troubles: dict[str, str] = {}
    if disk and min(disk) < limits.disk_free:
        troubles["disk"] = f"only {min(disk)} bytes of disk were free, {limits.disk_free} are needed"
    if kills and kills[-1] > kills[0]:
        troubles["oom"] = f"the kernel killed {kills[-1] - kills[0]} processes for want of memory"
    if mean_steal > limits.steal_percent:
        troubles["steal"] = f"{mean_steal:.3g} % of the CPU was stolen, {limits.steal_percent:g} % are tolerated"
    if jumps and seconds(max(jumps)) > limits.clock_jump_s:
        troubles["clock"] = f"the wall clock jumped by {seconds(max(jumps)):.3g} s"
    figures = {"samples": len(samples), "mean_steal_percent": round(mean_steal, 3)}
    figures |= {"least_disk_free": min(disk)} if disk else {}
    figures |= {"oom_kills": kills[-1] - kills[0]} if kills else {}
    return Machine(troubles=troubles, figures=figures)


def describe(history: History, found: Machine) -> dict[str, Any]:
    """Return the environment part of a verdict: the host, what was measured of it, and its troubles."""
    host = next((dict(e.host) for e in history.of(RunStarted)), {})
    return {"host": host, "measured": found.figures, "troubles": dict(found.troubles)}


def crew_lost(history: History) -> str:
    """Return which crew worker could not go on and why, "" when none was lost: its ops were cut off by us."""
    for event in history.of(CrewEvent):
        if event.what in _LOST:
            return f"crew worker {event.worker} {event.what}: {event.reason or 'no reason was given'}"
    return ""


def saturation(history: History, limit_s: float, params: Params) -> str:
    """Return why a latency limit of `limit_s` cannot be judged, "" when the crew kept up.

    An interval is bad when its lag p99 is above min(lag_share of the limit, lag_most) or its worker was too busy;
    the measurement is void when more than saturated_share of the arrivals fell into bad intervals.
    """
    lag_most = min(params["lag_share"] * limit_s, params["lag_most"])
    late = busy = total = 0
    worst = most = 0.0
    for stats in history.of(CrewStats):
        total += stats.arrivals
        late += stats.arrivals if seconds(stats.lag_p99_ns) > lag_most else 0
        busy += stats.arrivals if stats.busy > params["busy_most"] else 0
        worst, most = max(worst, seconds(stats.lag_p99_ns)), max(most, stats.busy)
    bound = params["saturated_share"] * total
    if late > bound:
        return (
            f"the crew lagged behind for {late} of {total} arrivals (lag p99 up to {worst * 1000:.3g} ms,"
            f" {lag_most * 1000:.3g} ms are allowed); use more workers or a lower rate"
        )
    if busy > bound:
        return f"the crew was busy up to {most:.0%} for {busy} of {total} arrivals; use more workers or a lower rate"
    return ""
