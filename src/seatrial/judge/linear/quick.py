"""The exact methods without a search: which of them fits a part, and what it says."""

from __future__ import annotations

from seatrial.judge.linear.blocks import grow_only_set
from seatrial.judge.linear.problem import Part
from seatrial.judge.linear.queues import unique_queue
from seatrial.judge.linear.zones import unique_register

Answer = tuple[str, list[int] | None]  # the method; rows that show a violation, or None when it is linearizable


def quick(part: Part, method: str) -> Answer | None:
    """Judge a part by the method its model allows; None when the part does not meet what the method needs."""
    if method == "zones":
        return unique_register(part)
    if method == "queue":
        return unique_queue(part)
    if method == "grow-set":
        return grow_only_set(part)
    return None
