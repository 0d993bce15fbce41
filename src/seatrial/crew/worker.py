"""One crew worker: `python -m seatrial.crew.worker <config.json>`. Commands come on stdin, reports go to stdout.

What users print goes to stderr, so that it cannot spoil the reports. It ends when stdin closes, and with its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from pathlib import Path

import msgspec

from seatrial.crew import messages as say
from seatrial.crew.alarm import Alarm, die_with_parent
from seatrial.crew.driving import ClosedDrive, OpenDrive, come_to_rest, cut_off
from seatrial.crew.loading import UsersError
from seatrial.crew.seats import Seat, waiting
from seatrial.crew.teams import Team, build
from seatrial.crew.work import Target, Work, now_ns
from seatrial.errors import SeatrialError, StageFailed
from seatrial.store.journal import JournalWriter

BEAT_S = 1.0
MESSAGE_MOST = 3500  # shorter than PIPE_BUF, so that a report is written whole or not at all
SETTLE_S = 0.5  # kept of the time to be quiet, for what was sent last to end by its own timeout


class Reports:
    """Writes reports to the conductor without ever blocking the load: signs of life are dropped when it stalls."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def send(self, report: say.AnyReport) -> None:
        """Write one report."""
        line = say.encode(report) + b"\n"
        droppable = isinstance(report, say.Stats)
        os.set_blocking(self._fd, not droppable)
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._fd, line)


class Worker:
    """Users, their drive, and the answers to the conductor's commands."""

    def __init__(self, config: say.WorkerConfig, reports: Reports) -> None:
        load = config.plan.load
        if load is None:
            raise UsersError("the plan has no load")
        self._config, self._load, self._reports = config, load, reports
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._loop)
        target = Target(host=config.host, port=config.port, values=config.values)
        journal = JournalWriter(Path(config.journal), config.worker)
        self._work = Work(load=load, seed=config.plan.seed, target=target, journal=journal)
        self._team: Team | None = None
        self._seats: list[Seat] = []
        self._drive: OpenDrive | ClosedDrive | None = None
        self._running: list[asyncio.Task[None]] = []
        self._others: list[asyncio.Task[None]] = []
        self._beat: asyncio.Task[None] | None = None
        self._told = False
        self._busy = 0.0

    async def prepare(self) -> None:
        """Load, build and start the users. Raises UsersError or StageFailed."""
        self._team = build(self._config, self._work, self._trouble)
        self._beat = self._loop.create_task(self._heartbeat())
        self._seats = [Seat(doer) for doer in self._team.doers]
        seed, load = self._config.plan.seed, self._load
        try:
            if load.arrivals.model == "closed":
                self._drive = ClosedDrive(load, seed, self._seats, self._alarm)
            else:
                self._drive = OpenDrive(load, seed, self._seats, self._config.worker, self._alarm)
        except ValueError as error:
            raise UsersError(f"load.arrivals: {error}") from None
        await self._team.start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        drive = self._drive
        self._reports.send(say.Ready(users=len(self._seats), arrivals=drive.arrivals, schedule=drive.digest))

    async def obey(self, commands: asyncio.StreamReader) -> None:
        """Do what is said until Exit or the end of stdin."""
        while line := await commands.readline():
            command = say.decode_command(line)
            if isinstance(command, say.Exit):
                return
            if isinstance(command, say.Start):
                self._begin(command.at_ns)
            elif isinstance(command, say.Stop):
                self._spawn(self._stop(command.within_s))
            else:
                self._spawn(self._readback())

    async def close(self) -> None:
        """Let users leave and close the journal."""
        await cut_off([*self._running, *self._others, *([self._beat] if self._beat else [])])
        if self._team is not None:
            await self._team.leave()
        self._alarm.close()
        self._work.journal.close()

    def _spawn(self, what: object) -> None:
        self._others.append(self._loop.create_task(what))  # type: ignore[arg-type]

    def _begin(self, at_ns: int) -> None:
        self._work.warm_until_ns = at_ns + int(self._load.warmup_s * 1e9)
        if self._load.arrivals.model != "closed":
            self._running = [self._loop.create_task(seat.work()) for seat in self._seats]
        self._running.append(self._loop.create_task(self._drive_to_end(at_ns)))

    async def _drive_to_end(self, at_ns: int) -> None:
        assert self._drive is not None
        await self._drive.run(at_ns)
        self._beat_now()
        self._reports.send(say.Driven(arrivals=self._drive.lags.total))

    async def _stop(self, within_s: float) -> None:
        if self._drive is not None:
            self._drive.stop()
        self._alarm.flush()
        drain_s = within_s - self._load.timeout_s - SETTLE_S
        never_sent = await come_to_rest(self._seats, self._running, drain_s, max(within_s - SETTLE_S / 2, 0.0))
        left = tuple(self._work.in_flight_names()[:50])
        await cut_off(self._running)
        self._running = []
        self._beat_now()
        self._reports.send(say.Quiet(in_flight=left, never_sent=never_sent))

    async def _readback(self) -> None:
        assert self._team is not None
        self._work.readback = True
        before = self._work.completed
        await self._team.readback()
        self._reports.send(say.ReadbackDone(ops=self._work.completed - before))

    async def _heartbeat(self) -> None:
        self._seen_ns, self._cpu_ns = now_ns(), time.process_time_ns()
        while True:
            await asyncio.sleep(BEAT_S)
            self._beat_now()

    def _beat_now(self) -> None:
        now, cpu = now_ns(), time.process_time_ns()
        if now - self._seen_ns > BEAT_S * 1e9 / 4:  # a share over a shorter time would say nothing
            self._busy = round((cpu - self._cpu_ns) / (now - self._seen_ns), 4)
            self._seen_ns, self._cpu_ns = now, cpu
        arrivals, p50, p99, most = self._drive.lags.read() if self._drive else (0, 0, 0, 0)
        self._reports.send(
            say.Stats(
                t_ns=now,
                arrivals=arrivals,
                completed=self._work.completed,
                lag_p50_ns=p50,
                lag_p99_ns=p99,
                lag_max_ns=most,
                busy=self._busy,
                waiting=waiting(self._seats),
            )
        )

    def _trouble(self, trouble: say.Trouble) -> None:
        if not self._told:  # the first says it; the rest of an avalanche says the same
            self._told = True
            self._reports.send(msgspec.structs.replace(trouble, reason=trouble.reason[:MESSAGE_MOST]))


