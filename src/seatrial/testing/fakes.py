"""Fakes that implement the ports: a deployment, a crew, an observer, links, a ledger and faults, scripted by step."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from seatrial.history import ProcessEvent
from seatrial.params import Param
from seatrial.plan import PlannedFault
from seatrial.ports import Address, Claim, Emit, Fault, FaultWorld, Stopped, Watched
from seatrial.testing.virtual import VirtualClock
from seatrial.undo import AnyUndo, KillTagged

Step = BaseException | float | Callable[[], Any]
Script = Mapping[str, Step]
"""What a fake does at a step, by the name of its method: raises an exception, takes so many seconds (math.inf: never
ends), or calls a function, whose result is returned (awaited when it can be). Steps that are not named succeed."""


async def play(script: Script, step: str) -> Any:
    """Do what the script says for a step."""
    what = script.get(step)
    if isinstance(what, BaseException):
        raise what
    if callable(what):
        result = what()
        return await result if asyncio.iscoroutine(result) else result
    if what is not None:
        await (asyncio.Event().wait() if math.isinf(what) else asyncio.sleep(what))
    return None


class MemoryLedger:
    """A `ports.Ledger` in memory. entries: what is open now, by id; all: everything that was ever opened."""

    def __init__(self) -> None:
        """Begin empty."""
        self.entries: dict[int, tuple[str, str, AnyUndo]] = {}
        self.all: list[tuple[str, str, AnyUndo]] = []

    def open(self, kind: str, name: str, undo: AnyUndo) -> int:
        """Note that something is about to be made."""
        self.all.append((kind, name, undo))
        self.entries[len(self.all)] = self.all[-1]
        return len(self.all)

    def close(self, entry: int, how: str = "") -> None:
        """Note that it is gone; closing twice does no harm."""
        self.entries.pop(entry, None)


class FakeDeployment:
    """A `ports.Deployment` in memory: processes are up, down or frozen, and every start and exit is an event.

    calls: every verb with its arguments, in order. left: what `residue` says beside processes that still run.
    """

    def __init__(
        self, names: Sequence[str] = ("web",), *, emit: Emit = lambda event: None, script: Script | None = None
    ) -> None:
        """names: the processes. script: what start, stop, kill, freeze, thaw, claims, teardown and residue do."""
        self.script: Script = script or {}
        self.calls: list[str] = []
        self.left: list[str] = []
        self.state = dict.fromkeys(names, "down")
        self.emit = emit
        self._pids = dict.fromkeys(names, 0)
        self._next = 2_000_000_000  # beyond any real pid

    async def start(self, names: Sequence[str] = (), *, by: str = "engine") -> None:
        """Bring processes up."""
        await self._verb("start", names, by)
        for name in names or self.names():
            if self.state[name] == "down":
                self._next += 1
                self.state[name], self._pids[name] = "up", self._next
                self._event(name, "start", by)
                self._event(name, "ready", by)

    async def stop(self, names: Sequence[str] = (), *, by: str = "engine") -> list[Stopped]:
        """Take processes down; each exits with code 0."""
        await self._verb("stop", names, by)
        chosen = [name for name in reversed(names or self.names()) if self.state[name] != "down"]
        for name in chosen:
            self._down(name, by, 0)
        return [Stopped(process=name, how="exited", took_s=0.0, code=0) for name in chosen]

    async def kill(self, names: Sequence[str], *, by: str) -> None:
        """Take processes down with SIGKILL."""
        await self._verb("kill", names, by)
        for name in names:
            self._down(name, by, -9)

    async def freeze(self, name: str) -> None:
        """Freeze a process."""
        await self._verb("freeze", [name], "")
        self.state[name] = "frozen"

    async def thaw(self, name: str) -> None:
        """Let a process go on."""
        await self._verb("thaw", [name], "")
        self.state[name] = "up" if self.state[name] == "frozen" else self.state[name]

    def expect_down(self, names: Sequence[str], by: str) -> None:
        """Note that exits are ours."""
        self.calls.append(f"expect_down {' '.join(names)} by {by}")

    def pids(self, name: str) -> list[int]:
        """Return the made-up pid of a process that is not down."""
        return [] if self.state[name] == "down" else [self._pids[name]]

    def names(self) -> Sequence[str]:
        """Return the names of the processes."""
        return list(self.state)

    def address(self, process: str, port: str) -> Address:
        """Return an address at which nothing listens."""
        return Address(host="127.0.0.1", port=1)

    async def claims(self) -> list[Claim]:
        """Return what the script says, else that all is as it should be."""
        said = await play(self.script, "claims")
        right = Claim(artefact="app", source="app", expected="1", observed="1", ok=True)
        return [right] if said is None else list(said)

    async def teardown(self) -> None:
        """End everything."""
        await self._verb("teardown", (), "")
        for name in self.names():
            self._down(name, "engine", -9)

    def watched(self) -> list[Watched]:
        """Return the processes, with logs that are not there."""
        return [Watched(process=name, log=Path(f"/nonexistent/{name}.log"), data=()) for name in self.names()]

    def template_values(self) -> Mapping[str, Any]:
        """Return one address for users."""
        return {"host": "127.0.0.1", "port": {name: {"http": 1} for name in self.names()}}

    async def residue(self) -> list[str]:
        """List what is not down, and `left`."""
        await play(self.script, "residue")
        return [f"process {name}" for name, state in self.state.items() if state != "down"] + self.left

    async def _verb(self, verb: str, names: Sequence[str], by: str) -> None:
        self.calls.append(" ".join([verb, *names, *(["by", by] if by else [])]))
        await play(self.script, verb)

    def _down(self, name: str, by: str, code: int) -> None:
        if self.state[name] != "down":
            self.state[name] = "down"
            self._event(name, "exit", by, code)

    def _event(self, name: str, what: str, by: str, code: int | None = None) -> None:
        now_ns = VirtualClock().now_ns()
        self.emit(ProcessEvent(t_ns=now_ns, process=name, what=what, pid=self._pids[name], by=by, code=code))


class FakeCrew:
    """A `ports.CrewControl` without users: `drive` takes its length, and ops complete at a steady rate meanwhile."""

    def __init__(self, length_s: float = 10.0, rate: float = 10.0, script: Script | None = None) -> None:
        """script: what start, drive, calm, readback and close do; calm may return the names of what is loud."""
        self.length_s, self.rate, self.script = length_s, rate, script or {}
        self.calls: list[str] = []
        self._began_ns: int | None = None

    async def start(self) -> None:
        """Be ready."""
        await self._say("start")

    async def drive(self) -> None:
        """Work for the length of the load."""
        self._began_ns = VirtualClock().now_ns()
        await self._say("drive")
        await asyncio.sleep(self.length_s)

    async def calm(self, within_s: float) -> list[str]:
        """Be quiet."""
        return list(await self._say("calm") or [])

    async def readback(self, within_s: float) -> None:
        """Read back."""
        await self._say("readback")

    async def close(self) -> None:
        """Leave."""
        await self._say("close")

    def completed(self) -> int:
        """Return the ops that would have completed by now."""
        return 0 if self._began_ns is None else int((VirtualClock().now_ns() - self._began_ns) / 1e9 * self.rate)

    async def _say(self, step: str) -> Any:
        self.calls.append(step)
        return await play(self.script, step)


class FakeObserver:
    """A `ports.ObserverControl` that sees what it is told. dead_since_ns: by probe, since when it fails."""

    def __init__(self, script: Script | None = None) -> None:
        """script: what start and stop do."""
        self.script, self.calls = script or {}, list[str]()
        self.dead_since_ns: dict[str, int] = {}

    async def start(self, addresses: Mapping[str, Address], watched: Sequence[Watched]) -> None:
        """Begin to observe."""
        self.calls.append(f"start {' '.join(addresses)}".strip())
        await play(self.script, "start")

    async def stop(self) -> None:
        """End."""
        self.calls.append("stop")
        await play(self.script, "stop")

    def dead_for_s(self, probe: str) -> float:
        """Return for how long a probe has been failing."""
        since = self.dead_since_ns.get(probe)
        return 0.0 if since is None else (VirtualClock().now_ns() - since) / 1e9


class FakeLink:
    """A `ports.LinkControl` in memory. toxics: those in force, by name."""

    def __init__(self, script: Script | None = None) -> None:
        """script: what aim, add and remove do."""
        self.script, self.toxics = script or {}, dict[str, str]()
        self.address = Address(host="127.0.0.1", port=2)

    async def aim(self, upstream: Address) -> None:
        """Take note of nothing."""
        await play(self.script, "aim")

    async def add(self, toxic: str, kind: str, params: Mapping[str, Any]) -> None:
        """Put a toxic into force."""
        await play(self.script, "add")
        self.toxics[toxic] = kind

    async def remove(self, toxic: str) -> None:
        """Take it out."""
        await play(self.script, "remove")
        del self.toxics[toxic]

    async def stats(self) -> Mapping[str, Any]:
        """Return counters of a link that nobody uses."""
        return {"accepted": 0, "open": 0, "refused": 0, "reset": 0, "toxics": dict(self.toxics)}

    async def admit(self, port: int, far: Address | None) -> None:
        """Let a prober through."""

    async def seen(self, port: int) -> str:
        """Every prober came through."""
        return "joined"


def fake_fault(kind: str = "harm", *, holds: bool = True, script: Script | None = None) -> type[Fault]:
    """Return the class of a fault that does nothing but keep the ledger and follow a script.

    script: by step: preflight, inject, verify, heal, verify_gone. The class attribute `steps` holds (id, step) of all.
    """

    class Scripted:
        KIND: ClassVar[str] = kind
        SUMMARY: ClassVar[str] = "does nothing, as its script says"
        TARGETS: ClassVar[tuple[str, ...]] = ("process", "link", "all")
        PARAMS: ClassVar[tuple[Param, ...]] = ()
        NEEDS: ClassVar[tuple[str, ...]] = ()
        HOLDS: ClassVar[bool] = holds
        steps: ClassVar[list[tuple[str, str]]] = []

        def __init__(self, planned: PlannedFault, world: FaultWorld) -> None:
            self.planned, self.world, self.entry = planned, world, 0

        async def preflight(self) -> None:
            await self._step("preflight")

        async def inject(self) -> None:
            self.entry = self.world.ledger.open("fault", self.planned.id, KillTagged(tag=self.world.run))
            await self._step("inject")

        async def verify(self) -> dict[str, Any]:
            await self._step("verify")
            return {"seen": True}

        async def heal(self) -> None:
            await self._step("heal")

        async def verify_gone(self) -> dict[str, Any]:
            await self._step("verify_gone")
            self.world.ledger.close(self.entry, "gone")
            return {"seen": False}

        async def _step(self, step: str) -> None:
            self.steps.append((self.planned.id, step))
            await play(script or {}, step)

    return Scripted
