"""The harms of a link: cut, refuse, blackhole, latency, bandwidth, reset. Each is measured through the link itself."""

from __future__ import annotations

import statistics
from typing import Any, ClassVar

from seatrial.errors import StageFailed
from seatrial.faults.probing import Probe, ProbeFailed, open_probe, probing, reaches
from seatrial.faults.proxy.toxics import PARAMS
from seatrial.params import Kind, Param, show
from seatrial.plan import PlannedFault
from seatrial.ports import FaultWorld, LinkControl, NotBitten
from seatrial.undo import Nothing

PATIENCE_S = 5.0  # for what takes microseconds when the machine is free
SILENCE_S = 0.3  # a blackhole is believed after this long without a byte that took far less before
RATE_S = 0.4
LEAST_SHARE = 0.8  # of a wanted delay that must be measured
SAMPLES, JITTER_SAMPLES = 5, 20


class LinkFault:
    """What all harms of a link share: the toxic's life, one live probing connection, and the look that it is gone."""

    KIND: ClassVar[str]
    SUMMARY: ClassVar[str]
    TARGETS: ClassVar[tuple[str, ...]] = ("link",)
    PARAMS: ClassVar[tuple[Param, ...]] = ()
    NEEDS: ClassVar[tuple[str, ...]] = ()
    HOLDS: ClassVar[bool] = True

    def __init__(self, planned: PlannedFault, world: FaultWorld) -> None:
        """Bind to one link of the run; nothing is touched."""
        self.planned, self.world = planned, world
        self.name = planned.target.removeprefix("link:")
        self.params = {p.name: planned.params.get(p.name, p.default) for p in self.PARAMS}
        self._live: Probe | None = None
        self._entry: int | None = None
        self._in_force = False
        self._before: dict[str, Any] = {}
        self._users_at_heal: dict[str, Any] = {}

    @property
    def link(self) -> LinkControl:
        """Return the control of the target. Raises NotBitten when the plan has no such link."""
        found = self.world.links.get(self.name)
        if found is None or not self.planned.target.startswith("link:"):
            known = ", ".join(f"link:{name}" for name in self.world.links) or "none"
            raise NotBitten(f"{self.planned.target!r} is not a link of this run; links: {known}")
        return found

    @property
    def directions(self) -> tuple[str, ...]:
        """Return the directions it works on."""
        wanted = self.params.get("direction", "both")
        return ("up", "down") if wanted == "both" else (wanted,)

    async def preflight(self) -> None:
        """Look that the link is there, that the harm can hit anything, and that a probe comes through it now."""
        link = self.link
        if self.params.get("toxicity", 1.0) <= 0:
            raise NotBitten(f"{self.KIND}: toxicity 0% hits no connection; give it more, or leave the fault out")
        try:
            async with probing(link, self.world.clock, self.patience):
                pass
        except ProbeFailed as failed:
            raise NotBitten(
                f"link {self.name!r} carries nothing before the {self.KIND}: {failed}; does another fault hold it?"
            ) from None

    @property
    def patience(self) -> float:
        """Return how long a sound connection may take."""
        return PATIENCE_S

    async def inject(self) -> None:
        """Open a live probing connection, measure it, and put the toxic into force."""
        link = self.link
        why = "a toxic lives in its link's proxy, which has an entry of its own"
        self._entry = self.world.ledger.open("toxic", f"{self.KIND} on link {self.name}", Nothing(why=why))
        try:
            self._live = await open_probe(link, self.world.clock, self.patience)
            await self.measure_before(self._live)
        except ProbeFailed as failed:
            self._close("never in force")
            raise NotBitten(f"link {self.name!r} carries nothing before the {self.KIND}: {failed}") from None
        self._before.update(await link.stats())
        self._in_force = True
        await link.add(self.planned.id, self.KIND, self.params)

    async def measure_before(self, live: Probe) -> None:
        """Measure what is compared with later: bytes pass in both directions."""
        for direction in ("up", "down"):
            self._before[f"{direction}_s"] = await live.passes(direction, self.patience)

    async def verify(self) -> dict[str, Any]:
        """Measure the effect through the link. Raises NotBitten."""
        if self._live is None:
            raise NotBitten(f"{self.KIND} on link {self.name!r} was not injected")
        try:
            found = await self.bite(self._live)
        except ProbeFailed as failed:
            raise NotBitten(f"{self.KIND} on link {self.name!r}: the probing connection ended: {failed}") from None
        return {**found, **await self._users()}

    async def bite(self, live: Probe) -> dict[str, Any]:
        """Measure the effect on the live and on a fresh connection. Raises NotBitten."""
        raise NotImplementedError

    async def _users(self) -> dict[str, Any]:
        """Return how many connections of users were hit so far: for the reader, not as the proof."""
        now = await self.link.stats()
        hit = now["toxics"].get(self.planned.id, {}).get("hit", 0)
        return {"open_before": self._before["open"], "users_hit": hit, "reset": now["reset"] - self._before["reset"]}

    async def heal(self) -> None:
        """Take the toxic out of force. Safe when it never was."""
        if not self._in_force:
            return
        try:
            self._users_at_heal = await self._users()
            await self.link.remove(self.planned.id)
        except StageFailed:
            self._close("its proxy died, and the toxic with it")
            raise
        self._in_force = False

    async def verify_gone(self) -> dict[str, Any]:
        """Measure that a fresh connection comes through, reaches the upstream, and shows nothing of the effect."""
        try:
            found = await self.after_heal()
            async with probing(self.link, self.world.clock, self.patience) as fresh:
                found |= await self.gone(fresh)
            found["upstream"] = await self._upstream()
        except ProbeFailed as failed:
            raise NotBitten(f"{self.KIND} on link {self.name!r} is still felt: {failed}") from None
        finally:
            self._drop_live()
        self._close("measured gone")
        return {**found, **self._users_at_heal}

    def _close(self, how: str) -> None:
        if self._entry is not None:
            self.world.ledger.close(self._entry, how)
            self._entry = None

    async def after_heal(self) -> dict[str, Any]:
        """Look at the connection that lived through it, where that says something."""
        return {}

    async def gone(self, fresh: Probe) -> dict[str, Any]:
        """Measure a fresh connection: bytes pass in both directions."""
        return {f"{d}_s": await fresh.passes(d, self.patience) for d in ("up", "down")}

    async def _upstream(self) -> str:
        word = await reaches(self.link, self.world.clock, self.patience)
        if word == "joined" or word.startswith("far end:") or word == "not aimed":
            return word  # the line is sound; that the app does not answer is not this fault's effect
        raise NotBitten(f"{self.KIND} on link {self.name!r} is still felt: a fresh connection is {word}")

    def _drop_live(self) -> None:
        if self._live is not None:
            self._live.close()
            self._live = None

    async def fresh_word(self, within_s: float) -> str:
        """Return what a fresh connection meets: joined, not joined, refused, reset, closed."""
        try:
            async with probing(self.link, self.world.clock, within_s):
                return "joined"
        except ProbeFailed as failed:
            return failed.word