async def serve(config: say.WorkerConfig, reports: Reports) -> int:
    """Run a worker to its end; return its exit code."""
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader(loop=loop)
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands, loop=loop), sys.stdin)
    worker: Worker | None = None
    try:
        worker = Worker(config, reports)
        await worker.prepare()
        await worker.obey(commands)
        return 0
    except StageFailed as error:
        reports.send(say.Trouble(reason=error.reason[:MESSAGE_MOST], outcome=error.outcome))
    except UsersError as error:
        reports.send(say.Trouble(reason=str(error)[:MESSAGE_MOST]))
    except SeatrialError as error:
        reports.send(say.Trouble(reason=str(error)[:MESSAGE_MOST], outcome="environment"))
    finally:
        if worker is not None:
            await worker.close()
        pipe.close()
    return 1


def main(argv: list[str]) -> int:
    """Start a worker from its config file."""
    parent = os.getppid()
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        return 1  # the conductor died before we asked to be told
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the conductor's to handle
    reports = Reports(os.dup(1))
    os.dup2(2, 1)
    config = msgspec.json.decode(Path(argv[1]).read_bytes(), type=say.WorkerConfig)
    return _run(config, reports)


def _run(config: say.WorkerConfig, reports: Reports) -> int:
    if config.loop != "asyncio":
        try:
            import uvloop
        except ImportError:
            pass
        else:
            return uvloop.run(serve(config, reports))
    return asyncio.run(serve(config, reports))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
