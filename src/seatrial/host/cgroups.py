"""Control groups: find one that may be used, make a folder in it, end, freeze, bound and remove it. v2 and v1.

Folders are made inside the group that we are in ourselves, so a bound that somebody put on us stays in force.
The core files of v2 (cgroup.kill, cgroup.freeze) work on a hybrid mount that has no controllers, too.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seatrial.host import proc

PREFIX = "seatrial-"
_V1_WANTED = ("freezer", "memory", "pids")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parents:
    """Groups in which folders can be made: v2 (None when there is none) and v1 by controller."""

    v2: Path | None
    v1: Mapping[str, Path]


def parents() -> Parents:
    """Return the groups of the caller in which it may make folders and move processes."""
    mine = _own_groups()
    v2, v1 = None, {}
    for kind, controllers, root, mount in _mounts():
        if kind == "cgroup2":
            place = _place(mount, root, mine.get("", "/"))
            v2 = place if place is not None and _usable(place) else v2
        for name in set(controllers) & set(_V1_WANTED):
            place = _place(mount, root, mine.get(name, "/"))
            if place is not None and _usable(place):
                v1[name] = place
    return Parents(v2=v2, v1=v1)


def folder(parent: Path, tag: str, process: str) -> Path:
    """Return the path of a process's group below a parent."""
    return parent / f"{PREFIX}{tag}" / process


def make(path: Path) -> None:
    """Make a group's folder, and the run's folder above it. Raises OSError."""
    path.mkdir(parents=True, exist_ok=True)
    if not (path / "cgroup.procs").exists():
        raise OSError(f"{path} is not inside a cgroup hierarchy")


def members(path: Path) -> list[int]:
    """Return the pids in a group and in all groups below it; zombies are left out."""
    found: list[int] = []
    for place, _, _ in os.walk(path):
        try:
            found += [int(word) for word in (Path(place) / "cgroup.procs").read_text().split()]
        except OSError:
            continue
    return [pid for pid in found if proc.alive(pid)]


def kill(path: Path) -> None:
    """Send SIGKILL to all members at once (v2), or again and again to each that is there (v1, older v2)."""
    if _write(path / "cgroup.kill", "1"):
        return
    for pid in members(path):
        proc.send(pid, proc.start_ticks(pid), signal.SIGKILL)


def freeze(path: Path) -> bool:
    """Ask for all members to be frozen. Return False when this group cannot."""
    return _write(path / "cgroup.freeze", "1") or _write(path / "freezer.state", "FROZEN")


def thaw(path: Path) -> bool:
    """Let the members go on. Return False when this group cannot freeze at all."""
    return _write(path / "cgroup.freeze", "0") or _write(path / "freezer.state", "THAWED")


def is_frozen(path: Path) -> bool:
    """Return whether the kernel says that all members are frozen (not merely that it was asked for)."""
    events = _read(path / "cgroup.events")
    return "frozen 1" in events or _read(path / "freezer.state").strip() == "FROZEN"


def frozen_group_of(pid: int) -> Path | None:
    """Return the group that keeps a process frozen, looked up from the process; None when none does."""
    groups = _groups_of(pid)
    for kind, controllers, root, mount in _mounts():
        names = [""] if kind == "cgroup2" else [n for n in controllers if n == "freezer"]
        for name in names:
            place = _place(mount, root, groups.get(name, "/"))
            if place is not None and is_frozen(place):
                return place
    return None


def limit_memory(path: Path, size: int) -> bool:
    """Bound the memory of a group, in bytes. Return whether the kernel took it."""
    return _write(path / "memory.max", str(size)) or _write(path / "memory.limit_in_bytes", str(size))


def limit_pids(path: Path, count: int) -> bool:
    """Bound the number of tasks of a group. Return whether the kernel took it."""
    return _write(path / "pids.max", str(count))


def oom_kills(path: Path) -> int:
    """Return how many processes of the group the kernel killed for want of memory."""
    for name in ("memory.events", "memory.oom_control"):
        for line in _read(path / name).splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def is_ours(path: Path) -> bool:
    """Return whether a folder is in a cgroup hierarchy and inside a group that a run made."""
    real = path.resolve()
    mounts = [mount for _, _, _, mount in _mounts()]
    inside = any(real.is_relative_to(mount) and real != mount for mount in mounts)
    return inside and any(part.startswith(PREFIX) for part in real.parts)


def end(path: Path, within_s: float = 10.0) -> list[str]:
    """End all members of a group that a run made and remove it. Return what could not be done, in plain words."""
    if not path.exists():
        return []
    if not is_ours(path):
        return [f"{path} was not made by a run: left alone"]
    for _ in range(int(within_s / 0.01)):
        kill(path)
        thaw(path)  # after the signal: a frozen v1 member dies when it is thawed
        if not members(path) and remove(path):
            return []
        time.sleep(0.01)
    return [f"cgroup {path} is still there with pids {members(path)}"]


def remove(path: Path) -> bool:
    """Remove a group, all below it, and the run's own folder above when it is empty. Return whether it is gone."""
    for place, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(place)  # noqa: PTH106
        except OSError:
            return not path.exists()
    if path.parent.name.startswith(PREFIX):
        try:
            path.parent.rmdir()
        except OSError:
            pass  # other processes of the run are in it
    return not path.exists()


def _own_groups() -> dict[str, str]:
    return _groups_of(os.getpid())


def _groups_of(pid: int) -> dict[str, str]:
    """By controller name; "" is v2."""
    found: dict[str, str] = {}
    for line in _read(Path(f"/proc/{pid}/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            found[name.removeprefix("name=")] = path.removesuffix(" (deleted)")
    return found


def _mounts() -> list[tuple[str, list[str], str, Path]]:
    """Each cgroup mount: kind, controllers, the group that is its root, mount point."""
    found = []
    for line in _read(Path("/proc/self/mountinfo")).splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            root, mount = left.split(" ")[3:5]
            found.append((kind, options.split(","), root, Path(mount)))
    return found


def _place(mount: Path, root: str, group: str) -> Path | None:
    if root == "/":
        return mount / group.strip("/")
    if group == root or group.startswith(root + "/"):
        return mount / group[len(root) :].strip("/")
    return None


def _usable(place: Path) -> bool:
    return os.access(place, os.W_OK) and os.access(place / "cgroup.procs", os.W_OK)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _write(path: Path, text: str) -> bool:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(fd, text.encode())
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
