"""The life of faults over fakes in virtual time: triggers, blast radius, holds, steps that break, and that all heal."""

from __future__ import annotations

import asyncio
import math
from random import Random

import pytest

from seatrial import plan as plans
from seatrial.errors import EnvironmentTrouble, NotReady, StageFailed
from seatrial.history import FaultEvent, StageEvent
from seatrial.plan import BlastRadius, PlannedFault, Trigger
from seatrial.ports import Fault, FaultWorld, NotBitten
from seatrial.testing import FakeTrial, Script, fake_fault, fake_plan, run_virtual

WHOLE = ["planned", "injecting", "injected", "verified", "healing", "healed", "gone"]


def planned(fault: str, at_s: float, target: str = "web", hold_s: float = 2.0, kind: str = "harm") -> PlannedFault:
    return PlannedFault(id=fault, kind=kind, target=target, trigger=Trigger(at_s=at_s), hold_s=hold_s)


def trial_of(
    *faults: PlannedFault,
    kinds: dict[str, type[Fault]] | None = None,
    script: Script | None = None,
    radius: BlastRadius | None = None,
    stages: tuple[plans.Stage, ...] = (),
    names: tuple[str, ...] = ("web", "db"),
) -> FakeTrial:
    changes: dict[str, object] = {"stages": stages} if stages else {}
    processes = tuple(plans.Process(name=name, command=(name,), ports=("http",)) for name in names)
    plan = fake_plan(faults=faults, blast_radius=radius or BlastRadius(), processes=processes, **changes)
    return FakeTrial(plan, faults=kinds or {"harm": fake_fault(script=script)})


def run(trial: FakeTrial) -> FakeTrial:
    run_virtual(trial.run())
    assert not trial.ledger.entries or trial.left
    return trial


def at(trial: FakeTrial, fault: str, what: str) -> float:
    """When a step of a fault was, in seconds after drive began."""
    drive = next(e.t_ns for e in trial.of(StageEvent) if e.stage == "drive")
    return next(e.t_ns - drive for e in trial.of(FaultEvent) if (e.id, e.what) == (fault, what)) / 1e9


def reason(trial: FakeTrial, fault: str) -> str:
    return next(e.reason for e in trial.of(FaultEvent) if (e.id, e.what) == (fault, "failed"))


def test_a_whole_life_with_its_times_and_its_steps_in_order() -> None:
    trial = run(trial_of(planned("f1", 3.0)))
    assert trial.life("f1") == WHOLE
    assert [at(trial, "f1", what) for what in ("planned", "injected", "healing")] == pytest.approx([3.0, 3.0, 5.0])
    steps = ["preflight", "inject", "verify", "heal", "verify_gone"]
    assert trial.trial.parts.faults["harm"].steps == [("f1", step) for step in steps]  # type: ignore[attr-defined]
    assert trial.outcomes()["heal"] == "pass"


def test_the_hold_counts_from_injected_and_a_fault_that_does_not_hold_heals_at_once() -> None:
    kinds = {"harm": fake_fault(script={"verify": 0.5}), "flash": fake_fault("flash", holds=False)}
    trial = run(trial_of(planned("f1", 1.0), planned("f2", 6.0, kind="flash", hold_s=3.0), kinds=kinds))
    assert at(trial, "f1", "healing") == pytest.approx(3.0)
    assert at(trial, "f2", "healing") == pytest.approx(6.0)


def test_triggers_by_stage_and_by_ops() -> None:
    stage = PlannedFault(id="f1", kind="harm", target="web", trigger=Trigger(kind="stage", stage="drive", at_s=1.5))
    restart = PlannedFault(id="f2", kind="harm", target="db", trigger=Trigger(kind="stage", stage="restart", at_s=0.5))
    ops = PlannedFault(id="f3", kind="harm", target="db", trigger=Trigger(kind="ops", ops=42))
    order = ("install", "ready", "drive", "restart", "heal", "quiesce", "readback")
    stages = tuple(plans.Stage(name=name, within_s=60.0) for name in order)
    trial = trial_of(stage, restart, ops, stages=stages, radius=BlastRadius(at_once=3))
    trial.deployment.script = {"stop": 2.0}
    run(trial)
    assert at(trial, "f1", "injected") == pytest.approx(1.5)
    assert at(trial, "f2", "injected") == pytest.approx(10.5)
    assert at(trial, "f3", "injected") == pytest.approx(4.2, abs=0.03)


