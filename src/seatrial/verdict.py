"""Outcomes, findings and verdicts as values, and the one small table by which outcomes merge."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from typing import Any

import msgspec

from seatrial.errors import EXIT_ENVIRONMENT, EXIT_FAIL, EXIT_PASS, EXIT_UNPROVEN


class Outcome(enum.StrEnum):
    """The answer of a check, a stage or a run. Never a boolean."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_TESTED = "not-tested"
    ENVIRONMENT = "environment"


# Worst wins. A proven failure of the app stands even when the machine was in trouble too; trouble of the machine
# outranks "could not tell", because it explains it.
SEVERITY = (Outcome.PASS, Outcome.NOT_TESTED, Outcome.INCONCLUSIVE, Outcome.ENVIRONMENT, Outcome.FAIL)

EXIT_CODES = {
    Outcome.PASS: EXIT_PASS,
    Outcome.FAIL: EXIT_FAIL,
    Outcome.INCONCLUSIVE: EXIT_UNPROVEN,
    Outcome.NOT_TESTED: EXIT_UNPROVEN,
    Outcome.ENVIRONMENT: EXIT_ENVIRONMENT,
}


def merge(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst of the outcomes; of none at all, NOT_TESTED, because nothing was shown."""
    worst = max((SEVERITY.index(o) for o in outcomes), default=SEVERITY.index(Outcome.NOT_TESTED))
    return SEVERITY[worst]


class Level(enum.StrEnum):
    """Whether a check decides the verdict or is only reported."""

    GATE = "gate"
    REPORT = "report"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest facts that show a finding. Instants are ISO text; op numbers are rows of the sealed journal."""

    what: str
    ops: tuple[int, ...] = ()
    actor: str = ""
    key: str = ""
    expected: str = ""
    observed: str = ""
    fault: str = ""
    at: str | None = None
    line: str = ""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """How many violations were planted into copies of the judged history, and how many of them the check caught."""

    planted: int = 0
    caught: int = 0
    missed: tuple[str, ...] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One claim about the run, with what was examined for it and the evidence when it does not hold."""

    name: str
    claim: str
    outcome: Outcome
    examined: int
    required: int
    level: Level = Level.GATE
    observed: str = ""
    limit: str = ""
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    figures: dict[str, float] = {}
    proof: Proof = Proof()


class ArtefactSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An artefact under trial: what was installed (version, digest) and what the app itself said (observed)."""

    name: str
    version: str
    digest: str = ""
    observed: str = ""
    provider: str = ""


class StageResult(msgspec.Struct, frozen=True, kw_only=True):
    """How one stage of the run ended. Instants are ISO 8601 UTC."""

    name: str
    outcome: Outcome
    started: str | None = None
    ended: str | None = None
    reason: str = ""


class FaultResult(msgspec.Struct, frozen=True, kw_only=True):
    """The life of one injection. Instants are ISO 8601 UTC, None for what did not happen."""

    id: str
    kind: str
    target: str
    params: dict[str, Any] = {}
    planned: str | None = None
    injected: str | None = None
    verified: str | None = None
    healed: str | None = None
    gone: str | None = None
    recovered_s: float | None = None
    reason: str = ""


class Accounting(msgspec.Struct, frozen=True, kw_only=True):
    """Every op that was sent is one of these; sent = ok + fail + unknown + in_flight."""

    sent: int = 0
    ok: int = 0
    fail: int = 0
    unknown: int = 0
    in_flight: int = 0


class Teardown(msgspec.Struct, frozen=True, kw_only=True):
    """Whether anything was left behind, by an independent listing."""

    clean: bool
    residue: tuple[str, ...] = ()


class Waiver(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded exception: which check, why, by whom, until when (ISO date)."""

    check: str
    reason: str
    author: str
    expires: str
    expired: bool = False


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """All findings of a run together. This is the value that verdict.json holds."""

    schema: int = 1
    seatrial: str
    run: str
    app: str
    scenario: str
    runtime: str
    seed: int
    started: str | None
    ended: str | None
    outcome: Outcome
    reason: str = ""
    artefacts: tuple[ArtefactSeen, ...] = ()
    stages: tuple[StageResult, ...] = ()
    checks: tuple[Finding, ...] = ()
    faults: tuple[FaultResult, ...] = ()
    accounting: Accounting = Accounting()
    teardown: Teardown = Teardown(clean=False)
    waivers: tuple[Waiver, ...] = ()
    environment: dict[str, Any] = {}

    @property
    def exit_code(self) -> int:
        """Return the process exit code that stands for the outcome."""
        return EXIT_CODES[self.outcome]


def encode(verdict: Verdict) -> bytes:
    """Return the bytes of verdict.json: indented, every field present, the same for the same verdict.

    What JSON cannot hold does not break it: a lone surrogate becomes an escape, a figure that is no number is left out.
    """
    return msgspec.json.format(msgspec.json.encode(_holdable(msgspec.to_builtins(verdict))), indent=1) + b"\n"


def decode(data: bytes) -> Verdict:
    """Return the verdict of verdict.json. Raises msgspec.ValidationError or DecodeError when it is not one."""
    return msgspec.json.decode(data, type=Verdict)


def _holdable(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_holdable(k): _figures(v) if k == "figures" else _holdable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_holdable(v) for v in value]
    return value


def _figures(value: Any) -> Any:
    if not isinstance(value, dict):
        return _holdable(value)
    return {_holdable(k): v for k, v in value.items() if not isinstance(v, float) or math.isfinite(v)}
