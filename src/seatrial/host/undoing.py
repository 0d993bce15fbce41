"""Performs undo recipes and lists what they have not yet undone: for the block that made it, the guardian and `heal`.

Every recipe is idempotent, takes bounded time, and touches nothing that the run did not make. Only the standard
library and msgspec are imported, so that the guardian starts fast.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import assert_never

from seatrial.host import cgroups, marks, proc
from seatrial.undo import AnyUndo, Continue, KillCgroup, KillPid, KillTagged, Nothing, RemoveTree, ThawCgroup

_PASSES = 400
_STEP_S = 0.01


def perform(undo: AnyUndo) -> list[str]:
    """Take back what a recipe describes. Return what was done or refused, in plain words; empty: nothing was there.

    Safe to repeat, and safe when the pids were used again meanwhile. Ends within about ten seconds. What remains is
    never taken from this list: ask still_there.
    """
    match undo:
        case KillTagged(tag=tag):
            return _kill_tagged(tag)
        case KillPid(pid=pid, start_ticks=ticks):
            return _kill_pid(pid, ticks)
        case KillCgroup(path=path):
            return _kill_cgroup(Path(path))
        case RemoveTree(path=path, inside=inside):
            return _remove_tree(Path(path), Path(inside))
        case Continue(tag=tag):
            return _continue(tag)
        case ThawCgroup(path=path):
            return _thaw(Path(path))
        case Nothing():
            return []
        case _:
            assert_never(undo)


def still_there(undo: AnyUndo) -> list[str]:
    """List what a recipe is for and is still there, looked up afresh in the system."""
    match undo:
        case KillTagged(tag=tag):
            return [f"process {proc.describe(pid)} of run {tag}" for pid in sorted(marks.of_run(tag))]
        case KillPid(pid=pid, start_ticks=ticks):
            return [f"process {proc.describe(pid)}"] if proc.alive(pid, ticks) else []
        case KillCgroup(path=path):
            return [f"cgroup {path}"] if Path(path).exists() else []
        case RemoveTree(path=path):
            return [f"files in {path}"] if os.path.lexists(path) else []
        case Continue(tag=tag):
            return [f"stopped process {proc.describe(pid)} of run {tag}" for pid in _stopped(tag)]
        case ThawCgroup(path=path):
            return [f"frozen cgroup {path}"] if cgroups.is_frozen(Path(path)) else []
        case Nothing():
            return []
        case _:
            assert_never(undo)


def _kill_pid(pid: int, ticks: int) -> list[str]:
    words = proc.describe(pid)
    if not proc.send(pid, ticks, signal.SIGKILL):
        return []
    proc.wait_gone({pid: ticks}, 5.0)
    return [f"ended {words}"]


def _kill_tagged(tag: str) -> list[str]:
    done: dict[int, str] = {}
    for _ in range(_PASSES):  # again until none is found: a dying tree may still have been forking
        found = marks.of_run(tag)
        for pid, ticks in found.items():
            words = proc.describe(pid)
            if proc.send(pid, ticks, signal.SIGKILL):
                done.setdefault(pid, f"ended {words}")
        if not found:
            break
        time.sleep(_STEP_S)
    return list(done.values())


def _kill_cgroup(path: Path) -> list[str]:
    if not path.exists():
        return []
    ended = [f"ended {proc.describe(pid)}" for pid in cgroups.members(path)]
    left = cgroups.end(path)
    return left or [*ended, f"removed cgroup {path}"]


def _continue(tag: str) -> list[str]:
    done: dict[int, str] = {}
    for _ in range(_PASSES):
        stopped = _stopped(tag)
        for pid in stopped:
            done.setdefault(pid, f"let {proc.describe(pid)} go on")
            proc.send(pid, proc.start_ticks(pid), signal.SIGCONT)
        if not stopped:
            break
        time.sleep(_STEP_S)
    return list(done.values())


def _stopped(tag: str) -> list[int]:
    stats = ((pid, proc.stat(pid)) for pid in sorted(marks.of_run(tag)))
    return [pid for pid, found in stats if found is not None and found.state in proc.STOPPED_STATES]


def _thaw(path: Path) -> list[str]:
    if not path.exists() or not cgroups.is_frozen(path):
        return []
    if not cgroups.is_ours(path):
        return [f"{path} was not made by a run: left alone"]
    for _ in range(_PASSES):
        cgroups.thaw(path)
        if not cgroups.is_frozen(path):
            break
        time.sleep(_STEP_S)
    return [f"thawed {path}"]


def _remove_tree(path: Path, inside: Path) -> list[str]:
    """A link is removed, never followed; nothing outside of `inside` is touched, whatever the recipe says."""
    if not os.path.lexists(path):
        return []
    where = path.parent.resolve() / path.name
    if not where.is_relative_to(inside.resolve()) or where == inside.resolve() or path.name in ("", ".", ".."):
        return [f"{path} is not inside {inside}: left alone"]
    for _ in range(5):  # a process that is just dying may still make files
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path, onerror=_make_writable)
        if not os.path.lexists(path):
            break
        time.sleep(0.05)
    return [f"removed {path}"] if not os.path.lexists(path) else [f"could not wholly remove {path}"]


def _make_writable(function: object, path: str, _: object) -> None:
    """Give ourselves the right to remove what the app made read-only, and try once more."""
    for one in (os.path.dirname(path), path):  # noqa: PTH120
        try:
            os.chmod(one, 0o700, follow_symlinks=False)  # noqa: PTH101
        except (OSError, NotImplementedError):
            pass
    try:
        os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)  # noqa: PTH106,PTH108,PTH112,PTH114
    except OSError:
        pass  # the next pass tries again, and what stays is reported
