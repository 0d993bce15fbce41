"""Teardown: end every part in the reverse order of its making, then look, believing nobody, for what is left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from seatrial.engine.bounding import OutOfTime, bounded, is_host_trouble, words
from seatrial.engine.stages import Stages
from seatrial.errors import InternalError, SeatrialError
from seatrial.history import Residue

END_WITHIN_S = 80.0  # longer than the longest that any part needs to end by force
LOOK_WITHIN_S = 20.0
T = TypeVar("T")


@dataclass(slots=True)
class End:
    """How the teardown went. troubles: what did not go well; left: what is still there, in plain words."""

    troubles: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    bugs: list[Exception] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """Return the outcome of the stage teardown: anything left is a failure, a trouble alone proves nothing."""
        return "fail" if self.left else "inconclusive" if self.troubles else "pass"

    @property
    def reason(self) -> str:
        """Return all of it in one line."""
        return "; ".join([*self.troubles, *(f"left: {item}" for item in self.left)])


async def tear_down(stages: Stages) -> End:
    """End everything, whatever happened; a failure of one part never keeps the others from ending."""
    end = End()
    parts: list[tuple[str, Callable[[], Awaitable[None]]]] = []
    if stages.injector:
        parts.append(("faults", stages.injector.close))  # first: a healing must not start what is being ended
    if stages.crew:
        parts.append(("crew", stages.crew.close))
    if stages.observer:
        parts.append(("observer", stages.observer.stop))
    if stages.deployment:
        parts.append(("deployment", stages.deployment.teardown))
    if stages.links:
        parts.append(("links", stages.links.close))
    for what, ending in parts:
        await _contained(end, what, ending(), END_WITHIN_S)
    await _look(stages, end)
    clean = not end.left
    stages.site.emit(Residue(t_ns=stages.site.clock.now_ns(), clean=clean, items=tuple(end.left)))
    return end


async def _look(stages: Stages, end: End) -> None:
    found: set[str] = set()
    if stages.deployment:
        said = await _contained(end, "looking at the deployment", stages.deployment.residue(), LOOK_WITHIN_S)
        found |= set(["nobody could look at what the deployment left"] if said is None else said)
    said = await _contained(end, "looking at the machine", _called(stages.parts.residue), LOOK_WITHIN_S)
    found |= set(["nobody could look at what is left on the machine"] if said is None else said)
    end.left = sorted(found)


async def _called(look: Callable[[], list[str]]) -> list[str]:
    return look()


async def _contained(end: End, what: str, action: Awaitable[T], within_s: float) -> T | None:
    """Do one thing; return None, with the trouble written down, when it does not succeed."""
    try:
        return await bounded(action, within_s)
    except OutOfTime as error:
        end.troubles.append(f"{what}: {error}")
    except Exception as error:
        known = isinstance(error, SeatrialError) and not isinstance(error, InternalError)
        known = known or (isinstance(error, OSError) and is_host_trouble(error))
        end.troubles.append(f"{what}: {error if known else words(error)}")
        end.bugs += [] if known else [error]
    return None
