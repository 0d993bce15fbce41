"""Sealing: the Parquet file holds the same ops as the raw segments; raw ones go only after that was verified."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_kit import Op, items, marked, rows, some_ops, write

from seatrial.errors import EnvironmentTrouble, InternalError
from seatrial.history import COLUMNS
from seatrial.store import layout
from seatrial.store import seal as seal_module
from seatrial.store.journal import JournalWriter
from seatrial.store.journal_read import read_recorded
from seatrial.store.seal import load_ops, load_recorded, seal
from seatrial.store.table import StringTable, from_parquet, to_parquet
from seatrial.store.text import to_bytes


@settings(max_examples=50, deadline=None)
@given(one=some_ops(), two=some_ops(), group=st.sampled_from([1, 4, 1 << 18]))
def test_sealed_ops_equal_raw_ops(one: list[Op], two: list[Op], group: int) -> None:
    with tempfile.TemporaryDirectory() as temporary, pytest.MonkeyPatch.context() as patch:
        patch.setattr(seal_module, "GROUP_ROWS", group)
        folder = Path(temporary)
        write(folder, 0, one, segment_records=3)
        write(folder, 1, two, segment_records=4)
        raw = read_recorded(folder)
        sealed = seal(folder)
        loaded = load_recorded(folder)
        assert sorted(p.name for p in folder.iterdir()) == ["ops.parquet"]
    assert rows(loaded.ops) == rows(raw.ops)
    assert (sealed.rows, sealed.torn, loaded.torn) == (len(one) + len(two), raw.torn, raw.torn)
    assert {c: getattr(loaded.ops, c).dtype for c in COLUMNS} == {c: np.dtype(d) for c, d in COLUMNS.items()}
    assert len(set(loaded.ops.strings)) == len(loaded.ops.strings)


def test_torn_records_are_counted_after_sealing_too(tmp_path: Path) -> None:
    write(tmp_path, 0, [Op(started=i, key=f"k{i}", result=f"r{i}") for i in range(20)], segment_records=8)
    for number, lost in ((0, 70), (1, 20)):
        path = layout.rec_path(tmp_path, 0, number)
        path.write_bytes(path.read_bytes()[:-lost])
    heap = layout.heap_path(layout.rec_path(tmp_path, 0, 2))
    heap.write_bytes(heap.read_bytes()[:-1])
    raw = read_recorded(tmp_path)
    assert raw.torn == 2 + 1 + 1
    sealed = seal(tmp_path)
    assert sealed.torn == raw.torn
    assert rows(load_ops(tmp_path)) == rows(raw.ops)


def test_raw_segments_stay_when_the_file_does_not_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 0, [Op(started=i, value=f"v{i}") for i in range(20)])
    before = sorted(p.name for p in tmp_path.iterdir())

    def damaged(folder: Path, target: Path) -> tuple[int, int]:
        count, checksum = written(folder, target)
        table = pq.read_table(target)
        other = pa.array(["v0"] * len(table), type=pa.large_string())
        pq.write_table(table.set_column(table.schema.get_field_index("value"), "value", other), target)
        return count, checksum

    written = seal_module._write
    monkeypatch.setattr(seal_module, "_write", damaged)
    with pytest.raises(InternalError, match="does not read back"):
        seal(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_a_second_seal_ends_what_a_kill_cut_short(tmp_path: Path) -> None:
    ops = [Op(started=i, value=f"v{i}") for i in range(20)]
    write(tmp_path, 0, ops)
    kept = {p: p.read_bytes() for p in tmp_path.iterdir()}
    first = seal(tmp_path)
    for path, data in kept.items():  # as if the kill came after the rename, before the raw files were removed
        path.write_bytes(data)
    assert len(load_ops(tmp_path)) == 20
    again = seal(tmp_path)
    assert (again.rows, again.torn) == (first.rows, first.torn)
    assert [p.name for p in tmp_path.iterdir()] == ["ops.parquet"]


def test_a_sealed_folder_takes_no_new_ops(tmp_path: Path) -> None:
    seal(tmp_path)
    assert len(load_ops(tmp_path)) == 0
    with pytest.raises(EnvironmentTrouble, match="sealed"):
        JournalWriter(tmp_path, 0)


def test_any_tool_can_query_the_sealed_file(tmp_path: Path) -> None:
    write(tmp_path, 0, [Op(started=i, key=f"k{i % 3}", value=b"\xff", name="put") for i in range(9)])
    seal(tmp_path)
    with duckdb.connect() as db:
        query = f"select name, key, count(*) from '{tmp_path}/ops.parquet' group by all order by all"
        found = db.execute(query).fetchall()
    assert found == [("put", f"k{n}", 3) for n in range(3)]


@settings(max_examples=200, deadline=None)
@given(st.lists(items | marked | st.text(alphabet=st.characters(), max_size=4)))
def test_items_survive_parquet(given_items: list[bytes | str | None]) -> None:
    array = pa.array([None if i is None else to_bytes(i) for i in given_items], type=pa.large_binary())
    stored = to_parquet(array)
    stored.validate(full=True)
    assert from_parquet(stored).equals(array)


@given(st.binary(max_size=20))
def test_bytes_come_back_from_the_text_that_a_history_shows(data: bytes) -> None:
    table = StringTable(pa.array([data], type=pa.large_binary()))
    assert table[0].encode("utf-8", "surrogateescape") == data
    assert to_bytes(table[0]) == data
    assert list(table) == [table[0]] == list(table[0:1])
