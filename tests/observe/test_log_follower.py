"""The log follower and its shortcut, against real files: rotation, truncation, torn lines, garbage, long lines."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.history import AnyEvent, LogCount, LogMatch, ObserverEvent
from seatrial.observe.lines import Lines
from seatrial.observe.literals import literal
from seatrial.observe.logs import LINE_MOST, Follower
from seatrial.plan import LogPattern

HIT = LogPattern(name="hit", pattern=r"hit (\d+)")


class Log:
    """A log, its follower, and what the follower wrote."""

    def __init__(self, folder: Path, pattern: LogPattern = HIT) -> None:
        self.path, self.out = folder / "app.log", folder / "out.jsonl"
        self.out.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        self.lines = Lines(self.out)
        self.follower = Follower("app", self.path, [pattern], self.lines)

    def write(self, text: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(text)
        self.read()

    def read(self) -> None:
        while self.follower.step():
            pass

    def end(self) -> list[AnyEvent]:
        self.read()
        self.follower.close()
        self.lines.close()
        decoder = msgspec.json.Decoder(AnyEvent)
        return [decoder.decode(line) for line in self.out.read_bytes().splitlines()]


def counted(events: list[AnyEvent]) -> tuple[int, int]:
    (count,) = [event for event in events if isinstance(event, LogCount)]
    return count.count, count.lines


def test_a_line_in_pieces_is_one_line(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.read()
    for piece in (b"a hi", b"t 1", b"2\nnot", b"hing\nhit 3"):
        log.write(piece)
    events = log.end()
    assert counted(events) == (2, 3)
    assert [event.groups for event in events if isinstance(event, LogMatch)] == [{"1": "12"}, {"1": "3"}]


def test_rotation_and_truncation_lose_nothing_and_are_noted(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write(b"hit 1\n")
    with log.path.open("ab") as file:
        file.write(b"hit 2\n")  # not read yet when the file is moved away
    log.path.rename(tmp_path / "app.log.1")
    log.write(b"hit 3\nhit 4\nhit 5")
    log.path.write_bytes(b"hit 6\n")
    log.read()
    assert log.follower.grown() == 12 + 17 + 6
    events = log.end()
    assert counted(events) == (6, 6)
    assert [e.what for e in events if isinstance(e, ObserverEvent)] == ["log-rotated", "log-truncated"]


def test_garbage_and_endless_lines_are_bounded(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write(bytes(range(256)) * 10 + b"\n")
    for _ in range(40):
        log.write(b"x" * 50_000)
        assert len(log.follower._rest) < LINE_MOST + 50_000
    log.write(b" hit 7 at the end of a long line\n\xff\xfe hit 8 \x00\n")
    events = log.end()
    lines = (bytes(range(256)) * 10).count(b"\n") + 1 + 1 + 1
    assert counted(events) == (1, lines)


def test_stored_matches_are_bounded_and_counts_are_not(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write(b"hit 1\n" * 20_000)
    events = log.end()
    assert counted(events) == (20_000, 20_000)
    assert 1000 <= len([event for event in events if isinstance(event, LogMatch)]) < 1050


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([b"hit 1", b"\n", b"hit", b" 2\n", b"\r\n", b"\x00\xff", b"miss"]), max_size=40))
def test_counts_are_those_of_reading_the_file_at_once(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]
) -> None:
    log = Log(tmp_path_factory.mktemp("log"))
    for part in parts:
        log.write(part)
    whole = b"".join(parts).split(b"\n")
    whole = whole if whole[-1] else whole[:-1]
    hits = sum(bool(re.search(HIT.pattern, line.decode(errors="replace"))) for line in whole)
    assert counted(log.end()) == (hits, len(whole))


PATTERNS = [
    r"error: (\w+) failed",
    r"ab?c+d*ef",
    r"a{2,3}bcd",
    r"lost [0-9]{3} writes\.$",
    r"(?:one|two) three",
    r"^x\.y\*z",
    r"[]a-c]def[^]x]gh",
    r"(a(b|c)d)?tail",
    r"ab\+c\?d",
    r"plain text",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_match_holds_the_literal(pattern: str) -> None:
    wanted = literal(pattern)
    assert wanted

    @settings(max_examples=60, deadline=None)
    @given(st.from_regex(pattern))
    def holds(text: str) -> None:
        assert wanted in text

    holds()


@pytest.mark.parametrize("pattern", ["(?i)Error", "a|b", r"\x41bc", r"\d+", "a?", "(abc)"])
def test_where_nothing_is_sure_there_is_no_literal(pattern: str) -> None:
    assert literal(pattern) == ""


def test_the_literal_is_the_longest() -> None:
    assert literal(r"ab \d+ warning: (x|y) z") == " warning: "
