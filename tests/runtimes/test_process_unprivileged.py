"""The process runtime as an ordinary user: no root, no cgroup; daemons are still found, ended and frozen."""

from __future__ import annotations

import asyncio
import os
import tempfile
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn

import pytest
from deploykit import Rig

from seatrial.host import capabilities, cgroups, proc
from seatrial.plan import Limits, Process, Ready

NOBODY = 65534
DAEMON = "(setsid sh -c 'trap \"\" TERM; echo up; while :; do sleep 0.2; done' &) ; exit 0"


def as_nobody(work: Callable[[Rig], Coroutine[Any, Any, None]]) -> None:
    """Run in a child that gave up root for good; as an ordinary user, run as that."""
    with tempfile.TemporaryDirectory(prefix="seatrial-test-") as name:
        folder = Path(name)
        if os.geteuid() != 0:
            asyncio.run(work(Rig(folder)))
            return
        os.chown(folder, NOBODY, NOBODY)
        pid = os.fork()
        if pid == 0:
            _give_up_root_and(work, folder)
        _, status = os.waitpid(pid, 0)
        report = folder / "report"
        assert os.waitstatus_to_exitcode(status) == 0, report.read_text() if report.exists() else "no report"


def _give_up_root_and(work: Callable[[Rig], Coroutine[Any, Any, None]], folder: Path) -> NoReturn:
    code = 1
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        asyncio.run(work(Rig(folder)))
        code = 0
    except BaseException:
        (folder / "report").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def test_a_deaf_daemon_is_frozen_stopped_killed_and_torn_down() -> None:
    async def work(rig: Rig) -> None:
        assert not {c.name: c for c in capabilities.probe()}["root"].present
        spec = Process(
            name="d",
            command=("sh", "-c", DAEMON),
            ready=Ready(kind="log", pattern="up", within_s=5),
            stop_grace_s=0.3,
            limits=Limits(files=200, pids=20, memory=1 << 28),
        )
        async with rig.deployed(spec) as d:
            held = cgroups.parents()
            if held.v2 is None and not held.v1:
                assert len(d.unenforced) == 2
            await d.start()
            old = d.pids("d")
            assert old
            await d.freeze("d")
            states = {stat.state for pid in d.pids("d") if (stat := proc.stat(pid))}
            assert states <= set("T") or held.v2 is not None
            await d.thaw("d")
            (stopped,) = await d.stop()
            assert stopped.how == "killed"
            assert not any(proc.alive(pid) for pid in old)
            await d.start()
            await d.freeze("d")
            await d.kill(["d"], by="f1")
            assert d.pids("d") == []
            await d.start()
            assert d.pids("d")

    as_nobody(work)


@pytest.mark.parametrize("policy", ["always", "on-failure"])
def test_the_supervisor_works_without_root(policy: str) -> None:
    async def work(rig: Rig) -> None:
        spec = Process(name="s", command=("sleep", "600"), restart=policy, restart_delay_s=0.05)
        async with rig.deployed(spec) as d:
            await d.start()
            (pid,) = d.pids("s")
            assert proc.send(pid, 0, 9)
            for _ in range(500):
                if len(rig.of("ready")) == 2:
                    break
                await asyncio.sleep(0.01)
            assert [e.by for e in rig.of("start")] == ["engine", "restart-policy"]

    as_nobody(work)
