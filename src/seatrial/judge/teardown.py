"""Teardown: an independent listing found nothing left behind."""

from __future__ import annotations

from seatrial.history import History, Residue
from seatrial.judge.base import Check, Params, Planted, conclude, plural
from seatrial.verdict import Evidence, Finding, Teardown

CLAIM = "nothing is left behind after the teardown"


def seen(history: History) -> Teardown | None:
    """Return what the last listing found; None when nobody looked."""
    last = None
    for event in history.of(Residue):
        last = Teardown(clean=event.clean and not event.items, residue=event.items)
    return last


def judge(history: History, params: Params) -> Finding:
    """Judge the last listing."""
    found = seen(history)
    left = found.residue if found else ()
    dirty = found is not None and not found.clean
    evidence = [Evidence(what=f"left behind: {item}", observed=item) for item in left]
    return conclude(
        CLAIM,
        examined=0 if found is None else 1,
        required=1,
        violations=max(len(left), 1) if dirty else 0,
        evidence=evidence,
        observed=f"{plural(len(left), 'thing')} left" if found else "nobody looked",
        limit="nothing",
        reason="" if evidence else "the listing was not clean",
        untested="nobody looked for residue",
        figures={"left": len(left)},
    )


def plant(history: History, params: Params, seed: int) -> Planted:
    """Plant a process that was left behind, and a listing that says not clean without saying why."""
    if seen(history) is None:
        return
    for label, items in (("a process is left", (f"process planted-{seed}",)), ("not clean", ())):
        yield label, history.with_events((*history.events, Residue(t_ns=history.end_ns, clean=False, items=items)))


CHECK = Check(
    kind="teardown",
    summary="nothing is left behind, by an independent listing",
    params=(),
    needs=frozenset(),
    judge=judge,
    plant=plant,
)
