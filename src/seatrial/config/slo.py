"""Objectives as one line of text, such as "p99 < 250ms" or "success >= 99.9%", turned into checks with limits."""

from __future__ import annotations

import re
from typing import Any

from seatrial import plan
from seatrial.config.mistakes import Book
from seatrial.params import Kind, parse

FORMS = 'such as "p99 < 250ms", "success >= 99.9% during", "gap < 5s", "availability >= 99%" or "recovery < 30s"'
PHASES = ("before", "during", "after", "outside")  # of faults
_LINE = re.compile(r"^\s*([a-z]+|p\d+(?:\.\d+)?)\s*(<=?|>=?)\s*(\S+)(?:\s+([a-z]+))?\s*$")
_QUANTILE = re.compile(r"^p(\d+(?:\.\d+)?)$")


def slo_checks(raw: Any, file: str, book: Book) -> list[tuple[plan.Check, str]]:
    """Return the checks of objectives, each with its key path; what is not understood is written down."""
    if not isinstance(raw, list):
        book.add(file, "slo", "a list of objectives is wanted", value=raw, hint=FORMS)
        return []
    found = []
    for index, line in enumerate(raw):
        try:
            found.append((slo_check(line), f"slo[{index}]"))
        except ValueError as error:
            book.add(file, f"slo[{index}]", str(error), value=line, hint=FORMS)
    return found


def slo_check(line: Any) -> plan.Check:
    """Return the check that an objective stands for; it is named like the text. Raises ValueError."""
    match = _LINE.match(line) if isinstance(line, str) else None
    if match is None:
        raise ValueError("an objective is: what, then < or >=, then a limit, then perhaps a phase")
    what, sign, limit, phase = match.groups()
    if phase is not None and phase not in PHASES:
        raise ValueError(f"a phase is one of {', '.join(PHASES)}")
    kind, params = _meaning(what, sign, limit, phase)
    return plan.Check(name=" ".join(line.split()), kind=kind, params=params)


def _meaning(what: str, sign: str, limit: str, phase: str | None) -> tuple[str, dict[str, Any]]:
    at_phase = {"phase": phase} if phase else {}
    if match := _QUANTILE.match(what):
        share = float(match[1]) / 100
        if not 0 < share < 1:
            raise ValueError("a quantile is between p0 and p100, such as p95 or p99.9")
        return "latency", {"max": _most(sign, limit), "quantile": round(share, 9), **at_phase}
    if what == "success":
        return "success_rate", {"min": _least(sign, limit), **at_phase}
    if what == "gap" and phase in (None, "during", "outside"):
        return "availability", {"max_gap_in_fault" if phase == "during" else "max_gap": _most(sign, limit)}
    if what == "availability" and phase in (None, "outside"):
        return "availability", {"min_share_outside" if phase else "min_share": _least(sign, limit)}
    if what == "recovery" and phase is None:
        return "recovery", {"within": _most(sign, limit)}
    raise ValueError(f"no objective {what!r}{f' with phase {phase!r}' if phase else ''}")


def _most(sign: str, limit: str) -> float:
    if sign[0] != "<":
        raise ValueError("this objective has an upper limit: use <")
    return float(parse(Kind.DURATION, limit))


def _least(sign: str, limit: str) -> float:
    if sign[0] != ">":
        raise ValueError("this objective has a lower limit: use >=")
    return float(parse(Kind.RATIO, limit))
