"""The ops journal: what is written is read back; segments, keys, names, and a disk that is full."""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from journal_kit import Op, begin, complete, rows, shown, some_ops, write

from seatrial.errors import EnvironmentTrouble
from seatrial.store import layout
from seatrial.store import names as names_module
from seatrial.store.journal import JournalWriter
from seatrial.store.journal_read import read_recorded, read_segments
from seatrial.store.names import NameWriter, read_names


@settings(max_examples=60, deadline=None)
@given(ops=some_ops(), other=some_ops())
def test_what_is_written_is_read_back(ops: list[Op], other: list[Op]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), 0, ops, segment_records=3)
        write(Path(folder), 7, other, segment_records=5)
        recorded = read_recorded(Path(folder))
    expected = sorted([*ops, *other], key=lambda op: op.started)  # stable: equal instants by worker, then begin
    assert rows(recorded.ops) == [shown(op) for op in expected]
    assert recorded.torn == 0


def test_an_empty_folder_and_an_empty_journal_have_no_ops(tmp_path: Path) -> None:
    assert len(read_segments(tmp_path)) == 0
    JournalWriter(tmp_path, 0).close()
    recorded = read_recorded(tmp_path)
    assert (len(recorded.ops), recorded.torn) == (0, 0)


def test_equal_items_have_equal_codes_in_all_columns_and_segments(tmp_path: Path) -> None:
    ops = [Op(started=i, key="same" if i % 2 else b"same", value="same", result="same") for i in range(10)]
    write(tmp_path, 0, ops, segment_records=3)
    write(tmp_path, 1, ops, segment_records=4)
    read = read_segments(tmp_path)
    assert len({*read.key.tolist(), *read.value.tolist(), *read.result.tolist()}) == 1
    assert list(read.strings) == ["same"]


def test_a_living_journal_can_be_read_and_shows_ops_in_flight(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, 0) as writer:
        op = Op(started=5, key="k", value="v", ended=9)
        handle = begin(writer, op)
        assert rows(read_segments(tmp_path)) == [shown(Op(started=5, key="k", value="v", outcome=1))]
        complete(writer, handle, op)
        recorded = read_recorded(tmp_path)
        assert rows(recorded.ops) == [shown(op)]
        assert recorded.torn == 0


def test_segments_stay_mapped_while_an_op_in_them_is_in_flight(tmp_path: Path) -> None:
    ops = [Op(started=i, key=f"k{i}", value=f"v{i}", ended=i + 100, result=f"r{i}") for i in range(10)]
    with JournalWriter(tmp_path, 0, segment_records=4) as writer:
        handles = [begin(writer, op) for op in ops]
        assert writer.segments_mapped == 3
        for place in (0, 1, 2, 4, 5, 6, 7, 9):
            complete(writer, handles[place], ops[place])
        assert writer.segments_mapped == 2  # op 3 is in flight in the first
        complete(writer, handles[3], ops[3])
        assert writer.segments_mapped == 1
        complete(writer, handles[8], ops[8])
    assert rows(read_segments(tmp_path)) == [shown(op) for op in ops]


def test_a_second_completion_in_an_older_segment_is_refused(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, 0, segment_records=2) as writer:
        handles = [writer.begin(1, "put", None, None, 0, 0, 0, i, i) for i in range(3)]
        writer.complete(handles[0], 2, 9)
        with pytest.raises(ValueError, match="before"):
            writer.complete(handles[0], 2, 9)
        writer.complete(handles[1], 2, 9)
        with pytest.raises(ValueError, match="before"):
            writer.complete(handles[1], 2, 9)


def test_a_hot_key_is_stored_once_a_segment(tmp_path: Path) -> None:
    write(tmp_path, 0, [Op(started=i, key="hot" * 100) for i in range(1000)], segment_records=500)
    sizes = [layout.heap_path(path).stat().st_size for _, _, path in layout.segments(tmp_path)]
    assert sizes == [len(layout.HEAP_MAGIC) + 4 + 300] * 2


def test_a_full_heap_begins_a_new_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seatrial.store.journal.HEAP_FULL", 1 << 20)
    ops = [Op(started=i, value=bytes([i]) * 200_000, ended=1, result=b"x" * 100_000) for i in range(20)]
    write(tmp_path, 0, ops, segment_records=1000)
    assert len(layout.segments(tmp_path)) > 2
    assert rows(read_segments(tmp_path)) == [shown(op) for op in ops]


