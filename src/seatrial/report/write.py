"""Puts the reports of a run into its folder. Writing these files is all the IO there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from seatrial.errors import InternalError
from seatrial.history import History
from seatrial.plan import Plan
from seatrial.report.html import html
from seatrial.report.junit import junit
from seatrial.report.markdown import markdown
from seatrial.store.lines import replace_file
from seatrial.verdict import Verdict


def write_reports(folder: Path, verdict: Verdict, plan: Plan, history: History) -> list[Path]:
    """Write junit.xml, report.md and report.html, each replaced at once; return their paths.

    A report that cannot be made does not keep the others from being written; it is then raised as InternalError.
    Raises OSError when the folder cannot be written to.
    """
    makers: dict[str, Callable[[], str]] = {
        "junit.xml": lambda: junit(verdict, plan),
        "report.md": lambda: markdown(verdict, plan, history),
        "report.html": lambda: html(verdict, plan, history),
    }
    written, troubles = [], []
    for name, make in makers.items():
        try:
            text = make()
        except Exception as error:
            troubles.append((name, error))
            continue
        replace_file(folder / name, text.encode("utf-8", "backslashreplace"))
        written.append(folder / name)
    if troubles:
        name, first = troubles[0]
        raise InternalError(f"{name} of run {folder.name} could not be made ({first!r}); please report this") from first
    return written
