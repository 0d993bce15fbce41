"""The questions that people ask before a release, answered from data only; without data: "not measured"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seatrial.history import Flag, History, OpOutcome
from seatrial.report.text import WORDS, plural, seconds
from seatrial.verdict import Finding, Outcome, Verdict

NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A question, its answer, and what the answer rests on."""

    question: str
    answer: str
    basis: str = ""


def answers(verdict: Verdict, history: History) -> tuple[Answer, ...]:
    """Return the answers, in the order in which people ask."""
    return (
        _ready(verdict),
        _success(history),
        _latency(history),
        _recovery(verdict),
        _by_check(verdict, "Is acknowledged data kept?", ("durability", "lost")),
        _by_check(verdict, "Does it leak?", ("leak", "memory", "fds")),
        _by_check(verdict, "Is it stable?", ("stability", "restart")),
        _by_check(verdict, "Did it get worse than before?", ("baseline", "regression")),
    )


def _ready(verdict: Verdict) -> Answer:
    word = {Outcome.PASS: "nothing in this trial speaks against it", Outcome.FAIL: "no"}
    text = word.get(verdict.outcome, f"this trial cannot tell ({WORDS[verdict.outcome].lower()})")
    return Answer(question="Is it ready for release?", answer=text, basis=plural(len(verdict.checks), "check"))


def _success(history: History) -> Answer:
    question = "How many requests succeed under load and faults?"
    outcome = history.ops.outcome[(history.ops.flags & np.uint8(Flag.WARMUP | Flag.READBACK)) == 0]
    ended = int((outcome != OpOutcome.IN_FLIGHT).sum())
    if not ended:
        return Answer(question=question, answer=NOT_MEASURED)
    ok = int((outcome == OpOutcome.OK).sum())
    share = ok / ended
    text = "100 %" if ok == ended else f"{min(share, 0.99999):.3%}"
    return Answer(question=question, answer=text, basis=f"{ok:,} of {ended:,} ops, warm-up and read-back left out")


def _latency(history: History) -> Answer:
    question = "How fast is it?"
    ops = history.ops
    chosen = (ops.outcome == OpOutcome.OK) & ((ops.flags & np.uint8(Flag.WARMUP | Flag.READBACK)) == 0)
    latency = ops.ended_ns[chosen] - ops.intended_ns[chosen]
    if not len(latency):
        return Answer(question=question, answer=NOT_MEASURED)
    p50, p95, p99 = (float(v) / 1e9 for v in np.percentile(latency, (50, 95, 99), overwrite_input=True))
    text = f"p50 {seconds(p50)}, p95 {seconds(p95)}, p99 {seconds(p99)}"
    return Answer(question=question, answer=text, basis=f"{len(latency):,} ops that succeeded, from the intended start")


def _recovery(verdict: Verdict) -> Answer:
    question = "How long until it serves again after a fault?"
    known = sorted(f.recovered_s for f in verdict.faults if f.recovered_s is not None)
    if not known:
        return Answer(question=question, answer=NOT_MEASURED)
    p95 = known[-(-len(known) * 95 // 100) - 1]
    text = f"p95 {seconds(p95)}, at most {seconds(known[-1])}"
    return Answer(question=question, answer=text, basis=f"{len(known)} of {plural(len(verdict.faults), 'fault')}")


def _by_check(verdict: Verdict, question: str, words: tuple[str, ...]) -> Answer:
    found = [c for c in verdict.checks if any(word in c.name.lower() for word in words)]
    if not found:
        return Answer(question=question, answer=NOT_MEASURED)
    return Answer(question=question, answer="; ".join(map(_said, found[:3])), basis=", ".join(c.name for c in found))


def _said(finding: Finding) -> str:
    return WORDS[finding.outcome].lower() + (f" ({finding.observed})" if finding.observed else "")
