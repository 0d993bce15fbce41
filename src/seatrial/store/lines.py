"""Lines that survive SIGKILL of their writer: one write(2) with O_APPEND each, and a torn tail that is seen."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def append_line(fd: int, line: bytes, after_torn: bool = False) -> None:
    """Append a line in one write. after_torn ends a torn line first, so that only that line is lost.

    Raises OSError; ENOSPC also when only a part of the line could be written.
    """
    data = b"\n" + line + b"\n" if after_torn else line + b"\n"
    if os.write(fd, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def ends_torn(path: Path) -> bool:
    """Return whether the file has a last line without an end."""
    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Make the names of the files in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that readers see the old or the new text whole, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
