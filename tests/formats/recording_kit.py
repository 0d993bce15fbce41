"""Small helpers for tests of recordings: read text, and random recordings."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from seatrial import formats
from seatrial.formats.source import Source
from seatrial.history.recorded import Recorded


def read(data: str | bytes, format: str = "auto", pieces: int = 0) -> Recorded:
    """Read a recording that comes whole, or in pieces of so many bytes."""
    raw = data.encode() if isinstance(data, str) else data
    chunks = [raw[at : at + pieces] for at in range(0, len(raw), pieces)] if pieces else [raw]
    return formats.read([Source("here", chunks)], format)


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=6)
atoms: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), words, st.floats(allow_nan=False, allow_infinity=False)
)
values: st.SearchStrategy[Any] = st.recursive(
    atoms, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=2)), max_leaves=6
)


@st.composite
def event_maps(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return op maps that make sense: each process invokes, then completes, or never does."""
    open_now: dict[int, dict[str, Any]] = {}
    made: list[dict[str, Any]] = []
    keyed = draw(st.booleans())
    for _ in range(draw(st.integers(1, 12))):
        process = draw(st.integers(0, 3))
        invoked = open_now.pop(process, None)
        if invoked is None:
            one = {"type": "invoke", "process": process, "f": draw(st.sampled_from(["read", "write", "cas", "txn"]))}
            one["value"] = draw(values)
            if keyed and one["f"] != "txn":
                one["key"] = draw(words)
            elif keyed:
                one |= {"f": "read", "key": 1}
            open_now[process] = one
        else:
            one = {**invoked, "type": draw(st.sampled_from(["ok", "fail", "info"])), "value": draw(values)}
        if draw(st.booleans()):
            one["time"] = len(made) * 10
        made.append(one)
    return made
