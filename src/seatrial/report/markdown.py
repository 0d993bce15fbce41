"""report.md: the verdict first; fit for a pull-request comment, so never longer than a forge takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from seatrial.history import History
from seatrial.plan import Plan
from seatrial.report import answers, summary, tables
from seatrial.report.text import MARKS, WORDS, clip, clip_line, number, one_line
from seatrial.verdict import Evidence, Finding, Outcome, Verdict

MOST_CHARACTERS = 65_000
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&]|^[+-]|(?<=^\d)[.)])")
_NOTE_ROOM = 300


def markdown(verdict: Verdict, plan: Plan, history: History) -> str:
    """Return the report, at most 65,000 characters; what was cut is said in numbers at its end."""
    parts: list[str] = []
    for evidence, rows, width in ((20, 100, 300), (5, 40, 160), (2, 15, 80), (1, 5, 60)):
        parts = [p for p in _Writer(verdict, plan, history, evidence, rows, width).parts() if p]
        text = "\n\n".join(parts) + "\n"
        if len(text) <= MOST_CHARACTERS:
            return text
    return _cut(parts)


def _cut(parts: list[str]) -> str:
    """Leave out the last sections, whole, so that no block stays open."""
    kept, room = [], MOST_CHARACTERS - _NOTE_ROOM
    for part in parts:
        room -= len(part) + 2
        if room < 0:
            break
        kept.append(part)
    left_out = parts[len(kept) :]
    size = sum(map(len, left_out))
    note = f"**Cut here:** {len(left_out)} sections ({size:,} characters) are left out; report.html has them."
    return "\n\n".join([*kept, note]) + "\n"


def escape(text: str) -> str:
    """Return text on one line that Markdown shows as it is: no markup, no HTML, no mention, no table border."""
    return _SPECIAL.sub(r"\\\1", one_line(text)).replace("@", "@<!-- -->")


def code(text: str) -> str:
    """Return text on one line as a code span."""
    text = one_line(text)
    if not text:
        return ""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def block(text: str) -> str:
    """Return text as a fenced block."""
    text = clip(text, 4000)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


class _Writer:
    """Writes the sections at one level of detail."""

    def __init__(self, verdict: Verdict, plan: Plan, history: History, evidence: int, rows: int, width: int) -> None:
        self.verdict, self.plan, self.history = verdict, plan, history
        self.evidence, self.rows, self.width = evidence, rows, width

    def parts(self) -> Iterator[str]:
        """Yield the sections in order."""
        v = self.verdict
        yield self._waivers()
        yield f"# {MARKS[v.outcome]} {WORDS[v.outcome]}: {self._short(v.app)} / {self._short(v.scenario)}"
        yield f"**{escape(clip_line(summary.why(v), 600))}**"
        yield self._short(summary.meaning(v)) if summary.meaning(v) != summary.why(v) else ""
        yield self._what_ran()
        yield self._facts()
        yield "## Not shown"
        yield self._gaps()
        yield f"## Findings\n\n{self._checks()}"
        yield from self._findings()
        yield f"## Faults\n\n{self.table(tables.faults(v))}"
        yield f"## Answers\n\n{self._answers()}"
        yield f"## Again\n\n{block(summary.replay(v))}\n\nor, where this run's folder is not at hand,"
        yield block(summary.same_trial(v, self.plan))
        yield from self._details()

    def _short(self, text: str) -> str:
        return escape(clip_line(text, self.width))

    def _waivers(self) -> str:
        if not self.verdict.waivers:
            return ""
        lines = ["> **Waivers**"]
        for w in self.verdict.waivers[: self.rows]:
            state = "expired" if w.expired else "until"
            who = f"{self._short(w.author)}, {state} {self._short(w.expires)}"
            lines.append(f"> - {code(clip_line(w.check, self.width))}: {self._short(w.reason)} ({who})")
        return "\n".join(lines)

    def _what_ran(self) -> str:
        v = self.verdict
        names = ", ".join(code(clip_line(f"{a.name} {a.version}", self.width)) for a in v.artefacts[:10])
        run = f"runtime {code(clip_line(v.runtime, 60))}, seed `{v.seed}`, run {code(clip_line(v.run, 120))}"
        return f"{names or 'No artefact'} · {run}"

    def _facts(self) -> str:
        rows = [f"| {f.label} | **{escape(f.value)}** | {escape(f.note)} |" for f in summary.examined(self.verdict)]
        return "\n".join(["| examined | | |", "|---|---|---|", *rows])

    def _gaps(self) -> str:
        gaps = summary.not_examined(self.verdict, self.history)
        if not gaps:
            return "Everything that the plan asked for was examined."
        lines = [f"- **{self._short(g.what)}**: {self._short(g.why)}" for g in gaps[: self.rows]]
        return "\n".join(lines + self._more(len(gaps) - self.rows))

    def _more(self, count: int, what: str = "more") -> list[str]:
        return [f"- {count:,} {what} not shown here"] if count > 0 else []

    def _checks(self) -> str:
        checks = summary.ranked(self.verdict.checks)
        if not checks:
            return "No check was made."
        lines = [
            "| | check | level | observed | limit | examined / required | proof |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [self._check_row(c) for c in checks[: 2 * self.rows]]
        left_out = len(checks) - 2 * self.rows
        return "\n".join(lines) + (f"\n\n{left_out:,} more checks are in verdict.json." if left_out > 0 else "")

    def _check_row(self, c: Finding) -> str:
        proof = f"{c.proof.caught} of {c.proof.planted} caught" if c.proof.planted else "not proven"
        cells = (
            f"{MARKS[c.outcome]} {c.outcome.value}",
            code(clip_line(c.name, self.width)).replace("|", "\\|"),
            c.level.value,
            self._short(c.observed or c.reason),
            self._short(c.limit),
            f"{c.examined:,} / {c.required:,}",
            proof,
        )
        return f"| {' | '.join(cells)} |"

    def _findings(self) -> Iterator[str]:
        bad = [c for c in summary.ranked(self.verdict.checks) if c.outcome is Outcome.FAIL or c.evidence]
        for c in bad[: self.rows]:
            yield f"### {MARKS[c.outcome]} {self._short(c.name)}"
            yield "\n\n".join(self._short(t) for t in (c.claim, c.reason) if t)
            if c.figures:
                shown = (f"{self._short(k)} {number(n)}" for k, n in sorted(c.figures.items())[: self.rows])
                yield "Figures: " + ", ".join(shown)
            lines = [self._evidence(e) for e in c.evidence[: self.evidence]]
            yield "\n".join(lines + self._more(len(c.evidence) - self.evidence, "more pieces of evidence"))
        if len(bad) > self.rows:
            yield f"{len(bad) - self.rows:,} more findings are in verdict.json."

    def _evidence(self, e: Evidence) -> str:
        fields = (
            ("key", e.key),
            ("expected", e.expected),
            ("observed", e.observed),
            ("fault", e.fault),
            ("user", e.actor),
            ("ops", ", ".join(map(str, e.ops[:8]))),
            ("at", e.at or ""),
            ("log", e.line),
        )
        shown = (f"{label} {code(clip_line(value, self.width))}" for label, value in fields if value)
        return f"- {self._short(e.what)}\n  " + " · ".join(shown)

    def _answers(self) -> str:
        found = answers.answers(self.verdict, self.history)
        rows = [f"| {a.question} | {self._short(a.answer)} | {self._short(a.basis)} |" for a in found]
        return "\n".join(["| question | answer | from |", "|---|---|---|", *rows])

    def _details(self) -> Iterator[str]:
        v = self.verdict
        chosen = (
            tables.accounting(v),
            tables.stages(v),
            tables.artefacts(v),
            tables.knobs(self.plan),
            tables.host(v, self.history),
        )
        for table in chosen:
            yield f"<details><summary>{table.title}</summary>\n\n{self.table(table)}\n\n</details>"
        if v.teardown.residue:
            left = [f"- {code(clip_line(r, self.width))}" for r in v.teardown.residue[: self.rows]]
            yield "## Left behind\n\n" + "\n".join(left + self._more(len(v.teardown.residue) - self.rows))

    def table(self, table: tables.Table) -> str:
        """Return a table; columns without any text are left out."""
        if not table.rows:
            return f"{table.empty}"
        shown = table.trimmed()
        lines = [_row(shown.columns), _row(["---"] * len(shown.columns))]
        lines += [_row([self._short(cell) for cell in row]) for row in shown.rows[: self.rows]]
        left_out = len(table.rows) - self.rows
        return "\n".join(lines) + (f"\n\n{left_out:,} more rows are not shown here." if left_out > 0 else "")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
