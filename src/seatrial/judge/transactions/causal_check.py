"""Causal consistency and write skew, as models of their own, for registers and for lists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from seatrial.history.recorded import Recorded
from seatrial.judge.modelling import CyclePicture, Options
from seatrial.judge.transactions import append_check, register_check
from seatrial.judge.transactions.levels import level_named
from seatrial.judge.transactions.reading import has_lists
from seatrial.judge.transactions.selftesting import causal_selftest
from seatrial.verdict import Finding, Outcome

SKEW = "no transactions write what the others of them read, so that only one of them could have come first"


def _at(recorded: Recorded, options: Options, level: str) -> Finding:
    check = append_check.check if has_lists(recorded) else register_check.check
    return check(recorded, replace(options, level=level))


def causal(recorded: Recorded, options: Options) -> Finding:
    """Judge that everybody sees writes in an order that agrees with cause and effect."""
    found = _at(recorded, options, "causal")
    return _named(found, "causal", found.claim, found.outcome, found.reason)


def explain(recorded: Recorded, options: Options) -> list[CyclePicture]:
    """Return the cycles that were found, as values to draw."""
    explained = append_check.explain if has_lists(recorded) else register_check.explain
    return explained(recorded, options)


def write_skew(recorded: Recorded, options: Options) -> Finding:
    """Judge that there is no write skew: nothing that snapshot isolation allows and serializability does not.

    options.level: serializable (the default), strong-session-serializable or strict-serializable.
    A history that is not even of snapshot isolation is inconclusive, unless the skew itself is there to see.
    """
    level = level_named(options.level or "serializable").name
    serial = _at(recorded, options, level)
    if serial.outcome is not Outcome.FAIL:
        return _named(serial, "write-skew", SKEW, serial.outcome, serial.reason)
    if any(name.startswith("G2-item") for name in serial.figures):
        return _named(serial, "write-skew", SKEW, Outcome.FAIL, serial.reason)
    weaker = level.replace("strict-serializable", "strong-serializable").replace("serializable", "snapshot-isolation")
    snapshot = _at(recorded, options, weaker)
    if snapshot.outcome is Outcome.PASS:
        return _named(serial, "write-skew", SKEW, Outcome.FAIL, serial.reason)
    words = f"the transactions are not even {weaker}, which is worse than write skew: {snapshot.reason}"
    return _named(snapshot, "write-skew", SKEW, Outcome.INCONCLUSIVE, words)


def _named(found: Finding, name: str, claim: str, outcome: Outcome, reason: str) -> Finding:
    return Finding(
        name=name,
        claim=claim,
        outcome=outcome,
        examined=found.examined,
        required=found.required,
        observed=found.observed,
        limit=found.limit,
        reason=reason,
        evidence=found.evidence,
        figures=found.figures,
    )


def selftest(n: int, seed: int) -> dict[str, Any]:
    """Compare causal with its definition, and write skew with those of the two levels around it."""
    return causal_selftest(causal, write_skew, n, seed)