class Cut(LinkFault):
    """Live connections are closed, new ones refused."""

    KIND = "cut"
    SUMMARY = "close all connections of a link and refuse new ones until healed"
    PARAMS = PARAMS["cut"]

    async def bite(self, live: Probe) -> dict[str, Any]:
        """The live connection ends and a fresh one is refused."""
        ended, fresh = await live.end(PATIENCE_S), await self.fresh_word(PATIENCE_S)
        if ended == "open" or fresh != "refused":
            raise NotBitten(f"cut on link {self.name!r}: the live connection is {ended}, a fresh one is {fresh}")
        return {"live": ended, "fresh": fresh}


class Refuse(LinkFault):
    """New connections are refused, live ones go on."""

    KIND = "refuse"
    SUMMARY = "refuse new connections to a link; live ones go on"
    PARAMS = PARAMS["refuse"]

    async def bite(self, live: Probe) -> dict[str, Any]:
        """A fresh connection is refused; the live one still carries bytes."""
        fresh = await self.fresh_word(PATIENCE_S)
        if fresh != "refused":
            raise NotBitten(f"refuse on link {self.name!r}: a fresh connection is {fresh}")
        return {"fresh": fresh, "live_up_s": await live.passes("up", PATIENCE_S)}


class Blackhole(LinkFault):
    """Nothing passes and nobody is told."""

    KIND = "blackhole"
    SUMMARY = "let connections stand while no byte passes, as a partition does"
    PARAMS = PARAMS["blackhole"]

    async def bite(self, live: Probe) -> dict[str, Any]:
        """Bytes stop on the live connection without an end of it, and a fresh one carries none either."""
        silence = min(2.0, max(SILENCE_S, 10 * max(self._before[f"{d}_s"] for d in self.directions)))
        for direction in self.directions:
            await live.send(direction, b"held")
        for direction in self.directions:
            await self._silent(live, direction, silence)
        return {"silence_s": silence, "live": "open, silent", "fresh": await self._fresh(silence)}

    async def _silent(self, probe: Probe, direction: str, silence: float) -> None:
        try:
            data = await probe.arrives(direction, silence)
        except ProbeFailed as failed:
            if failed.word == "silent":
                return
            raise
        raise NotBitten(f"blackhole on link {self.name!r}: {len(data)} bytes still came through {direction}")

    async def _fresh(self, silence: float) -> str:
        if "up" in self.directions:
            word = await self.fresh_word(silence)
            if word != "not joined":
                raise NotBitten(f"blackhole on link {self.name!r}: a fresh connection is {word}")
            return "connected, never arrived"
        async with probing(self.link, self.world.clock, self.patience) as fresh:
            await fresh.send("down", b"x")
            await self._silent(fresh, "down", silence)
        return "connected, silent"

    async def after_heal(self) -> dict[str, Any]:
        """What was held goes on, or the connection is reset, as was asked for."""
        if self._live is None:
            return {}
        if self.params["after"] == "reset":
            word = await self._live.end(PATIENCE_S)
            if word != "reset":
                raise NotBitten(f"blackhole on link {self.name!r}: after the heal the held connection is {word}")
            return {"held": word}
        for direction in self.directions:
            await self._live.arrives(direction, PATIENCE_S)
        return {"held": "arrived"}


