"""Every check on tiny changes of one healthy run: what passes, fails, is inconclusive, or was not tested."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from judge_samples import CHECKS_OF_PLAN, FAULTS, at, healthy, plan

from seatrial.history import (
    NONE,
    CrewEvent,
    FaultEvent,
    Flag,
    History,
    IdentitySeen,
    Interruption,
    LogCount,
    LogMatch,
    OpOutcome,
    ProbeSample,
    ProcessEvent,
    Residue,
    ResourceSample,
    no_history,
)
from seatrial.judge.base import complete
from seatrial.judge.series import spoil_ops, spoil_probes
from seatrial.judge.table import CHECKS
from seatrial.verdict import Finding, Outcome

Change = Callable[[History], History]


def judged(name: str, history: History, **more: Any) -> Finding:
    kind, params = CHECKS_OF_PLAN[name]
    check = CHECKS[kind]
    return check.judge(history, complete(check, {**params, **more}, check.facts(plan())))


def without(*kinds: type) -> Change:
    return lambda h: h.with_events(tuple(e for e in h.events if not isinstance(e, kinds)))


def having(*events: Any) -> Change:
    return lambda h: h.with_events((*h.events, *events))


def changed(kind: type, test: Callable[[Any], bool], **fields: Any) -> Change:
    def change(history: History) -> History:
        found = (msgspec.structs.replace(e, **fields) if isinstance(e, kind) and test(e) else e for e in history.events)
        return history.with_events(tuple(found))

    return change


def dropped(kind: type, test: Callable[[Any], bool]) -> Change:
    return lambda h: h.with_events(tuple(e for e in h.events if not (isinstance(e, kind) and test(e))))


def column(name: str, value: int, rows: Callable[[Any], Any]) -> Change:
    def change(history: History) -> History:
        data = getattr(history.ops, name).copy()
        data[rows(history.ops)] = value
        return history.with_ops(history.ops.with_columns(**{name: data}))

    return change


def readbacks(ops: Any) -> Any:
    return np.flatnonzero(ops.flags & Flag.READBACK)


def leaking(history: History) -> History:
    found = []
    for event in history.events:
        if isinstance(event, ResourceSample):
            second = (event.t_ns - at(0)) / 1e9
            event = msgspec.structs.replace(
                event, rss=event.rss + round(second * 1_000_000), fds=event.fds + round(second)
            )
        found.append(event)
    return history.with_events(tuple(found))


def slow(history: History) -> History:
    ended = history.ops.ended_ns.copy()
    ended[::10] += 1_000_000_000
    return history.with_ops(history.ops.with_columns(ended_ns=ended))


PASS, FAIL, INCONCLUSIVE, NOT_TESTED = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.NOT_TESTED
F2 = FAULTS[1][0]
TABLE: list[tuple[str, Change, Outcome]] = [
    ("durability", column("result", NONE, lambda o: readbacks(o)[3]), FAIL),
    ("durability", column("outcome", OpOutcome.FAIL, readbacks), NOT_TESTED),
    ("durability", column("outcome", OpOutcome.UNKNOWN, lambda o: readbacks(o)[:5]), NOT_TESTED),
    ("session", column("result", NONE, lambda o: np.flatnonzero(o.verb == 2)[100]), FAIL),
    ("session", column("flags", Flag.HOT, lambda o: slice(None)), NOT_TESTED),
    ("accounting", column("outcome", OpOutcome.IN_FLIGHT, lambda o: 5), FAIL),
    ("accounting", column("ended_ns", 1, lambda o: 5), FAIL),
    ("accounting", having(CrewEvent(t_ns=at(5), worker=0, what="crashed")), INCONCLUSIVE),
    ("accounting", having(Interruption(t_ns=at(5), by="signal")), INCONCLUSIVE),
    ("availability", lambda h: spoil_probes(h, "", [(at(30), at(50))]), FAIL),
    ("availability", lambda h: spoil_probes(h, "", [(at(0), at(50))]), FAIL),
    ("availability", dropped(ProbeSample, lambda e: e.t_ns > at(8)), FAIL),
    ("availability", without(ProbeSample), NOT_TESTED),
    ("ops_availability", lambda h: spoil_ops(h, [(at(18), at(24))]), FAIL),
    ("recovery", lambda h: spoil_probes(h, "", [(at(12), at(20))]), FAIL),
    ("recovery", lambda h: spoil_ops(h, [(at(27), at(100))]), FAIL),
    ("recovery", dropped(FaultEvent, lambda e: e.what == "verified" and e.id == F2), NOT_TESTED),
    ("recovery", without(FaultEvent), NOT_TESTED),
    ("success outside", column("outcome", OpOutcome.FAIL, lambda o: slice(0, 200)), FAIL),
    ("success outside", lambda h: h.with_ops(h.ops.take(np.arange(10))), NOT_TESTED),
    ("p99 before", slow, FAIL),
    ("p99 before", column("outcome", OpOutcome.FAIL, lambda o: slice(0, 40)), FAIL),
    ("p99 before", lambda h: h.with_ops(h.ops.take(np.arange(150))), NOT_TESTED),
    ("stability", having(ProcessEvent(t_ns=at(20), process="web", what="exit", code=1)), FAIL),
    ("stability", having(ProcessEvent(t_ns=at(20), process="web", what="start", by="restart-policy")), FAIL),
    ("stability", dropped(ProcessEvent, lambda e: e.t_ns > at(26)), FAIL),
    ("stability", without(ProcessEvent), NOT_TESTED),
    ("stop", having(ProcessEvent(t_ns=at(46), process="web", what="killed-after-grace", pid=12, took_s=10.0)), FAIL),
    ("stop", without(ProcessEvent), NOT_TESTED),
    ("leak", leaking, FAIL),
    ("fd leak", leaking, FAIL),
    ("leak", dropped(ResourceSample, lambda e: e.t_ns > at(9)), NOT_TESTED),
    ("leak", without(ResourceSample), NOT_TESTED),
    ("reactions", dropped(LogMatch, lambda e: e.line.endswith(F2)), FAIL),
    ("reactions", changed(LogMatch, lambda e: e.line.endswith(F2), t_ns=at(90)), FAIL),
    ("reactions", dropped(FaultEvent, lambda e: e.what == "verified"), NOT_TESTED),
    ("logs", having(LogMatch(t_ns=at(9), process="web", pattern="panic", line="panic: x")), FAIL),
    ("logs", changed(LogCount, lambda e: e.pattern == "panic", count=2), FAIL),
    ("logs", changed(LogCount, lambda e: True, lines=0, count=0), NOT_TESTED),
    ("logs", without(LogCount), NOT_TESTED),
    ("identity", changed(IdentitySeen, lambda e: e.source == "app", ok=False, observed="0.9"), FAIL),
    ("identity", dropped(IdentitySeen, lambda e: e.moment == "readback"), NOT_TESTED),
    ("identity", dropped(IdentitySeen, lambda e: e.source == "app"), NOT_TESTED),
    ("faults", dropped(FaultEvent, lambda e: e.id == F2), NOT_TESTED),
    ("faults", dropped(FaultEvent, lambda e: e.what == "verified"), NOT_TESTED),
    ("faults", dropped(FaultEvent, lambda e: e.what == "gone"), INCONCLUSIVE),
    ("teardown", having(Residue(t_ns=at(48), clean=False, items=("process 99 web",))), FAIL),
    ("teardown", without(Residue), NOT_TESTED),
]


@pytest.mark.proves("S0-36", "S0-39", "S1-23", "S1-24", "S2-41", "S2P-12")
@pytest.mark.parametrize(("name", "change", "outcome"), TABLE, ids=[f"{i}-{n}" for i, (n, _, _) in enumerate(TABLE)])
def test_a_changed_run_comes_out_as_it_must(name: str, change: Change, outcome: Outcome) -> None:
    finding = judged(name, change(healthy()))
    assert finding.outcome is outcome, (finding.reason, finding.observed)
    assert finding.reason
    if outcome is FAIL:
        assert finding.evidence


@pytest.mark.parametrize("name", CHECKS_OF_PLAN)
def test_a_healthy_run_passes(name: str) -> None:
    finding = judged(name, healthy())
    assert finding.outcome is PASS, finding.reason
    assert finding.examined >= finding.required >= 1


@pytest.mark.proves("S0-46", "S1P-6", "H-2")
@pytest.mark.parametrize("name", CHECKS_OF_PLAN)
def test_nothing_at_all_is_never_a_pass(name: str) -> None:
    assert judged(name, no_history()).outcome is NOT_TESTED


@pytest.mark.proves("S0-62")
def test_each_kind_of_check_is_in_the_table_of_this_test() -> None:
    elsewhere = {"model"}  # test_model_check.py: it judges ops of another sort
    assert {kind for kind, _ in CHECKS_OF_PLAN.values()} == set(CHECKS) - elsewhere
    failing = {CHECKS_OF_PLAN[name][0] for name, _, outcome in TABLE if outcome is FAIL}
    assert failing == set(CHECKS) - {"faults"} - elsewhere  # a fault that did not bite is never the app's failure


@pytest.mark.parametrize("kind", CHECKS)
def test_every_limit_is_a_parameter_with_a_default_or_required(kind: str) -> None:
    check = CHECKS[kind]
    assert check.summary
    assert all(p.help and (p.required or p.default is not None) for p in check.params)


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="no parameter 'nonsense'"):
        complete(CHECKS["durability"], {"nonsense": 1})
    with pytest.raises(ValueError, match="needs a value for 'max'"):
        complete(CHECKS["latency"], {})


def test_a_lost_write_names_the_op_the_fault_and_the_time() -> None:
    history = healthy()
    row = int(readbacks(history.ops)[3])
    finding = judged("durability", column("result", NONE, lambda o: row)(history))
    first = finding.evidence[0]
    assert first.ops[-1] == row
    assert first.observed == "absent"
    assert first.at is not None
    assert finding.figures["lost"] == 1
    assert finding.figures["undone_ops"] >= 1
    assert any(name.startswith("harmed_by:") for name in finding.figures)


@pytest.mark.proves("H-3")
def test_an_outage_is_split_at_the_end_of_the_fault_window() -> None:
    """Dead from the fault until 10 s after it: with 5 s to settle, 5 s of the gap lie outside."""
    finding = judged("availability", spoil_probes(healthy(), "", [(at(9.9), at(22))]))
    assert 5 <= finding.figures["gap_outside_s"] <= 6
    assert finding.figures["gap_in_fault_s"] >= 12


def test_failed_ops_cannot_make_a_quantile_look_fast() -> None:
    change = column("outcome", OpOutcome.FAIL, lambda o: slice(0, 40))
    assert judged("p99 before", change(healthy())).observed == "never answered"
    assert judged("p99 before", change(healthy()), failed="left-out").outcome is PASS


def test_a_restart_does_not_hide_a_leak_and_is_none_itself() -> None:
    restarted = having(ProcessEvent(t_ns=at(30), process="web", what="start"))
    assert judged("leak", restarted(leaking(healthy()))).outcome is FAIL
