"""Our own failures, as one drawn tree. A service that misbehaves is a Finding or a failed stage, never a traceback.

SeatrialError                     what a command may end with; carries the exit code
├── UsageError            (64)    what the user wrote is wrong; lists every mistake at once
├── EnvironmentTrouble     (3)    this machine cannot do it now: network, disk, a missing tool, a capability
│   └── BaselineBroken     (3)    an older version, needed as a baseline, cannot be installed
├── StageFailed                   a stage of a run ended the run; becomes part of the verdict, never a traceback
│   └── NotReady                  a bounded wait ended; says what was waited for and what was last seen
├── Interrupted          (130)    the user pressed Ctrl-C or sent SIGTERM
└── InternalError         (70)    our own bug; asks for a report
ClientError                       an op did not succeed; `certain` says whether it surely had no effect
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EXIT_PASS, EXIT_FAIL, EXIT_UNPROVEN, EXIT_ENVIRONMENT = 0, 1, 2, 3
EXIT_USAGE, EXIT_INTERNAL, EXIT_INTERRUPTED = 64, 70, 130


class SeatrialError(Exception):
    """Base of everything that a seatrial command may end with."""

    exit_code = EXIT_INTERNAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One wrong thing in what the user wrote: where, what stands there, what is allowed, and the next step."""

    file: str
    key: str
    problem: str
    value: str = ""
    hint: str = ""

    def line(self) -> str:
        """Return the mistake as one line of text, the hint after a semicolon."""
        shown = f" = {self.value}" if self.value else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.file}: {self.key}{shown}: {self.problem}{hint}"


class UsageError(SeatrialError):
    """What the user wrote (files, knobs, arguments) is wrong. Holds every mistake that could be found."""

    exit_code = EXIT_USAGE

    def __init__(self, mistakes: Sequence[Mistake] | str) -> None:
        if isinstance(mistakes, str):
            mistakes = [Mistake(file="command line", key="", problem=mistakes)]
            super().__init__(mistakes[0].problem)
        else:
            count = len(mistakes)
            head = f"{count} mistake{'s' if count != 1 else ''}"
            super().__init__("\n".join([head, *(f"  {m.line()}" for m in mistakes)]))
        self.mistakes = tuple(mistakes)


class EnvironmentTrouble(SeatrialError):
    """This machine cannot do what is asked now. Neither the app nor seatrial is at fault."""

    exit_code = EXIT_ENVIRONMENT


class BaselineBroken(EnvironmentTrouble):
    """An older version that is needed as a baseline cannot be installed; that is not an upgrade failure."""


class StageFailed(SeatrialError):
    """A stage did not do what it is for. `outcome` is the name of an Outcome ("fail", "environment", ...)."""

    def __init__(self, reason: str, *, outcome: str = "fail") -> None:
        super().__init__(reason)
        self.reason = reason
        self.outcome = outcome


class NotReady(StageFailed):
    """A bounded wait for readiness ended without it."""


class Interrupted(SeatrialError):
    """The user asked to stop; everything is healed and torn down before this reaches the door."""

    exit_code = EXIT_INTERRUPTED


class InternalError(SeatrialError):
    """Our own bug. The message asks for a report and names the run folder when there is one."""

    exit_code = EXIT_INTERNAL


class ClientError(Exception):
    """An op did not succeed.

    code: a short stable word, e.g. "refused", "timeout", "reset-after-send", "status-500".
    certain: True when the op surely had no effect (outcome `fail`), False when it may have had one (`unknown`).
    """

    def __init__(self, code: str, *, certain: bool, detail: str = "", status: int = 0) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.certain = certain
        self.detail = detail
        self.status = status
