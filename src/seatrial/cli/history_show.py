"""What the history commands print and write: findings, lists, parts of recordings, figures of the self-test."""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from seatrial import formats, judging, params
from seatrial.clock import NS, Clock
from seatrial.errors import EXIT_FAIL, EXIT_PASS, EXIT_UNPROVEN, UsageError
from seatrial.history.recorded import Recorded
from seatrial.judge import models
from seatrial.judge.modelling import Picture
from seatrial.verdict import EXIT_CODES, Evidence, Finding, Outcome

MARKS = {Outcome.PASS: "pass", Outcome.FAIL: "FAIL", Outcome.INCONCLUSIVE: "INCONCLUSIVE"}
_SHOWN_OPS = 12
_SHOWN_PICTURES = 3
_MIB = 1 << 20


class Reading:
    """Says on stderr how far a long file was read: nothing in the first second, then about once a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next = clock.now_ns() + NS
        self._said = False

    def __enter__(self) -> Reading:
        return self

    def __call__(self, done: int, all_: int | None) -> None:
        """Take how many bytes were read so far, of how many."""
        if self._clock.now_ns() < self._next:
            return
        self._next = self._clock.now_ns() + NS
        self._said = sys.stderr.isatty()
        of = f" of {all_ / _MIB:.0f}" if all_ else ""
        click.echo(f"read {done / _MIB:.0f}{of} MiB", err=True, nl=not self._said)
        if self._said:
            click.echo("\r", err=True, nl=False)

    def __exit__(self, *_: object) -> None:
        if self._said:
            click.echo("", err=True)


def quantity(option: str, text: str) -> float:
    """Return seconds or bytes. Raises UsageError."""
    kind = params.Kind.SIZE if option == "--memory" else params.Kind.DURATION
    try:
        found: float = params.parse(kind, text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from None
    return found


def answer(recorded: Recorded, finding: Finding, asked: judging.Asked, file: str, as_json: bool) -> int:
    """Print a finding; return its exit code."""
    if as_json:
        click.echo(_json(_data(recorded, finding, asked, file)))
    else:
        click.echo("\n".join(_text(recorded, finding, asked, file)))
    return EXIT_CODES[finding.outcome]


def _data(recorded: Recorded, finding: Finding, asked: judging.Asked, file: str) -> dict[str, Any]:
    return {
        "file": file,
        "format": recorded.format,
        "model": asked.model,
        "ops": len(recorded.ops),
        "outcomes": _outcomes(recorded),
        "problems": list(recorded.problems),
        "outcome": str(finding.outcome),
        "finding": msgspec.to_builtins(finding),
    }


def _text(recorded: Recorded, finding: Finding, asked: judging.Asked, file: str) -> list[str]:
    word = MARKS.get(finding.outcome, str(finding.outcome).upper())
    seen = ", ".join(f"{many} {name}" for name, many in _outcomes(recorded).items())
    lines = [f"{word}  {asked.model}: {finding.claim}"]
    lines.append(
        f"  {file}: {recorded.format}, {len(recorded.ops)} ops ({seen or 'none'}), {finding.examined} examined"
    )
    if not recorded.realtime:
        lines.append("  the recording has no time between processes: only the order within each was used")
    lines += [f"  not read: {problem}" for problem in recorded.problems]
    lines += [f"  {line}" for line in finding.reason.splitlines()]
    by_index = {op.index: op for op in recorded.ops} if finding.evidence else {}
    for one in finding.evidence:
        lines += _evidence(one, by_index)
    if finding.figures:
        lines.append("  " + ", ".join(f"{name} {value:g}" for name, value in finding.figures.items()))
    ops = sorted({number for one in finding.evidence for number in one.ops})
    if ops and finding.outcome is not Outcome.PASS and len(ops) <= 1000 and file != judging.STDIN:
        lines.append(
            f"  cut it to these ops: seatrial history slice {file} --ops {','.join(map(str, ops))} -o part.edn"
        )
    return lines


def _evidence(one: Evidence, by_index: dict[int, Any]) -> list[str]:
    lines = [f"  - {line}" if not place else f"    {line}" for place, line in enumerate(one.what.splitlines())]
    for number in one.ops[:_SHOWN_OPS]:
        op = by_index.get(number)
        if op is not None:
            where = f", line {op.line}" if op.line else ""
            value = _short(op.value)
            lines.append(f"      op {number}: process {op.process} {op.f} {value} {op.outcome.name.lower()}{where}")
    if len(one.ops) > _SHOWN_OPS:
        lines.append(f"      and {len(one.ops) - _SHOWN_OPS} more ops")
    return lines


def _short(value: Any) -> str:
    text = formats.writing.edn_text(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _outcomes(recorded: Recorded) -> dict[str, int]:
    return {one.name.lower(): many for one, many in sorted(Counter(op.outcome for op in recorded.ops).items())}


def write(recorded: Recorded, out: str, to: str | None) -> int:
    """Write a recording as EDN or JSON lines; the format is said, or known by the name of the file."""
    to = to or {".edn": "edn", ".jsonl": "jsonl"}.get(Path(out).suffix, "edn" if out == "-" else "")
    if not to:
        raise UsageError(f"-o {out}: a name that ends in .edn or .jsonl is expected, or --to edn")
    for problem in recorded.problems:
        click.echo(f"not read: {problem}", err=True)
    lines = formats.WRITERS[to](recorded)
    if out == "-":
        for line in lines:
            click.echo(line, nl=False)
    else:
        try:
            with Path(out).open("w", encoding="utf-8", errors="surrogateescape") as file:
                file.writelines(lines)
        except OSError as error:
            raise UsageError(f"-o {out} cannot be written: {error.strerror}; name another file") from None
        click.echo(f"{len(recorded.ops)} ops written to {out}", err=True)
    return EXIT_UNPROVEN if recorded.problems else EXIT_PASS


def draw(drawn: Sequence[Picture]) -> None:
    """Print pictures as text; there is nothing to draw of a recording that is right."""
    from seatrial.report.picture_text import terminal

    for one in drawn[:_SHOWN_PICTURES]:
        click.echo(f"\n{terminal(one)}")


def write_page(out: str, recorded: Recorded, finding: Finding, drawn: Sequence[Picture]) -> None:
    """Write the page with the pictures of a finding."""
    from seatrial.report import pictures

    try:
        page = pictures.page(drawn, finding, recorded.source)
        Path(out).write_text(page, encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"--html {out} cannot be written: {error.strerror}; name another file") from None
    click.echo(f"the page is {out}", err=True)


def models_json() -> str:
    """Return the models and formats as JSON."""
    rows = [{"name": name, "summary": one.summary, "ops": one.ops} for name, one in sorted(models.MODELS.items())]
    known = [{"name": name, "what": what, "written": name in formats.WRITERS} for name, what in formats.FORMATS.items()]
    return _json({"models": rows, "formats": known})


def models_text() -> list[str]:
    """Return the models and formats for a person."""
    width = max(map(len, [*models.MODELS, *formats.FORMATS]))
    lines = ["models (--model)"]
    for name, one in sorted(models.MODELS.items()):
        lines.append(f"  {name:{width}}  {one.summary}")
        if one.ops:
            lines.append(f"  {'':{width}}  ops: {one.ops}")
    return [*lines, "formats (--format)", *(f"  {name:{width}}  {what}" for name, what in formats.FORMATS.items())]


def selftest(model: str | None, rounds: int, seed: int, as_json: bool) -> int:
    """Run the self-tests of the models; return 1 when one disagrees with its oracle or misses what was planted."""
    if model is not None:
        models.load(model)
    rows, failed = [], False
    for module, names in _modules(model).items():
        run = getattr(importlib.import_module(module), "selftest", None)
        if run is None:
            rows.append({"models": names, "selftest": "none"})
            failed = True
            continue
        click.echo(f"testing {', '.join(names)} ...", err=True)
        found = {"models": names, **run(rounds, seed)}
        failed = failed or is_bad(found)
        rows.append(found)
    click.echo(_json({"rounds": rounds, "seed": seed, "selftests": rows}) if as_json else "\n".join(_figures(rows)))
    return EXIT_FAIL if failed else EXIT_PASS


_WRONG = ("disagree", "accused", "changed", "false alarms")


def is_bad(figures: dict[str, Any]) -> bool:
    """Return whether any figure, however deep, says that a checker was wrong or missed what was planted."""
    wrong = any(
        isinstance(many, int) and many > 0 and any(word in name for word in _WRONG) for name, many in figures.items()
    )
    planted = figures.get("planted", 0)
    missed = figures.get("caught", figures.get("killed", planted)) != planted
    return wrong or missed or any(is_bad(inner) for inner in figures.values() if isinstance(inner, dict))


def _modules(model: str | None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, one in sorted(models.MODELS.items()):
        if model in (None, name):
            found.setdefault(one.check.partition(":")[0], []).append(name)
    return found


def _figures(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"{', '.join(row['models'])}: " + ", ".join(f"{k} {_plain(v)}" for k, v in row.items() if k != "models")
        for row in rows
    ]


def _plain(value: Any) -> str:
    return json.dumps(value, default=str) if isinstance(value, (dict, list)) else str(value)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
