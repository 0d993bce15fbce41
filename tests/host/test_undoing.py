"""Undo recipes on real processes, groups and files: they undo, may be repeated, and touch nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seatrial.host import cgroups, marks, proc
from seatrial.host.undoing import perform, still_there
from seatrial.undo import AnyUndo, Continue, KillCgroup, KillPid, KillTagged, Nothing, RemoveTree, ThawCgroup


@pytest.fixture
def tag() -> Iterator[str]:
    name = uuid.uuid4().hex[:8]
    yield name
    assert marks.of_run(name) == {}


@pytest.fixture
def group(tag: str) -> Iterator[Path]:
    parent = cgroups.parents().v2
    if parent is None:
        pytest.skip("no writable cgroup v2 here (seatrial doctor: cgroup-kill)")
    path = cgroups.folder(parent, tag, "web")
    cgroups.make(path)
    yield path
    assert cgroups.end(path) == []


@contextmanager
def sleeper(tag: str, *, marked: bool = True, env: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    value = marks.mark(tag, "web")
    variables = {"PATH": os.environ["PATH"], **(marks.environment(tag, "web") if env else {})}
    child = subprocess.Popen(["sleep", "600"], env=variables, preexec_fn=lambda: marks.apply(value) if marked else None)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(("marked", "env"), [(True, True), (True, False), (False, True)])
def test_kill_tagged_finds_by_mark_and_by_environment(tag: str, marked: bool, env: bool) -> None:
    with sleeper(tag, marked=marked, env=env) as ours, sleeper(tag + "other") as other:
        undo = KillTagged(tag=tag)
        assert still_there(undo) == [f"process pid {ours.pid} (sleep 600) of run {tag}"]
        assert marks.of_run(tag, ("web",)) == {ours.pid: proc.start_ticks(ours.pid)}
        assert marks.of_run(tag, ("db",)) == {}
        assert perform(undo) == [f"ended pid {ours.pid} (sleep 600)"]
        assert still_there(undo) == perform(undo) == []
        assert proc.alive(other.pid)


def test_kill_tagged_ends_descendants_that_lost_both(tag: str) -> None:
    code = (
        "import os, resource, subprocess\n"
        "resource.setrlimit(10, (resource.RLIM_INFINITY,) * 2)\n"
        "p = subprocess.Popen(['sleep', '600'], env={'PATH': os.environ['PATH']}, start_new_session=True)\n"
        "print(p.pid, flush=True); p.wait()"
    )
    environment = {"PATH": os.environ["PATH"], **marks.environment(tag, "web")}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert child in marks.of_run(tag)
        perform(KillTagged(tag=tag))
        assert not proc.alive(child)


def test_kill_pid_spares_a_pid_that_was_used_again(tag: str) -> None:
    with sleeper(tag) as ours:
        ticks = proc.start_ticks(ours.pid)
        stranger = KillPid(pid=ours.pid, start_ticks=ticks - 1)
        assert perform(stranger) == still_there(stranger) == []
        assert proc.alive(ours.pid)
        undo = KillPid(pid=ours.pid, start_ticks=ticks)
        assert perform(undo) == [f"ended pid {ours.pid} (sleep 600)"]
        assert still_there(undo) == perform(undo) == []  # a zombie counts as dead


def test_kill_cgroup_ends_frozen_members_and_removes_it(tag: str, group: Path) -> None:
    with sleeper(tag) as ours:
        (group / "cgroup.procs").write_text(str(ours.pid))
        assert cgroups.freeze(group)
        undo = KillCgroup(path=str(group))
        assert still_there(undo) == [f"cgroup {group}"]
        assert perform(undo) == [f"ended pid {ours.pid} (sleep 600)", f"removed cgroup {group}"]
        assert still_there(undo) == perform(undo) == []
        assert not group.parent.exists()


def test_v1_freezer_members_die_though_frozen(tag: str) -> None:
    parent = cgroups.parents().v1.get("freezer")
    if parent is None:
        pytest.skip("no writable v1 freezer here (seatrial doctor: v1-freezer)")
    path = cgroups.folder(parent, tag, "web")
    cgroups.make(path)
    with sleeper(tag) as ours:
        (path / "cgroup.procs").write_text(str(ours.pid))
        assert cgroups.freeze(path)
        assert cgroups.frozen_group_of(ours.pid) == path or not cgroups.is_frozen(path)
        perform(KillCgroup(path=str(path)))
        assert not proc.alive(ours.pid)
        assert not path.exists()


def test_a_group_that_no_run_made_is_left_alone(tmp_path: Path) -> None:
    assert "left alone" in perform(KillCgroup(path=str(tmp_path)))[0]
    parent = cgroups.parents().v2
    if parent is not None:
        assert "left alone" in perform(KillCgroup(path=str(parent)))[0]


def test_thaw_and_continue(tag: str, group: Path) -> None:
    with sleeper(tag) as ours:
        (group / "cgroup.procs").write_text(str(ours.pid))
        cgroups.freeze(group)
        thaw = ThawCgroup(path=str(group))
        while not still_there(thaw):
            pass
        assert cgroups.frozen_group_of(ours.pid) == group
        assert perform(thaw) == [f"thawed {group}"]
        assert still_there(thaw) == perform(thaw) == []
        proc.send(ours.pid, 0, 19)
        go_on = Continue(tag=tag)
        while not still_there(go_on):
            pass
        assert perform(go_on) == [f"let pid {ours.pid} (sleep 600) go on"]
        assert still_there(go_on) == perform(go_on) == []


def test_remove_tree_removes_read_only_files_and_never_follows_links(tmp_path: Path) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    (run / "work" / "deep").mkdir(parents=True)
    outside.mkdir()
    (outside / "precious").write_text("x")
    (run / "work" / "link").symlink_to(outside)
    (run / "work" / "deep" / "file").write_text("x")
    (run / "work" / "deep").chmod(0o500)
    undo = RemoveTree(path=str(run / "work"), inside=str(run))
    assert still_there(undo) == [f"files in {run / 'work'}"]
    assert perform(undo) == [f"removed {run / 'work'}"]
    assert still_there(undo) == perform(undo) == []
    assert (outside / "precious").exists()


@pytest.mark.parametrize("path", ["outside", "run", "run/../outside", "run/work/../../outside", "run/out/precious"])
def test_remove_tree_refuses_what_is_not_inside(tmp_path: Path, path: str) -> None:
    for folder in ("outside", "run/work"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "outside" / "precious").write_text("x")
    (tmp_path / "run" / "out").symlink_to(tmp_path / "outside")
    done = perform(RemoveTree(path=str(tmp_path / path), inside=str(tmp_path / "run")))
    assert "left alone" in done[0]
    assert (tmp_path / "outside" / "precious").exists()
    assert (tmp_path / "run" / "work").exists()


@pytest.mark.parametrize(
    "undo",
    [
        KillTagged(tag="no-such-run-ever"),
        KillPid(pid=2**22 + 5, start_ticks=1),
        KillCgroup(path="/sys/fs/cgroup/unified/seatrial-none/web"),
        RemoveTree(path="/nowhere/at/all", inside="/nowhere"),
        Continue(tag="no-such-run-ever"),
        ThawCgroup(path="/sys/fs/cgroup/unified/seatrial-none/web"),
        Nothing(why="it ends with its parent"),
    ],
    ids=lambda u: type(u).__name__,
)
def test_nothing_to_undo_is_no_trouble(undo: AnyUndo) -> None:
    assert perform(undo) == []
    assert still_there(undo) == []


def test_the_guardian_loads_only_what_it_needs() -> None:
    heavy = ("asyncio", "numpy", "pyarrow", "jinja2", "psutil", "pydantic")
    code = f"import sys, seatrial.host.undoing; print([m for m in sys.modules if m.split('.')[0] in {heavy}])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
