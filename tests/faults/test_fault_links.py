"""The proxies of a run: in the ledger, tagged, missed when they die, gone when closed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest
from linkkit import MemoryLedger

from seatrial.clock import SystemClock
from seatrial.errors import EnvironmentTrouble, InternalError, StageFailed, UsageError
from seatrial.faults import links as module
from seatrial.faults.links import ProxyLink, ProxyLinks
from seatrial.history import AnyEvent, FaultEvent
from seatrial.host import proc
from seatrial.plan import Link
from seatrial.ports import Address
from seatrial.undo import KillPid, KillTagged

LINK = Link(name="db", to="db.main")


class Run:
    def __init__(self) -> None:
        self.ledger, self.events, self.told = MemoryLedger(), list[AnyEvent](), asyncio.Event()
        self.links = ProxyLinks("tag-1", 7, self.ledger, SystemClock(), self.emit)

    def emit(self, event: AnyEvent) -> None:
        self.events.append(event)
        self.told.set()

    def undo(self) -> KillPid:
        undo = self.ledger.still_open[0][2]
        assert isinstance(undo, KillPid)
        return undo


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Run, ProxyLink]]:
    run = Run()
    try:
        yield run, await run.links.open(LINK)
    finally:
        await run.links.close()


async def talk(address: Address, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(data)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return answer


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


def test_a_link_carries_bytes_to_where_it_is_aimed_and_again_elsewhere() -> None:
    async def main() -> None:
        async with running() as (_, link):
            for host in ("127.0.0.1", "localhost"):
                async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
                    await link.aim(Address(host=host, port=server.sockets[0].getsockname()[1]))
                    assert await talk(link.address, b"hello") == b"hello"
            assert (await link.stats())["accepted"] == 2

    asyncio.run(main())


def test_every_proxy_is_in_the_ledger_by_pid_and_tagged_and_gone_after_close() -> None:
    async def main() -> None:
        async with running() as (run, _):
            first = run.ledger.entries[1]
            assert first[2] == KillTagged(tag="tag-1")
            assert run.ledger.closed == {1: "has an entry of its own"}
            undo = run.undo()
            assert proc.start_ticks(undo.pid) == undo.start_ticks
            environment = psutil.Process(undo.pid).environ()
            assert environment["SEATRIAL_RUN"] == "tag-1"
            assert environment["SEATRIAL_HELPER"] == "proxy"
            with pytest.raises(InternalError, match="open already"):
                await run.links.open(LINK)
        assert run.ledger.still_open == []
        assert not psutil.pid_exists(undo.pid)
        assert run.events == []
        await run.links.close()

    asyncio.run(main())


def test_a_killed_proxy_is_noticed_and_said() -> None:
    async def main() -> None:
        async with running() as (run, link):
            os.kill(run.undo().pid, signal.SIGKILL)
            await asyncio.wait_for(run.told.wait(), 5)
            event = run.events[0]
            assert isinstance(event, FaultEvent)
            assert (event.what, event.target) == ("failed", "link:db")
            for _ in range(2):
                with pytest.raises(StageFailed, match=r"link 'db'.*killed by signal 9") as caught:
                    await link.add("f", "cut", {})
                assert caught.value.outcome == "inconclusive"
        assert run.ledger.still_open == []
        assert len(run.events) == 1

    asyncio.run(main())


def test_a_killed_proxy_fails_the_order_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with running() as (run, link):
            os.kill(run.undo().pid, signal.SIGSTOP)
            asking = asyncio.create_task(link.stats())
            await asyncio.sleep(0)
            os.kill(run.undo().pid, signal.SIGKILL)
            with pytest.raises(StageFailed, match="killed by signal 9"):
                await asking

    asyncio.run(main())


def test_a_hanging_proxy_is_a_bounded_wait_and_is_killed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with running() as (run, link):
            pid = run.undo().pid
            os.kill(pid, signal.SIGSTOP)
            with pytest.raises(StageFailed, match=r"did not answer 'stats' within 0\.2 s"):
                await link.stats()
        assert not psutil.pid_exists(pid)
        assert list(run.ledger.closed.values())[-1] == "killed"

    monkeypatch.setattr(module, "ANSWER_S", 0.2)
    monkeypatch.setattr(module, "END_S", 0.2)
    asyncio.run(main())


def test_a_proxy_that_talks_garbage_is_our_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        run = Run()
        with pytest.raises(InternalError, match="cannot read"):
            await run.links.open(LINK)
        await run.links.close()
        assert run.ledger.still_open == []

    monkeypatch.setattr("sys.executable", "/bin/echo")
    asyncio.run(main())


def test_a_proxy_that_cannot_be_started_is_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        run = Run()
        with pytest.raises(EnvironmentTrouble, match="cannot be started"):
            await run.links.open(LINK)
        await run.links.close()
        assert run.ledger.still_open == []

    monkeypatch.setattr("sys.executable", "/no/such/python")
    asyncio.run(main())


def test_what_the_proxy_refuses_is_the_users_mistake() -> None:
    async def main() -> None:
        async with running() as (_, link):
            with pytest.raises(UsageError, match="did you mean 'latency'"):
                await link.add("f", "latencey", {})
            with pytest.raises(EnvironmentTrouble, match="cannot be resolved"):
                await link.aim(Address(host="no-such-host.invalid", port=80))

    asyncio.run(main())


def test_two_links_are_two_processes() -> None:
    async def main() -> None:
        async with running() as (run, link):
            other = await run.links.open(Link(name="cache", to="cache.main"))
            assert other.address != link.address
            await link.add("f", "refuse", {})
            async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
                await other.aim(Address(host="127.0.0.1", port=server.sockets[0].getsockname()[1]))
                assert await talk(other.address, b"open") == b"open"
            assert len(run.ledger.still_open) == 2
            assert (await other.stats())["toxics"] == {}

    asyncio.run(main())
