"""The life of a trial over fakes in virtual time: order, skips, ends, interrupts, bugs of ours, a full disk."""

from __future__ import annotations

import asyncio
import errno
import math

import pytest

from seatrial import plan as plans
from seatrial.errors import EnvironmentTrouble, NotReady, StageFailed, UsageError
from seatrial.history import Interruption, Residue, StageEvent
from seatrial.ports import Claim
from seatrial.testing import FakeTrial, fake_fault, fake_plan, run_virtual

ALL = ["install", "ready", "drive", "heal", "quiesce", "readback", "teardown"]


def run(trial: FakeTrial) -> FakeTrial:
    run_virtual(trial.run())
    return trial


def interrupted_at(trial: FakeTrial, second: float, again: float | None = None) -> FakeTrial:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(second, trial.trial.interrupt)
        if again is not None:
            loop.call_later(again, trial.trial.interrupt)
        await trial.run()

    run_virtual(main())
    return trial


def harmed(**script: object) -> FakeTrial:
    """A trial with one fault from second 2, for 3 s."""
    fault = plans.PlannedFault(id="f1", kind="harm", target="web", trigger=plans.Trigger(at_s=2.0), hold_s=3.0)
    return FakeTrial(fake_plan(faults=(fault,)), faults={"harm": fake_fault(script=script)})  # type: ignore[arg-type]


def is_ended(trial: FakeTrial) -> None:
    """Everything that was made was ended, whatever happened."""
    assert set(trial.deployment.state.values()) == {"down"}
    assert trial.closed_links == bool(trial.links)
    assert not trial.ledger.entries
    if trial.crew.calls:
        assert trial.crew.calls[-1] == "close"
    if trial.observer.calls:
        assert trial.observer.calls[-1] == "stop"
    assert [e.stage for e in trial.of(StageEvent)][-1] == "teardown"
    assert len(trial.of(Residue)) == 1


@pytest.mark.proves("S0-50", "S3-1")
def test_stages_in_order_and_every_part_in_its_time() -> None:
    trial = run(FakeTrial())
    assert trial.outcomes() == dict.fromkeys(ALL, "pass")
    said = [(e.stage, e.what) for e in trial.of(StageEvent)]
    assert said == [(stage, what) for stage in ALL for what in ("begin", "end")]
    assert trial.deployment.calls == ["start by engine", "teardown"]
    assert trial.crew.calls == ["start", "drive", "calm", "readback", "close"]
    assert trial.observer.calls == ["start health", "stop"]
    assert trial.of(Residue)[0].clean
    times = [e.t_ns for e in trial.events]
    assert times == sorted(times)
    is_ended(trial)


@pytest.mark.proves("S3-7")
@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (NotReady("web: no answer"), "fail", "web: no answer"),
        (StageFailed("port taken", outcome="environment"), "environment", "port taken"),
        (EnvironmentTrouble("no disk"), "environment", "no disk"),
        (OSError(errno.ENOSPC, "No space left on device"), "environment", "[Errno 28] No space left on device"),
        (UsageError("a bad pattern"), "inconclusive", "a bad pattern"),
        (TimeoutError("inside"), "inconclusive", "a bug of seatrial: TimeoutError: inside"),
        (KeyError("x"), "inconclusive", "a bug of seatrial: KeyError: 'x'"),
    ],
)
def test_a_stage_that_fails_skips_the_rest_and_tears_down(error: Exception, outcome: str, reason: str) -> None:
    trial = FakeTrial()
    trial.deployment.script = {"start": error}
    run(trial)
    assert trial.outcomes()["ready"] == outcome
    assert trial.reason("ready") == reason
    for stage in ("drive", "heal", "quiesce", "readback"):
        assert (trial.outcomes()[stage], trial.reason(stage)) == ("not-tested", f"skipped: stage ready was {outcome}")
    assert trial.outcomes()["teardown"] == "pass"
    assert (trial.trial.bugs == [error]) == reason.startswith("a bug of seatrial")
    is_ended(trial)


@pytest.mark.parametrize("step", ["install", "links", "prepare"])
def test_an_installation_that_breaks_leaves_nothing(step: str) -> None:
    trial = run(FakeTrial(script={step: EnvironmentTrouble("no network")}))
    assert trial.outcomes()["install"] == "environment"
    assert not trial.deployment.calls
    assert trial.closed_links == (step != "install")
    assert not trial.ledger.entries


