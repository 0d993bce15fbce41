"""Says in one sentence what an installer's own output means, and what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from seatrial.errors import EnvironmentTrouble

NETWORK = re.compile(
    r"failed to establish a new connection|NewConnectionError|temporary failure (in name resolution|resolving)|"
    r"connection refused|network is unreachable|name or service not known|ConnectTimeoutError|ReadTimeoutError|"
    r"read timed out|ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ProxyError|"
    r"could not connect to|unable to connect to|could not resolve|SSLError|certificate verify failed",
    re.IGNORECASE,
)
DISK = re.compile(r"no space left on device|ENOSPC|errno 28|don't have enough free space|disk quota exceeded", re.I)
MEGA = 1024 * 1024


def size(count: int) -> str:
    """Return a number of bytes for a person."""
    return f"{count / MEGA:.0f} MiB" if count >= MEGA else f"{count / 1024:.0f} KiB"


def tail(output: str, lines: int = 3) -> str:
    """Return the last lines that say something, as one line."""
    kept = [line.strip() for line in output.splitlines() if line.strip()]
    return " | ".join(kept[-lines:])[-600:] or "it printed nothing"


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that orders 3.9.0 < 3.10.0rc1 < 3.10.0 and never fails."""
    parts = re.findall(r"\d+|[a-zA-Z]+", version)
    key = [(2, int(part), "") if part.isdigit() else (0, 0, part.lower()) for part in parts]
    return (*key, (1, 0, ""))


def nearest(wanted: str, known: Iterable[str], count: int = 5) -> list[str]:
    """Return the known versions around the wanted one, oldest first."""
    ordered = sorted(set(known), key=version_key)
    place = sum(1 for version in ordered if version_key(version) < version_key(wanted))
    start = max(0, min(place - count // 2, len(ordered) - count))
    return ordered[start : start + count]


def unknown_version(label: str, wanted: str, known: Sequence[str], where: str) -> EnvironmentTrouble:
    """Return the error for a version that the source does not have."""
    near = ", ".join(nearest(wanted, known))
    return EnvironmentTrouble(
        f"{label}: {where} has no version {wanted}; nearest of {len(known)}: {near}; correct the version in app.toml"
    )


def unknown_package(label: str, package: str, where: str, step: str) -> EnvironmentTrouble:
    """Return the error for a package that the source does not have."""
    return EnvironmentTrouble(f"{label}: {where} has no package {package!r}; {step}")


def common(label: str, output: str, place: str) -> EnvironmentTrouble | None:
    """Return the error for what can go wrong with every source (disk, network), or None when it is neither.

    place: where the files go, for the advice on disk space.
    """
    if DISK.search(output):
        return EnvironmentTrouble(
            f"{label}: the disk of {place} is full; free some space, or set SEATRIAL_CACHE to a folder on another disk"
        )
    if found := NETWORK.search(output):
        return EnvironmentTrouble(
            f"{label}: no network to the package source ({found.group(0)}); "
            "check the connection, proxy and index settings, then run again"
        )
    return None