@pytest.mark.parametrize("trigger", [Trigger(at_s=30.0), Trigger(kind="ops", ops=10**6)])
def test_a_fault_whose_time_never_comes_is_in_the_record(trigger: Trigger) -> None:
    trial = run(trial_of(PlannedFault(id="f1", kind="harm", target="web", trigger=trigger)))
    assert trial.life("f1") == ["planned", "failed"]
    assert reason(trial, "f1") == "did not begin before the faults were called off"
    assert trial.outcomes()["heal"] == "pass"


def test_the_end_of_drive_ends_the_hold_but_heals() -> None:
    trial = run(trial_of(planned("f1", 8.0, hold_s=100.0)))
    assert trial.life("f1") == WHOLE
    assert at(trial, "f1", "healing") == pytest.approx(10.0)


def test_a_healing_under_way_is_not_broken_off_by_the_end_of_drive() -> None:
    trial = run(trial_of(planned("f1", 7.0, hold_s=2.0), script={"heal": 5.0}))
    assert trial.life("f1") == WHOLE
    assert at(trial, "f1", "healed") == pytest.approx(14.0)
    assert trial.outcomes()["heal"] == "pass"


@pytest.mark.parametrize("step", ["preflight", "inject", "verify"])
def test_a_fault_that_is_broken_off_while_it_is_put_in_is_healed_and_says_so(step: str) -> None:
    trial = run(trial_of(planned("f1", 9.0), script={step: 5.0}))
    assert reason(trial, "f1") == f"{step}: broken off, because the faults were called off"
    healed = ["healing", "healed", "gone"] if step != "preflight" else []
    assert trial.life("f1")[-len(healed) :] == healed if healed else trial.life("f1") == ["planned", "failed"]
    assert trial.outcomes()["heal"] == "pass"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NotBitten("no effect"), "no effect"),
        (StageFailed("cannot"), "cannot"),
        (EnvironmentTrouble("no netem"), "no netem"),
        (OSError("odd"), "OSError: odd"),
        (TimeoutError("inside"), "TimeoutError: inside"),
        (ZeroDivisionError("a bug"), "a bug of the fault: ZeroDivisionError: a bug"),
    ],
)
@pytest.mark.parametrize("step", ["preflight", "inject", "verify"])
def test_a_step_that_breaks_while_it_is_put_in(step: str, error: Exception, said: str) -> None:
    trial = run(trial_of(planned("f1", 2.0), planned("f2", 6.0), script={step: error}))
    assert reason(trial, "f1") == f"{step}: {said}"
    expected = {
        "preflight": ["planned", "failed"],
        "inject": ["planned", "injecting", "failed", "healing", "healed", "gone"],
        "verify": ["planned", "injecting", "injected", "failed", "healing", "healed", "gone"],
    }[step]
    assert trial.life("f1") == trial.life("f2") == expected
    assert trial.outcomes()["heal"] == "pass"  # it is known to be gone; that it did not bite is for the checks


@pytest.mark.parametrize(
    ("error", "outcome", "said"),
    [
        (NotReady("web: no answer"), "fail", "web: no answer"),
        (StageFailed("disk", outcome="environment"), "environment", "disk"),
        (NotBitten("still there"), "inconclusive", "still there"),
        (KeyError("k"), "inconclusive", "a bug of the fault: KeyError: 'k'"),
        (math.inf, "inconclusive", "not done within 30 s"),
    ],
)
@pytest.mark.parametrize("step", ["heal", "verify_gone"])
def test_a_fault_that_is_not_known_to_be_gone_decides_the_heal_stage(
    step: str, error: Exception | float, outcome: str, said: str
) -> None:
    trial = trial_of(planned("f1", 2.0), script={step: error})
    trial.left = ["what the fault left"]
    run(trial)
    words = step.replace("_", " ")
    assert trial.life("f1")[-1] == "failed"
    assert reason(trial, "f1") == f"{words}: {said}"
    assert (trial.outcomes()["heal"], trial.reason("heal")) == (outcome, f"not healed: f1 (harm): {words}: {said}")
    assert trial.outcomes()["readback"] == "not-tested"
    assert set(trial.deployment.state.values()) == {"down"}


def test_a_healing_that_outlives_the_bound_is_named_and_ended_before_the_teardown() -> None:
    bounds = {"install": 60.0, "ready": 60.0, "drive": 60.0, "heal": 10.0}
    stages = tuple(plans.Stage(name=name, within_s=within_s) for name, within_s in bounds.items())
    trial = trial_of(planned("f1", 9.0, hold_s=0.5), stages=stages, script={"heal": 25.0})
    trial.left = ["something"]
    run(trial)
    assert trial.reason("heal") == "not healed: f1 (harm): still in heal after 9 s"
    teardown = next(e.t_ns for e in trial.of(StageEvent) if e.stage == "teardown")
    assert all(e.t_ns <= teardown for e in trial.of(FaultEvent))
    assert trial.deployment.calls[-1] == "teardown"


