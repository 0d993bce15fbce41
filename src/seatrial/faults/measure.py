"""Measurements at a target that process faults rest on: who lives, who is frozen, what a port does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from seatrial.host import cgroups, proc
from seatrial.ports import Address

CONNECT_S = 1.0
_QUESTION = b"GET / HTTP/1.1\r\nHost: seatrial\r\nConnection: close\r\n\r\n"  # any server says something to it


def living(pids: Iterable[int] | Mapping[int, int]) -> dict[int, int]:
    """Return those that live, with their start ticks; given a mapping, only the very same processes count."""
    wanted = pids if isinstance(pids, Mapping) else dict.fromkeys(pids, 0)
    return {pid: proc.start_ticks(pid) for pid, ticks in wanted.items() if proc.alive(pid, ticks)}


def frozen_by(pid: int) -> str:
    """Return what keeps a process from running: the path of a frozen group, "SIGSTOP", or "" when nothing does."""
    group = cgroups.frozen_group_of(pid)
    if group is not None:
        return str(group)
    threads = proc.threads(pid)
    return "SIGSTOP" if threads and all(one.state in proc.STOPPED_STATES for one in threads) else ""


def running_threads(pids: Iterable[int]) -> int:
    """Return how many threads of these processes are not stopped."""
    return sum(one.state not in proc.STOPPED_STATES for pid in pids for one in proc.threads(pid))


def cpu_ticks(pids: Iterable[int]) -> int:
    """Return the processor time of these processes so far, in clock ticks."""
    return sum(found.cpu_ticks for pid in pids if (found := proc.stat(pid)) is not None)


async def refuses(address: Address) -> bool:
    """Return whether a connection is refused."""
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except ConnectionRefusedError:
        return True
    except (TimeoutError, OSError):
        return False
    await _drop(writer)
    return False


async def answers_within(address: Address, seconds: float) -> bool:
    """Connect, ask something, and return whether a single byte or a close comes back within that time."""
    writer = None
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(_QUESTION)
            await reader.read(1)
            return True
    except ConnectionRefusedError:
        return False  # it does not listen there at all, so this says nothing against it
    except TimeoutError:
        return False
    except OSError:
        return True
    finally:
        if writer is not None:
            await _drop(writer)


async def _drop(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    try:
        await writer.wait_closed()
    except OSError:
        pass
