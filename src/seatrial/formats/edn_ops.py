"""Recordings in EDN: op maps one after the other, or all of them in one vector or list."""

from __future__ import annotations

from seatrial.formats.edn import EdnError, Forms
from seatrial.formats.edn_quick import maps_of
from seatrial.formats.opmaps import add_op_map
from seatrial.formats.pairing import Pairing
from seatrial.formats.source import Source, Wrongs, wrong
from seatrial.history.recorded import Recorded

NAME = "edn"
SMALL = 1 << 12


def read(source: Source) -> Recorded:
    """Read EDN. Raises UsageError for what is no EDN or no op map; text that is cut off is named in `problems`."""
    pairing = Pairing(source.name, NAME, Wrongs(source.name))
    forms = Forms()
    try:
        for block in source.blocks():
            for line, found in _forms(forms, block):
                add_op_map(pairing, found, line)
        cut = forms.ending()
    except EdnError as error:
        pairing.wrongs.tell()
        raise wrong(source.name, error.line, error.problem, error.expected, error.value) from None
    if cut:
        line, what = cut
        pairing.problems.append(f"line {line}: {what}: what comes after it is missing")
    return pairing.recorded()


def _forms(forms: Forms, block: str) -> list[tuple[int, object]]:
    """Return the forms that a block completes, the quick way if it may be gone."""
    found: list[tuple[int, object]] = []
    if forms.between and forms.envelope is None:
        block, opened = _opened(forms, block)
        found += opened
    if not forms.between or forms.closed:
        return [*found, *forms.feed(block)]
    body, closing = _split_closing(forms, block)
    return [*found, *_quickly(forms, body), *forms.feed(closing)]


def _quickly(forms: Forms, text: str) -> list[tuple[int, object]]:
    """Return the forms of a text; one strange op in it makes only its neighbours slow."""
    quick = maps_of(text, forms.line) if forms.between else None
    if quick is not None:
        forms.line += text.count("\n")
        return [*quick]
    half = text.find("\n{", len(text) // 2) + 1
    if len(text) < SMALL or not half:
        return forms.feed(text)
    return [*_quickly(forms, text[:half]), *_quickly(forms, text[half:])]


def _opened(forms: Forms, block: str) -> tuple[str, list[tuple[int, object]]]:
    """Give the opening bracket of an envelope to the reader; return the rest."""
    start = len(block) - len(block.lstrip(" \t\r\n,"))
    if block[start : start + 1] not in ("[", "("):
        return block, []
    return block[start + 1 :], [*forms.feed(block[: start + 1])]


def _split_closing(forms: Forms, block: str) -> tuple[str, str]:
    if forms.envelope is None:
        return block, ""
    end = len(block.rstrip(" \t\r\n,"))
    if block[end - 1 : end] in ("]", ")"):
        return block[: end - 1], block[end - 1 :]
    return block, ""
