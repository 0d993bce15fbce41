"""Self-proof: a check judges copies of the very history with violations planted, and must go red on each."""

from __future__ import annotations

import msgspec

from seatrial.history import History
from seatrial.judge.base import Check, Params
from seatrial.verdict import Finding, Outcome, Proof


def prove(check: Check, history: History, params: Params, seed: int) -> Proof:
    """Plant, judge, and count. A planting or a judgement that raises counts as a violation that was missed."""
    planted = caught = 0
    missed: list[str] = []
    try:
        for label, copy in check.plant(history, params, seed):
            planted += 1
            try:
                found = check.judge(copy, params).outcome in check.caught_by
            except Exception as error:  # a judge that falls over a violation did not catch it
                label, found = f"{label} ({_words(error)})", False
            caught += found
            missed += [] if found else [label]
    except Exception as error:  # planting is part of the proof: when it breaks, nothing is proved
        planted, missed = planted + 1, [*missed, f"planting broke: {_words(error)}"]
    return Proof(planted=planted, caught=caught, missed=tuple(missed))


def with_proof(finding: Finding, proof: Proof) -> Finding:
    """Attach a proof. A pass that is not proved becomes inconclusive."""
    finding = msgspec.structs.replace(finding, proof=proof)
    if finding.outcome is not Outcome.PASS or (proof.planted and not proof.missed):
        return finding
    why = f"did not catch its own planted violation: {proof.missed[0]}" if proof.missed else "could plant no violation"
    return msgspec.structs.replace(finding, outcome=Outcome.INCONCLUSIVE, reason=why)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
