"""The ledger: what is open and in which order to undo it; torn lines; other versions; many processes; on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.clock import SystemClock
from seatrial.errors import EnvironmentTrouble
from seatrial.store.ledger import UNREADABLE, FileLedger, read_ledger
from seatrial.undo import KillTagged, Nothing, RemoveTree


def undo(number: int) -> RemoveTree:
    return RemoveTree(path=f"/nowhere/{number}", inside="/nowhere")


def test_open_entries_come_back_last_opened_first(tmp_path: Path) -> None:
    path = tmp_path / "run" / "ledger.jsonl"
    with FileLedger(path, SystemClock()) as ledger:
        first = ledger.open("process", "db", KillTagged(tag="t"))
        second = ledger.open("folder", "work", undo(2))
        third = ledger.open("proxy", "link", Nothing(why="ends with its parent"))
        ledger.close(second, "removed")
    assert len({first, second, third}) == 3
    entries = read_ledger(path)
    assert [(e.id, e.kind, e.name) for e in entries] == [(third, "proxy", "link"), (first, "process", "db")]
    assert entries[1].undo == KillTagged(tag="t")
    assert entries[0].wall_ns >= entries[1].wall_ns > 0


def test_no_ledger_is_an_empty_one(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / "none") == []


def test_a_ledger_cut_at_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with FileLedger(path, SystemClock()) as ledger:
        entries = [ledger.open("folder", f"n{n}", undo(n)) for n in range(3)]
        ledger.close(entries[1])
    data = path.read_bytes()
    after = [[], entries[:1], entries[1::-1], entries[2::-1], [entries[2], entries[0]]]
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        lines = data[:length].count(b"\n") + (data[length : length + 1] == b"\n")
        assert [e.id for e in read_ledger(path)] == after[lines], length
        with FileLedger(path, SystemClock()) as ledger:  # goes on after the torn line
            new = ledger.open("folder", "new", undo(9))
        assert new not in after[lines]
        assert [e.id for e in read_ledger(path)] == [new, *after[lines]], length


def test_an_entry_of_another_version_is_shown_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(
        '{"id":7,"what":"open","wall_ns":5,"kind":"netns","name":"n1","undo":{"undo":"delnetns","name":"x"}}\n'
    )
    with FileLedger(path, SystemClock()) as ledger:
        assert ledger.open("folder", "f", undo(1)) == 8
    newest, old = read_ledger(path)
    assert newest.name == "f"
    assert (old.id, old.kind, old.name, old.undo, old.how) == (7, "netns", "n1", None, UNREADABLE)


def test_a_line_is_on_the_disk_before_open_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.jsonl"
    synced: list[int] = []
    real = os.fsync

    def watched(fd: int) -> None:
        real(fd)
        synced.append(path.stat().st_size)

    with FileLedger(path, SystemClock()) as ledger:
        monkeypatch.setattr("os.fsync", watched)
        entry = ledger.open("folder", "f", undo(1))
        assert synced == [path.stat().st_size]
        ledger.close(entry)
        assert synced[1:] == [path.stat().st_size]
        assert synced[1] > synced[0] > 0


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    link = tmp_path / "ledger.jsonl"
    link.symlink_to("/dev/full")
    with FileLedger(link, SystemClock()) as ledger, pytest.raises(EnvironmentTrouble, match="free space"):
        ledger.open("folder", "f", undo(1))


WRITER = """
import sys
from seatrial.clock import SystemClock
from seatrial.store.ledger import FileLedger
from seatrial.undo import Nothing
ledger = FileLedger(sys.argv[1], SystemClock())
for number in range(60):
    entry = ledger.open("kind", f"{sys.argv[2]}-{number}", Nothing(why="test"))
    print(entry)
    if number % 2:
        ledger.close(entry)
"""


def test_processes_that_append_at_once_get_ids_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE, text=True) for n in range(3)]
    said = [writer.communicate()[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert sorted(int(entry) for part in said for entry in part) == list(range(1, 181))
    entries = read_ledger(path)
    assert [e.id for e in entries] == sorted((e.id for e in entries), reverse=True)
    assert sorted(e.name for e in entries) == sorted(f"{n}-{i}" for n in range(3) for i in range(0, 60, 2))
