"""Stability: processes exit only when a stage or a fault made them, come back, and end when they are asked to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from seatrial.history import History, ProcessEvent
from seatrial.judge.base import Check, Params, Planted, conclude, pick
from seatrial.judge.windows import to_ns
from seatrial.params import Kind, Param
from seatrial.verdict import Evidence, Finding

PARAMS = (
    Param(name="max_unexpected", kind=Kind.COUNT, default=0, help="exits that nobody of ours caused"),
    Param(name="max_restarts", kind=Kind.COUNT, default=0, help="starts by the restart policy, in all"),
    Param(name="loop_exits", kind=Kind.COUNT, default=3, least=2, help="unexpected exits that make a crash loop"),
    Param(name="loop_within", kind=Kind.DURATION, default=60.0, help="time in which they do"),
    Param(name="min_starts", kind=Kind.COUNT, default=1, least=1, help="process starts that must have been seen"),
)
STOP_PARAMS = (Param(name="min_stops", kind=Kind.COUNT, default=1, least=1, help="stops that must have been seen"),)
_ENDED = ("exit", "killed-after-grace")


def judge(history: History, params: Params) -> Finding:
    """Judge exits and starts against what the engine and the faults did."""
    seen = list(history.of(ProcessEvent))
    ours = {"engine", *(i.id for i in history.injections())}
    unexpected = [e for e in seen if e.what == "exit" and e.by not in ours]
    restarts = [e for e in seen if e.what == "start" and e.by == "restart-policy"]
    starts = sum(1 for e in seen if e.what == "start")
    loops = list(_loops(unexpected, params))
    down = _left_down(seen)
    evidence = list(_loop_evidence(history, loops, params))
    if len(unexpected) > params["max_unexpected"]:
        evidence += [_exit_evidence(history, e, _why(e, seen)) for e in unexpected]
    if len(restarts) > params["max_restarts"]:
        what = f"{len(restarts)} restarts by the restart policy, {params['max_restarts']} are allowed"
        evidence.append(Evidence(what=what, at=history.anchor.iso(restarts[0].t_ns)))
    evidence += [_exit_evidence(history, e, "went down and was never started again") for e in down]
    return conclude(
        "no process exits but by our hand, restarts stay in their budget, and none is left down",
        examined=starts,
        required=params["min_starts"],
        violations=len(evidence),
        evidence=evidence,
        observed=f"{starts} starts, {len(unexpected)} unexpected exits, {len(restarts)} restarts by policy",
        limit=f"{params['max_unexpected']} unexpected exits, {params['max_restarts']} restarts",
        untested="no process was seen to start",
        figures={"starts": starts, "unexpected": len(unexpected), "restarts": len(restarts), "down": len(down)},
    )


def _why(event: ProcessEvent, seen: list[ProcessEvent]) -> str:
    """Return what is known of an exit that no stage and no fault caused."""
    for limit in seen:
        if event.by == limit.by == "limits" and limit.process == event.process and limit.what == "disk-limit":
            return f"was ended: {limit.reason.removesuffix(': it was ended')}"
    return "exited and nobody had asked it to" + (f" ({event.reason})" if event.reason else "")


def _loops(unexpected: list[ProcessEvent], params: Params) -> Iterator[ProcessEvent]:
    """Yield the exit that completes a crash loop, once a process."""
    for process in sorted({e.process for e in unexpected}):
        exits = [e for e in unexpected if e.process == process]
        width = params["loop_exits"] - 1
        for first, last in zip(exits, exits[width:], strict=False):
            if last.t_ns - first.t_ns <= to_ns(params["loop_within"]):
                yield last
                break


def _left_down(seen: list[ProcessEvent]) -> list[ProcessEvent]:
    last = {e.process: e for e in seen if e.what in ("start", "ready", *_ENDED)}
    return [e for e in last.values() if e.what == "exit" and e.by != "engine"]


def _loop_evidence(history: History, loops: list[ProcessEvent], params: Params) -> Iterator[Evidence]:
    for event in loops:
        what = f"crashes in a loop: {params['loop_exits']} exits within {params['loop_within']:g} s"
        yield _exit_evidence(history, event, what)


def _exit_evidence(history: History, event: ProcessEvent, what: str) -> Evidence:
    code = "" if event.code is None else f" (code {event.code})"
    fault = event.by if event.by in {i.id for i in history.injections()} else ""
    return Evidence(
        what=f"{event.process}{code} {what}",
        actor=event.process,
        fault=fault,
        observed=event.reason,
        at=history.anchor.iso(event.t_ns),
    )


def plant(history: History, params: Params, seed: int) -> Planted:
    """Plant exits that nobody caused, restarts beyond the budget, and a process that stays down."""
    seen = list(history.of(ProcessEvent))
    starts = [e for e in seen if e.what == "start"]
    if not starts:
        return
    chosen = starts[pick(seed, "stability", len(starts))]
    exit_ = ProcessEvent(t_ns=chosen.t_ns + 1, process=chosen.process, what="exit", pid=chosen.pid, code=1, by="")
    many = tuple(msgspec.structs.replace(exit_, t_ns=exit_.t_ns + i) for i in range(params["max_unexpected"] + 1))
    yield f"{chosen.process} exits by itself", history.with_events((*history.events, *many))
    again = msgspec.structs.replace(chosen, by="restart-policy", t_ns=chosen.t_ns + 2)
    extra = tuple(again for _ in range(params["max_restarts"] + 1))
    yield f"{chosen.process} is restarted too often", history.with_events((*history.events, *extra))
    down = msgspec.structs.replace(exit_, t_ns=history.end_ns + 1)
    yield f"{chosen.process} stays down", history.with_events((*history.events, down))


def judge_stop(history: History, params: Params) -> Finding:
    """Judge whether every process that was asked to stop ended by itself within its grace."""
    seen = list(history.of(ProcessEvent))
    forced = [e for e in seen if e.what in ("killed-after-grace", "survived-teardown")]
    ended = [e for e in seen if e.what == "exit" and e.by == "engine"]
    stops = len(ended) + sum(1 for e in forced if not _has_exit(e, ended))
    counts = Counter(e.process for e in forced)
    evidence = [_stop_evidence(history, e) for e in forced]
    return conclude(
        "every process that is asked to stop ends within its grace",
        examined=stops,
        required=params["min_stops"],
        violations=len(forced),
        evidence=evidence,
        observed=", ".join(f"{name} {count} times killed" for name, count in counts.items()) or f"{stops} clean stops",
        limit="no process is killed after its grace",
        untested="no process was asked to stop",
        figures={"stops": stops, "forced": len(forced)},
    )


def _has_exit(event: ProcessEvent, ended: list[ProcessEvent]) -> bool:
    return any(e.process == event.process and e.pid == event.pid for e in ended)


def _stop_evidence(history: History, event: ProcessEvent) -> Evidence:
    said = event.reason or "the stop signal was ignored"  # the runtime's own words name the signal and the grace
    what = f"{event.process}: {said}; its grace was used up"
    if event.what == "survived-teardown":
        what = f"{event.process} survived the teardown"
    return Evidence(what=what, actor=event.process, observed=event.reason, at=history.anchor.iso(event.t_ns))


def plant_stop(history: History, params: Params, seed: int) -> Planted:
    """Plant a stop that used up its grace, and a process that survived the teardown."""
    ended = [e for e in history.of(ProcessEvent) if e.what == "exit" and e.by == "engine"]
    if not ended:
        return
    chosen = ended[pick(seed, "stop", len(ended))]
    for what in ("killed-after-grace", "survived-teardown"):
        planted = msgspec.structs.replace(chosen, what=what)
        yield f"{chosen.process} {what}", history.with_events((*history.events, planted))


CHECK = Check(
    kind="stability",
    summary="exits that nobody caused, crash loops, restarts beyond a budget, processes left down",
    params=PARAMS,
    needs=frozenset({"processes"}),
    judge=judge,
    plant=plant,
    excused_by=frozenset({"disk", "oom"}),
)
STOP = Check(
    kind="stop",
    summary="processes that ignore the stop signal and use up their grace",
    params=STOP_PARAMS,
    needs=frozenset({"processes"}),
    judge=judge_stop,
    plant=plant_stop,
)
