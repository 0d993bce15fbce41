"""Expected reactions: every injected fault of a kind shows its own matching log line or process event in time."""

from __future__ import annotations

from seatrial.history import AnyEvent, History, Injection, LogMatch, ProcessEvent
from seatrial.judge.base import Check, Params, Planted, conclude, pick
from seatrial.judge.windows import seconds, to_ns
from seatrial.params import Kind, Param
from seatrial.verdict import Evidence, Finding

PARAMS = (
    Param(name="fault", kind=Kind.TEXT, required=True, help="kind of fault that must be noticed"),
    Param(name="pattern", kind=Kind.TEXT, default="", help="the log pattern, by name, that shows that it was"),
    Param(name="event", kind=Kind.TEXT, default="", help="or the process event: start, ready, exit ..."),
    Param(name="process", kind=Kind.TEXT, default="", help="in this process only"),
    Param(name="since", kind=Kind.TEXT, default="injected", choices=("injected", "gone"), help="where the time starts"),
    Param(name="within", kind=Kind.DURATION, default=30.0, help="bound on the time to the reaction"),
    Param(name="min_faults", kind=Kind.COUNT, default=1, least=1, help="faults of that kind that must have bitten"),
)


def _is_reaction(event: AnyEvent, params: Params) -> bool:
    if isinstance(event, LogMatch):
        return bool(params["pattern"]) and event.pattern == params["pattern"] and _of_process(event.process, params)
    if isinstance(event, ProcessEvent):
        return bool(params["event"]) and event.what == params["event"] and _of_process(event.process, params)
    return False


def _of_process(process: str, params: Params) -> bool:
    return params["process"] in ("", process)


def _causes(history: History, params: Params) -> list[tuple[Injection, int]]:
    found = []
    for injection in history.injections():
        since = injection.injected_ns if params["since"] == "injected" else injection.gone_ns
        if injection.kind == params["fault"] and injection.bit and since is not None:
            found.append((injection, since))
    return sorted(found, key=lambda c: (c[1], c[0].id))


def _paired(history: History, params: Params) -> list[tuple[Injection, int, AnyEvent | None]]:
    """Pair every fault with the first reaction in its time that no earlier fault has taken."""
    free = [e for e in history.events if _is_reaction(e, params)]
    pairs: list[tuple[Injection, int, AnyEvent | None]] = []
    for injection, since in _causes(history, params):
        bound = since + to_ns(params["within"])
        mine = next((e for e in free if since <= e.t_ns <= bound), None)
        if mine is not None:
            free.remove(mine)
        pairs.append((injection, since, mine))
    return pairs


def judge(history: History, params: Params) -> Finding:
    """Judge whether each fault of the kind has its own reaction."""
    pairs = _paired(history, params)
    missing = [(i, since) for i, since, mine in pairs if mine is None]
    wanted = params["pattern"] or f"{params['event']} event"
    took = [seconds(mine.t_ns - since) for _, since, mine in pairs if mine is not None]
    injected = sum(1 for i in history.injections() if i.kind == params["fault"])
    required = max(params["min_faults"], injected)
    evidence = [
        Evidence(
            what=f"{i.id} ({i.kind} of {i.target}) was not followed by {wanted} within {params['within']:g} s",
            fault=i.id,
            expected=wanted,
            observed="nothing",
            at=history.anchor.iso(since),
        )
        for i, since in missing
    ]
    return conclude(
        f"each {params['fault']} is followed by {wanted} within {params['within']:g} s",
        examined=len(pairs),
        required=required,
        violations=len(missing),
        evidence=evidence,
        observed=f"{len(took)} of {len(pairs)} noticed" + (f", slowest {max(took):.3g} s" if took else ""),
        limit=f"{params['within']:g} s",
        untested=f"{len(pairs)} faults of kind {params['fault']} bit, {required} are required",
        figures={"noticed": len(took)},
    )


def plant(history: History, params: Params, seed: int) -> Planted:
    """Plant a service that never reacts, and one that misses a single fault."""
    pairs = _paired(history, params)
    if not pairs:
        return
    silent = tuple(e for e in history.events if not _is_reaction(e, params))
    yield "no reaction at all", history.with_events(silent)
    injection, since, _ = pairs[pick(seed, "reaction", len(pairs))]
    bound = since + to_ns(params["within"])
    missed = (e for e in history.events if not (_is_reaction(e, params) and since <= e.t_ns <= bound))
    yield f"no reaction to {injection.id}", history.with_events(tuple(missed))


CHECK = Check(
    kind="reactions",
    summary="each fault of a kind is noticed: a log line or a process event in time, one for each",
    params=PARAMS,
    needs=frozenset({"faults", "logs"}),
    judge=judge,
    plant=plant,
    under_faults=True,
)
