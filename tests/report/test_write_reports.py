"""Writing the reports: all of them, whole or not at all, and one bad one does not cost the others."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import report_samples as samples

from seatrial.errors import InternalError
from seatrial.history import History, OpRow, ops_from_rows
from seatrial.report.write import write_reports
from seatrial.store.lines import replace_file
from seatrial.verdict import decode, encode


def test_writes_all_and_the_same_again(tmp_path: Path) -> None:
    arguments = (tmp_path, samples.verdict(), samples.plan(), samples.history())
    paths = write_reports(*arguments)
    assert [p.name for p in paths] == ["junit.xml", "report.md", "report.html"]
    before = {p: p.read_bytes() for p in paths}
    write_reports(*arguments)
    assert {p: p.read_bytes() for p in paths} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["junit.xml", "report.html", "report.md"]


@pytest.mark.proves("S3P-3")
def test_reports_do_not_change_what_they_are_given(tmp_path: Path) -> None:
    verdict, history = samples.verdict(), samples.history()
    for column in ("intended_ns", "ended_ns", "outcome"):
        getattr(history.ops, column).flags.writeable = False
    (tmp_path / "verdict.json").write_bytes(encode(verdict))
    before = (tmp_path / "verdict.json").read_bytes()
    write_reports(tmp_path, verdict, samples.plan(), history)
    assert (tmp_path / "verdict.json").read_bytes() == before
    assert decode(before) == verdict


def test_one_bad_report_does_not_cost_the_others(tmp_path: Path) -> None:
    row = OpRow(error="refused")
    ops = ops_from_rows([row])
    torn = History(ops=ops.with_columns(intended_ns=ops.intended_ns[:0]))  # columns that do not fit together
    with pytest.raises(InternalError, match=r"report\.\w+ of run .* could not be made .*please report"):
        write_reports(tmp_path, samples.verdict(), samples.plan(), torn)
    assert (tmp_path / "junit.xml").exists()


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_reports(tmp_path / "gone", samples.verdict(), samples.plan(), samples.history())


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    path = tmp_path / "a"
    replace_file(path, b"a" * 1_000_000)
    child = os.fork()
    if child == 0:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            replace_file(path, b"b" * 1_000_000)
            replace_file(path, b"a" * 1_000_000)
        os._exit(0)
    try:
        seen = {frozenset(path.read_bytes()) for _ in range(100)}
    finally:
        assert os.waitpid(child, 0)[1] == 0
    assert seen <= {frozenset(b"a"), frozenset(b"b")}
    assert list(tmp_path.iterdir()) == [path]
