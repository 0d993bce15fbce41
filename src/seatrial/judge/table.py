"""The visible table of checks: kind -> check."""

from __future__ import annotations

from collections.abc import Mapping

from seatrial.judge import (
    accounting,
    availability,
    durability,
    faults,
    identity,
    leak,
    logs,
    model,
    reactions,
    recovery,
    session,
    slo,
    stability,
    teardown,
)
from seatrial.judge.base import Check

CHECKS: Mapping[str, Check] = {
    check.kind: check
    for check in (
        durability.CHECK,
        session.CHECK,
        accounting.CHECK,
        availability.CHECK,
        availability.OPS_CHECK,
        recovery.CHECK,
        slo.SUCCESS,
        slo.LATENCY,
        stability.CHECK,
        stability.STOP,
        leak.CHECK,
        reactions.CHECK,
        logs.CHECK,
        identity.CHECK,
        faults.CHECK,
        model.CHECK,
        teardown.CHECK,
    )
}
