"""The one immutable cache of installed artefacts, shared by all runs of a user and safe when two fill it at once.

<root>/<kind>/<key>/tree           what was installed
<root>/<kind>/<key>/complete.json  written last, after the tree is on disk; without it the entry does not exist
<root>/<kind>/.<key>.lock          flock of the one process that fills

An entry is built in place, not in a temporary folder that is renamed: a venv holds its own absolute path in every
script, so it works only where it was built. What makes a fill atomic is the marker, which is renamed into place last.
The lock is held by the filler and by the installer it started, so a leftover without a marker whose lock is free has
nobody who still writes to it, and is removed by whoever comes next. The modes of files are left as the installer made
them: programs copy templates out of their own folder, and read-only ones would change how the artefact behaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import dataclasses
import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from seatrial.artefacts.tool import QUIET_S, Job
from seatrial.artefacts.trouble import size
from seatrial.clock import NS
from seatrial.errors import EnvironmentTrouble

ENV = "SEATRIAL_CACHE"
POLL_S = 0.1
T = TypeVar("T")


class Complete(msgspec.Struct, frozen=True, kw_only=True):
    """The marker of a filled entry. at: where the tree was built; facts: what the provider wants to know again."""

    at: str
    facts: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A filled entry of the cache."""

    tree: Path
    facts: dict[str, str]


Fill = Callable[[Path, Job], Awaitable[dict[str, str]]]


def default_root() -> Path:
    """Return the cache folder: SEATRIAL_CACHE, else seatrial in XDG_CACHE_HOME, else ~/.cache/seatrial."""
    if own := os.environ.get(ENV):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(base).expanduser() / "seatrial").absolute()


class Cache:
    """A cache of installed artefacts below one folder."""

    def __init__(self, root: Path | None = None) -> None:
        """Use this folder, or the default one. Nothing is made before the first fill."""
        self.root = default_root() if root is None else root.absolute()

    def find(self, kind: str, key: str) -> Entry | None:
        """Return the entry when it is complete and stands where it was built."""
        folder = self.root / kind / key
        try:
            marker = msgspec.json.decode((folder / "complete.json").read_bytes(), type=Complete)
        except (OSError, msgspec.MsgspecError):
            return None
        tree = folder / "tree"
        return Entry(tree=tree, facts=marker.facts) if marker.at == str(tree) and tree.is_dir() else None

    async def obtain(self, kind: str, key: str, fill: Fill, job: Job, *, room: int) -> Entry:
        """Return the entry, filling it first if need be; one process fills, others wait for it and say so.

        fill gets the path of the tree (not there yet) and a job that holds the lock. room: bytes that must be free.
        Raises EnvironmentTrouble when there is no room or the folder cannot be used, and whatever fill raises.
        """
        if found := self.find(kind, key):
            job.tell("already in the cache")
            return found
        with self._lock_file(kind, key) as lock:
            await _gain(lock, job)
            if found := self.find(kind, key):
                return found
            self.reap()
            return await self._fill(kind, key, fill, dataclasses.replace(job, lock=lock), room)

    def remember(self, kind: str, question: str, answer: list[str]) -> None:
        """Keep a small answer that is slow to get, such as what a version means on this machine."""
        path = self.root / kind / f".{question}.answer"
        temporary = path.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):  # what cannot be kept is asked again
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(answer))
            temporary.replace(path)

    def recall(self, kind: str, question: str) -> list[str] | None:
        """Return the kept answer, or None."""
        try:
            return msgspec.json.decode((self.root / kind / f".{question}.answer").read_bytes(), type=list[str])
        except (OSError, msgspec.MsgspecError):
            return None

    async def _fill(self, kind: str, key: str, fill: Fill, job: Job, room: int) -> Entry:
        folder = self.root / kind / key
        remove(folder)
        self._need_room(job.label, room)
        started = job.clock.now_ns()
        try:
            scratch = folder / "scratch"  # what a killed installer leaves in its temporary folder goes with the fill
            scratch.mkdir(parents=True)
            facts = await fill(folder / "tree", dataclasses.replace(job, scratch=scratch))
            remove(scratch)
            _complete(folder, facts)
        except BaseException as error:
            remove(folder)
            if isinstance(error, OSError):
                raise self._unusable(error) from error
            raise
        job.tell(f"installed in {(job.clock.now_ns() - started) / NS:.1f} s")
        return Entry(tree=folder / "tree", facts=facts)

    def reap(self) -> list[Path]:
        """Remove what interrupted fills left behind, not what is being filled; return the folders removed."""
        removed = []
        for folder in sorted(self.root.glob("*/*/")):
            if (folder / "complete.json").exists():
                continue
            with self._lock_file(folder.parent.name, folder.name) as lock:
                if _try_lock(lock) and not (folder / "complete.json").exists():
                    remove(folder)
                    removed.append(folder)
        return removed

    @contextlib.contextmanager
    def _lock_file(self, kind: str, key: str) -> Iterator[int]:
        path = self.root / kind / f".{key}.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            yield handle
        finally:
            os.close(handle)

    def _need_room(self, label: str, room: int) -> None:
        free = shutil.disk_usage(self.root).free
        if free < room:
            raise EnvironmentTrouble(
                f"{label}: about {size(room)} are needed in {self.root} and {size(free)} are free; "
                f"free some space, or set {ENV} to a folder on another disk"
            )

    def _unusable(self, error: OSError) -> EnvironmentTrouble:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return EnvironmentTrouble(f"the disk of {self.root} is full; free some space, or set {ENV} to another disk")
        return EnvironmentTrouble(
            f"the cache folder {self.root} cannot be used ({error.strerror or error}: {error.filename}); "
            f"set {ENV} to a folder that you may write to"
        )


async def _gain(lock: int, job: Job) -> None:
    """Wait for the lock, telling so at once and then now and again."""
    waited = told = 0.0
    while not _try_lock(lock):
        if waited >= told:
            job.tell(f"another run is installing it; waiting ({waited:.0f} s)")
            told += QUIET_S
        await job.clock.sleep(POLL_S)
        waited += POLL_S


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _complete(folder: Path, facts: dict[str, str]) -> None:
    """Put the tree on disk, then the marker: also after a power cut a marker means a whole tree."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        _sync_disk(handle)
        temporary = folder / ".complete.json"
        with temporary.open("wb") as file:
            file.write(msgspec.json.encode(Complete(at=str(folder / "tree"), facts=facts)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / "complete.json")
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_disk(handle: int) -> None:
    if sys.platform != "linux" or ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
        os.sync()


def remove(path: Path) -> None:
    """Remove a folder also when folders in it are read-only. Nothing happens when it is not there."""
    if not path.exists():
        return
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            Path(folder).chmod(0o755)
    shutil.rmtree(path, ignore_errors=True)


async def off_loop(work: Callable[[], T]) -> T:
    """Do blocking file work (hashing, copying) beside the event loop; when cancelled, wait until it has ended."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
