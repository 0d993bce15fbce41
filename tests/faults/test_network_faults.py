"""Each harm of a link through its whole life, against real sockets; and each look that must not be fooled."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from linkkit import MemoryLedger

from seatrial.clock import SystemClock
from seatrial.errors import StageFailed
from seatrial.faults import network
from seatrial.faults.links import ProxyLink, ProxyLinks
from seatrial.faults.network import Bandwidth, Blackhole, Cut, Latency, LinkFault, Refuse, Reset
from seatrial.plan import Link, Plan, PlannedFault, Trigger
from seatrial.ports import Address, Fault, FaultWorld, NotBitten

PLAN = Plan(seatrial="0", app="a", app_dir=".", scenario="s", runtime="process", seed=1)
CASES: list[tuple[type[LinkFault], dict[str, Any]]] = [
    (Cut, {}),
    (Refuse, {}),
    (Blackhole, {"direction": "both"}),
    (Blackhole, {"direction": "up"}),
    (Blackhole, {"direction": "down"}),
    (Blackhole, {"after": "reset"}),
    (Latency, {"latency": 0.08}),
    (Latency, {"latency": 0.05, "jitter": 0.03, "direction": "both"}),
    (Bandwidth, {"rate": 300_000}),
    (Bandwidth, {"rate": 40, "direction": "up"}),
    (Reset, {}),
    (Reset, {"new": False}),
]


def _over(cases: list[tuple[type[LinkFault], dict[str, Any]]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("kind", "params"), cases, ids=lambda v: getattr(v, "KIND", None) or str(v))


EVERY = _over(CASES)
STAYING = _over([case for case in CASES if case[1] != {"new": False}])  # a reset of live ones leaves nothing to stay


class Upstream:
    """A real far end that echoes, and remembers what it was sent."""

    def __init__(self) -> None:
        self.connections, self.bytes = 0, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while data := await reader.read(4096):
                self.bytes += len(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


class Rig:
    def __init__(self, link: ProxyLink, ledger: MemoryLedger, upstream: Upstream, server: asyncio.Server) -> None:
        self.link, self.ledger, self.upstream, self.server = link, ledger, upstream, server

    def fault(self, kind: type[LinkFault], params: dict[str, Any], target: str = "link:db", name: str = "f1") -> Fault:
        planned = PlannedFault(id=name, kind=kind.KIND, target=target, trigger=Trigger(), hold_s=1, params=params)
        world = FaultWorld(
            plan=PLAN,
            deployment=None,  # type: ignore[arg-type]  # a harm of a link has nothing to do with the deployment
            links={"db": self.link},
            ledger=self.ledger,
            clock=SystemClock(),
            rng=random.Random(1),
            emit=lambda event: None,
            run="tag",
        )
        return kind(planned, world)


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    ledger, upstream = MemoryLedger(), Upstream()
    links = ProxyLinks("tag", 1, ledger, SystemClock(), lambda event: None)
    try:
        link = await links.open(Link(name="db", to="db.main"))
        async with await asyncio.start_server(upstream.serve, "127.0.0.1", 0) as server:
            await link.aim(Address(host="127.0.0.1", port=server.sockets[0].getsockname()[1]))
            yield Rig(link, ledger, upstream, server)
    finally:
        await links.close()


def played(play: Callable[[Rig], Awaitable[None]]) -> None:
    async def main() -> None:
        async with rig() as one:
            await play(one)

    asyncio.run(main())


@pytest.mark.proves("S0-27", "S1-16", "S1-17", "S1P-12")
@EVERY
def test_whole_life_is_measured_and_the_app_sees_nothing_of_it(kind: type[LinkFault], params: dict[str, Any]) -> None:
    async def play(one: Rig) -> None:
        fault = one.fault(kind, params)
        await fault.preflight()
        await fault.inject()
        assert [line[0] for line in one.ledger.still_open] == ["proxy", "toxic"]
        assert await fault.verify()
        await fault.heal()
        gone = await fault.verify_gone()
        assert gone["upstream"] == "joined"
        assert [line[0] for line in one.ledger.still_open] == ["proxy"]
        assert one.upstream.bytes == 0
        assert one.upstream.connections <= 1
        stats = await one.link.stats()
        assert stats["toxics"] == {}
        assert (stats["accepted"], stats["bytes_up"], stats["reset"]) == (0, 0, 0)

    played(play)


@EVERY
def test_a_toxic_that_is_not_in_force_is_not_verified(
    kind: type[LinkFault], params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "PATIENCE_S", 0.5)

    async def play(one: Rig) -> None:
        fault = one.fault(kind, params)
        add = one.link.add

        async def lost(toxic: str, kind: str, params: Any) -> None:
            """The order is lost on its way."""

        one.link.add = lost  # type: ignore[method-assign]
        await fault.inject()
        one.link.add = add  # type: ignore[method-assign]
        with pytest.raises(NotBitten):
            await fault.verify()
        fault._drop_live()  # type: ignore[attr-defined]

    played(play)


@STAYING
def test_an_effect_that_stays_is_not_gone(
    kind: type[LinkFault], params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "PATIENCE_S", 0.5)

    async def play(one: Rig) -> None:
        fault = one.fault(kind, params)
        await fault.inject()
        await one.link.add("stays", kind.KIND, fault.params)  # type: ignore[attr-defined]
        await fault.heal()
        with pytest.raises(NotBitten, match=r"still felt|after the heal"):
            await fault.verify_gone()
        assert [line[0] for line in one.ledger.still_open] == ["proxy", "toxic"]

    played(play)


@pytest.mark.proves("S1P-14")
def test_a_fault_on_no_link_is_said() -> None:
    async def play(one: Rig) -> None:
        for target in ("link:dbx", "db"):
            with pytest.raises(NotBitten, match="links: link:db"):
                await one.fault(Cut, {}, target).preflight()

    played(play)


def test_toxicity_zero_cannot_bite() -> None:
    async def play(one: Rig) -> None:
        with pytest.raises(NotBitten, match="hits no connection"):
            await one.fault(Reset, {"toxicity": 0.0}).preflight()

    played(play)


def test_heal_is_safe_when_nothing_was_injected() -> None:
    async def play(one: Rig) -> None:
        fault = one.fault(Cut, {})
        await fault.heal()
        with pytest.raises(NotBitten, match="was not injected"):
            await fault.verify()

    played(play)


def test_a_limit_above_what_the_link_carries_is_not_a_harm() -> None:
    async def play(one: Rig) -> None:
        fault = one.fault(Bandwidth, {"rate": 40_000_000_000, "direction": "up"})
        await fault.inject()
        with pytest.raises(NotBitten, match="before"):
            await fault.verify()
        await fault.heal()
        fault._drop_live()  # type: ignore[attr-defined]

    played(play)


def test_an_app_that_is_down_is_not_taken_for_an_effect_that_stays() -> None:
    async def play(one: Rig) -> None:
        fault = one.fault(Cut, {})
        await fault.inject()
        one.server.close()
        await one.server.wait_closed()
        await fault.verify()
        await fault.heal()
        assert (await fault.verify_gone())["upstream"] == "far end: ECONNREFUSED"

    played(play)


def test_another_fault_on_the_link_is_named_as_the_likely_reason() -> None:
    async def play(one: Rig) -> None:
        await one.link.add("other", "cut", {})
        with pytest.raises(NotBitten, match=r"refused.*another fault"):
            await one.fault(Latency, {"latency": 0.1}).preflight()

    played(play)


def test_users_that_were_hit_are_reported() -> None:
    async def play(one: Rig) -> None:
        address = one.link.address
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        fault = one.fault(Reset, {})
        await fault.inject()
        found = await fault.verify()
        assert (found["open_before"], found["users_hit"], found["reset"]) == (1, 1, 1)
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()
        await fault.heal()
        await fault.verify_gone()

    played(play)


def test_a_proxy_that_died_is_said_at_heal() -> None:
    async def play(one: Rig) -> None:
        fault = one.fault(Cut, {})
        await fault.inject()
        assert one.link._process is not None
        one.link._process.kill()
        with pytest.raises(StageFailed, match="killed by signal 9"):
            await fault.heal()
        fault._drop_live()  # type: ignore[attr-defined]
        assert [line[0] for line in one.ledger.still_open] == ["proxy"]

    played(play)


@pytest.mark.parametrize("kind", [Cut, Refuse, Blackhole, Latency, Bandwidth, Reset])
def test_every_kind_says_what_it_is(kind: type[LinkFault]) -> None:
    assert kind.TARGETS == ("link",)
    assert kind.SUMMARY
    assert kind.NEEDS == ()
    assert all(param.help for param in kind.PARAMS)
