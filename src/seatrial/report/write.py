"""Puts the reports of a run into its folder. Writing these files is all the IO there is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from seatrial.errors import InternalError
from seatrial.history import History
from seatrial.plan import Plan
from seatrial.report.html import html
from seatrial.report.junit import junit
from seatrial.report.markdown import markdown
from seatrial.report.schema import verdict_json
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
        written.append(replace_file(folder / name, text.encode("utf-8", "backslashreplace")))
    if troubles:
        name, first = troubles[0]
        raise InternalError(f"{name} of run {folder.name} could not be made ({first!r}); please report this") from first
    return written


def write_verdict(folder: Path, verdict: Verdict) -> Path:
    """Write verdict.json, replaced at once; return its path. Raises OSError."""
    return replace_file(folder / "verdict.json", verdict_json(verdict))


def replace_file(path: Path, data: bytes) -> Path:
    """Write a file so that a reader, also after a crash, sees the old or the new one, never a part. Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path
