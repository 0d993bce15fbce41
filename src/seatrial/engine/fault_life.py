"""The life of one fault: preflight, inject, verify, hold, heal, verify gone. Each step is bounded and journalled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from seatrial.clock import NS
from seatrial.engine.bounding import OutOfTime, bounded, is_host_trouble, words
from seatrial.errors import SeatrialError, StageFailed
from seatrial.history import FaultEvent
from seatrial.plan import PlannedFault
from seatrial.ports import Fault, FaultWorld, NotBitten

PREFLIGHT_BOUND_S = 10.0


@dataclass(slots=True)
class FaultLife:
    """One injection and what became of it.

    touched: the harm may be in, so it must be healed. unhealed: why it is not known to be gone; "" when it is, or
    never was in. outcome: whose failure that is. step: what it is doing now. trouble: what broke last.
    called_off: whether the faults were called off, for a step that swallowed its cancellation.
    """

    planned: PlannedFault
    world: FaultWorld
    step_bound_s: float
    called_off: Callable[[], bool] = lambda: False
    touched: bool = False
    unhealed: str = ""
    outcome: str = "inconclusive"
    step: str = "waiting"
    trouble: str = ""

    async def put_in(self, fault: Fault) -> None:
        """Inject, measure, and hold. Ends early, with `failed` in the journal, when a step does not succeed."""
        clock = self.world.clock
        if not await self._do("preflight", "", fault.preflight, PREFLIGHT_BOUND_S):
            return
        self.touched = True
        self.say("injecting")
        if not await self._do("inject", "injected", fault.inject) or self.called_off():
            return
        injected_ns = clock.now_ns()
        if await self._do("verify", "verified", fault.verify) and fault.HOLDS and not self.called_off():
            self.step = "hold"
            await clock.sleep(max(0.0, self.planned.hold_s - (clock.now_ns() - injected_ns) / NS))

    async def take_out(self, fault: Fault) -> None:
        """Heal, and measure that it is gone."""
        self.say("healing")
        healed = await self._do("heal", "healed", fault.heal)
        if healed and await self._do("verify gone", "gone", fault.verify_gone):
            self.unhealed = ""

    def broken_off(self) -> None:
        """Write down that the faults were called off while it was being put in; an early end of the hold is no news."""
        if self.step != "hold" and not self.trouble:
            self.say("failed", reason=f"{self.step}: broken off, because the faults were called off")

    def broke(self, error: Exception) -> None:
        """Write down a bug that ended this life out of order."""
        self.say("failed", reason=f"{self.step}: {words(error)}")
        self.unhealed = f"{self.step}: {words(error)}" if self.touched else ""

    async def _do(self, step: str, after: str, call: Callable[[], Awaitable[Any]], bound_s: float = 0.0) -> bool:
        self.step = step
        trouble, outcome = "", "inconclusive"
        try:
            detail = await bounded(call(), bound_s or self.step_bound_s)
        except OutOfTime as error:
            trouble = str(error)
        except StageFailed as error:
            trouble, outcome = error.reason, error.outcome
        except (NotBitten, SeatrialError) as error:
            trouble = str(error)
        except OSError as error:
            trouble, outcome = words(error), "environment" if is_host_trouble(error) else outcome
        except Exception as error:  # a bug in a fault must not keep the others, or its own healing, from running
            trouble = f"a bug of the fault: {words(error)}"
        if trouble:
            self.trouble = trouble
            self.say("failed", reason=f"{step}: {trouble}")
            self.unhealed, self.outcome = (f"{step}: {trouble}", outcome) if self.touched else ("", outcome)
            return False
        if after:
            self.say(after, detail=detail if isinstance(detail, dict) else {})
        return True

    def say(
        self,
        what: str,
        *,
        t_ns: int | None = None,
        params: dict[str, Any] | None = None,
        detail: dict[str, Any] | None = None,
        reason: str = "",
    ) -> None:
        """Write a step of this life into the journal."""
        event = FaultEvent(
            t_ns=self.world.clock.now_ns() if t_ns is None else t_ns,
            id=self.planned.id,
            kind=self.planned.kind,
            target=self.planned.target,
            what=what,
            params=params or {},
            detail=detail or {},
            reason=reason,
        )
        self.world.emit(event)