@pytest.mark.parametrize(
    ("stage", "outcome"),
    [("ready", "fail"), ("drive", "inconclusive"), ("quiesce", "inconclusive"), ("readback", "fail")],
)
def test_a_stage_that_never_ends_is_bounded(stage: str, outcome: str) -> None:
    trial = FakeTrial()
    step = {"ready": "start", "drive": "drive", "quiesce": "calm", "readback": "readback"}[stage]
    (trial.deployment if stage == "ready" else trial.crew).script = {step: math.inf}
    run(trial)
    assert (trial.outcomes()[stage], trial.reason(stage)) == (outcome, "not done within 60 s")
    is_ended(trial)


@pytest.mark.proves("S3-14")
def test_wrong_identity_ends_the_trial() -> None:
    trial = FakeTrial()
    claim = Claim(artefact="app", source="app", expected="2", observed="1", ok=False)
    trial.deployment.script = {"claims": lambda: [claim]}
    run(trial)
    assert trial.reason("ready") == "wrong identity: app by app: wanted '2', is '1'"
    assert not trial.crew.calls
    is_ended(trial)


@pytest.mark.proves("S0-29")
def test_heal_and_quiesce_run_also_when_drive_fails_and_when_the_plan_lacks_them() -> None:
    stages = tuple(plans.Stage(name=name, within_s=60.0) for name in ("install", "ready", "drive", "readback"))
    fault = plans.PlannedFault(id="f1", kind="harm", target="web", trigger=plans.Trigger(at_s=1.0), hold_s=30.0)
    kind = fake_fault()
    trial = FakeTrial(fake_plan(stages=stages, faults=(fault,)), faults={"harm": kind})
    trial.crew.length_s = 3.0
    run(trial)
    assert list(trial.outcomes()) == ["install", "ready", "drive", "readback", "heal", "quiesce", "teardown"]
    assert trial.life("f1")[-2:] == ["healed", "gone"]
    assert "calm" in trial.crew.calls
    is_ended(trial)


def test_a_lost_crew_skips_readback_but_faults_are_healed() -> None:
    trial = harmed()

    async def lose() -> None:
        await asyncio.sleep(3.0)
        raise StageFailed("worker 0 crashed", outcome="inconclusive")

    trial.crew.script = {"drive": lose, "calm": StageFailed("worker 0 crashed", outcome="inconclusive")}
    run(trial)
    assert (trial.outcomes()["drive"], trial.reason("drive")) == ("inconclusive", "worker 0 crashed")
    assert trial.life("f1") == ["planned", "injecting", "injected", "verified", "healing", "healed", "gone"]
    assert trial.outcomes()["readback"] == "not-tested"
    is_ended(trial)


@pytest.mark.proves("S0-47", "S0-48")
def test_loud_users_make_quiesce_inconclusive() -> None:
    trial = FakeTrial()
    trial.crew.script = {"calm": lambda: ["user 3: put"]}
    run(trial)
    assert trial.outcomes()["quiesce"] == "inconclusive"
    assert trial.reason("quiesce") == "not quiet within 54 s: user 3: put"
    assert trial.outcomes()["readback"] == "not-tested"


@pytest.mark.proves("H-19")
def test_early_abort_when_the_service_is_dead_for_too_long() -> None:
    trial = FakeTrial(fake_plan(early_abort=plans.EarlyAbort(dead_s=2.0, probe="health")))
    trial.crew.script = {"start": lambda: trial.observer.dead_since_ns.update(health=1003 * 10**9)}
    run(trial)
    assert trial.outcomes()["drive"] == "fail"
    assert trial.reason("drive").startswith("stopped early: probe 'health' has been failing for 2.")
    assert [i.by for i in trial.of(Interruption)] == ["limit"]
    drive = [e.t_ns / 1e9 for e in trial.of(StageEvent) if e.stage == "drive"]
    assert drive[1] - drive[0] == pytest.approx(5.2, abs=0.21)
    is_ended(trial)


def test_heal_waits_for_the_probes_and_says_which_still_fail() -> None:
    trial = FakeTrial()
    trial.crew.script = {"drive": lambda: trial.observer.dead_since_ns.update(health=1000 * 10**9)}
    run(trial)
    assert trial.outcomes()["heal"] == "fail"
    assert trial.reason("heal").startswith("no fault is in force any more, and these probes still fail: health for ")
    is_ended(trial)


