"""Process trees are found by cgroup, by tag, and by descent, from the system itself."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seatrial.observe.samples import folder_bytes
from seatrial.observe.trees import Trees, read_member
from seatrial.observe.wire import WatchTask

FORK = "import os, time; os.fork(); os.write(1, b'up\\n'); time.sleep(60)"


@contextlib.contextmanager
def running(**env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run two processes of one program; both are gone afterwards."""
    command = [sys.executable, "-c", FORK]
    with subprocess.Popen(
        command, env={**os.environ, **env}, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            assert [process.stdout.readline() for _ in range(2)] == [b"up\n"] * 2
            yield process
        finally:
            os.killpg(process.pid, 9)


def pids(trees: Trees) -> dict[str, int]:
    return {process: len(members) for process, members in trees.scan().items()}


def test_processes_are_told_apart_by_tag() -> None:
    tasks = [WatchTask(process=name, log="") for name in ("one", "two", "three")]
    run = f"trees-{os.getpid()}"
    with (
        running(SEATRIAL_RUN=run, SEATRIAL_PROCESS="one"),
        running(SEATRIAL_RUN=run, SEATRIAL_PROCESS="two"),
        running(SEATRIAL_RUN=f"{run}-other", SEATRIAL_PROCESS="one"),
    ):
        trees = Trees(run, tasks)
        assert pids(trees) == {"one": 2, "two": 2, "three": 0}
        assert pids(trees) == {"one": 2, "two": 2, "three": 0}
    bound = time.monotonic() + 10  # the system takes a moment to reap children that lost their parent
    while any(pids(trees).values()) and time.monotonic() < bound:
        time.sleep(0.01)
    assert pids(trees) == {"one": 0, "two": 0, "three": 0}


def test_children_of_a_hinted_process_stay_members_when_it_dies() -> None:
    with running() as process:
        trees = Trees("no such run", [WatchTask(process="one", log="")])
        assert pids(trees) == {"one": 0}
        trees.tell("one", process.pid)
        assert pids(trees) == {"one": 2}
        process.kill()
        end = time.monotonic() + 5
        while read_member(process.pid) is not None:
            assert time.monotonic() < end
        assert pids(trees) == {"one": 1}


def test_members_of_a_cgroup() -> None:
    place = next(
        (p for p in map(Path, ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")) if (p / "cgroup.procs").exists()), None
    )
    if place is None or not os.access(place, os.W_OK):
        pytest.skip("making a cgroup needs cgroup v2 and root")
    folder = place / f"seatrial-test-{os.getpid()}"
    (folder / "below").mkdir(parents=True)
    try:
        trees = Trees("x", [WatchTask(process="one", log="", cgroup=str(folder))])
        with running() as process:
            (folder / "below" / "cgroup.procs").write_text(str(process.pid))
            assert pids(trees) == {"one": 1}
        end = time.monotonic() + 5
        while pids(trees) != {"one": 0}:
            assert time.monotonic() < end
    finally:
        (folder / "below").rmdir()
        folder.rmdir()


def test_folder_sizes_are_bounded_in_time(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "file").write_bytes(b"12345")
    (tmp_path / "deep" / "link").symlink_to(tmp_path)
    assert folder_bytes([str(tmp_path)]) == 5
    assert folder_bytes([str(tmp_path / "gone")]) == 0
    assert folder_bytes([str(tmp_path)], within_s=0.0) == -1
