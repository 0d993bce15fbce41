"""Anomalies of transactions as values, and the finding that is made of them for one isolation level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from seatrial.history.recorded import RecordedOp
from seatrial.judge.base import EVIDENCE_MOST
from seatrial.judge.modelling import CyclePicture, Edge
from seatrial.judge.transactions.levels import LEVELS, Level, rules_out
from seatrial.verdict import Evidence, Finding, Outcome

KINDS = ("ww", "wr", "rw", "process", "rt", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One anomaly. what: in plain words. ops: op indices that show it. edges: its cycle, when it is one."""

    name: str
    what: str
    ops: tuple[int, ...] = ()
    key: str = ""
    edges: tuple[Edge, ...] = ()
    ruled_out: tuple[str, ...] = ()

    @property
    def rules_out(self) -> tuple[str, ...]:
        """Levels that the anomaly contradicts."""
        return self.ruled_out or rules_out(self.name)


@dataclass(slots=True)
class Judged:
    """What was found in a recording. counts: anomalies of each kind; kept: a few of each; doubts: what is not known.

    notes: what was left out, with how often: told beside any outcome.
    """

    kept: list[Anomaly] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    most: int = 3

    def add(self, anomaly: Anomaly) -> None:
        """Count an anomaly, and keep it while few of its kind are kept."""
        self.counts[anomaly.name] = self.counts.get(anomaly.name, 0) + 1
        if self.counts[anomaly.name] <= self.most:
            self.kept.append(anomaly)

    def wants(self, name: str) -> bool:
        """Return whether one more of a kind would be kept."""
        return self.counts.get(name, 0) < self.most

    def count(self, name: str, more: int) -> None:
        """Count anomalies without keeping them."""
        if more:
            self.counts[name] = self.counts.get(name, 0) + more

    def noted(self) -> list[str]:
        """Return what was left out, in words."""
        return [f"{many:,} {what}" for what, many in self.notes.items()]

    def against(self, level: Level) -> list[Anomaly]:
        """Return the anomalies that a level forbids."""
        return [a for a in self.kept if level.name in a.rules_out or level.forbids(a.name)]


def finding(model: str, judged: Judged, level: Level, *, examined: int, vacuous: str = "", note: str = "") -> Finding:
    """Make the finding: a forbidden anomaly fails; else what proves nothing is not-tested; a doubt is inconclusive."""
    bad = judged.against(level)
    if bad:
        outcome, reason = Outcome.FAIL, _failed(bad)
    elif vacuous or not examined:
        outcome, reason = Outcome.NOT_TESTED, vacuous or "the recording has no transaction of this model"
    elif judged.doubts:
        outcome, reason = Outcome.INCONCLUSIVE, "; ".join(dict.fromkeys(judged.doubts))
    else:
        outcome, reason = Outcome.PASS, ""
    seen = ", ".join(f"{many:,} {name}" for name, many in judged.counts.items())
    return Finding(
        name=model,
        claim=f"the transactions are {level.name}",
        outcome=outcome,
        examined=examined,
        required=1,
        observed=seen or ("no anomaly" if outcome is Outcome.PASS else ""),
        limit=level.name,
        reason=". ".join(part for part in (reason, note, *judged.noted()) if part),
        evidence=tuple(_evidence(a) for a in _spread(bad or judged.kept)),
        figures={**{name: float(many) for name, many in judged.counts.items()}, **judged.figures},
    )


def _failed(bad: Sequence[Anomaly]) -> str:
    worst = bad[0]
    out = worst.rules_out
    words = f"{worst.name}: {worst.what}"
    return f"{words} (rules out {out[0]} and all that imply it)" if out else words


def _spread(anomalies: Iterable[Anomaly]) -> list[Anomaly]:
    """Return the first of each kind, then the others, as many as are shown."""
    first, others, seen = list[Anomaly](), list[Anomaly](), set[str]()
    for anomaly in anomalies:
        (others if anomaly.name in seen else first).append(anomaly)
        seen.add(anomaly.name)
    return (first + others)[:EVIDENCE_MOST]


def _evidence(anomaly: Anomaly) -> Evidence:
    return Evidence(
        what=f"{anomaly.name}: {anomaly.what}",
        ops=anomaly.ops,
        key=anomaly.key,
        expected="" if not anomaly.rules_out else "not in " + ", ".join(anomaly.rules_out),
    )


def pictures_of(judged: Judged, ops: Sequence[RecordedOp]) -> list[CyclePicture]:
    """Return the cycles as values to draw."""
    by_index = {op.index: op for op in ops}
    return [
        CyclePicture(
            anomaly=a.name, ops=tuple(by_index[i] for i in a.ops if i in by_index), edges=a.edges, rules_out=a.rules_out
        )
        for a in judged.kept
        if a.edges
    ]


def strongest_left(judged: Judged) -> tuple[str, ...]:
    """Return the levels that none of the anomalies found contradicts."""
    out = {name for a in judged.kept for name in a.rules_out}
    return tuple(name for name in LEVELS if name not in out)
