"""Words, numbers and safe text that all reports share."""

from __future__ import annotations

import math
import re
from datetime import datetime

from seatrial.verdict import Outcome

# Not allowed in XML 1.0, or able to lie to a reader: controls (tab and newline stay), lone surrogates, non-characters,
# and the marks that reorder text on the screen.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")

WORDS = {
    Outcome.PASS: "Pass",
    Outcome.FAIL: "Fail",
    Outcome.INCONCLUSIVE: "Inconclusive",
    Outcome.NOT_TESTED: "Not tested",
    Outcome.ENVIRONMENT: "Environment trouble",
}

MEANING = {
    Outcome.PASS: "Every gate check held, and each examined enough to say so.",
    Outcome.FAIL: "At least one gate check found that the app broke its word.",
    Outcome.INCONCLUSIVE: "It could not be told whether the app keeps its word. This is not a pass.",
    Outcome.NOT_TESTED: "Too little was examined to say anything. This is not a pass.",
    Outcome.ENVIRONMENT: "The machine was in trouble, with evidence for it; this says nothing on the app. Not a pass.",
}

# A shape for each outcome, so that nothing rests on colour alone.
MARKS = {
    Outcome.PASS: "✔",
    Outcome.FAIL: "✘",
    Outcome.INCONCLUSIVE: "?",
    Outcome.NOT_TESTED: "○",
    Outcome.ENVIRONMENT: "!",
}


def printable(text: str) -> str:
    r"""Return text that is safe in XML, HTML and a terminal: line ends are \n, unsafe characters become escapes."""
    text = text.replace("\r\n", "\n")
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """Return safe text without line ends; runs of white space become one space."""
    return " ".join(printable(text).split())


def clip(text: str, most: int) -> str:
    """Return safe text of about `most` characters at most; what was left out is counted at the end."""
    if len(text) <= most:
        return printable(text)
    return f"{printable(text[:most])} … ({len(text) - most:,} more characters)"


def clip_line(text: str, most: int) -> str:
    """Return safe text on one line of at most `most` characters, with an ellipsis where it was cut."""
    looked_at = 4 * most + 100  # of a text without end only the beginning is worth work
    line = one_line(text[:looked_at])
    if len(line) <= most and len(text) <= looked_at:
        return line
    return line[: max(1, most - 1)].rstrip() + "…"


def number(value: float) -> str:
    """Return a count or a figure for a reader: thousands separated, four significant digits for fractions."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:,.4g}"


def plural(count: int, noun: str, many: str = "") -> str:
    """Return "1 op", "2 ops"; `many` is for nouns that do not take an s."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def seconds(value: float | None) -> str:
    """Return a length of time for a reader, "-" for None."""
    if value is None or not math.isfinite(value):
        return "-"
    if abs(value) < 1:
        return f"{value * 1e6:.3g} µs" if 0 < abs(value) < 1e-3 else f"{value * 1e3:.3g} ms"
    if abs(value) < 60:
        return f"{value:.3g} s"
    return _long(round(value))


def _long(whole: int) -> str:
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def size(value: float) -> str:
    """Return bytes for a reader."""
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.0f} B"


def elapsed(at_s: float) -> str:
    """Return an offset on a run's time axis: "12.5s", "3:05", "1:02:03"."""
    if abs(at_s) < 60:
        return f"{at_s:.3g}s"
    whole = round(at_s)
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


def clock_time(iso: str | None) -> str:
    """Return the time of day of ISO text with milliseconds, "-" for None; text that is no instant is shown as it is."""
    if not iso:
        return "-"
    moment = parse_iso(iso)
    return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}" if moment else one_line(iso)


def parse_iso(iso: str | None) -> datetime | None:
    """Return the instant of ISO text, or None when there is none or it is not one."""
    try:
        return datetime.fromisoformat(iso) if iso else None
    except ValueError:
        return None


def between_s(begin: str | None, end: str | None) -> float | None:
    """Return the seconds between two ISO instants, or None when one is missing or is not one."""
    first, last = parse_iso(begin), parse_iso(end)
    if first is None or last is None or (first.tzinfo is None) != (last.tzinfo is None):
        return None
    return (last - first).total_seconds()
