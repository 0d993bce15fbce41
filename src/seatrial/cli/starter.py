"""`seatrial init`: a small app that plans and runs as it is, with comments, to begin with."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from seatrial.errors import UsageError

FILES = {
    "app.toml": "app.toml",
    "service.py": "service.py.txt",  # not .py here: they are text to us, and code where they are written
    "users.py": "users.py.txt",
    "scenarios/default.toml": "scenarios/default.toml",
}
_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_-]*$")


def write(name: str) -> Path:
    """Write the app into apps/<name>, or into the folder itself when it has a slash. Returns the folder.

    Raises UsageError when the name is not fit or the folder is not empty.
    """
    folder = Path(name) if "/" in name else Path("apps") / name
    if not _NAME.match(folder.name):
        raise UsageError(f"{folder.name!r} is not fit for an app: letters, digits, '-' and '_', the first one a letter")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already; choose another name, or edit what is in it")
    source = files("seatrial.cli") / "starter_files"
    try:
        for target, origin in FILES.items():
            path = folder / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((source / origin).read_text(encoding="utf-8").replace("@NAME@", folder.name))
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}") from None
    return folder