class Latency(LinkFault):
    """Bytes arrive later."""

    KIND = "latency"
    SUMMARY = "delay the bytes of a link, each chunk from its own arrival; a handshake costs a round trip too"
    PARAMS = PARAMS["latency"]

    @property
    def patience(self) -> float:
        """Return how long a sound connection may take under the delay."""
        return PATIENCE_S + 6 * (float(self.params["latency"]) + float(self.params["jitter"]))

    @property
    def _count(self) -> int:
        return JITTER_SAMPLES if self.params["jitter"] else SAMPLES

    async def measure_before(self, live: Probe) -> None:
        """Measure the delay without the toxic, in the same way as with it."""
        for direction in ("up", "down"):
            # The median: one hiccup of the machine here must not make the harm look smaller later.
            self._before[f"{direction}_s"] = statistics.median(await live.delays(direction, SAMPLES, self.patience))

    async def bite(self, live: Probe) -> dict[str, Any]:
        """The live connection, and a fresh one, deliver later than before by what was asked for."""
        found = await self._added(live, "live")
        async with probing(self.link, self.world.clock, self.patience) as fresh:
            return found | await self._added(fresh, "fresh")

    async def _added(self, probe: Probe, which: str) -> dict[str, Any]:
        wanted, found = float(self.params["latency"]), {}
        least = wanted * (0.5 if self.params["jitter"] else LEAST_SHARE)
        for direction in self.directions:
            delays = await probe.delays(direction, self._count, self.patience)
            added = statistics.fmean(delays) - self._before[f"{direction}_s"]
            if added < least or added <= 0:
                raise NotBitten(
                    f"latency on link {self.name!r}: {show(Kind.DURATION, wanted)} wanted {direction}, but the {which} "
                    f"connection was delayed by {added * 1000:.2f} ms more than before"
                )
            found[f"{which}_{direction}_added_ms"] = round(added * 1000, 3)
        return found

    async def gone(self, fresh: Probe) -> dict[str, Any]:
        """A fresh connection is about as fast as before."""
        most, found = float(self.params["latency"]) / 2, {}
        for direction in self.directions:
            added = min(await fresh.delays(direction, SAMPLES, self.patience)) - self._before.get(f"{direction}_s", 0)
            if added > max(most, 0.002):
                raise NotBitten(f"latency on link {self.name!r} is still felt: {added * 1000:.2f} ms {direction}")
            found[f"{direction}_added_ms"] = round(added * 1000, 3)
        return found


