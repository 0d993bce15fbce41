"""report.html: one self-contained page that works offline, without JavaScript, and on a narrow screen."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from seatrial.history import NONE, History, OpOutcome, Verb
from seatrial.plan import Plan
from seatrial.report import answers, summary, tables, text
from seatrial.report.timeline import Timeline, timeline_of
from seatrial.verdict import Evidence, Level, Outcome, Verdict

HERE = Path(__file__).parent
MOST_BYTES = 5_000_000
_OPS_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """How much is shown: checks, evidence a finding, characters a text, rows a table."""

    checks: int
    evidence: int
    text: int
    rows: int


# The first that fits is used, so that a page never passes its bound, whatever a verdict holds.
LEVELS = (
    Detail(checks=500, evidence=20, text=2000, rows=500),
    Detail(checks=300, evidence=8, text=500, rows=200),
    Detail(checks=200, evidence=3, text=160, rows=60),
    Detail(checks=60, evidence=1, text=80, rows=20),
)


def html(verdict: Verdict, plan: Plan, history: History) -> str:
    """Return the page, at most 5 MB of UTF-8."""
    timeline = timeline_of(history)
    common = _context(verdict, plan, history, timeline)
    page = ""
    for detail in LEVELS:
        if detail is not LEVELS[-1] and _least_size(verdict, detail) > MOST_BYTES:
            continue
        page = _template().render(**common, **_sized(history, detail))
        if len(page.encode()) <= MOST_BYTES:
            break
    return page


def _least_size(verdict: Verdict, detail: Detail) -> int:
    """Return what the texts of the evidence alone would take, so that no page is made only to be thrown away."""
    return sum(
        min(len(field), detail.text)
        for c in verdict.checks[: detail.checks]
        for e in c.evidence[: detail.evidence]
        for field in (e.what, e.key, e.expected, e.observed, e.line)
    )


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "printable": text.printable,
        "clip": text.clip,
        "line": text.clip_line,
        "number": text.number,
        "clock": text.clock_time,
    }
    return environment.get_template("report.html.j2")


def _context(verdict: Verdict, plan: Plan, history: History, timeline: Timeline | None) -> dict[str, Any]:
    return {
        "v": verdict,
        "word": text.WORDS,
        "meaning": summary.meaning(verdict),
        "why": summary.why(verdict),
        "facts": summary.examined(verdict),
        "gaps": summary.not_examined(verdict, history),
        "answers": answers.answers(verdict, history),
        "gates": summary.tally(summary.counts(verdict, Level.GATE)),
        "checks": summary.ranked(verdict.checks),
        "opened": {Outcome.FAIL, Outcome.ENVIRONMENT, Outcome.INCONCLUSIVE},
        "claims": plan.claims,
        "replay": summary.replay(verdict),
        "same_trial": summary.same_trial(verdict, plan),
        "guide": summary.guide(),
        "timeline": timeline,
        "data": _script_json(timeline.data) if timeline else Markup("null"),
        "tables": _tables(verdict, plan, history),
        "style": Markup((HERE / "style.css").read_text(encoding="utf-8")),
        "script": Markup((HERE / "report.js").read_text(encoding="utf-8")),
    }


def _tables(verdict: Verdict, plan: Plan, history: History) -> dict[str, list[tables.Table]]:
    groups = {
        "Faults": [tables.faults(verdict)],
        "Ops": [tables.accounting(verdict), tables.errors(history), tables.crew(history)],
        "Stages and processes": [tables.stages(verdict), tables.processes(history)],
        "Logs": [tables.log_counts(history), tables.log_matches(history)],
        "What ran": [tables.artefacts(verdict), tables.identity(history), tables.knobs(plan)],
        "Host": [tables.host(verdict, history)],
    }
    return {name: [t.trimmed() for t in group] for name, group in groups.items()}


def _sized(history: History, detail: Detail) -> dict[str, Any]:
    def op_lines(evidence: Evidence) -> list[str]:
        return op_texts(history, evidence.ops[:_OPS_SHOWN], detail.text)

    return {"detail": detail, "op_lines": op_lines}


def op_texts(history: History, rows: Sequence[int], most: int = 200) -> list[str]:
    """Return ops of the journal in plain words; rows that the history does not hold are left out."""
    return [_op_text(history, row, most) for row in rows if 0 <= row < len(history.ops)]


def _op_text(history: History, row: int, most: int) -> str:
    ops = history.ops
    outcome = OpOutcome(int(ops.outcome[row])) if int(ops.outcome[row]) in set(OpOutcome) else None
    verb = Verb(int(ops.verb[row])).name.lower() if int(ops.verb[row]) in set(Verb) else "op"
    parts = [f"op {row}: user {ops.user[row]} {verb}"]
    for label, code in (("", ops.key[row]), (" value", ops.value[row]), (" result", ops.result[row])):
        found = ops.text(int(code))
        parts.append("" if found is None else f"{label} {text.clip_line(found, min(most, 120))}")
    parts.append(f" → {outcome.name.lower().replace('_', ' ') if outcome else 'empty'}")
    if int(ops.error[row]) != NONE:
        parts.append(f" ({text.one_line(str(ops.names[int(ops.error[row])]))})")
    parts.append(f", {text.clock_time(history.anchor.iso(int(ops.started_ns[row])))}")
    if int(ops.ended_ns[row]):
        parts.append(f", took {text.seconds((int(ops.ended_ns[row]) - int(ops.intended_ns[row])) / 1e9)}")
    return "".join(parts)


def _script_json(data: Any) -> Markup:
    """Return JSON that cannot end its script element."""
    plain = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
