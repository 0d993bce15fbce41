"""A program that the user builds: a local file or folder.

It is copied into the cache under the digest of its contents, so that an edit or a new build during the run cannot
change what is tried. What is too large to copy, or may not be moved, is used where it stands, and that is said.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.artefacts.cache import off_loop
from seatrial.artefacts.tool import Job
from seatrial.artefacts.trouble import MEGA, size
from seatrial.artefacts.workshop import Workshop, key, label, mistake, options
from seatrial.errors import EnvironmentTrouble, UsageError
from seatrial.params import Kind, Param
from seatrial.plan import Artefact
from seatrial.ports import Installed, Say

PARAMS = (
    Param(name="version", kind=Kind.TEXT, default="", help="what the program calls itself, when not the artefact's"),
    Param(name="copy", kind=Kind.FLAG, default=True, help="false: use it where it stands (it holds its own path)"),
)
COPY_BYTES = 512 * MEGA
FILES_MOST = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found at a path. whole: False when it is too large for its contents to be hashed."""

    digest: str
    files: int
    bytes: int
    whole: bool


class LocalPath:
    """Provider of local programs (ports.Provider). Values: root, bin, version, digest, source.

    package is the path, relative to the app's folder or absolute.
    """

    def __init__(self, workshop: Workshop, *, copy_bytes: int = COPY_BYTES, files_most: int = FILES_MOST) -> None:
        """Copy into this workshop's cache what is not larger than the bounds."""
        self._shop, self._copy_bytes, self._files_most = workshop, copy_bytes, files_most

    async def install(self, artefact: Artefact, say: Say) -> Installed:
        """Return the program, copied unless it is too large. Raises UsageError when it is not there."""
        wanted = options(artefact, PARAMS)
        source = self._source(artefact)
        job = Job(label=label(artefact), say=say, clock=self._shop.clock)
        found = await off_loop(lambda: survey(source, self._copy_bytes, self._files_most))
        if not found.whole or not wanted["copy"]:
            job.tell(self._why_in_place(found, wanted, source))
            root = source.parent if source.is_file() else source
            return _installed(artefact, wanted, found.digest, root, source)
        name = f"{source.name}-{key(digest=found.digest)}"

        async def fill(tree: Path, job: Job) -> dict[str, str]:
            job.tell(f"copying {found.files} files, {size(found.bytes)}")
            await off_loop(lambda: _copy(source, tree))
            copied = await off_loop(
                lambda: survey(tree / source.name if source.is_file() else tree, self._copy_bytes, self._files_most)
            )
            if copied.digest != found.digest:
                raise EnvironmentTrouble(
                    f"{job.label}: {source} changed while it was copied; run again when it is built"
                )
            return {}

        entry = await self._shop.cache.obtain("path", name, fill, job, room=found.bytes + 16 * MEGA)
        return _installed(artefact, wanted, found.digest, entry.tree, source)

    def _source(self, artefact: Artefact) -> Path:
        source = (self._shop.base / Path(artefact.package).expanduser()).resolve()
        if not source.exists():
            hint = "build it first, or correct the path (relative to the app's folder)"
            raise UsageError([mistake(artefact, "package", "is not there", value=str(source), hint=hint)])
        if not os.access(source, os.R_OK):
            raise UsageError([mistake(artefact, "package", "cannot be read", value=str(source))])
        return source

    def _why_in_place(self, found: Survey, wanted: dict[str, Any], source: Path) -> str:
        why = (
            "as asked for" if not wanted["copy"] else f"more than {size(self._copy_bytes)} or {self._files_most} files"
        )
        how = "" if found.whole else "; its digest is made of names, sizes and times, not of contents"
        return f"used where it stands, {source} ({why}): do not change it during the run{how}"


def _installed(artefact: Artefact, wanted: dict[str, Any], digest: str, root: Path, source: Path) -> Installed:
    version = wanted["version"] or artefact.version
    folder = root / "bin" if source.is_dir() and (root / "bin").is_dir() else root
    values = {"root": str(root), "bin": str(folder), "version": version, "digest": digest, "source": str(source)}
    if source.is_file():
        values["file"] = str(root / source.name)
    return Installed(artefact=artefact, version=version, digest=digest, root=root, values=values)


def survey(source: Path, most_bytes: int, most_files: int) -> Survey:
    """Return the digest of names, kinds, x bits and contents; of names, sizes and times when there is too much.

    Raises EnvironmentTrouble when a file cannot be read.
    """
    try:
        entries = list(_walk(source))
        total = sum(info.st_size for _, _, info in entries if stat.S_ISREG(info.st_mode))
        whole = total <= most_bytes and len(entries) <= most_files
        digest = hashlib.sha256()
        for name, path, info in entries:
            digest.update(_entry_line(name, path, info, whole))
    except OSError as error:
        raise EnvironmentTrouble(f"{error.filename}: {error.strerror}; make it readable, then run again") from None
    return Survey(digest=f"sha256:{digest.hexdigest()}", files=len(entries), bytes=total, whole=whole)


def _walk(source: Path) -> Iterator[tuple[str, Path, os.stat_result]]:
    if source.is_file():
        yield source.name, source, source.stat()
        return
    for folder, folders, files in os.walk(source):
        folders.sort()
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*files, *links]):
            path = Path(folder) / name
            info = path.lstat()
            if stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):  # sockets and such are no program
                yield path.relative_to(source).as_posix(), path, info


def _entry_line(name: str, path: Path, info: os.stat_result, whole: bool) -> bytes:
    if stat.S_ISLNK(info.st_mode):
        what = f"link {path.readlink()}"
    elif whole:
        with path.open("rb") as file:
            what = f"file {bool(info.st_mode & 0o111)} {hashlib.file_digest(file, 'sha256').hexdigest()}"
    else:
        what = f"file {bool(info.st_mode & 0o111)} {info.st_size} {info.st_mtime_ns}"
    return f"{name}\0{what}\n".encode(errors="surrogateescape")


def _copy(source: Path, tree: Path) -> None:
    if source.is_file():
        tree.mkdir()
        shutil.copy2(source, tree / source.name)
        return

    def special(folder: str, names: list[str]) -> set[str]:
        modes = {name: (Path(folder) / name).lstat().st_mode for name in names}
        return {n for n, mode in modes.items() if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))}

    shutil.copytree(source, tree, symlinks=True, ignore=special)
