"""The public kit: virtual time that cannot hang, and contracts that catch what breaks them."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from seatrial import kinds
from seatrial import plan as plans
from seatrial.history import History
from seatrial.ports import Fault, FaultWorld
from seatrial.testing import (
    ContractBroken,
    FakeDeployment,
    FakeTrial,
    MemoryLedger,
    VirtualClock,
    WaitsForever,
    check_check,
    check_fault,
    fake_fault,
    fake_plan,
    run_virtual,
)
from seatrial.verdict import Finding, Outcome

PLANNED = plans.PlannedFault(id="f1", kind="harm", target="web", trigger=plans.Trigger(at_s=1.0), hold_s=2.0)


def test_virtual_time_passes_at_once_and_in_order() -> None:
    seen: list[tuple[float, str]] = []

    async def one(name: str, seconds: float) -> None:
        clock, began = VirtualClock(), VirtualClock().now_ns()
        await clock.sleep(seconds)
        seen.append(((clock.now_ns() - began) / 1e9, name))

    async def main() -> None:
        await asyncio.gather(one("day", 86_400), one("second", 1), one("minute", 60))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.Event().wait()

    began = time.monotonic()
    run_virtual(main())
    assert time.monotonic() - began < 2.0
    assert seen == [(1.0, "second"), (60.0, "minute"), (86_400.0, "day")]


def test_waiting_for_ever_is_an_error_and_a_thread_is_waited_for() -> None:
    with pytest.raises(WaitsForever):
        run_virtual(asyncio.Event().wait())
    assert run_virtual(asyncio.to_thread(lambda: time.sleep(0.05) or 7)) == 7


def world(ledger: MemoryLedger) -> FaultWorld:
    return FaultWorld(
        plan=fake_plan(), deployment=FakeDeployment(), links={}, ledger=ledger, clock=VirtualClock(),
        rng=Random(1), emit=lambda event: None, run="fake",
    )  # fmt: skip


class Sound(fake_fault()):  # type: ignore[misc]
    """A fault that measures: its effect is an entry in `inside`."""

    def __init__(self, planned: plans.PlannedFault, world: FaultWorld) -> None:
        super().__init__(planned, world)
        self.inside = False

    async def inject(self) -> None:
        await super().inject()
        await asyncio.sleep(1)
        self.inside = True

    async def verify(self) -> dict[str, Any]:
        from seatrial.ports import NotBitten

        if not self.inside:
            raise NotBitten("there is no effect")
        return {"effect": True}

    async def heal(self) -> None:
        self.inside = False


def held(kind: type[Fault]) -> None:
    ledger = MemoryLedger()
    run_virtual(check_fault(lambda: kind(PLANNED, world(ledger)), ledger))


def test_a_sound_fault_keeps_the_contract() -> None:
    held(Sound)


def broken(**changes: Any) -> type[Fault]:
    return type("Broken", (Sound,), changes)


async def _never_fails(self: Any) -> dict[str, Any]:
    return {"effect": True}


async def _nothing(self: Any) -> dict[str, Any]:
    return {}


async def _object(self: Any) -> dict[str, Any]:
    return {"effect": object()} if self.inside else await Sound.verify(self)


async def _heal_once(self: Any) -> None:
    if not self.inside:
        raise RuntimeError("nothing to heal")
    self.inside = False


async def _leave_open(self: Any) -> dict[str, Any]:
    return {"gone": True}


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (broken(KIND="Not A Name"), "is no lower-case-name"),
        (broken(SUMMARY=" "), "SUMMARY says nothing"),
        (broken(TARGETS=("moon",)), "TARGETS are of"),
        (broken(NEEDS=("magic",)), "NEEDS are names that `seatrial doctor` knows"),
        (broken(verify=_never_fails), "verify finds the effect after it was healed: it does not measure"),
        (broken(verify=_nothing), "verify returns no details"),
        (broken(verify=_object), "verify returns what JSON cannot hold"),
        (broken(heal=_heal_once), "heal without inject raises RuntimeError: nothing to heal"),
        (broken(verify_gone=_leave_open), "after verify_gone its ledger entries are still open"),
    ],
)
def test_what_breaks_the_contract_of_a_fault_is_said(kind: type[Fault], says: str) -> None:
    with pytest.raises((ContractBroken, RuntimeError)) as caught:
        held(kind)
    assert says in str(caught.value) or "nothing to heal" in str(caught.value)


def whole_history() -> History:
    """A run with one fault that went the whole way."""
    trial = FakeTrial(fake_plan(faults=(PLANNED,)), faults={"harm": fake_fault()})
    run_virtual(trial.run())
    return trial.history()


@pytest.mark.parametrize("kind", ["faults", "teardown", "identity"])
def test_checks_keep_their_contract_on_the_history_of_a_fake_trial(kind: str) -> None:
    assert check_check(kinds.checks()[kind], whole_history()).outcome is Outcome.PASS


def always(outcome: Outcome, examined: int, required: int) -> Callable[..., Finding]:
    return lambda history, params: Finding(
        name="", claim="all is well", outcome=outcome, examined=examined, required=required
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"judge": always(Outcome.PASS, 5, 1)}, "it passes on an empty history"),
        ({"judge": always(Outcome.PASS, 5, 1)}, "it misses what it plants"),
        ({"judge": always(Outcome.PASS, 0, 0)}, "nothing is required, so it would pass vacuously"),
        ({"judge": always(Outcome.PASS, 1, 3)}, "it passes with 1 examined of 3 required"),
        ({"judge": always(Outcome.FAIL, 1, 1)}, "it does not pass on the history given"),
        ({"plant": lambda history, params, seed: ()}, "it plants no violation"),
        ({"kind": "Tear Down"}, "is no lower-case-name"),
    ],
)
def test_what_breaks_the_contract_of_a_check_is_said(changes: dict[str, Any], says: str) -> None:
    check = dataclasses.replace(kinds.checks()["teardown"], **changes)
    with pytest.raises(ContractBroken, match=says):
        check_check(check, whole_history())


def test_a_script_that_never_ends_ends_with_its_stage() -> None:
    trial = FakeTrial()
    trial.crew.script = {"start": math.inf}
    run_virtual(trial.run())
    assert trial.reason("drive") == "not done within 60 s"
