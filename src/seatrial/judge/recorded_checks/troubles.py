"""What a check collects while it looks: troubles by category; and the finding that is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seatrial.history.recorded import RecordedOp
from seatrial.judge.base import EVIDENCE_MOST
from seatrial.judge.recorded_checks.words import show, told
from seatrial.verdict import Evidence, Finding, Outcome


@dataclass(slots=True)
class Troubles:
    """Counts every trouble, and keeps the first few of each category as evidence.

    A category in `reported` is shown and counted, and does not fail the check.
    """

    reported: frozenset[str] = frozenset()
    counts: dict[str, int] = field(default_factory=dict)
    kept: dict[str, list[Evidence]] = field(default_factory=dict)

    def add(
        self,
        category: str,
        what: str,
        ops: Sequence[RecordedOp | None] = (),
        *,
        key: Any = None,
        expected: Any = "",
        observed: Any = "",
    ) -> None:
        """Note one trouble. what: the reason in plain words; the ops that show it are told after it."""
        self.counts[category] = self.counts.get(category, 0) + 1
        kept = self.kept.setdefault(category, [])
        if len(kept) >= EVIDENCE_MOST:
            return
        shown = sorted({op.index: op for op in ops if op is not None}.values(), key=lambda op: op.index)
        kept.append(
            Evidence(
                what=f"{category}: {what}",
                ops=tuple(op.index for op in shown),
                actor=show(shown[-1].process, 60) if shown else "",
                key="" if key is None else show(key),
                expected=show(expected),
                observed=show(observed),
                line="; ".join(told(op) for op in shown),
            )
        )

    def wants(self, category: str) -> bool:
        """Return True while evidence of the category is still kept; else only count() is needed."""
        return len(self.kept.get(category, ())) < EVIDENCE_MOST

    def count(self, category: str, more: int = 1) -> None:
        """Count troubles without keeping evidence."""
        self.counts[category] = self.counts.get(category, 0) + more

    def bad(self) -> list[str]:
        """Return the categories that fail the check, in the order they were met."""
        return [c for c in self.counts if c not in self.reported and self.counts[c]]

    def evidence(self) -> tuple[Evidence, ...]:
        """Return a few pieces of evidence: of each category that fails first, then the others."""
        order = self.bad() + [c for c in self.counts if c in self.reported]
        each = max(1, EVIDENCE_MOST // max(1, len(order)))
        return tuple(e for c in order for e in self.kept.get(c, ())[:each])[:EVIDENCE_MOST]


def finding(
    name: str,
    claim: str,
    troubles: Troubles,
    *,
    examined: int,
    vacuous: str = "",
    doubts: Iterable[str] = (),
    figures: Mapping[str, float] | None = None,
    limit: str = "",
    note: str = "",
) -> Finding:
    """Make the finding. A failure stands; else what proves nothing is not-tested; else a doubt is inconclusive."""
    bad, doubted = troubles.bad(), [d for d in doubts if d]
    if bad:
        outcome, reason = Outcome.FAIL, _failed(troubles, bad)
    elif vacuous or not examined:
        outcome, reason = Outcome.NOT_TESTED, vacuous or "the history has no op that this model judges"
    elif doubted:
        outcome, reason = Outcome.INCONCLUSIVE, "; ".join(doubted)
    else:
        outcome, reason = Outcome.PASS, ""
    return Finding(
        name=name,
        claim=claim,
        outcome=outcome,
        examined=examined,
        required=1,
        observed=_counts(troubles) or ("nothing against it" if outcome is Outcome.PASS else ""),
        limit=limit,
        reason=". ".join(part for part in (reason, note) if part),
        evidence=troubles.evidence(),
        figures={**{c: float(n) for c, n in troubles.counts.items()}, **(figures or {})},
    )


def _failed(troubles: Troubles, bad: list[str]) -> str:
    first = next((troubles.kept[c][0] for c in bad if troubles.kept.get(c)), None)
    words = f"{first.what} [{first.line}]" if first and first.line else first.what if first else ""
    return f"{words}. In all: {_counts(troubles)}" if words else _counts(troubles)


def _counts(troubles: Troubles) -> str:
    return ", ".join(f"{n:,} {c}" for c, n in troubles.counts.items() if n)


def option(extra: Mapping[str, Any] | None, name: str, default: Any) -> Any:
    """Return a declared option of the model, or its default."""
    return default if extra is None else extra.get(name, default)