def test_a_probe_that_comes_back_lets_the_trial_go_on() -> None:
    trial = FakeTrial()

    def fail() -> None:
        trial.observer.dead_since_ns["health"] = 1000 * 10**9
        asyncio.get_running_loop().call_later(15, trial.observer.dead_since_ns.clear)

    trial.crew.script = {"drive": fail}
    assert run(trial).outcomes() == dict.fromkeys(ALL, "pass")


def test_a_plan_without_users_and_faults_has_nothing_to_heal_and_nobody_to_quiet() -> None:
    trial = run(FakeTrial(fake_plan(crew=None)))
    assert trial.outcomes() == dict.fromkeys(ALL, "pass")
    assert trial.reason("quiesce") == "there are no users"


def test_stop_and_restart_stages() -> None:
    stages = tuple(plans.Stage(name=n, within_s=60.0) for n in ("install", "ready", "restart", "stop"))
    trial = run(FakeTrial(fake_plan(stages=stages)))
    assert trial.deployment.calls == [
        "start by engine",
        "stop by engine",
        "start by engine",
        "stop by engine",
        "teardown",
    ]
    assert trial.reason("stop") == "web exited after 0.0 s (code 0)"


def test_a_stage_that_does_not_exist_is_said() -> None:
    trial = run(FakeTrial(fake_plan(stages=(plans.Stage(name="fly", within_s=1.0),))))
    assert trial.outcomes()["fly"] == "not-tested"
    assert trial.reason("fly").startswith("there is no stage 'fly'; there are: install, ready, drive")


# ---- interrupts ---------------------------------------------------------------------------------------------


def slow() -> FakeTrial:
    """A trial whose every step takes one second: install 0-2, ready 2-5, drive 5-16, ... and a fault from 8 to 11."""
    trial = harmed(inject=1.0, heal=1.0)
    trial.script = {"install": 1.0, "prepare": 1.0, "links_close": 1.0}
    trial.deployment.script = {"start": 1.0, "claims": lambda: asyncio.sleep(1.0, []), "teardown": 1.0, "residue": 1.0}
    trial.crew.script = dict.fromkeys(("start", "readback", "close"), 1.0)
    trial.crew.script = {**trial.crew.script, "calm": lambda: asyncio.sleep(1.0, [])}
    trial.observer.script = {"start": 1.0, "stop": 1.0}
    return trial


@pytest.mark.proves("S3-7")
@pytest.mark.parametrize("second", [0.5 + n for n in range(26)])
@pytest.mark.parametrize("again", [None, 0.3, 2.0])
def test_an_interrupt_at_every_second_heals_and_tears_down(second: float, again: float | None) -> None:
    trial = interrupted_at(slow(), second, None if again is None else second + again)
    is_ended(trial)
    outcomes = trial.outcomes()
    assert outcomes["teardown"] == "pass"
    if "injecting" in trial.life("f1"):
        assert trial.life("f1")[-2:] == ["healed", "gone"]
    begun = {e.stage for e in trial.of(StageEvent) if e.what == "begin"}
    assert begun <= set(outcomes), "a stage began and did not end"
    if trial.trial.interrupted:
        assert [i.by for i in trial.of(Interruption)] == ["signal"]
        assert set(ALL) == set(outcomes)
        assert any(trial.reason(stage) in ("interrupted", "skipped: interrupted") for stage in ALL) or second > 17
    else:
        assert set(outcomes.values()) == {"pass"}


def test_an_interrupt_before_the_first_stage() -> None:
    trial = FakeTrial()

    async def main() -> None:
        trial.trial.interrupt()
        await trial.run()

    run_virtual(main())
    assert trial.reason("install") == "skipped: interrupted"
    is_ended(trial)


def test_cancelling_the_trial_is_an_interrupt_and_never_breaks_off_the_teardown() -> None:
    trial = slow()

    async def main() -> None:
        task = asyncio.create_task(trial.run())
        for _ in range(20):
            await asyncio.sleep(0.9)
            task.cancel()
        await task

    run_virtual(main())
    assert trial.trial.interrupted
    is_ended(trial)