def test_a_writer_goes_on_after_the_segments_of_an_earlier_one(tmp_path: Path) -> None:
    first = [Op(started=i, key="k", error="refused", outcome=3) for i in range(5)]
    second = [Op(started=i, key="k", name="get", error="timeout", outcome=4) for i in range(5, 9)]
    write(tmp_path, 2, first, segment_records=4)
    write(tmp_path, 2, second, segment_records=4)
    recorded = read_recorded(tmp_path)
    assert rows(recorded.ops) == [shown(op) for op in [*first, *second]]
    assert recorded.torn == 0


def test_a_refused_record_leaves_no_trace(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, 0) as writer:
        with pytest.raises(struct.error):
            writer.begin(1, "put", "k", "v", 0, 1, -1, 5, 5)
        writer.complete(writer.begin(1, "put", "k", "v", 0, 1, 1, 5, 5), 2, 6)
    recorded = read_recorded(tmp_path)
    assert rows(recorded.ops) == [
        shown(Op(started=5, intended=5, key="k", value="v", flags=0, user=1, actor=1, ended=6))
    ]
    assert recorded.torn == 0


def test_items_are_text_or_bytes(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, 0) as writer:
        writer.begin(1, "put", b"k", memoryview(b"v"), 0, 0, 0, 1, 1)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            writer.begin(1, "put", "k", 5, 0, 0, 0, 2, 2)  # type: ignore[arg-type]
    assert [row[2:4] for row in rows(read_segments(tmp_path))] == [("k", "v")]


def test_a_missing_segment_is_counted(tmp_path: Path) -> None:
    write(tmp_path, 0, [Op(started=i) for i in range(6)], segment_records=2)
    layout.rec_path(tmp_path, 0, 1).unlink()
    recorded = read_recorded(tmp_path)
    assert recorded.ops.started_ns.tolist() == [0, 1, 4, 5]
    assert recorded.torn == 1


def test_a_journal_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, 0, [Op(started=1)])
    path = layout.rec_path(tmp_path, 0, 0)
    data = bytearray(path.read_bytes())
    data[8] = 9
    path.write_bytes(data)
    with pytest.raises(EnvironmentTrouble, match=r"ops-000-00000\.rec is not an ops journal of version 1"):
        read_segments(tmp_path)


def test_more_words_than_there_are_ids_become_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_module, "LAST_ID", 4)
    writer = NameWriter(tmp_path / "n")
    ids = [writer.add(word) for word in "abcdef"]
    writer.close()
    assert ids == [1, 2, 3, 4, 4, 4]
    assert read_names(tmp_path / "n") == ({1: "a", 2: "b", 3: "c", 4: names_module.OTHER}, 0)


FILLER = """
import resource, sys
from seatrial.errors import EnvironmentTrouble
from seatrial.store.journal import JournalWriter
writer = JournalWriter(sys.argv[1], 0, segment_records=1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
begun = 0
try:
    while True:
        writer.begin(1, "put", None, b"x" * 10_000, 0, 0, 0, begun, begun)
        begun += 1
except EnvironmentTrouble as trouble:
    print(begun, trouble)
"""


def test_a_disk_without_room_is_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FILLER, str(tmp_path)], capture_output=True, text=True, check=True)
    begun, _, message = done.stdout.partition(" ")
    assert "no room for the journal" in message
    assert "free space" in message
    assert int(begun) > 50
    assert len(read_segments(tmp_path)) == int(begun)


REFUSED = """
import resource, sys
from seatrial.errors import EnvironmentTrouble
from seatrial.store.journal import JournalWriter
writer = JournalWriter(sys.argv[1], 0, segment_records=4)
put = lambda n: writer.complete(writer.begin(1, "put", f"k{n}", f"v{n}", 0, 0, 0, n, n), 2, n)
for number in range(4):
    put(number)
for limit in (100, 100_000):  # no room for the records of a new segment, then none for its heap
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for attempt in range(2):
        try:
            put(4)
        except EnvironmentTrouble:
            print("refused")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for number in range(4, 10):
    put(number)
writer.close()
"""


def test_a_writer_goes_on_when_there_is_room_again(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", REFUSED, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["refused"] * 4
    recorded = read_recorded(tmp_path)
    assert recorded.ops.started_ns.tolist() == list(range(10))
    assert [recorded.ops.text(code) for code in recorded.ops.value] == [f"v{n}" for n in range(10)]
    assert recorded.torn == 0
