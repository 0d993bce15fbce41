"""Contracts: what every fault and every check must keep, tried out on yours."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from seatrial.history import History, no_history
from seatrial.host.capabilities import probe
from seatrial.judge.base import NEEDS, Check, complete
from seatrial.judge.proof import prove
from seatrial.params import Param
from seatrial.ports import Fault, NotBitten
from seatrial.testing.fakes import MemoryLedger
from seatrial.verdict import Finding, Outcome

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_TARGETS = {"process", "link", "all"}


class ContractBroken(AssertionError):
    """What was tried breaks its contract; one line for each thing."""


class _Complaints:
    def __init__(self, of: str) -> None:
        self.of, self.lines = of, list[str]()

    def unless(self, holds: bool, text: str) -> None:
        if not holds:
            self.lines.append(f"{self.of}: {text}")

    def tell(self) -> None:
        if self.lines:
            raise ContractBroken("\n".join(self.lines))


async def check_fault(maker: Callable[[], Fault], ledger: MemoryLedger) -> None:
    """Hold a fault against its contract: declared, reversible at every point, measured, and clean in the ledger.

    maker: returns a new fault each time, bound to a world that works and whose ledger is `ledger`. The harm is done
    and undone several times. Raises ContractBroken with everything that was found.
    """
    wrong = _Complaints(maker().KIND or "the fault")
    _declared(maker(), wrong)
    await _harmless_without_injection(maker(), wrong)
    await _whole_life(maker(), ledger, wrong)
    await _broken_off(maker(), ledger, wrong)
    wrong.tell()


def _declared(fault: Fault, wrong: _Complaints) -> None:
    wrong.unless(bool(_NAME.fullmatch(fault.KIND)), f"KIND {fault.KIND!r} is no lower-case-name")
    wrong.unless(bool(fault.SUMMARY.strip()), "SUMMARY says nothing")
    wrong.unless(bool(fault.TARGETS) and set(fault.TARGETS) <= _TARGETS, f"TARGETS are of {sorted(_TARGETS)}")
    wrong.unless(all(isinstance(p, Param) for p in fault.PARAMS), "PARAMS are values of seatrial.params.Param")
    known = {one.name for one in probe()}
    wrong.unless(set(fault.NEEDS) <= known, f"NEEDS are names that `seatrial doctor` knows, of {sorted(known)}")


async def _harmless_without_injection(fault: Fault, wrong: _Complaints) -> None:
    try:
        await fault.heal()
    except Exception as error:
        wrong.unless(False, f"heal without inject raises {type(error).__name__}: {error}")


async def _whole_life(fault: Fault, ledger: MemoryLedger, wrong: _Complaints) -> None:
    before = set(ledger.entries)
    opened = len(ledger.all)
    await fault.preflight()
    wrong.unless(len(ledger.all) == opened, "preflight makes something: it has an entry in the ledger")
    await fault.inject()
    _is_detail(await fault.verify(), "verify", wrong)
    await fault.heal()
    await fault.heal()  # safe to repeat: the guardian may have been here, too
    _is_detail(await fault.verify_gone(), "verify_gone", wrong)
    wrong.unless(set(ledger.entries) <= before, "after verify_gone its ledger entries are still open")
    try:
        await fault.verify()
    except Exception as error:
        wrong.unless(isinstance(error, NotBitten), f"verify after heal raises {type(error).__name__}, not NotBitten")
    else:
        wrong.unless(False, "verify finds the effect after it was healed: it does not measure")


async def _broken_off(fault: Fault, ledger: MemoryLedger, wrong: _Complaints) -> None:
    """Cancel it while it is being put in; then heal and look, as the engine does."""
    before = set(ledger.entries)
    await fault.preflight()
    task = asyncio.create_task(_put_in(fault))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    try:
        await fault.heal()
        await fault.verify_gone()
    except Exception as error:
        wrong.unless(False, f"broken off while it was put in, it cannot be healed: {type(error).__name__}: {error}")
    wrong.unless(set(ledger.entries) <= before, "broken off and healed, its ledger entries are still open")


async def _put_in(fault: Fault) -> None:
    await fault.inject()
    await fault.verify()


def _is_detail(detail: Any, step: str, wrong: _Complaints) -> None:
    wrong.unless(isinstance(detail, dict) and bool(detail), f"{step} returns no details of what it measured")
    try:
        msgspec.json.encode(detail)
    except (TypeError, msgspec.MsgspecError) as error:
        wrong.unless(False, f"{step} returns what JSON cannot hold: {error}")


def check_check(check: Check, history: History, params: Mapping[str, Any] | None = None, *, seed: int = 1) -> Finding:
    """Hold a check against its contract on a history that it passes; return its finding there.

    It must be repeatable, must not pass on an empty history, must say how much it examined and needs, and must catch
    every violation that it plants. Raises ContractBroken with everything that was found.
    """
    wrong = _Complaints(check.kind or "the check")
    wrong.unless(bool(_NAME.fullmatch(check.kind)), f"kind {check.kind!r} is no lower-case-name")
    wrong.unless(bool(check.summary.strip()), "summary says nothing")
    wrong.unless(set(check.needs) <= set(NEEDS), f"needs are of {NEEDS}")
    complete_ = complete(check, params or {})
    finding = check.judge(history, complete_)
    wrong.unless(finding == check.judge(history, complete_), "judged twice, the same history gives two findings")
    wrong.unless(bool(finding.claim.strip()), "the finding has no claim")
    wrong.unless(finding.required >= 1, "nothing is required, so it would pass vacuously")
    enough = finding.outcome is not Outcome.PASS or finding.examined >= finding.required
    wrong.unless(enough, f"it passes with {finding.examined} examined of {finding.required} required")
    wrong.unless(finding.outcome is Outcome.PASS, f"it does not pass on the history given: {finding.reason}")
    empty = check.judge(no_history(), complete_)
    wrong.unless(empty.outcome is not Outcome.PASS, "it passes on an empty history")
    proof = prove(check, history, complete_, seed)
    wrong.unless(proof.planted > 0, "it plants no violation")
    wrong.unless(not proof.missed, f"it misses what it plants: {', '.join(proof.missed)}")
    wrong.unless(proof == prove(check, history, complete_, seed), "planted twice with one seed, the proofs differ")
    wrong.tell()
    return finding