class Bandwidth(LinkFault):
    """Bytes arrive at a limited rate."""

    KIND = "bandwidth"
    SUMMARY = "limit the bytes per second of each connection of a link"
    PARAMS = PARAMS["bandwidth"]

    async def measure_before(self, live: Probe) -> None:
        """Measure what goes through without the limit, on a connection of its own."""
        async with probing(self.link, self.world.clock, self.patience) as other:
            for direction in self.directions:
                self._before[f"{direction}_rate"] = await self._rate(other, direction)

    async def bite(self, live: Probe) -> dict[str, Any]:
        """Both a live and a fresh connection carry the rate and not more, which was far more before."""
        found = await self._limited(live, "live")
        async with probing(self.link, self.world.clock, self.patience) as fresh:
            return found | await self._limited(fresh, "fresh")

    async def _rate(self, probe: Probe, direction: str) -> float:
        """Measure with twice the bytes that the limit lets through: enough to tell, and no load to speak of."""
        wanted = int(self.params["rate"])
        window = min(30.0, max(RATE_S, 10 / wanted))
        return await probe.rate(direction, window, most=max(4, int(2 * wanted * window)))

    async def _limited(self, probe: Probe, which: str) -> dict[str, Any]:
        wanted, found = int(self.params["rate"]), {}
        for direction in self.directions:
            before = self._before[f"{direction}_rate"]
            rate = await self._rate(probe, direction)
            if not 0 < rate <= 1.25 * wanted or before < 1.5 * wanted:
                raise NotBitten(
                    f"bandwidth on link {self.name!r}: {wanted} B/s wanted {direction}; the {which} connection carried "
                    f"{rate:.0f} B/s, and {before:.0f} B/s before"
                )
            found[f"{which}_{direction}_rate"] = round(rate)
        return found

    async def gone(self, fresh: Probe) -> dict[str, Any]:
        """A fresh connection carries far more than the limit again."""
        found = {}
        for direction in self.directions:
            rate = await self._rate(fresh, direction)
            if rate < 1.4 * int(self.params["rate"]):
                raise NotBitten(f"bandwidth on link {self.name!r} is still felt: {rate:.0f} B/s {direction}")
            found[f"{direction}_rate"] = round(rate)
        return found


class Reset(LinkFault):
    """Live connections get a RST, and new ones too if wanted."""

    KIND = "reset"
    SUMMARY = "reset the live connections of a link with a RST, and new ones until healed"
    PARAMS = PARAMS["reset"]

    async def bite(self, live: Probe) -> dict[str, Any]:
        """The live connection ends with ECONNRESET; a fresh one too, unless only live ones were wanted."""
        ended = await live.end(PATIENCE_S)
        fresh = await self.fresh_word(PATIENCE_S)
        wanted = "reset" if self.params["new"] else "joined"
        if ended != "reset" or fresh != wanted:
            raise NotBitten(f"reset on link {self.name!r}: the live connection is {ended}, a fresh one is {fresh}")
        return {"live": ended, "fresh": fresh}
