"""Journals that are cut off at every byte, or damaged: only what is whole is read, and the rest is counted."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_kit import Op, begin, complete, rows, shown, write

from seatrial.errors import EnvironmentTrouble
from seatrial.store import layout
from seatrial.store.journal import JournalWriter
from seatrial.store.journal_read import read_recorded

OPS = [
    Op(started=1, key="a", value="v1", ended=7, status=201),
    Op(started=2, verb=2, name="get", key="a", ended=8, result="v1", status=200),
    Op(started=3, key="b", value="", outcome=4, ended=9, error="timeout"),
    Op(started=4, key=b"\xff", value="long" * 20, outcome=1),
    Op(started=5, verb=2, name="get", key="c", ended=11, result="r" * 300, error="odd"),
]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A closed journal of OPS, in which all begins come before all completions in the heap."""
    write(tmp_path / "whole", 0, OPS)
    return tmp_path / "whole"


def cut(whole: Path, name: str, size: int) -> Path:
    """Return a copy of a journal of which one file is cut to a size."""
    copy = whole.with_name("cut")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(whole, copy)
    data = (whole / name).read_bytes()
    (copy / name).write_bytes(data[:size])
    return copy


@pytest.mark.parametrize("closed", [True, False])
def test_records_cut_at_every_byte(whole: Path, closed: bool) -> None:
    path = layout.rec_path(whole, 0, 0)
    if not closed:
        data = bytearray(path.read_bytes())
        data[layout.COUNT_AT : layout.COUNT_AT + 4] = layout.STILL_OPEN.to_bytes(4, "little")
        path.write_bytes(data)
    size = path.stat().st_size
    assert size == layout.HEADER + len(OPS) * layout.RECORD
    for length in range(size + 1):
        recorded = read_recorded(cut(whole, path.name, length))
        count = max(0, length - layout.HEADER) // layout.RECORD
        assert rows(recorded.ops) == [shown(op) for op in OPS[:count]], length
        if length < layout.HEADER_FORMAT.size:
            assert recorded.torn == min(length, 1)
        elif closed:
            assert recorded.torn == len(OPS) - count
        else:
            assert recorded.torn == (length > layout.HEADER and (length - layout.HEADER) % layout.RECORD != 0)


def item_ends(heap: bytes) -> list[int]:
    """Return where each item of a heap ends, in order."""
    ends, at = [], len(layout.HEAP_MAGIC)
    while at < len(heap):
        at += 4 + int.from_bytes(heap[at : at + 4], "little")
        ends.append(at)
    return ends


def test_heap_cut_at_every_byte(whole: Path) -> None:
    path = layout.heap_path(layout.rec_path(whole, 0, 0))
    heap = path.read_bytes()
    ends = item_ends(heap)
    # in the order of the writer: per begin the key (once) and the value, then the results
    a, v1, b, empty, odd, long, c, r1, r4 = ends
    begins = [(a, v1), (a,), (b, empty), (odd, long), (c,)]
    results = {1: r1, 4: r4}
    for length in range(len(heap) + 1):
        recorded = read_recorded(cut(whole, path.name, length))
        expected, torn = [], 0
        for place, op in enumerate(OPS):
            if max(begins[place]) > length:
                torn += 1
            elif results.get(place, 0) > length:
                torn += 1
                expected.append(replace(op, outcome=1))
            else:
                expected.append(op)
        assert rows(recorded.ops) == [shown(op) for op in expected], length
        assert recorded.torn == torn, length


def test_names_cut_at_every_byte(whole: Path) -> None:
    path = layout.names_path(whole, 0)
    text = path.read_bytes()
    lines = text.splitlines(keepends=True)
    ends = [sum(map(len, lines[: n + 1])) for n in range(len(lines))]
    ids = {"put": 1, "get": 2, "timeout": 3, "odd": 4}
    for length in range(len(text) + 1):
        recorded = read_recorded(cut(whole, path.name, length))
        known = {word for word, number in ids.items() if ends[number - 1] - 1 <= length}  # its newline may be missing

        def word(text: str | None, known: set[str] = known) -> str | None:
            return text if text is None or text in known else f"?{ids[text]}"

        renamed = [replace(op, name=word(op.name) or "", error=word(op.error)) for op in OPS]
        assert rows(recorded.ops) == [shown(op) for op in renamed], length
        in_part = length not in (0, *ends, *(e - 1 for e in ends))
        lost = sum({op.name, op.error} - {None} - known != set() for op in OPS)
        assert recorded.torn == lost + in_part, length


def stored(tmp_path: Path, op: Op, done: bool) -> tuple[bytes, Path]:
    """Return the bytes of one record, begun or also completed, and the folder of its living journal."""
    folder = tmp_path / ("done" if done else "begun")
    writer = JournalWriter(folder, 0, segment_records=2)
    handle = begin(writer, op)
    if done:
        complete(writer, handle, op)
    path = layout.rec_path(folder, 0, 0)
    record = path.read_bytes()[layout.HEADER : layout.HEADER + layout.RECORD]
    copy = tmp_path / f"copy-{done}"
    shutil.copytree(folder, copy)
    writer.close()
    return record, copy


def test_a_kill_between_any_two_bytes_of_a_record(tmp_path: Path) -> None:
    """Every prefix of the stores of begin, and of the completion (which clears its own range first)."""
    op = Op(started=3, intended=2, key="k", value="v", user=4, actor=5, ended=9, status=-7, error="e", result="r")
    begun, _ = stored(tmp_path, op, done=False)
    done, folder = stored(tmp_path, op, done=True)
    path = layout.rec_path(folder, 0, 0)
    data = bytearray(path.read_bytes())

    def seen(record: bytes) -> tuple[list[tuple[object, ...]], int]:
        data[layout.HEADER : layout.HEADER + layout.RECORD] = record
        path.write_bytes(data)
        recorded = read_recorded(folder)
        return rows(recorded.ops), recorded.torn

    for byte in range(layout.COMPLETION):
        prefix = begun[:byte] + bytes(layout.RECORD - byte)
        assert seen(prefix) == ([], int(any(prefix))), byte
    in_flight = [shown(replace(op, outcome=1))]
    assert seen(begun) == (in_flight, 0)
    for byte in range(layout.COMPLETION, layout.RECORD):
        prefix = done[:byte] + bytes(layout.RECORD - byte)
        assert seen(prefix) == (in_flight, int(any(prefix[layout.COMPLETION :]))), byte
    assert seen(done) == ([shown(op)], 0)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_anywhere_is_never_a_traceback(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder, 0, OPS, segment_records=2)
        files = sorted(p for p in folder.iterdir())
        for _ in range(data.draw(st.integers(1, 3))):
            path = data.draw(st.sampled_from(files))
            content = bytearray(path.read_bytes())
            if content:
                at = data.draw(st.integers(0, len(content) - 1))
                content[at : at + 1] = data.draw(st.binary(min_size=0, max_size=4))
                path.write_bytes(content)
        try:
            recorded = read_recorded(folder)
        except EnvironmentTrouble as trouble:
            assert "is not an ops journal" in str(trouble)  # noqa: PT017
        else:
            assert len(rows(recorded.ops)) <= len(OPS) + 1
