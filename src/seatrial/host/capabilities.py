"""What this machine can do for a trial, probed and never assumed. `seatrial doctor` prints it; faults ask by name."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seatrial.host import cgroups, marks

_PROBE = f"probe-{os.getpid()}"
_CLONE_NEWUSER = 0x10000000
PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER = 36, 37
TOOLS = {
    "apt-get": "artefacts from Debian and Ubuntu packages",
    "npm": "artefacts from the npm registry",
    "node": "running artefacts from npm",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """One thing that this machine can or cannot do. detail: what was seen."""

    name: str
    present: bool
    used_for: str
    how: str
    detail: str = ""


def probe(folder: Path | None = None) -> list[Capability]:
    """Try everything, leave nothing behind. folder: where runs are written; its free space is looked at."""
    found = [make() for make in _PROBES]
    found.append(_disk(folder or Path.cwd()))
    return found + [_tool(name, used_for) for name, used_for in TOOLS.items()]


def have(name: str) -> bool:
    """Return whether one capability is present. Raises KeyError for a name that `probe` does not list."""
    for one in probe():
        if one.name == name:
            return one.present
    raise KeyError(name)


def _capability(name: str, used_for: str, how: str, seen: tuple[bool, str]) -> Capability:
    return Capability(name=name, present=seen[0], used_for=used_for, how=how, detail=seen[1])


def _linux() -> Capability:
    seen = (sys.platform == "linux", f"{os.uname().sysname} {os.uname().release}")
    return _capability("linux", "everything beyond the unprivileged subset", "run on Linux 5.14 or newer", seen)


def _root() -> Capability:
    seen = (os.geteuid() == 0, f"uid {os.geteuid()}")
    return _capability("root", "cgroups without delegation; not needed for the process runtime", "sudo", seen)


def _v2_file(name: str) -> tuple[bool, str]:
    parent = cgroups.parents().v2
    if parent is None:
        return False, "no cgroup v2 group in which a folder may be made"
    return _in_group(parent, lambda group: ((group / name).exists(), str(parent)))


def _cgroup_kill() -> Capability:
    how = "kernel 5.14, and a delegated cgroup (root, or systemd-run --user --scope -p Delegate=yes seatrial ...)"
    return _capability("cgroup-kill", "ending a process tree at once", how, _v2_file("cgroup.kill"))


def _cgroup_freeze() -> Capability:
    how = "kernel 5.2, and a delegated cgroup; without it SIGSTOP is used"
    return _capability("cgroup-freeze", "pausing a process tree at once and unseen", how, _v2_file("cgroup.freeze"))


def _v1_freezer() -> Capability:
    parent = cgroups.parents().v1.get("freezer")
    seen = (parent is not None, str(parent or "no writable v1 freezer"))
    return _capability("v1-freezer", "pausing where cgroup v2 is missing", "mount the v1 freezer, as root", seen)


def _memory_limit() -> Capability:
    names = ("memory.max", "memory.limit_in_bytes")
    how = "a delegated cgroup with the memory controller"
    return _capability("memory-limit", "limits.memory of a process", how, _controller("memory", names))


def _pids_limit() -> Capability:
    how = "a delegated cgroup with the pids controller"
    return _capability("pids-limit", "limits.pids of a process", how, _controller("pids", ("pids.max",)))


def _controller(name: str, files: tuple[str, ...]) -> tuple[bool, str]:
    places = cgroups.parents()
    for parent in (places.v2, places.v1.get(name)):
        if parent is not None and _in_group(parent, lambda g: (any((g / f).exists() for f in files), ""))[0]:
            return True, str(parent)
    return False, f"no writable group with the {name} controller"


def _in_group(parent: Path, look: Callable[[Path], tuple[bool, str]]) -> tuple[bool, str]:
    group = cgroups.folder(parent, _PROBE, "look")
    try:
        cgroups.make(group)
        return look(group)
    except OSError as error:
        return False, str(error)
    finally:
        cgroups.remove(group)


def _subreaper() -> Capability:
    how = "Linux 3.4; elsewhere daemons that fork twice are found by their environment only"
    value = ctypes.c_int(-1)
    try:
        answer = ctypes.CDLL(None, use_errno=True).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(value), 0, 0, 0)
    except (OSError, AttributeError):
        answer = -1
    return _capability("subreaper", "keeping hold of daemons that fork twice", how, (answer == 0, ""))


def _pidfd() -> Capability:
    seen: tuple[bool, str] = (False, "this Python has no os.pidfd_open")
    if hasattr(os, "pidfd_open"):
        try:
            os.close(os.pidfd_open(os.getpid()))
            seen = (True, "")
        except OSError as error:
            seen = (False, str(error))
    return _capability("pidfd", "signals that cannot hit a reused pid", "Linux 5.3", seen)


def _run_mark() -> Capability:
    value = marks.mark(_PROBE, "look")
    child = _forked(lambda: _marks_itself(value))
    how = "Linux; without it the environment is searched for the run's tag"
    return _capability("run-mark", "finding processes of a run that wrote over their environment", how, (child, ""))


def _marks_itself(value: int) -> bool:
    marks.apply(value)
    return str(value) in Path("/proc/self/limits").read_text()


def _user_namespace() -> Capability:
    how = "sysctl kernel.unprivileged_userns_clone=1 or user.max_user_namespaces > 0"
    seen = (_forked(lambda: _unshare(_CLONE_NEWUSER)), "")
    return _capability("user-namespace", "apps that must not see themselves as root (unprivileged = true)", how, seen)


def _unshare(flags: int) -> bool:
    return bool(ctypes.CDLL(None, use_errno=True).unshare(flags) == 0)


def _forked(work: Callable[[], bool]) -> bool:
    """Do something in a child, so that nothing of it stays with us. Bounded by an alarm."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(2)
            code = 0 if work() else 1
        except BaseException:  # the child must end here, whatever happens
            code = 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _nofile() -> Capability:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    seen = (hard == resource.RLIM_INFINITY or hard >= 4096, f"soft {soft}, hard {hard}")
    return _capability("open-files", "many users at once: each takes a descriptor", "ulimit -Hn 65536", seen)


def _ipv6() -> Capability:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe_socket:
            probe_socket.bind(("::1", 0))
        seen = (True, "")
    except OSError as error:
        seen = (False, str(error))
    return _capability("ipv6-loopback", "apps that listen on ::1 only", "sysctl net.ipv6.conf.lo.disable_ipv6=0", seen)


def _pressure() -> Capability:
    present = os.access("/proc/pressure/cpu", os.R_OK)
    return _capability("pressure", "telling a slow machine from a slow app", "a kernel with PSI", (present, ""))


def _disk(folder: Path) -> Capability:
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    seen = (free >= 1 << 30, f"{free / (1 << 30):.1f} GiB free in {place}")
    return _capability("disk-free", "journals, logs and data of a run: 1 GiB at least", "free some space", seen)


def _tool(name: str, used_for: str) -> Capability:
    path = shutil.which(name)
    return _capability(name, used_for, f"install {name}", (path is not None, path or "not on PATH"))


_PROBES: tuple[Callable[[], Capability], ...] = (
    _linux,
    _root,
    _pidfd,
    _subreaper,
    _run_mark,
    _cgroup_kill,
    _cgroup_freeze,
    _v1_freezer,
    _memory_limit,
    _pids_limit,
    _user_namespace,
    _nofile,
    _ipv6,
    _pressure,
)
