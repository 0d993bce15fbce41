"""Recovery: after a fault is gone, the service is good again within a bound and stays so for a while.

The clock of a fault starts when it is measured to be gone; what fails before counts nothing. The service is good from
the first good answer of each source (probes, ops), asked after the heal, after which none is bad for `hold`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seatrial.history import History, Injection
from seatrial.judge.base import Check, Params, Planted, conclude, pick
from seatrial.judge.faults import missing_step
from seatrial.judge.series import Series, answers, probes, spoil_ops, spoil_probes
from seatrial.judge.windows import seconds, to_ns
from seatrial.params import Kind, Param
from seatrial.verdict import Evidence, Finding

CLAIM = "after each fault is gone the service is good again within the bound, for probes and for users"
SOURCES = ("both", "probe", "ops")
PARAMS = (
    Param(name="within", kind=Kind.DURATION, default=30.0, help="bound on the time from heal to good"),
    Param(name="hold", kind=Kind.DURATION, default=2.0, help="time without a bad answer that makes it recovered"),
    Param(name="source", kind=Kind.TEXT, default="both", choices=SOURCES, help="whose answers must be good"),
    Param(name="min_faults", kind=Kind.COUNT, default=1, least=1, help="faults whose recovery must be judged"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How one fault was got over. took_s: None when it was not. judged: whether the history reaches far enough."""

    fault: Injection
    healed_ns: int
    took_s: float | None
    judged: bool
    why: str = ""


def recoveries(history: History, params: Params) -> tuple[Recovery, ...]:
    """Return the recovery of every fault that bit and was healed, in the order of their first event."""
    series = _sources(history, params["source"])
    begins = sorted(i.begun_ns for i in history.injections() if i.begun_ns is not None)
    found = []
    for fault in history.injections():
        healed = fault.gone_ns if fault.gone_ns is not None else fault.healed_ns
        if fault.bit and healed is not None:
            following = next((b for b in begins if b > healed), None)
            found.append(_recover(fault, healed, following, series, params))
    return tuple(found)


def _sources(history: History, source: str) -> list[Series]:
    found = []
    if source in ("both", "probe"):
        found.append(probes(history))
    if source in ("both", "ops"):
        found.append(answers(history, readback=True))
    return [s for s in found if len(s)] if source == "both" else found


def _recover(fault: Injection, healed: int, following: int | None, series: list[Series], params: Params) -> Recovery:
    def result(took_ns: int | None, judged: bool, why: str = "") -> Recovery:
        took = None if took_ns is None else seconds(took_ns)
        return Recovery(fault=fault, healed_ns=healed, took_s=took, judged=judged, why=why)

    end = min([int(s.answered.max()) for s in series if len(s)], default=healed)
    end = end if following is None else min(end, following)
    after = [_answered_by(s.between((healed, end)), end) for s in series]
    if not after or any(not len(s) for s in after):
        return result(None, False, "nobody asked for an answer between the heal and the next fault or the end")
    good_at, quiet_ns = _first_lasting(healed, end, after, to_ns(params["hold"]))
    if good_at is not None and quiet_ns >= to_ns(params["hold"]):
        return result(good_at - healed, True)
    if end - healed >= to_ns(params["within"] + params["hold"]):
        return result(None, True, "never good for long enough")
    if good_at is not None:
        return result(None, False, f"good for {seconds(quiet_ns):.3g} s only, then the next fault or the end came")
    if following is not None:
        return result(None, False, "the next fault came before it was good")
    return result(None, True, f"not good until the end, {seconds(end - healed):.3g} s after the heal")


def _answered_by(series: Series, end: int) -> Series:
    """Leave out what was still under way at the end: what became of it may be the next fault's doing."""
    keep = series.answered <= end
    return Series(asked=series.asked[keep], answered=series.answered[keep], good=series.good[keep])


def _first_lasting(healed: int, end: int, series: list[Series], hold: int) -> tuple[int | None, int]:
    """Return from when all were good for `hold` without a bad answer, and for how long; the last try if none lasted."""
    bad = np.sort(np.concatenate([s.asked[~s.good] for s in series]))
    starts = np.concatenate(([healed], bad))
    ends = np.concatenate((bad, [end]))
    candidates = (ends - starts >= hold) | (np.arange(len(ends)) == len(ends) - 1)
    good_at, quiet = None, 0
    for start, stop in zip(starts[candidates].tolist(), ends[candidates].tolist(), strict=True):
        moments = [_good_from(s, start, stop, healed) for s in series]
        known = [m for m in moments if m is not None]
        if len(known) < len(series):
            good_at = None
            continue
        good_at, quiet = max(known), stop - max(known)
        if quiet >= hold:
            return good_at, quiet
    return good_at, quiet


