"""Users in a program of any language, over JSON lines on its stdin and stdout. docs/crew-protocol.md describes it.

We time and journal on our side. The times err towards "longer": an op counts as started when its arrival was handed
over (or when the program's line before it was read), and as ended when its end was read. So no judge can take two ops
that overlapped for ops that did not.
"""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from seatrial.crew.alarm import die_with_parent
from seatrial.crew.messages import Trouble
from seatrial.crew.ops import never_sent
from seatrial.crew.program_lines import AnyLine, Begin, Done, End, Hello, decode_line
from seatrial.crew.work import Work, now_ns
from seatrial.errors import StageFailed
from seatrial.generate.mix import Mix
from seatrial.history import Flag, OpOutcome, Verb

READY_WITHIN_S = 30.0
LINE_LIMIT = 16 * 1024 * 1024
_OUTCOMES = {"ok": OpOutcome.OK, "fail": OpOutcome.FAIL, "unknown": OpOutcome.UNKNOWN}
_SHOWN = 300


class ProgramDoer:
    """One user of the program."""

    def __init__(self, number: int, team: ProgramTeam, work: Work, mix: Mix) -> None:
        self.number = self.actor = number
        self.mix = mix
        self.since_ns = self.intended_ns = 0
        self._team, self._work = team, work

    async def do(self, choice: int, intended_ns: int) -> bool:
        """Hand an arrival to the program and wait until it says done."""
        self.intended_ns, self.since_ns = intended_ns, now_ns()
        return await self._team.arrive(self, self.mix.names[choice], intended_ns)

    def skip(self, choice: int, intended_ns: int) -> None:
        """Write down that a task was due and never begun."""
        never_sent(self, self.mix.names[choice], intended_ns)

    def go_on_as_new_actor(self) -> None:
        """Take a new name after an op that ended unknown."""
        self.actor += self._work.load.users


class OpenOp:
    """An op that the program has begun and not ended."""

    __slots__ = ("doer", "handle", "name")

    def __init__(self, doer: ProgramDoer, handle: int, name: str) -> None:
        self.doer, self.handle, self.name = doer, handle, name

    @property
    def user_number(self) -> int:
        """Return the number of the user that does this op."""
        return self.doer.number


