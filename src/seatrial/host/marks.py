"""How a process of a run is known again: by its environment, and by a mark that it can neither drop nor overwrite.

The environment of a process can be lost: `env -i`, `sudo`, and every server that writes its title over it (redis,
nginx, postgres). RLIMIT_LOCKS has had no effect in Linux since 2.4.25, is inherited by every child, survives exec and
change of user, and everybody may read it, even of a zombie. So its soft value carries 31 bits of the run's tag and
31 bits of the process's name.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
from collections.abc import Collection

from seatrial.host import proc

ENV_RUN, ENV_PROCESS = "SEATRIAL_RUN", "SEATRIAL_PROCESS"
_RLIMIT_LOCKS = 10
_BITS = 31


def mark(tag: str, process: str) -> int:
    """Return the mark of a process of a run."""
    return _hash(tag) << _BITS | _hash(process)


def apply(value: int) -> None:
    """Put the mark on the calling process; for use between fork and exec. Where it cannot be done, nothing happens."""
    if sys.platform != "linux":
        return
    try:
        resource.setrlimit(_RLIMIT_LOCKS, (value, resource.getrlimit(_RLIMIT_LOCKS)[1]))
    except (ValueError, OSError):
        pass


def environment(tag: str, process: str) -> dict[str, str]:
    """Return the variables that every process of a run is started with."""
    return {ENV_RUN: tag, ENV_PROCESS: process}


def of_run(tag: str, names: Collection[str] | None = None) -> dict[int, int]:
    """Return the live processes of a run (or of these of its processes): pid to start ticks.

    Found by mark, by environment, and by descent from one of those. The caller and its ancestors are never among them.
    """
    stats = proc.all_stats()
    roots = {pid for pid, one in stats.items() if not one.dead and _is(pid, tag, names)}
    found = roots | proc.descendants(roots, stats)
    spared = _self_and_ancestors(stats)
    return {pid: stats[pid].start_ticks for pid in found if pid not in spared and not stats[pid].dead}


def owner(pid: int, tag: str, names: Collection[str]) -> str:
    """Return which of these processes of a run a pid belongs to, by its mark or its environment; "" for none."""
    return next((name for name in names if _is(pid, tag, (name,))), "")


def orphans(tag: str, names: Collection[str]) -> list[int]:
    """Return the dead children of the caller that belong to these processes of the run and wait to be reaped."""
    dead = [pid for pid in proc.children() if (one := proc.stat(pid)) is not None and one.dead]
    wanted = {mark(tag, name) for name in names}
    return [pid for pid in dead if _mark_of(pid) in wanted]


def _is(pid: int, tag: str, names: Collection[str] | None) -> bool:
    """The mark decides where there is one; else the environment."""
    value = _mark_of(pid)
    if value >> _BITS == _hash(tag):
        return names is None or value in {mark(tag, name) for name in names}
    variables = proc.environ(pid)
    return variables.get(ENV_RUN) == tag and (names is None or variables.get(ENV_PROCESS) in names)


def _mark_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/limits", "rb") as file:
            text = file.read()
    except OSError:
        return 0
    at = text.find(b"Max file locks")
    word = text[at + 14 :].split(None, 1)[0] if at >= 0 else b""
    value = int(word) if word.isdigit() else 0
    return value if value < 1 << 2 * _BITS else 0  # a larger one is a limit that somebody meant


def _self_and_ancestors(stats: dict[int, proc.Stat]) -> set[int]:
    spared, pid = set(), os.getpid()
    while pid and pid not in spared:
        spared.add(pid)
        pid = stats[pid].ppid if pid in stats else 0
    return spared


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - _BITS) or 1
