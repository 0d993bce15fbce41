"""The public kit for tests of your own faults, checks and scenarios: time that does not pass, fakes, and contracts.

`run_virtual` runs a coroutine in virtual time: sleeps and timeouts take no time, and waiting for what never comes is
an error instead of a hang. `FakeTrial` is a whole trial in memory. `check_fault` and `check_check` hold a fault or a
check against its contract, and say in one sentence each what it breaks.
"""

from __future__ import annotations

from seatrial.testing.contracts import ContractBroken, check_check, check_fault
from seatrial.testing.fakes import (
    FakeCrew,
    FakeDeployment,
    FakeLink,
    FakeObserver,
    MemoryLedger,
    Script,
    fake_fault,
)
from seatrial.testing.trial import FakeTrial, fake_plan
from seatrial.testing.virtual import VirtualClock, WaitsForever, run_virtual

__all__ = [
    "ContractBroken",
    "FakeCrew",
    "FakeDeployment",
    "FakeLink",
    "FakeObserver",
    "FakeTrial",
    "MemoryLedger",
    "Script",
    "VirtualClock",
    "WaitsForever",
    "check_check",
    "check_fault",
    "fake_fault",
    "fake_plan",
    "run_virtual",
]
