"""Pictures of failed checks: what they show, that they load nothing, and that no text of a history breaks them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.history.ops import OpOutcome
from seatrial.history.recorded import RecordedOp
from seatrial.judge.modelling import CyclePicture, Edge, LinearPicture, Prefix
from seatrial.report.picture_linear import lay_out
from seatrial.report.picture_text import terminal
from seatrial.report.pictures import page
from seatrial.verdict import Evidence, Finding, Outcome

OK, UNKNOWN = OpOutcome.OK, OpOutcome.UNKNOWN


def op(index: int, process: Any, f: str, arg: Any, value: Any, start: int, end: int | None) -> RecordedOp:
    outcome = UNKNOWN if end is None else OK
    return RecordedOp(index=index, process=process, f=f, arg=arg, value=value, outcome=outcome, start=start, end=end)


def stale_read(key: str = "x") -> LinearPicture:
    ops = (
        op(0, 0, "write", 1, 1, 0, 1),
        op(1, 1, "write", 2, 2, 2, None),
        op(2, 0, "read", None, 2, 3, 4),
        op(3, 0, "read", None, 1, 5, 6),
    )
    prefixes = (
        Prefix(order=(0, 1, 2), states=("1", "2", "2"), next_op=3, why="the state is 2"),
        Prefix(order=(0,), states=("1",), next_op=2, why="the state is 1"),
    )
    return LinearPicture(model="register", partition=key, ops=ops, prefixes=prefixes, stuck_at=3)


def skew() -> CyclePicture:
    ops = tuple(
        op(i, i, "txn", [["r", "a", None], ["w", "b", i]], [["r", "a", None], ["w", "b", i]], 0, 9) for i in (4, 8)
    )
    edges = (Edge(source=4, target=8, kind="rw", why="4 did not see 8"), Edge(source=8, target=4, kind="wr"))
    return CyclePicture(anomaly="G-single", ops=ops, edges=edges, rules_out=("snapshot-isolation",))


def finding(reason: str = "op 3 read 1") -> Finding:
    evidence = (Evidence(what=reason, ops=(2, 3)),)
    return Finding(
        name="register", claim="c", outcome=Outcome.FAIL, examined=4, required=1, reason=reason, evidence=evidence
    )


class Tags(HTMLParser):
    """Collects tags, and fails on one that is not closed in order."""

    VOID = frozenset(("meta", "input", "path", "rect", "circle", "br"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        while self.open and self.open[-1] in ("li", "p", "dd", "dt") and self.open[-1] != tag:
            self.open.pop()
        assert self.open, tag
        assert self.open.pop() == tag


def tags(text: str) -> Tags:
    found = Tags()
    found.feed(text)
    found.close()
    assert found.open == []
    return found


def test_a_page_is_whole_loads_nothing_and_shows_the_op_that_cannot_be_placed() -> None:
    text = page([stale_read(), skew()], finding(), "a.edn")
    seen = tags(text).seen
    assert not [a for t, a in seen for name in ("src", "href") if name in a]
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    stuck = [a for t, a in seen if t == "g" and a.get("class") == "op stuck"]
    assert [a["data-detail"] for a in stuck] == ["op 3 (process 0): read → 1"]
    assert sum(t == "g" and "node" in (a.get("class") or "") for t, a in seen) == 2
    assert "op 3 (read → 1) cannot come next: the state is 2" in text
    assert "snapshot-isolation" in text


def test_bars_are_in_order_hold_their_labels_and_the_dots_lie_in_their_bars() -> None:
    drawing = lay_out(stale_read())
    bars = {b.index: b for b in drawing.bars}
    assert [bars[i].style for i in range(4)] == ["ok", "open", "ok", "stuck"]
    assert bars[0].x + bars[0].width < bars[1].x < bars[2].x
    assert bars[1].x + bars[1].width > bars[3].x + bars[3].width, "an open op reaches to the end"
    for attempt, order in zip(drawing.attempts, ((0, 1, 2), (0,)), strict=True):
        assert [x for x, _, _ in attempt.dots] == sorted(x for x, _, _ in attempt.dots)
        for (x, _, _), index in zip(attempt.dots, order, strict=True):
            assert bars[index].x < x < bars[index].x + bars[index].width


def test_of_a_long_history_the_part_around_the_stop_is_drawn() -> None:
    ops = tuple(op(i, i % 3, "write", i, i, 2 * i, 2 * i + 1) for i in range(2000))
    picture = LinearPicture(model="r", partition="", ops=ops, prefixes=(), stuck_at=1500)
    drawing = lay_out(picture)
    assert drawing.left_out == 2000 - len(drawing.bars)
    assert 1500 in {b.index for b in drawing.bars}
    assert len(page([picture], finding(), "long")) < 300_000
    assert len(terminal(picture).splitlines()) < 40


def test_the_same_as_text() -> None:
    text = terminal(stale_read(), width=90)
    assert "✘ op 3" in text
    assert "the state is 2" in text
    assert all(len(line) <= 90 for line in text.splitlines())
    text = terminal(skew())
    assert "↓ rw: 4 did not see 8" in text
    assert "rules out: snapshot-isolation" in text


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_of_a_history_breaks_the_page(key: str, reason: str) -> None:
    hostile = f"</script><script>alert(1)</script>{key}"
    text = page([stale_read(hostile), skew()], finding(reason or "r"), hostile)
    assert text.count("<script>") == 1
    tags(text)
    assert "\x1b" not in terminal(stale_read(f"\x1b[31m{key}"))