class ProgramTeam:
    """The program of one worker and its users."""

    def __init__(
        self,
        command: tuple[str, ...],
        folder: Path,
        work: Work,
        mix: Mix,
        users: list[int],
        fail: Callable[[Trouble], None],
    ) -> None:
        self._command, self._folder, self._work, self._fail = command, folder, work, fail
        self.doers = [ProgramDoer(number, self, work, mix) for number in users]
        self._by_number = {doer.number: doer for doer in self.doers}
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._arrivals: dict[int, tuple[ProgramDoer, asyncio.Future[bool], int]] = {}
        self._ops: dict[int | str, OpenOp] = {}
        self._ready: asyncio.Future[None] | None = None
        self._rest: asyncio.Future[None] | None = None
        self._numbers = count()
        self._good: dict[int, bool] = {}
        self._lines = 0
        self._heard_ns = 0
        self._leaving = False
        self.hang_ns = int((2 * work.load.timeout_s + 3.0) * 1e9)

    @property
    def _name(self) -> str:
        return f"crew program {' '.join(self._command)!r}"

    async def start(self) -> None:
        """Start the program and wait until it is ready. Raises StageFailed."""
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        first = self._folder / self._command[0]
        command = (str(first) if first.is_file() else self._command[0], *self._command[1:])
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, cwd=self._folder, limit=LINE_LIMIT,
                preexec_fn=lambda: die_with_parent(signal.SIGKILL),
            )  # fmt: skip
        except OSError as error:
            raise StageFailed(f"{self._name} cannot be started: {error}", outcome="inconclusive") from None
        self._reader = loop.create_task(self._read())
        self._watch = loop.create_task(self._watch_for_hang())
        target, load = self._work.target, self._work.load
        self._say(
            type="start", users=[d.number for d in self.doers], all_users=load.users, seed=self._work.seed,
            host=target.host, port=target.port, values=dict(target.values), timeout_s=load.timeout_s,
            hot_share=load.hot_share, hot_keys=load.hot_keys,
        )  # fmt: skip
        done, _ = await asyncio.wait({self._ready}, timeout=READY_WITHIN_S)
        if not done:
            raise StageFailed(f"{self._name} did not say ready within {READY_WITHIN_S:g} s", outcome="inconclusive")
        self._ready.result()

    async def arrive(self, doer: ProgramDoer, task: str, intended_ns: int) -> bool:
        """Hand over an arrival; return whether all of its ops were ok."""
        number = next(self._numbers)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._arrivals[number] = (doer, done, now_ns())
        self._good[number] = True
        self._say(type="arrival", arrival=number, user=doer.number, task=task, intended_ns=intended_ns)
        return await done

    async def readback(self) -> None:
        """Let the program read back what its users own; return when it says quiet."""
        self._rest = asyncio.get_running_loop().create_future()
        self._heard_ns = now_ns()
        for doer in self.doers:
            doer.since_ns, doer.intended_ns = self._heard_ns, 0
        self._say(type="readback")
        await self._rest

    async def leave(self) -> None:
        """Ask the program to end, then end it."""
        self._leaving = True
        process = self._process
        if process is None:
            return
        if process.returncode is None and process.stdin is not None:
            self._say(type="exit")
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), 2.0)
            except TimeoutError:
                process.kill()
                await process.wait()
        for running in (self._reader, self._watch):
            if running is not None:
                running.cancel()
        await asyncio.gather(*(t for t in (self._reader, self._watch) if t), return_exceptions=True)

    # -- lines of the program

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                self._lines += 1
                self._heard_ns = now_ns()
                self._take(decode_line(line))
        except (msgspec.MsgspecError, UnicodeDecodeError, _NotAllowed) as error:
            shown = line[:_SHOWN].decode("utf-8", "replace").rstrip("\n")
            self._trouble(f"line {self._lines} of its output is not a line of the crew protocol ({error}): {shown}")
            return
        except ValueError:
            self._trouble(f"line {self._lines + 1} of its output is longer than {LINE_LIMIT} bytes")
            return
        code = await self._process.wait()
        if not self._leaving:
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
            self._trouble(f"{how} while it was at work; what it printed is in the crew log")

    def _take(self, line: AnyLine) -> None:
        if isinstance(line, Begin):
            self._begin(line)
        elif isinstance(line, End):
            self._end(line)
        elif isinstance(line, Done):
            if line.arrival not in self._arrivals:
                raise _NotAllowed(f"no arrival {line.arrival} is open")
            doer, done, _ = self._arrivals.pop(line.arrival)
            left = [op.name for op in self._ops.values() if op.doer is doer]
            if left:
                raise _NotAllowed(f"op {left[0]!r} of arrival {line.arrival} has not ended")
            if not done.done():
                done.set_result(self._good.pop(line.arrival))
        elif isinstance(line, Hello):
            if self._ready is not None and not self._ready.done():
                self._ready.set_result(None)
        elif self._rest is not None and not self._rest.done():
            self._rest.set_result(None)

    def _begin(self, line: Begin) -> None:
        doer = self._doer_of(line)
        if line.id in self._ops:
            raise _NotAllowed(f"op {line.id!r} is open already")
        work = self._work
        started = doer.since_ns
        intended, doer.intended_ns = doer.intended_ns or started, 0
        flags = int(Flag.HOT if line.hot else Flag.OWNED) if line.key is not None else 0
        flags |= int(Flag.READBACK) if work.readback else 0
        if not work.readback and intended < work.warm_until_ns:
            flags |= int(Flag.WARMUP)
        name = line.name or line.verb
        handle = work.journal.begin(
            Verb[line.verb.upper()], name, line.key, line.value, flags, doer.number, doer.actor, intended, started
        )
        self._ops[line.id] = op = OpenOp(doer, handle, name)
        work.in_flight.add(op)

    def _doer_of(self, line: Begin) -> ProgramDoer:
        number = line.id if line.arrival is None else line.arrival
        if line.user is None and number in self._arrivals:
            return self._arrivals[int(number)][0]
        if line.user in self._by_number and self._work.readback:
            return self._by_number[line.user]
        raise _NotAllowed(f"op {line.id!r} belongs to no open arrival, and names no user of this worker in read-back")

    def _end(self, line: End) -> None:
        op = self._ops.pop(line.id, None)
        if op is None:
            raise _NotAllowed(f"op {line.id!r} is not open")
        outcome, work = _OUTCOMES[line.outcome], self._work
        result = json.dumps(line.result) if isinstance(line.result, list) else line.result
        error = None if outcome is OpOutcome.OK else line.error or line.outcome
        ended = now_ns()
        work.journal.complete(op.handle, outcome, ended, line.status, error, result)
        work.in_flight.discard(op)
        work.completed += 1
        op.doer.since_ns = ended
        if outcome is OpOutcome.UNKNOWN:
            op.doer.go_on_as_new_actor()
        if outcome is not OpOutcome.OK:
            for number, (doer, _, _) in self._arrivals.items():
                if doer is op.doer:
                    self._good[number] = False

    # -- trouble

    async def _watch_for_hang(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            now = now_ns()
            oldest = min((since for _, _, since in self._arrivals.values()), default=now)
            reading = self._rest is not None and not self._rest.done()
            silent = now - self._heard_ns
            if (now - oldest > self.hang_ns or (reading and silent > self.hang_ns)) and silent > self.hang_ns:
                self._trouble(f"hangs: work is open and it said nothing for {silent / 1e9:.1f} s")
                return

    def _trouble(self, what: str) -> None:
        text = f"{self._name} {what}" if not what.startswith("line") else f"{self._name}: {what}"
        error = StageFailed(text, outcome="inconclusive")
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(error)
            return
        self._fail(Trouble(reason=text))

    def _say(self, **message: Any) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing():
            return
        process.stdin.write(json.dumps(message, separators=(",", ":"), default=str).encode() + b"\n")


class _NotAllowed(Exception):
    """A line that is well formed and must not come now."""
