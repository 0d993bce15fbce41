"""Events: round trip, a torn last line, a damaged line in the middle, many writers, and SIGKILL of a writer."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.errors import EnvironmentTrouble
from seatrial.history import AnyEvent, CrewEvent, CrewStats, FaultEvent, LogMatch, ProcessEvent, Residue, StageEvent
from seatrial.store.events import EventWriter, read_events, read_events_counted

SOME = (
    StageEvent(t_ns=3, stage="drive", what="begin"),
    FaultEvent(t_ns=5, id="f1", kind="kill", target="db", what="injected", params={"after_s": 1.5}),
    LogMatch(t_ns=7, process="db", pattern="panic", line="é\n\x00 \u2028", groups={"a": "b"}),
    Residue(t_ns=9, clean=False, items=("a", "b")),
)
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=10)
events = st.one_of(
    st.builds(StageEvent, t_ns=st.integers(0, 50), stage=text, what=text, outcome=text, reason=text),
    st.builds(ProcessEvent, t_ns=st.integers(0, 50), process=text, what=text, code=st.none() | st.integers(-9, 9)),
    st.builds(CrewStats, t_ns=st.integers(0, 50), worker=st.integers(0, 9), arrivals=st.integers(0, 9)),
    st.builds(CrewEvent, t_ns=st.integers(0, 50), worker=st.just(1), what=text, detail=st.dictionaries(text, text)),
)


def put(path: Path, *some: AnyEvent) -> None:
    with EventWriter(path) as write:
        for event in some:
            write(event)


@settings(max_examples=60, deadline=None)
@given(st.lists(events, max_size=10), st.lists(events, max_size=10))
def test_events_of_all_files_are_read_back_by_time(one: list[AnyEvent], two: list[AnyEvent]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder) / "a.jsonl", *one)
        put(Path(folder) / "b.jsonl", *two)
        read = read_events_counted(folder)
    assert list(read.events) == sorted([*one, *two], key=lambda e: e.t_ns)
    assert (read.torn, read.damaged) == (0, ())


def test_a_file_cut_at_every_byte_gives_its_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    put(path, *SOME)
    data = path.read_bytes()
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        read = read_events_counted(tmp_path)
        whole = data[:length].count(b"\n")
        whole += data[length : length + 1] == b"\n"  # only its newline is missing
        assert read.events == SOME[:whole], length
        ends_whole = length in (0, len(data)) or b"\n" in (data[length - 1 : length], data[length : length + 1])
        assert read.torn == (not ends_whole), length
        assert read.damaged == ()


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    put(path, *SOME)
    lines = path.read_bytes().split(b"\n")
    lines[1] = lines[1][:-5]
    lines[2] = b'{"type":"of the future","t_ns":1}'
    path.write_bytes(b"\n".join(lines))
    read = read_events_counted(tmp_path)
    assert read.events == (SOME[0], SOME[3])
    assert [d.split(": ")[0] for d in read.damaged] == ["events.jsonl:2", "events.jsonl:3"]
    assert "of the future" in read.damaged[1]
    assert read_events(tmp_path) == read.events


def test_a_writer_that_takes_over_a_torn_file_loses_only_that_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    put(path, *SOME[:2])
    path.write_bytes(path.read_bytes()[:-4])
    put(path, *SOME[2:])
    read = read_events_counted(tmp_path)
    assert read.events == (SOME[0], SOME[2], SOME[3])
    assert len(read.damaged) == 1


def test_a_full_disk_is_a_clear_error() -> None:
    with pytest.raises(EnvironmentTrouble, match="free space"), EventWriter("/dev/full") as write:
        write(SOME[0])


WRITER = """
import os, sys
from seatrial.history import CrewEvent
from seatrial.store.events import EventWriter
write = EventWriter(sys.argv[1])
for number in range(10**9):
    write(CrewEvent(t_ns=number, worker=int(sys.argv[2]), what="x" * (number % 300)))
    os.write(1, b"%d\\n" % number)
"""


def test_what_killed_writers_of_one_file_acknowledged_is_readable(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    command = [sys.executable, "-c", WRITER, str(path)]
    with (
        subprocess.Popen([*command, "0"], stdout=subprocess.PIPE) as one,
        subprocess.Popen([*command, "1"], stdout=subprocess.PIPE) as two,
    ):
        said: list[bytes] = []
        for process in (one, two):
            assert process.stdout is not None
            said.append(b"".join(process.stdout.readline() for _ in range(20)))
        for process in (one, two):
            process.kill()
            assert process.stdout is not None
            said[process is two] += process.stdout.read()
    read = read_events_counted(tmp_path)
    assert (read.torn, read.damaged) == (0, ())
    for worker in (0, 1):
        last = int(said[worker][: said[worker].rfind(b"\n")].rsplit(b"\n", 1)[-1])
        seen = [e.t_ns for e in read.events if isinstance(e, CrewEvent) and e.worker == worker]
        assert last > 10
        assert seen in (list(range(last + 1)), list(range(last + 2)))