def test_an_interrupt_ends_the_hold_and_is_no_interruption() -> None:
    trial = FakeTrial()
    held: list[float] = []

    async def hold(deployment: object) -> None:
        held.append(asyncio.get_running_loop().time())
        await asyncio.Event().wait()

    async def main() -> None:
        asyncio.get_running_loop().call_later(100, trial.trial.interrupt)
        await trial.run(hold)

    run_virtual(main())
    assert len(held) == 1
    assert not trial.trial.interrupted
    assert not trial.of(Interruption)
    is_ended(trial)


def test_nobody_is_held_after_an_interrupt_and_a_hold_that_breaks_holds_nothing_up() -> None:
    trial, broken = slow(), FakeTrial()
    called: list[object] = []

    async def hold(deployment: object) -> None:
        called.append(deployment)
        raise ValueError("a bug")

    async def main() -> None:
        asyncio.get_running_loop().call_later(7, trial.trial.interrupt)
        await trial.run(hold)
        assert not called
        await broken.run(hold)

    run_virtual(main())
    assert [str(bug) for bug in broken.trial.bugs] == ["a bug"]
    is_ended(broken)


# ---- ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [StageFailed("stuck"), OSError(errno.EPERM, "not permitted"), ValueError("a bug"), math.inf]
)
@pytest.mark.parametrize("part", ["crew", "observer", "deployment", "links"])
def test_a_part_that_does_not_end_keeps_no_other_from_ending(part: str, error: Exception | float) -> None:
    trial = FakeTrial()
    if part == "links":
        trial.script = {"links_close": error}
    else:
        step = {"crew": "close", "observer": "stop", "deployment": "teardown"}[part]
        getattr(trial, part).script = {step: error}
    run(trial)
    expected = "not done within 80 s" if error is math.inf else str(error)
    assert f"{part}: " in trial.reason("teardown")
    assert expected in trial.reason("teardown")
    assert "close" in trial.crew.calls
    assert "stop" in trial.observer.calls
    assert "teardown" in trial.deployment.calls
    assert trial.closed_links
    assert trial.outcomes()["teardown"] == ("fail" if part == "deployment" else "inconclusive")
    assert trial.of(Residue)[0].clean == (part != "deployment")


@pytest.mark.proves("S3-9")
def test_what_is_left_is_loud() -> None:
    trial = FakeTrial()
    trial.deployment.left = ["files in work"]
    trial.left = ["process 12 (helper)"]
    run(trial)
    assert trial.of(Residue)[0].items == ("files in work", "process 12 (helper)")
    assert trial.outcomes()["teardown"] == "fail"
    assert trial.ledger.entries, "what is left stays in the ledger, for the guardian"


def test_a_look_that_breaks_is_not_clean() -> None:
    trial = FakeTrial()
    trial.deployment.script = {"residue": OSError(errno.EMFILE, "too many open files")}
    run(trial)
    assert trial.of(Residue)[0].items == ("nobody could look at what the deployment left",)
    assert trial.outcomes()["teardown"] == "fail"


def test_a_journal_on_a_full_disk_ends_the_run_and_nothing_else() -> None:
    trial = harmed()
    script: dict[str, object] = {}
    trial.script = script  # type: ignore[assignment]

    async def main() -> None:
        full = EnvironmentTrouble("cannot write events.jsonl: No space left on device")
        asyncio.get_running_loop().call_later(3.5, script.__setitem__, "emit", full)
        await trial.run()

    run_virtual(main())
    assert trial.trial.failed == "stage drive was environment"
    assert set(trial.deployment.state.values()) == {"down"}
    assert trial.crew.calls[-1] == "close"
    assert not trial.ledger.entries
    assert "calm" in trial.crew.calls


def test_events_that_could_not_be_written_are_written_in_order_when_there_is_room_again() -> None:
    trial = harmed()
    script: dict[str, object] = {}
    trial.script = script  # type: ignore[assignment]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(4.0, script.__setitem__, "emit", OSError(errno.ENOSPC, "No space left on device"))
        trial.crew.script = {"calm": script.clear}
        await trial.run()

    run_virtual(main())
    is_ended(trial)
    assert trial.outcomes()["drive"] == "environment"
    assert [e.stage for e in trial.of(StageEvent) if e.what == "begin"][:5] == [
        "install",
        "ready",
        "drive",
        "heal",
        "quiesce",
    ]
    assert trial.reason("drive").endswith("No space left on device")
    assert trial.reason("readback") == "skipped: stage drive was environment"
