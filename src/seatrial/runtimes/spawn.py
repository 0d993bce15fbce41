"""Starts a program of the app: own session, own log, marked, bounded, in its group; and tells when it ends."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.errors import StageFailed
from seatrial.host import marks, proc
from seatrial.host.capabilities import PR_SET_CHILD_SUBREAPER

ROLES = ("", ":setup", ":exec")  # endings of the name under which a process's own commands are marked
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_NOBODY = 65534  # has a name on every system; PostgreSQL wants one
_POLL_S = 0.02
_own: set[int] = set()  # started by us and not yet waited for: only their Child may take their exit status
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to start. groups: cgroup folders to be put into; files: bound on open files; log: appended to.

    unprivileged: see itself as nobody although we are root.
    """

    process: str
    run: str
    command: Sequence[str]
    environment: Mapping[str, str]
    workdir: Path
    log: Path
    groups: Sequence[Path] = ()
    files: int | None = None
    unprivileged: bool = False


@dataclass(slots=True)
class Child:
    """A started program. code is its exit code, or -signal; None for one that is not our own child."""

    pid: int
    ticks: int
    ended: asyncio.Future[int | None]
    popen: subprocess.Popen[bytes] | None = None
    _stop_watching: Callable[[], None] = field(default=lambda: None)

    @property
    def alive(self) -> bool:
        """Return whether its end has not been seen yet."""
        return not self.ended.done()

    def forget(self) -> None:
        """Stop watching it; its exit status is taken when it is dead already."""
        self._stop_watching()
        if self.popen is None or self.popen.poll() is not None:
            _own.discard(self.pid)


def become_subreaper() -> bool:
    """Make orphaned descendants ours, so that a daemon that forks twice is not lost. Return whether that holds."""
    return _libc is not None and _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def start(order: Order) -> Child:
    """Start a program. Raises StageFailed when the command is not there, not executable, or refused by the system."""
    program = _program(order)
    log = _open_log(order)
    fds = [fd for path in order.groups if (fd := _open_group(path)) >= 0]
    try:
        popen = subprocess.Popen(
            list(order.command),
            executable=program,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=order.workdir,
            env=dict(order.environment),
            start_new_session=True,
            preexec_fn=_in_child(order, fds),
        )
    except (OSError, subprocess.SubprocessError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StageFailed(f"{order.process}: {program} could not be started in {order.workdir}: {text}") from None
    finally:
        for fd in (log, *fds):
            os.close(fd)
    return watch(popen.pid, popen)


def watch(pid: int, popen: subprocess.Popen[bytes] | None = None) -> Child:
    """Return a Child for a running process, our own or an adopted one. Its future is set when it ends."""
    loop = asyncio.get_running_loop()
    _own.add(pid)
    child = Child(pid=pid, ticks=proc.start_ticks(pid), ended=loop.create_future(), popen=popen)
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        _set_ended(child)
        return child
    except (OSError, AttributeError):  # an old kernel, or not Linux
        child._stop_watching = _poll(loop, child)
        return child

    def stop() -> None:
        nonlocal fd
        if fd >= 0:
            loop.remove_reader(fd)
            os.close(fd)
            fd = -1

    def ended() -> None:
        stop()
        _set_ended(child)

    child._stop_watching = stop
    loop.add_reader(fd, ended)
    return child


def reap(pids: Sequence[int]) -> None:
    """Take the exit status of dead orphans that were given to us."""
    for pid in set(pids) - _own:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass


def _poll(loop: asyncio.AbstractEventLoop, child: Child) -> Callable[[], None]:
    handle: asyncio.TimerHandle

    def look() -> None:
        nonlocal handle
        over = child.popen.poll() is not None if child.popen else not proc.alive(child.pid, child.ticks)
        if over:
            _set_ended(child)
        else:
            handle = loop.call_later(_POLL_S, look)

    handle = loop.call_later(_POLL_S, look)
    return lambda: handle.cancel()


def _set_ended(child: Child) -> None:
    code: int | None = None
    _own.discard(child.pid)
    if child.popen is not None:
        code = child.popen.wait()
    else:
        try:
            done, status = os.waitpid(child.pid, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if done else None
        except ChildProcessError:
            pass  # an adopted process that is not our child
    if not child.ended.done():
        child.ended.set_result(code)


def _program(order: Order) -> str:
    """Find the program on the PATH of the process itself, and say clearly what is wrong with it."""
    name = order.command[0] if order.command else ""
    if not name:
        raise StageFailed(f"{order.process}: command is empty", outcome="not-tested")
    path = order.workdir / name if "/" in name else Path(name)
    found = shutil.which(str(path), path=order.environment.get("PATH", os.defpath))
    if found:
        return found
    if "/" in name and path.is_file():
        raise StageFailed(f"{order.process}: command {name} is not executable (chmod +x {path})")
    where = f"there is no file {path}" if "/" in name else f"not on its PATH {order.environment.get('PATH', '')}"
    raise StageFailed(f"{order.process}: command {name!r} not found: {where}")


def _open_log(order: Order) -> int:
    try:
        return os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        reason = f"{order.process}: its log {order.log} cannot be opened: {error.strerror}"
        raise StageFailed(reason, outcome="environment") from None


def _open_group(path: Path) -> int:
    try:
        return os.open(path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _in_child(order: Order, groups: Sequence[int]) -> Callable[[], None]:
    """Return what runs between fork and exec. It only makes system calls on values that are ready before the fork."""
    value = marks.mark(order.run, order.process)
    parent, files = os.getpid(), _files(order.files)

    def prepare() -> None:
        for fd in groups:
            try:
                os.write(fd, b"0")
            except OSError:
                pass  # found out by the members of the group
        marks.apply(value)
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, files)
        if order.unprivileged:
            _look_unprivileged()
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:  # the conductor died before it was asked to tell us
                os._exit(125)

    return prepare


def _look_unprivileged() -> None:
    """Enter a user namespace in which we are nobody. Files outside see us still: no folder is given away."""
    if _libc is None or _libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "a user namespace cannot be made, which `unprivileged` needs under root")
    for name, text in (("uid_map", f"{_NOBODY} 0 1"), ("setgroups", "deny"), ("gid_map", f"{_NOBODY} 0 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _files(wanted: int | None) -> tuple[int, int] | None:
    if wanted is None:
        return None
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    return allowed, allowed