def _good_from(series: Series, start: int, stop: int, healed: int) -> int | None:
    """Return when the first good answer of a source came, of those asked from `start` on; None if none by `stop`.

    A source that was idle and never saw a bad answer since the heal is not charged for the time it did not ask.
    """
    places = np.flatnonzero(series.good & (series.asked >= start) & (series.answered <= stop))
    if not len(places):
        return None
    first = places[np.argmin(series.answered[places])]
    asked, answered = int(series.asked[first]), int(series.answered[first])
    seen_bad = bool(np.any(~series.good & (series.asked <= asked)))
    return answered if seen_bad else max(start, healed + answered - asked)


def judge(history: History, params: Params) -> Finding:
    """Judge the time from heal to good of every fault that bit."""
    found = recoveries(history, params)
    judged = [r for r in found if r.judged]
    late = [r for r in judged if r.took_s is None or r.took_s > params["within"]]
    times = [r.took_s for r in judged if r.took_s is not None]
    bitten = sum(1 for i in history.injections() if i.injected_ns is not None)
    required = max(params["min_faults"], bitten)
    unjudged = [f"{r.fault.id}: {r.why}" for r in found if not r.judged]
    unjudged += [
        f"{i.id} {missing_step(i)}" for i in history.injections() if i.injected_ns is not None and missing_step(i)
    ]
    left_out = "; ".join(unjudged)
    return conclude(
        CLAIM,
        examined=len(judged),
        required=required,
        violations=len(late),
        evidence=[_evidence(history, r, params) for r in late],
        observed=f"slowest {max(times):.3g} s" if times else "no fault was got over",
        limit=f"{params['within']:g} s",
        untested=f"{len(judged)} of {required} faults could be judged" + (f"; {left_out}" if left_out else ""),
        figures={f"recovered_s:{r.fault.id}": r.took_s for r in judged if r.took_s is not None},
    )


def _evidence(history: History, recovery: Recovery, params: Params) -> Evidence:
    fault = recovery.fault
    took = f"took {recovery.took_s:.3g} s" if recovery.took_s is not None else f"was {recovery.why}"
    return Evidence(
        what=f"recovery from {fault.id} ({fault.kind} of {fault.target}) {took}, {params['within']:g} s are allowed",
        fault=fault.id,
        expected=f"within {params['within']:g} s",
        observed=took,
        at=history.anchor.iso(recovery.healed_ns),
    )


def plant(history: History, params: Params, seed: int) -> Planted:
    """Plant a service that never comes back after a fault, and one that comes back too late when there is time."""
    judged = [r for r in recoveries(history, params) if r.judged]
    if not judged:
        return
    last = max(judged, key=lambda r: r.healed_ns)
    yield f"never good again after {last.fault.id}", _spoil(history, params, (last.healed_ns, history.end_ns))
    chosen = judged[pick(seed, "recovery", len(judged))]
    late = chosen.healed_ns + to_ns(params["within"])
    begins = [i.begun_ns for i in history.injections() if i.begun_ns is not None]
    known_until = min(int(s.answered.max()) for s in _sources(history, params["source"]))  # as far as `_recover` sees
    if min([known_until, *(b for b in begins if b > chosen.healed_ns)]) > late + to_ns(params["hold"]) * 2:
        yield f"too late after {chosen.fault.id}", _spoil(history, params, (chosen.healed_ns, late))


def _spoil(history: History, params: Params, span: tuple[int, int]) -> History:
    spoiled = spoil_probes(history, "", [span]) if params["source"] != "ops" else history
    return spoil_ops(spoiled, [span]) if params["source"] != "probe" else spoiled


CHECK = Check(
    kind="recovery",
    summary="time from heal to good again, for every fault that bit",
    params=PARAMS,
    needs=frozenset({"faults", "probe"}),
    judge=judge,
    plant=plant,
    under_faults=True,
    excused_by=frozenset({"disk", "oom", "steal"}),
)
