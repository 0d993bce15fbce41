"""Process faults on real programs: each bites, proves it at the target, heals, and proves that it is gone."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent.parent / "runtimes"))

from deploykit import Rig

from seatrial.faults import measure
from seatrial.faults.process import CrashLoop, Kill, Pause, PowerCut, Restart, Stop
from seatrial.host import proc
from seatrial.params import check
from seatrial.plan import PlannedFault, Ready, Trigger
from seatrial.ports import Deployment, Fault, FaultWorld, NotBitten
from seatrial.runtimes import wire
from seatrial.runtimes.process import ProcessDeployment
from seatrial.store.ledger import read_ledger

ALL = (Kill, Stop, Restart, Pause, CrashLoop, PowerCut)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def fault(kind: type[Any], rig: Rig, deployment: Deployment, target: str, **params: Any) -> Fault:
    planned = PlannedFault(id="f1", kind=kind.KIND, target=target, trigger=Trigger(), hold_s=0.2, params=params)
    assert isinstance(deployment, ProcessDeployment)
    world = FaultWorld(
        plan=deployment.plan,
        deployment=deployment,
        links={},
        ledger=rig.ledger,
        clock=rig.site.clock,
        rng=random.Random(1),
        emit=rig.events.append,
        run=rig.run,
    )
    made: Fault = kind(planned, world)
    return made


async def life(one: Fault) -> tuple[dict[str, Any], dict[str, Any]]:
    await one.preflight()
    await one.inject()
    verified = await one.verify()
    if one.HOLDS:
        await asyncio.sleep(0.2)
    await one.heal()
    return verified, await one.verify_gone()


async def until(holds: Callable[[], object], within_s: float = 5.0) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "bounded wait ended"
        await asyncio.sleep(0.01)


@pytest.mark.proves("S0-24", "S0-26", "S0P-20", "S1P-12")
@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.KIND)
def test_every_fault_bites_heals_and_leaves_nothing(rig: Rig, kind: type[Any]) -> None:
    async def main() -> tuple[dict[str, Any], dict[str, Any]]:
        async with rig.deployed(rig.server()) as d:
            await d.start()
            before = d.pids("web")
            target = "web" if "process" in kind.TARGETS else "all"
            result = await life(fault(kind, rig, d, target))
            assert (d.pids("web") == before) is (kind is Pause)
            address = d.address("web", "http")
            assert (await wire.get(address.host, address.port, "/", 2.0)).status == 200
            return result

    verified, gone = asyncio.run(main())
    assert verified
    assert gone["web"]["pids"]
    if kind is not Pause:
        assert [e.by for e in rig.of("exit")][:-1] == ["f1"] * (3 if kind is CrashLoop else 1)
        assert [e.by for e in rig.of("start")][1:] == ["f1"] * (3 if kind is CrashLoop else 1)


def test_stop_says_that_sigterm_was_ignored(rig: Rig) -> None:
    async def main() -> dict[str, Any]:
        deaf = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('deaf')\ntime.sleep(600)"
        spec = rig.process("web", deaf, ready=Ready(kind="log", pattern="deaf"), stop_grace_s=0.3)
        async with rig.deployed(spec) as d:
            await d.start()
            return (await life(fault(Stop, rig, d, "web")))[0]

    verified = asyncio.run(main())
    assert verified["web"]["how"] == "killed"
    assert rig.of("killed-after-grace")[0].by == "f1"


def test_power_cut_takes_all_at_the_same_moment_and_starts_in_order(rig: Rig) -> None:
    async def main() -> None:
        async with rig.deployed(rig.server("a", after=("b",)), rig.server("b"), rig.server("c", after=("a",))) as d:
            await d.start()
            await life(fault(PowerCut, rig, d, "all"))

    asyncio.run(main())
    exits = [e for e in rig.of("exit") if e.by == "f1"]
    assert {e.process for e in exits} == {"a", "b", "c"}
    assert max(e.t_ns for e in exits) - min(e.t_ns for e in exits) < 200_000_000
    assert [e.process for e in rig.of("start")][3:] == ["b", "a", "c"]


def test_with_up_by_policy_the_supervisor_brings_it_up(rig: Rig) -> None:
    async def main() -> None:
        async with rig.deployed(rig.server(restart="always", restart_delay_s=0.1)) as d:
            await d.start()
            await life(fault(Kill, rig, d, "web", up_by="policy"))

    asyncio.run(main())
    assert [e.by for e in rig.of("start")] == ["engine", "restart-policy"]


def test_a_policy_does_not_spoil_a_kill_with_a_hold(rig: Rig) -> None:
    async def main() -> None:
        async with rig.deployed(rig.server(restart="always", restart_delay_s=0.02)) as d:
            await d.start()
            one = fault(Kill, rig, d, "web")
            await one.inject()
            await asyncio.sleep(0.3)
            assert d.pids("web") == []
            await one.heal()
            await one.verify_gone()

    asyncio.run(main())


@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.KIND)
def test_preflight_refuses_what_does_not_run_or_is_not_there(rig: Rig, kind: type[Any]) -> None:
    async def main() -> None:
        async with rig.deployed(rig.server()) as d:
            target = "web" if "process" in kind.TARGETS else "all"
            one = fault(kind, rig, d, target)
            with pytest.raises(NotBitten, match="does not run"):
                await one.preflight()
            await one.heal()  # safe, though nothing was injected
            assert d.pids("web") == []
            with pytest.raises(NotBitten, match="there is no process 'other'"):
                await fault(kind, rig, d, "other").preflight()

    asyncio.run(main())


@pytest.mark.parametrize("grouped", [True, False])
def test_pause_is_measured_and_a_thawed_target_is_told_from_a_frozen_one(rig: Rig, grouped: bool) -> None:
    async def main() -> None:
        async with rig.deployed(rig.server()) as d:
            if not grouped:
                d._processes["web"].tree.group = None
            await d.start()
            one = fault(Pause, rig, d, "web")
            await one.inject()
            detail = (await one.verify())["web"]
            assert detail["by"].endswith("web") if grouped else detail["by"] == "SIGSTOP"
            assert detail["cpu_ticks"] == 0
            assert [e.kind for e in read_ledger(rig.site.folder / "ledger.jsonl")].count("freeze") == 1
            with pytest.raises(NotBitten, match="still frozen"):
                await one.verify_gone()
            await d.thaw("web")  # somebody undoes it behind the fault's back
            with pytest.raises(NotBitten, match="not frozen"):
                await one.verify()
            await one.heal()
            await one.verify_gone()

    asyncio.run(main())


def test_pause_is_not_believed_when_something_else_answers(rig: Rig) -> None:
    """A worker outside of the frozen tree holds the same socket: users would not notice the pause."""

    async def main() -> None:
        async with rig.deployed(rig.server()) as d:
            d._processes["web"].tree.group = None
            await d.start()
            one = fault(Pause, rig, d, "web")
            (pid,) = d.pids("web")
            await one.inject()
            os.kill(pid, signal.SIGCONT)
            with pytest.raises(NotBitten, match="threads that may run"):
                await one.verify()
            await one.heal()

    asyncio.run(main())


def test_kill_is_not_believed_while_the_port_still_accepts(rig: Rig) -> None:
    async def main() -> None:
        async with rig.deployed(rig.server()) as d:
            await d.start()
            one = fault(Kill, rig, d, "web")
            await one.inject()
            address = d.address("web", "http")
            server = await asyncio.start_server(lambda r, w: w.close(), address.host, address.port, reuse_address=True)
            async with server:
                with pytest.raises(NotBitten, match="still accepts connections"):
                    await one.verify()
            await one.heal()
            await one.verify_gone()

    asyncio.run(main())


def test_verify_gone_sees_a_process_that_died_again(rig: Rig) -> None:
    async def main() -> None:
        async with rig.deployed(rig.server()) as d:
            await d.start()
            one = fault(Kill, rig, d, "web")
            await one.inject()
            await one.heal()
            await d.kill(["web"], by="somebody")
            with pytest.raises(NotBitten, match="does not run again"):
                await one.verify_gone()

    asyncio.run(main())


def test_measurements_know_reused_pids_and_sockets(rig: Rig) -> None:
    me = os.getpid()
    assert measure.living([me, 2**22 + 1]) == {me: proc.start_ticks(me)}
    assert measure.living({me: 1}) == {}
    assert measure.frozen_by(me) == ""


@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.KIND)
def test_declarations_are_whole(kind: type[Any]) -> None:
    assert kind.SUMMARY
    assert set(kind.TARGETS) <= {"process", "link", "all"}
    assert isinstance(kind.HOLDS, bool)
    assert [check(p, p.default) for p in kind.PARAMS] == [p.default for p in kind.PARAMS]
