"""The conductor's end of the crew: starts worker processes, gives commands, and watches for signs of life.

A worker that crashes, falls silent, prints what is no report, or says that the users module is wrong ends the stage
with one sentence (StageFailed). What it journalled until then stays readable.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from seatrial.clock import Clock
from seatrial.crew import messages as say
from seatrial.crew.watch import Hand, WorkerLost
from seatrial.errors import StageFailed
from seatrial.history import CrewEvent
from seatrial.plan import Load, Plan
from seatrial.ports import Address, Emit, Ledger, Site
from seatrial.undo import KillTagged

START_WITHIN_S = 60.0
HEAD_START_NS = 50_000_000  # between the command to start and the first arrival, so that all workers have read it
GRACE_S = 3.0


class ProcessCrew:
    """Crew workers as processes of this machine (see ports.CrewControl).

    folder: the run folder; journals go to journal/, what workers print to logs/, their configs to crew/.
    values: the deployment's template values. address: where users go; by default it is found in the values, from
    the load's link or the first port of the first process that has one.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        run: str,
        folder: Path,
        values: Mapping[str, Any],
        clock: Clock,
        emit: Emit,
        ledger: Ledger,
        address: Address | None = None,
        silent_s: float = 5.0,
    ) -> None:
        if plan.load is None or plan.crew is None:
            raise StageFailed("the plan has no load or no users, so there is no crew to start", outcome="inconclusive")
        self._plan, self._load, self._run, self._folder = plan, plan.load, run, folder
        self._values, self._clock, self._emit, self._ledger = values, clock, emit, ledger
        self._address = address or find_address(plan, plan.load, values)
        self._silent_s = silent_s
        self._hands: list[Hand] = []
        self._entry: int | None = None
        self._lost: asyncio.Future[WorkerLost] | None = None

    async def start(self) -> None:
        """Start all workers and wait until their users have started."""
        self._lost = asyncio.get_running_loop().create_future()
        for name in ("crew", "logs", "journal"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        self._entry = self._ledger.open("helper", "crew workers", KillTagged(tag=self._run))
        for worker in range(self._load.workers):
            self._hands.append(await self._spawn(worker))
        await self._all(say.Ready, START_WITHIN_S, "get their users ready")

    async def drive(self) -> None:
        """Start the load at one instant in all workers; return when the last arrival was made."""
        at_ns = self._clock.now_ns() + HEAD_START_NS
        self._tell(say.Start(at_ns=at_ns))
        for hand in self._hands:
            self._emit(CrewEvent(t_ns=at_ns, worker=hand.worker, what="started"))
        within_s = self._load.length_s + self._load.timeout_s + 30.0
        await self._all(say.Driven, within_s, "make their arrivals")

    async def calm(self, within_s: float) -> list[str]:
        """Stop the users; return what was still in flight at the bound and had to be cut off."""
        self._tell(say.Stop(within_s=within_s))
        await self._all(say.Quiet, within_s + GRACE_S, "be quiet")
        left = []
        for hand in self._hands:
            quiet = hand.last(say.Quiet)
            left += [f"worker {hand.worker}: {what}" for what in quiet.in_flight]
            detail = {"never_sent": quiet.never_sent, "in_flight": list(quiet.in_flight)}
            self._event(hand.worker, "quiet", detail=detail)
        return left

    async def readback(self, within_s: float) -> None:
        """Let users read back what they own."""
        self._tell(say.Readback())
        await self._all(say.ReadbackDone, within_s, "read back")
        for hand in self._hands:
            self._event(hand.worker, "readback-done", detail={"ops": hand.last(say.ReadbackDone).ops})

    async def close(self) -> None:
        """End all workers, with a grace, then by SIGKILL."""
        for hand in self._hands:
            hand.leaving = True
        self._tell(say.Exit())
        codes = await asyncio.gather(*(hand.end(GRACE_S) for hand in self._hands))
        for hand, code in zip(self._hands, codes, strict=True):
            self._event(hand.worker, "exited", detail={"code": code})
        self._hands.clear()
        if self._entry is not None:
            self._ledger.close(self._entry, "all crew workers have ended")
            self._entry = None

    def completed(self) -> int:
        """Return how many ops had completed at the last signs of life."""
        return sum(hand.completed for hand in self._hands)

    # -- inside

    async def _spawn(self, worker: int) -> Hand:
        config = say.WorkerConfig(
            run=self._run, worker=worker, plan=self._plan, journal=str(self._folder / "journal"),
            host=self._address.host, port=self._address.port, values=plain(self._values),
        )  # fmt: skip
        path = self._folder / "crew" / f"worker-{worker}.json"
        path.write_bytes(msgspec.json.encode(config))
        env = dict(os.environ, SEATRIAL_RUN=self._run, SEATRIAL_HELPER="crew", PYTHONUNBUFFERED="1")
        with (self._folder / "logs" / f"crew-{worker}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "seatrial.crew.worker", str(path), env=env, stderr=log,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
        return Hand(worker, process, self._clock, self._emit, self._worker_lost, self._silent_s)

    def _worker_lost(self, lost: WorkerLost) -> None:
        self._event(lost.worker, lost.what, lost.reason)
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(lost)

    def _event(self, worker: int, what: str, reason: str = "", detail: dict[str, Any] | None = None) -> None:
        event = CrewEvent(t_ns=self._clock.now_ns(), worker=worker, what=what, reason=reason, detail=detail or {})
        self._emit(event)

    def _tell(self, command: say.AnyCommand) -> None:
        for hand in self._hands:
            hand.tell(command)

    async def _all(self, kind: type[say.Report], within_s: float, doing: str) -> None:
        """Wait until every worker has reported this kind. Raises StageFailed when one is lost or time is up."""
        assert self._lost is not None
        lost = self._lost
        reports = asyncio.gather(*(hand.report(kind) for hand in self._hands))
        await _first(reports, lost, within_s)
        if lost.done():
            await _dropped(reports)
            raise StageFailed(lost.result().reason, outcome=lost.result().outcome)
        if not reports.done():
            await _dropped(reports)
            late = [str(h.worker) for h in self._hands if not h.has(kind)]
            text = f"crew workers {', '.join(late)} did not {doing} within {within_s:g} s"
            raise StageFailed(text, outcome="inconclusive")
        if kind is say.Ready:
            for hand in self._hands:
                ready = hand.last(say.Ready)
                detail = {"users": ready.users, "arrivals": ready.arrivals, "schedule": ready.schedule}
                self._event(hand.worker, "ready", detail=detail)


def process_crew(plan: Plan, site: Site, values: Mapping[str, Any]) -> ProcessCrew:
    """Return the crew of a run in its site; the constructor that the engine is given."""
    return ProcessCrew(
        plan,
        run=site.run,
        folder=site.folder,
        values=values,
        clock=site.clock,
        emit=site.emit,
        ledger=site.ledger,
    )


async def _first(reports: Awaitable[Any], lost: asyncio.Future[WorkerLost], within_s: float) -> None:
    waits = {asyncio.ensure_future(reports), lost}
    await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)


async def _dropped(reports: asyncio.Future[Any]) -> None:
    reports.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reports


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return template values as what JSON can carry; paths and addresses become text."""
    copied: dict[str, Any] = json.loads(json.dumps(dict(values), default=_as_json))
    return copied


def _as_json(value: object) -> Any:
    if isinstance(value, Address):
        return {"host": value.host, "port": value.port}
    return dict(value) if isinstance(value, Mapping) else str(value)


def find_address(plan: Plan, load: Load, values: Mapping[str, Any]) -> Address:
    """Return where users go: the near end of the link `load.via`, or the first port of the first process with one.

    values: `link.<name>.host|port`, `port.<process>.<name>` (or `port.<name>`) and `host`, as templates see them.
    Raises StageFailed when the values do not tell.
    """
    links = values.get("link") or {}
    if load.via:
        if load.via not in links:
            known: Sequence[str] = sorted(links)
            text = f"load.via = {load.via!r} is not a link; links: {', '.join(known) or 'none'}"
            raise StageFailed(text, outcome="inconclusive")
        near = links[load.via]
        return Address(host=str(_item(near, "host")), port=int(_item(near, "port")))
    for process in plan.processes:
        for port in process.ports:
            for look in _PORT_LOOKS:
                with contextlib.suppress(KeyError, TypeError, AttributeError, ValueError):
                    return Address(
                        host=str(values.get("host", "127.0.0.1")), port=int(look(values, process.name, port))
                    )
    raise StageFailed("no process has a port for users to go to; set load.via or declare ports", outcome="inconclusive")


def _item(value: Any, name: str) -> Any:
    return value[name] if isinstance(value, Mapping) else getattr(value, name)


_PORT_LOOKS: tuple[Callable[[Mapping[str, Any], str, str], Any], ...] = (
    lambda values, process, port: values["port"][process][port],
    lambda values, process, port: values["port"][port],
)
