"""The life of the faults: every planned one was injected, verified at the target, healed, and verified gone.

A fault that did not bite says nothing about the app, so the outcome is not-tested, never fail; one that is still in
force spoils everything after it, so the outcome is inconclusive.
"""

from __future__ import annotations

from typing import Any

import msgspec

from seatrial.history import FaultEvent, History, Injection
from seatrial.judge.base import Check, Params, Planted, conclude, pick
from seatrial.params import Kind, Param
from seatrial.plan import Plan
from seatrial.verdict import Evidence, Finding, Outcome

CLAIM = "every planned fault was injected, measured at the target, healed, and measured to be gone"
PARAMS = (
    Param(name="planned", kind=Kind.TEXTS, default=(), help="ids of the faults; those of the plan when not given"),
    Param(name="min_faults", kind=Kind.COUNT, default=1, least=1, help="faults that must have gone the whole way"),
)


def _facts(plan: Plan) -> dict[str, Any]:
    return {"planned": tuple(f.id for f in plan.faults)}


def missing_step(injection: Injection | None) -> str:
    """Return in words the first step that a fault did not reach, "" when it went the whole way."""
    if injection is None or injection.injected_ns is None:
        return f"was not injected{_why(injection)}"
    if injection.verified_ns is None:
        return f"did not bite{_why(injection)}"
    if injection.healed_ns is None and injection.gone_ns is None:
        return f"was not healed{_why(injection)}"
    if injection.gone_ns is None:
        return f"was not seen to be gone{_why(injection)}"
    return ""


def _why(injection: Injection | None) -> str:
    return f": {injection.failed}" if injection is not None and injection.failed else ""


def unbitten(history: History, planned: tuple[str, ...]) -> list[str]:
    """Return for each planned fault that did not bite its id, kind and why."""
    known = {i.id: i for i in history.injections()}
    ids = dict.fromkeys((*planned, *known))
    return [
        f"{fault} {f'({known[fault].kind}) ' if fault in known else ''}{missing_step(known.get(fault))}"
        for fault in ids
        if fault not in known or not known[fault].bit
    ]


def judge(history: History, params: Params) -> Finding:
    """Judge how far every planned fault came."""
    known = {i.id: i for i in history.injections()}
    ids = dict.fromkeys((*params["planned"], *known))
    missing = {fault: step for fault in ids if (step := missing_step(known.get(fault)))}
    still = [f for f in missing if f in known and known[f].bit]
    whole = len(ids) - len(missing)
    shown = "; ".join(f"{fault} {step}" for fault, step in missing.items())
    finding = conclude(
        CLAIM,
        examined=whole,
        required=max(params["min_faults"], len(ids)),
        observed=f"{whole} of {len(ids)} faults went the whole way",
        limit="all",
        untested=shown or "no fault was planned",
        figures={"planned": len(ids), "whole": whole},
    )
    evidence = tuple(
        Evidence(what=f"{f} {missing[f]}", fault=f, at=history.anchor.iso(known[f].injected_ns) if f in known else None)
        for f in list(missing)[:10]
    )
    outcome = Outcome.INCONCLUSIVE if still else finding.outcome
    return msgspec.structs.replace(finding, outcome=outcome, evidence=evidence)


def plant(history: History, params: Params, seed: int) -> Planted:
    """Plant faults that were never injected, did not bite, or were never seen to be gone."""
    known = [i for i in history.injections() if not missing_step(i)]
    if not known:
        return
    chosen = known[pick(seed, "faults", len(known))].id
    for label, gone in (
        (f"{chosen} was never injected", {"injecting", "injected", "verified", "healing", "healed", "gone"}),
        (f"{chosen} did not bite", {"verified"}),
        (f"{chosen} is still in force", {"healing", "healed", "gone"}),
    ):
        kept = (e for e in history.events if not (isinstance(e, FaultEvent) and e.id == chosen and e.what in gone))
        events = tuple(kept)
        if not any(isinstance(e, FaultEvent) and e.id == chosen for e in events):
            planned = next(e for e in history.of(FaultEvent) if e.id == chosen)
            events = (*events, msgspec.structs.replace(planned, what="planned"))
        yield label, history.with_events(events)


CHECK = Check(
    kind="faults",
    summary="every planned fault bit and was healed",
    params=PARAMS,
    needs=frozenset({"faults"}),
    judge=judge,
    plant=plant,
    facts=_facts,
    caught_by=frozenset({Outcome.NOT_TESTED, Outcome.INCONCLUSIVE, Outcome.FAIL}),
)
