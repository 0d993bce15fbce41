"""Identity: every reading, before and after, says that this artefact is running."""

from __future__ import annotations

import msgspec

from seatrial.history import History, IdentitySeen
from seatrial.judge.base import Check, Params, Planted, conclude, pick
from seatrial.params import Kind, Param
from seatrial.verdict import Evidence, Finding

PARAMS = (
    Param(name="min_readings", kind=Kind.COUNT, default=2, least=1, help="readings of each artefact"),
    Param(name="min_moments", kind=Kind.COUNT, default=2, least=1, help="different moments, e.g. before and after"),
    Param(name="sources", kind=Kind.TEXTS, default=(), help="who must have been asked: artefact, runtime, app"),
)


def judge(history: History, params: Params) -> Finding:
    """Judge every reading of identity; too few of them, at too few moments or from too few sources, is not-tested."""
    readings = list(history.of(IdentitySeen))
    wrong = [r for r in readings if not r.ok]
    counts = {a: [r for r in readings if r.artefact == a] for a in dict.fromkeys(r.artefact for r in readings)}
    fewest = min((len(found) for found in counts.values()), default=0)
    moments = min((len({r.moment for r in found}) for found in counts.values()), default=0)
    unasked = sorted(set(params["sources"]) - {r.source for r in readings})
    enough = moments >= params["min_moments"] and not unasked
    required = params["min_readings"] if enough else max(params["min_readings"], fewest + 1)
    why = f"{fewest} readings at {moments} moments; {params['min_readings']} at {params['min_moments']} are required"
    return conclude(
        "the artefact under trial is the one that runs, before and after",
        examined=fewest,
        required=required,
        violations=len(wrong),
        evidence=[_evidence(history, r) for r in wrong],
        observed=f"{len(readings) - len(wrong)} of {len(readings)} readings right",
        limit="every reading",
        untested=f"nobody asked: {', '.join(unasked)}" if unasked else why,
        figures={"readings": len(readings), "moments": moments},
    )


def _evidence(history: History, reading: IdentitySeen) -> Evidence:
    said = reading.reason or f"{reading.observed or 'nothing'} instead of {reading.expected}"
    return Evidence(
        what=f"{reading.artefact} at {reading.moment}, by {reading.source}: {said}",
        actor=reading.artefact,
        expected=reading.expected,
        observed=reading.observed,
        at=history.anchor.iso(reading.t_ns),
    )


def plant(history: History, params: Params, seed: int) -> Planted:
    """Plant another version at one reading, and at the last one (a rollback)."""
    places = [n for n, e in enumerate(history.events) if isinstance(e, IdentitySeen)]
    if not places:
        return
    for label, place in (("some", places[pick(seed, "identity", len(places))]), ("the last", places[-1])):
        events = list(history.events)
        event = events[place]
        assert isinstance(event, IdentitySeen)
        events[place] = msgspec.structs.replace(event, ok=False, observed=f"{event.observed}-planted")
        yield f"another version at {label} reading", history.with_events(tuple(events))


CHECK = Check(
    kind="identity",
    summary="every reading of identity is right, before and after",
    params=PARAMS,
    needs=frozenset({"identity"}),
    judge=judge,
    plant=plant,
)
