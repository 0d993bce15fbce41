"""The summary at the end of a run, for a terminal: 80 columns, and readable without colour."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from seatrial.plan import Plan
from seatrial.report import summary
from seatrial.report.text import MARKS, WORDS, between_s, clip_line, one_line, seconds
from seatrial.verdict import Finding, Level, Outcome, Verdict

WIDTH = 80
_STYLES = {
    Outcome.PASS: "green",
    Outcome.FAIL: "red",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.NOT_TESTED: "cyan",
    Outcome.ENVIRONMENT: "magenta",
}
_LABEL = 9
_MOST_GAPS, _MOST_NAME = 6, 24
_ASCII = str.maketrans({"✔": "+", "✘": "x", "○": "o", "…": "~", "·": "-", "µ": "u", "→": ">", "—": "-", "–": "-"})


def print_summary(verdict: Verdict, plan: Plan, folder: Path, stream: TextIO) -> None:
    """Write the summary to a stream; in colour when it is a terminal and NO_COLOR is not set."""
    color = bool(getattr(stream, "isatty", lambda: False)()) and not os.environ.get("NO_COLOR")
    text = summary_text(verdict, plan, folder, color=color)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeError:
        text = text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    stream.write(text)
    stream.flush()


def summary_text(verdict: Verdict, plan: Plan, folder: Path, *, width: int = WIDTH, color: bool = False) -> str:
    """Return the summary as text; with color, with ANSI colours."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=color,
        no_color=not color,
        color_system="standard" if color else None,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    for line in _lines(verdict, plan, folder, width):
        console.print(line, soft_wrap=True)
    return "\n".join(part.rstrip() for part in out.getvalue().split("\n"))


def _lines(verdict: Verdict, plan: Plan, folder: Path, width: int) -> list[Text]:
    lines = _waivers(verdict, width) + _head(verdict, width) + [Text()]
    names = max((len(one_line(c.name)) for c in verdict.checks), default=0)
    lines += [_check(c, min(names, _MOST_NAME), width) for c in summary.ranked(verdict.checks)]
    if not verdict.checks:
        lines.append(Text("  no check was made"))
    lines.append(Text())
    lines += _labelled("ops", _ops(verdict), width)
    lines += _labelled("faults", summary.fault_tally(verdict.faults), width)
    gaps = summary.not_examined(verdict)
    for place, gap in enumerate(gaps[:_MOST_GAPS]):
        lines += _labelled("" if place else "not shown", f"{gap.what}: {gap.why}", width)
    if len(gaps) > _MOST_GAPS:
        lines += _labelled("", f"{len(gaps) - _MOST_GAPS} more in the report", width)
    if not verdict.teardown.clean:
        left = ", ".join(verdict.teardown.residue) or "not known: teardown was not verified"
        lines += _labelled("left", left, width, style="yellow")
    lines.append(Text())
    lines.append(_plain("report", str(folder / "report.html")))
    lines.append(_plain("again", summary.replay(verdict)))
    lines.append(_plain("", summary.same_trial(verdict, plan)))
    return lines


def _waivers(verdict: Verdict, width: int) -> list[Text]:
    lines: list[Text] = []
    for w in verdict.waivers:
        state = "expired" if w.expired else "until"
        lines += _labelled("waived", f"{w.check}: {w.reason} ({w.author}, {state} {w.expires})", width, style="yellow")
    return lines


def _head(verdict: Verdict, width: int) -> list[Text]:
    style = _STYLES[verdict.outcome]
    word = f"{MARKS[verdict.outcome]} {WORDS[verdict.outcome].upper()}"
    length = seconds(between_s(verdict.started, verdict.ended))
    trial = (
        f"{one_line(verdict.app)} · {one_line(verdict.scenario)} · {one_line(verdict.runtime)} · seed {verdict.seed}"
    )
    head = Text.assemble((word, f"bold {style}"), "  ", clip_line(f"{trial} · {length}", width - len(word) - 2))
    return [head, *(Text(f"  {line}", style="bold") for line in wrap(summary.why(verdict), width - 2))]


def _check(finding: Finding, name_width: int, width: int) -> Text:
    name = clip_line(finding.name, name_width).ljust(name_width)
    word = f"{MARKS[finding.outcome]} {finding.outcome.value}".ljust(14)
    head = f"  {word} {name}  "
    count = f"  {finding.examined:,}/{finding.required:,}"
    level = "" if finding.level is Level.GATE else "(report only) "
    room = max(8, width - len(head) - len(count))
    said = clip_line(level + summary.finding_line(finding), room).ljust(room)
    return Text.assemble("  ", (word, _STYLES[finding.outcome]), f" {name}  {said}", (count, "dim"))


def _ops(verdict: Verdict) -> str:
    a = verdict.accounting
    flight = f", {a.in_flight:,} in flight" if a.in_flight else ""
    return f"{a.sent:,} sent: {a.ok:,} ok, {a.fail:,} fail, {a.unknown:,} unknown{flight}"


def _plain(label: str, text: str) -> Text:
    """Return a line that is never wrapped, so that a path or a command can be copied."""
    return Text(f"  {label.ljust(_LABEL)} {one_line(text)}")


def _labelled(label: str, text: str, width: int, style: str = "") -> list[Text]:
    lines = wrap(text, width - _LABEL - 3)
    heads = [label, *[""] * (len(lines) - 1)]
    return [Text(f"  {h.ljust(_LABEL)} {line}", style=style) for h, line in zip(heads, lines, strict=True)]


def wrap(text: str, width: int, most: int = 4) -> list[str]:
    """Return text in lines of at most `width` characters, at most `most` of them, the last cut with an ellipsis."""
    lines: list[str] = []
    rest = one_line(text)
    while len(rest) > width and len(lines) < most - 1:
        cut = rest.rfind(" ", 1, width + 1)
        cut = cut if cut > 0 else width
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*lines, clip_line(rest, width)]