def test_a_step_that_will_not_be_cancelled_is_waited_for_before_it_is_healed() -> None:
    async def stubborn() -> None:
        for _ in range(3):
            try:
                await asyncio.sleep(20.0)
            except asyncio.CancelledError:
                continue

    trial = run(trial_of(planned("f1", 9.0), script={"inject": stubborn}))
    assert trial.life("f1") == ["planned", "injecting", "injected", "failed", "healing", "healed", "gone"]
    assert reason(trial, "f1") == "inject: broken off, because the faults were called off"
    assert trial.outcomes()["heal"] == "pass"


def test_a_constructor_that_breaks_is_in_the_record_and_the_others_go_on() -> None:
    class Broken(fake_fault("broken")):  # type: ignore[misc]
        def __init__(self, planned: PlannedFault, world: FaultWorld) -> None:
            raise RuntimeError("half done")

    trial = run(
        trial_of(planned("f1", 1.0, kind="broken"), planned("f2", 2.0), kinds={"broken": Broken, "harm": fake_fault()})
    )
    assert reason(trial, "f1") == "a bug of the fault: RuntimeError: half done"
    assert trial.life("f2") == WHOLE


# ---- blast radius -------------------------------------------------------------------------------------------


def overlaps(trial: FakeTrial, *faults: str) -> bool:
    """Return whether two faults were in at the same moment, from injecting to gone."""
    spans = [(at(trial, f, "injecting"), at(trial, f, "gone")) for f in faults]
    return spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1]


def test_one_at_once_by_default() -> None:
    trial = run(trial_of(planned("f1", 1.0), planned("f2", 1.5, target="db")))
    assert not overlaps(trial, "f1", "f2")


def test_as_many_at_once_as_allowed_but_never_two_on_one_target() -> None:
    faults = (planned("f1", 1.0), planned("f2", 1.5), planned("f3", 1.6, target="db"))
    trial = run(trial_of(*faults, radius=BlastRadius(at_once=2)))
    assert overlaps(trial, "f1", "f3"), "who waits for a target must not hold a place"
    assert not overlaps(trial, "f1", "f2")


def test_all_holds_every_process_and_links_are_targets_too() -> None:
    faults = (
        planned("f1", 1.0, target="all"),
        planned("f2", 1.1, target="db"),
        planned("f3", 1.2, target="link:front"),
    )
    trial = run(trial_of(*faults, planned("f4", 1.3, target="link:front"), radius=BlastRadius(at_once=9)))
    assert not overlaps(trial, "f1", "f2")
    assert overlaps(trial, "f1", "f3")
    assert not overlaps(trial, "f3", "f4")


def test_faults_on_all_that_meet_do_not_wait_for_each_other_for_ever() -> None:
    faults = [planned(f"f{n}", 1.0 + n / 10, target=t, hold_s=0.2) for n, t in enumerate(["all", "db", "all", "web"])]
    trial = run(trial_of(*faults, radius=BlastRadius(at_once=2)))
    assert [trial.life(f.id) for f in faults] == [WHOLE] * 4


def test_targets_and_the_number_in_all_are_enforced() -> None:
    faults = [planned("f1", 1.0), planned("f2", 2.0, target="db"), planned("f3", 4.0), planned("f4", 6.0)]
    trial = run(trial_of(*faults, radius=BlastRadius(targets=("web",), in_all=2)))
    assert reason(trial, "f2") == "blast radius: 'db' is not one of web"
    assert reason(trial, "f4") == "blast radius: 2 faults in all were already injected"
    assert [trial.life(f) for f in ("f1", "f3")] == [WHOLE] * 2
    assert "injecting" not in trial.life("f2") + trial.life("f4")


def test_each_fault_draws_from_the_seed_and_its_id_alone() -> None:
    drawn: dict[str, float] = {}

    class Drawing(fake_fault()):  # type: ignore[misc]
        async def inject(self) -> None:
            drawn[self.planned.id] = self.world.rng.random()
            await super().inject()

    run(trial_of(planned("f1", 1.0), planned("f2", 4.0), kinds={"harm": Drawing}))
    assert drawn == {"f1": Random("1/f1").random(), "f2": Random("1/f2").random()}
